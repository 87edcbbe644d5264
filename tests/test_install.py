"""The kit as others install it: a wheel in an environment that holds no checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import statkit
from statkit.experiments.grid import TABLES
from statkit.experiments.results import published_runs
from statkit.experiments.tables import lines_of, markdown
from statkit.shipped import SHIPPED

ROOT = Path(__file__).resolve().parent.parent
# What lessons 4, 5, 7 and 8 show of runs that ship: data set, table.
SHOWN = [
    ("clips_160x120", "3"),
    ("demo", "1"),
    ("demo", "2"),
    ("demo", "strides"),
    ("clips_160x120", "strides"),
    ("demo", "specific"),
    ("clips_160x120", "specific"),
    ("demo", "labels"),
    ("clips_160x120", "labels"),
]
ASK = """
import importlib.metadata, json, sys
import data_prep.demo, statkit
from statkit.experiments.grid import TABLES
from statkit.experiments.results import published_runs
from statkit.experiments.tables import lines_of, markdown
from statkit.runtime.cache import REPOSITORY, cache_folder
from statkit.shipped import SHIPPED
demo = f"demo-v{data_prep.demo.VERSION}"
shown = [(demo if name == "demo" else name, table) for name, table in json.loads(sys.argv[1])]
print(json.dumps({
    "places": [statkit.__file__, data_prep.__file__],
    "version": importlib.metadata.version("statkit-lowres"),
    "cache": str(cache_folder()),
    "repository": str(REPOSITORY),
    "tables": [
        markdown(lines_of(published_runs(name, table), TABLES[table].rows, table=table))
        for name, table in shown
    ],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A fresh environment's interpreter: the wheel, and the dependencies of this one."""
    place = tmp_path_factory.mktemp("install")
    sources = place / "sources"
    for package in ("statkit", "data_prep"):  # a build leaves folders beside what it builds
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / package, sources / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, sources)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(sources)]
    succeed([*pip, *build], place)
    [wheel] = place.glob("*.whl")
    venv.create(place / "venv", symlinks=os.name != "nt")
    folders = sysconfig.get_paths(vars={"base": place / "venv", "platbase": place / "venv"})
    python = Path(folders["scripts"]) / Path(sys.executable).name
    # Folders that a .pth file names are searched, their own .pth files are not: an editable
    # installation there stays out of sight.
    (Path(folders["purelib"]) / "tested.pth").write_text(sysconfig.get_path("purelib"))
    shutil.rmtree(sources)
    succeed(
        [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], place
    )
    return python


def outside(words, folder, **variables):
    """Run a command that knows nothing of this checkout."""
    environment = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "STATKIT_CACHE")}
    return subprocess.run(
        words, cwd=folder, env=environment | variables, capture_output=True, text=True, timeout=300
    )


def succeed(words, folder, **variables):
    done = outside(words, folder, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_shows_the_tables_of_the_checkout(installed, tmp_path):
    from data_prep.demo import VERSION

    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    answer = json.loads(succeed([installed, "-c", ASK, json.dumps(SHOWN)], tmp_path, **home))
    environment = installed.parent.parent
    assert all(Path(place).is_relative_to(environment) for place in answer["places"])
    assert answer["version"] == statkit.__version__
    assert answer["repository"] == "." and Path(answer["cache"]) == tmp_path / ".cache" / "statkit"
    for (name, table), there in zip(SHOWN, answer["tables"], strict=True):
        runs = published_runs(f"demo-v{VERSION}" if name == "demo" else name, table)
        here = markdown(lines_of(runs, TABLES[table].rows, table=table))
        assert there == here and here.count("\n") > 4, (name, table)


def test_a_wheel_holds_every_file_that_is_no_module(installed):
    [package] = installed.parent.parent.rglob("site-packages/statkit")
    data = {
        path.relative_to(ROOT / "statkit")
        for path in (ROOT / "statkit").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    }
    assert {path.suffix for path in data} >= {".csv", ".js"} and Path("py.typed") in data
    assert all(
        (package / path).read_bytes() == (ROOT / "statkit" / path).read_bytes() for path in data
    )
    assert SHIPPED.name in {path.parent.name for path in data}


def test_without_a_checkout_the_command_works_in_the_current_folder(installed, tmp_path):
    command = installed.with_name("statkit" + installed.suffix)
    succeed([command, "claims"], tmp_path)
    assert (tmp_path / "CLAIMS.md").read_text() == (ROOT / "CLAIMS.md").read_text()
    done = outside([command, "figures"], tmp_path)
    assert done.returncode == 1 and "--notebooks" in done.stderr
