import json
import shutil

import numpy as np
import pytest
import torch

from data_prep import index_folder
from data_prep.lists import read_lists
from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.lowres import to_low_res
from statkit.runtime.cache import cache_folder
from statkit.sampling import BatchIndex
from statkit.video import read_frames, write_video
from statkit.views import VIEWS, take_views


def make_clips(root, names, frames=6):
    rng = np.random.default_rng(0)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, rng.integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8))


def test_a_folder_of_class_folders_is_split_by_group(tmp_path, capsys):
    names = [f"{c}/v_{c}_g{g:02d}_c{k:02d}.mp4" for c in "AB" for g in range(1, 5) for k in (1, 2)]
    make_clips(tmp_path, names)
    dataset = index_folder(tmp_path, progress=False)
    assert dataset.classes == ("A", "B") and len(dataset) == 16 and not dataset.generated
    split = dataset.split(1)
    groups = [{dataset.names[i].split("_c")[0] for i in part} for part in split]
    assert not groups[0] & groups[1] and len(groups[0]) == 6 and len(groups[1]) == 2
    assert "no split lists" in capsys.readouterr().out


def test_ucf_lists_with_crlf_are_matched_and_told(tmp_path, capsys):
    make_clips(tmp_path / "videos", ["A/a1.mp4", "A/a2.mp4", "B/b1.mp4", "B/b2.mp4"])
    lists = tmp_path / "splits"
    lists.mkdir()
    (lists / "trainlist01.txt").write_bytes(b"A/a1.mp4 1\r\nB/b1.mp4 2\r\nB/gone.mp4 2\r\n")
    (lists / "testlist01.txt").write_bytes(b"A/a2.mp4\r\nB/b2.mp4\r\n")
    dataset = index_folder(tmp_path, progress=False)
    train, test = dataset.split(1)
    assert [dataset.names[i] for i in train] == ["A/a1.mp4", "B/b1.mp4"]
    assert [dataset.names[i] for i in test] == ["A/a2.mp4", "B/b2.mp4"]
    assert "matched 2 of 3 train, 2 of 2 test" in capsys.readouterr().out


def test_a_folder_that_cannot_be_read_holds_no_lists(tmp_path):
    assert read_lists(tmp_path / "nothing") is None
    (tmp_path / "shut").mkdir(0)
    assert read_lists(tmp_path / "shut") is None


def test_hmdb_lists_code_1_2_and_0(tmp_path):
    (tmp_path / "wave_test_split1.txt").write_text("x.avi 1 \ny.avi 2 \nz.avi 0 \n")
    lists = read_lists(tmp_path)
    assert lists.style == "HMDB51" and lists.splits == {1: {"x": "train", "y": "test"}}


def test_the_official_lists(real_data):
    ucf = read_lists(real_data / "splits" / "ucf101")
    sizes = [
        [list(roles.values()).count(role) for role in ("train", "test")]
        for _, roles in sorted(ucf.splits.items())
    ]
    assert sizes == [[9537, 3783], [9586, 3734], [9624, 3696]]
    hmdb = read_lists(real_data / "splits" / "hmdb51")
    for roles in hmdb.splits.values():
        counts = [list(roles.values()).count(role) for role in ("train", "test")]
        assert counts == [51 * 70, 51 * 30]


def test_a_bad_clip_is_left_out_with_its_reason(tmp_path, capsys):
    make_clips(tmp_path, ["A/1.mp4", "A/2.mp4", "B/1.mp4", "B/2.mp4"])
    (tmp_path / "A" / "3.mp4").write_bytes(b"nothing")
    dataset = index_folder(tmp_path, progress=False)
    assert len(dataset) == 4
    assert "left out" in capsys.readouterr().out


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        index_folder(tmp_path / "none")
    with pytest.raises(DatasetError, match="no class folder"):
        index_folder(tmp_path)
    make_clips(tmp_path, ["A/1.mp4", "A/2.mp4"])
    with pytest.raises(DatasetError, match="has no split 7"):
        index_folder(tmp_path, progress=False).split(7)


