"""Real clips, small: a few generated ones for every test, UCF101's where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep import index_folder
from data_prep.demo import make_demo
from statkit.runtime.processes import cores

pytest_plugins = ["browser"]  # JupyterLab in Chromium


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or writes what the user has kept."""
    os.environ["STATKIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def own_cores():
    """Tests that run at the same time share the cores, and so does what they start."""
    together = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if together > 1:
        threads = max(1, cores() // together)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("data") / "tiny", train=48, test=24, workers=1)


@pytest.fixture(scope="session")
def dataset(demo_folder):
    return index_folder(demo_folder, progress=False)


@pytest.fixture(scope="session")
def clip(dataset):
    """uint8 [T, H, W, 3], one generated clip's path."""
    return dataset.path(0)


@pytest.fixture(scope="session")
def real_data():
    folder = os.environ.get("STATKIT_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("STATKIT_REAL_DATA does not name a folder of real clips")
    return Path(folder)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
