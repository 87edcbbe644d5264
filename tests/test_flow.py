import numpy as np
import pytest

from statkit.data import stored
from statkit.data.flow import REACH, flow_frames
from statkit.data.frames import FrameSettings
from statkit.data.stored import FrameStore, store_frames
from statkit.experiments import Experiment
from statkit.experiments.settings import DEMO


def moving_spot(step, count=5):
    """A bright spot on a dark 12x16 frame that moves ``step`` pixels right and down a frame."""
    rows, columns = np.mgrid[:12, :16]
    frames = []
    for t in range(count):
        spot = np.exp(-((rows - 4 - step[1] * t) ** 2 + (columns - 5 - step[0] * t) ** 2) / 8)
        frames.append(np.repeat(np.rint(20 + 200 * spot)[..., None], 3, -1))
    return np.stack(frames).astype(np.uint8)


def test_flow_points_where_the_spot_goes():
    for step in ((1, 0), (-1, 0), (0, 1)):
        found = flow_frames(moving_spot(step)).astype(float)
        motion = (found[..., :2] - 128) / 127 * REACH
        spot = motion[0, 2:7, 3:8].reshape(-1, 2).mean(0)
        assert spot == pytest.approx(step, abs=0.4)


def test_a_still_clip_and_a_single_frame_have_no_flow():
    still = flow_frames(np.repeat(moving_spot((0, 0), 1), 4, 0))
    assert still.shape == (4, 12, 16, 3) and still.dtype == np.uint8
    assert (still == (128, 128, 0)).all()
    assert (flow_frames(moving_spot((0, 0), 1)) == (128, 128, 0)).all()


def test_a_store_makes_flow_from_its_lr_frames_alone_and_once(dataset, tmp_path, monkeypatch):
    made = store_frames(dataset, FrameSettings(16, (24, 32)), progress=False)
    (tmp_path / "lr.npy").write_bytes((made.folder / "lr.npy").read_bytes())
    store = FrameStore(dataset, made.settings, tmp_path, progress=False)
    assert not (tmp_path / "hr.npy").exists()
    flow = store.flow
    assert flow.shape == store.lr.shape and np.array_equal(flow[2], flow_frames(store.lr[2]))
    monkeypatch.setattr(stored, "flow_frames", None)  # not asked again
    again = FrameStore(dataset, made.settings, tmp_path)
    assert np.array_equal(again.flow, flow)
    # The unlabelled stage of the flow stream sees the flow of its own clips.
    one = Experiment(dataset, DEMO, device="cpu", progress=False)
    assert np.array_equal(one.source("flow_ut", again).frames, flow)