def test_the_fingerprint_follows_the_clips(tmp_path):
    make_clips(tmp_path, ["A/1.mp4", "A/2.mp4", "B/1.mp4", "B/2.mp4"])
    before = index_folder(tmp_path, progress=False).fingerprint
    assert index_folder(tmp_path, progress=False).fingerprint == before
    make_clips(tmp_path, ["A/1.mp4"], frames=9)
    assert index_folder(tmp_path, progress=False).fingerprint != before


def test_stored_frames_are_the_files_frames(dataset):
    settings = FrameSettings(frames_per_clip=8)
    store = store_frames(dataset, settings, progress=False)
    assert store.hr.shape == (72, 8, 72, 96, 3) and store.lr.shape == (72, 8, 12, 16, 3)
    frames = read_frames(dataset.path(5))
    assert store.positions[5].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    assert np.array_equal(store.hr[5], frames[store.positions[5]])
    clean = to_low_res(frames[store.positions[5]], noise=0)
    assert 1 < np.abs(store.lr[5].astype(float) - clean).mean() < 2.2  # the sensor's noise
    again = store_frames(dataset, settings, progress=False)
    assert again.fingerprint == store.fingerprint and np.array_equal(again.lr, store.lr)


def test_a_store_that_failed_leaves_nothing_behind(demo_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(demo_folder, folder)
    card = json.loads((folder / "generated.json").read_text())
    (folder / "generated.json").write_text(json.dumps({**card, "copy": 1}))
    broken = index_folder(folder, progress=False)
    broken.path(3).unlink()
    before = sorted(cache_folder("frames").iterdir())
    with pytest.raises(ValueError, match="no such file"):
        store_frames(broken, progress=False)
    assert sorted(cache_folder("frames").iterdir()) == before


def picture():
    """A smooth picture [1, 1, 1, 24, 32, 3], whose crops can be told from formulas."""
    y, x = np.mgrid[0:24, 0:32]
    channels = np.stack([x * 8, y * 10, np.full_like(x, 50)], -1)
    return torch.from_numpy(channels.astype(np.uint8))[None, None, None]


def test_view_0_is_the_frame_and_view_1_its_mirror():
    frame = picture()
    plain = take_views(frame, torch.tensor([0]), (24, 32))
    mirrored = take_views(frame, torch.tensor([1]), (24, 32))
    assert plain.shape == (1, 1, 3, 1, 24, 32)
    expected = frame[0, 0, 0].permute(2, 0, 1).float() / 255
    assert torch.allclose(plain[0, 0, :, 0], expected)
    assert torch.allclose(mirrored[0, 0, :, 0], expected.flip(-1), atol=1e-5)


@pytest.mark.parametrize("view", range(len(VIEWS)))
def test_a_view_is_a_crop(view):
    top, left, scale, flip = VIEWS[view]
    found = take_views(picture(), torch.tensor([view]), (24, 32))[0, 0, :, 0].numpy() * 255
    x = (left + scale * (np.arange(32) + 0.5) / 32) * 32 - 0.5
    y = (top + scale * (np.arange(24) + 0.5) / 24) * 24 - 0.5
    x = x[::-1] if flip else x
    assert np.allclose(found[0, 12], np.clip(x, 0, 31) * 8, atol=0.01)
    assert np.allclose(found[1, :, 16], np.clip(y, 0, 23) * 10, atol=0.01)


def test_teacher_and_student_see_the_same_part(dataset):
    """The LR pixels of a view are the degraded frame's, never a degraded crop's."""
    store = store_frames(dataset, FrameSettings(noise=0, blur=0), progress=False)
    draw = BatchIndex(np.array([4]), np.full((1, 1, 1), 2), np.array([2]))
    size = (12, 16)
    student = Source(store.lr, size).pixels(draw, temporal=False)
    whole = torch.from_numpy(np.array(store.lr[4, 2]))[None, None, None]
    assert torch.equal(student, take_views(whole, torch.tensor([2]), size)[:, :, :, 0])
    teacher = Source(store.hr, (72, 96)).pixels(draw, temporal=False)
    coarse = torch.nn.functional.interpolate(teacher[0], size, mode="area")
    assert np.corrcoef(coarse.flatten(), student[0].flatten())[0, 1] > 0.95
