"""What is kept of clips follows their content: clips that were replaced are noticed."""

import os
import shutil
import zipfile
import zlib

import numpy as np
import pytest
from folders import class_folders, each
from hostile import write

from data_prep import DEMO_SIZES, index_folder, open_dataset
from data_prep.demo import VERSION
from data_prep.prepare import How, prepare_set
from data_prep.store import Draft
from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.data.stored import store_frames
from statkit.runtime import contents
from statkit.runtime.cache import cache_folder, fingerprint

SETTINGS = FrameSettings(8, (24, 32))


def raw_clips(root, level):
    """Uncompressed clips: all of one size, whatever is in them."""
    for number, name in enumerate(each("{c}/{k}.avi")):
        frames = np.full((8, 24, 32, 3), level + number, np.uint8)
        write(root / name, frames, "rawvideo", "bgr24")


def brightness(folder):
    dataset = index_folder(folder, progress=False)
    return store_frames(dataset, SETTINGS, progress=False).hr.mean(), dataset.fingerprint


def test_clips_of_the_same_name_and_size_elsewhere_are_others(tmp_path):
    raw_clips(tmp_path / "one" / "clips", 50)
    raw_clips(tmp_path / "two" / "clips", 200)
    one, two = brightness(tmp_path / "one" / "clips"), brightness(tmp_path / "two" / "clips")
    assert abs(one[0] - 52) < 3 and abs(two[0] - 202) < 3 and one[1] != two[1]
    copy = shutil.copytree(tmp_path / "one" / "clips", tmp_path / "three" / "copy")
    assert brightness(copy) == one


def test_clips_replaced_in_place_are_noticed_though_their_dates_are_set_back(tmp_path):
    raw_clips(tmp_path, 50)
    clips = sorted(tmp_path.rglob("*.avi"))
    dates = [path.stat() for path in clips]
    before = brightness(tmp_path)
    raw_clips(tmp_path, 120)
    for path, date in zip(clips, dates, strict=True):
        os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))
        assert path.stat().st_size == date.st_size
    after = brightness(tmp_path)
    assert abs(after[0] - 122) < 3 and after[1] != before[1]


@pytest.mark.parametrize("frames, content", [(5, None), (6, b"no video")])
def test_a_clip_that_changes_after_the_set_was_opened_is_not_kept_under_its_earlier_content(
    tmp_path, frames, content
):
    settings = FrameSettings(frames, (24, 32))
    class_folders(tmp_path / "set")
    dataset = index_folder(tmp_path / "set", progress=False)
    changed = tmp_path / "set" / "wave" / "1.mp4"
    before = changed.read_bytes()
    changed.write_bytes(content or (tmp_path / "set" / "wave" / "2.mp4").read_bytes())
    with pytest.raises(DatasetError, match=r"wave/1.mp4 was changed after set was opened"):
        store_frames(dataset, settings, progress=False)
    changed.write_bytes(before)
    assert len(store_frames(dataset, settings, progress=False).lr) == 6


def test_files_are_read_again_only_if_they_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "FRESH", 0)
    raw_clips(tmp_path, 50)
    names = each("{c}/{k}.avi")
    digests = contents.Contents(tmp_path).digests(names, progress=False)
    (tmp_path / names[2]).write_bytes(b"other")
    asked = []
    real = contents._sha256
    monkeypatch.setattr(contents, "_sha256", lambda path: asked.append(path) or real(path))
    again = contents.Contents(tmp_path).digests(names, progress=False)
    assert asked == [tmp_path / names[2]]
    assert {name for name in names if again[name] != digests[name]} == {names[2]}


def test_a_broken_index_is_set_aside_and_made_anew(tmp_path, capsys):
    raw_clips(tmp_path, 50)
    before = index_folder(tmp_path, progress=False)
    file = cache_folder("contents") / f"{fingerprint(str(tmp_path.resolve()))}.json"
    file.write_text(file.read_text()[:50])
    assert index_folder(tmp_path, progress=False).fingerprint == before.fingerprint
    assert f"{file} is broken" in capsys.readouterr().err
    assert file.with_name(f"{file.name}.broken").stat().st_size == 50


def test_prepare_notices_clips_that_were_replaced(tmp_path):
    raw_clips(tmp_path / "set", 50)
    how = How(progress=False, workers=2)
    out = prepare_set("folder", tmp_path / "set", tmp_path / "out", settings=SETTINGS, how=how)
    prepare_set("folder", tmp_path / "set", out, settings=SETTINGS, how=how)
    moved = shutil.copytree(tmp_path / "set", tmp_path / "copy")  # other dates, the same content
    shutil.rmtree(tmp_path / "set")
    moved.rename(tmp_path / "set")
    prepare_set("folder", tmp_path / "set", out, settings=SETTINGS, how=how)
    raw_clips(tmp_path / "set", 200)
    with pytest.raises(DatasetError, match=r"6 clips were replaced .* delete .*prepared"):
        prepare_set("folder", tmp_path / "set", out, settings=SETTINGS, how=how)
    shutil.rmtree(out / "prepared")
    prepare_set("folder", tmp_path / "set", out, settings=SETTINGS, how=how)
    assert np.load(out / "prepared" / "hr.npy").mean() > 190


def test_another_archive_of_the_same_size_is_unpacked_anew(tmp_path):
    means = []
    for level in (50, 200):
        raw_clips(tmp_path / "set", level)
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
            for path in sorted((tmp_path / "set").rglob("*.avi")):
                packed.write(path, path.relative_to(tmp_path))
        means.append((brightness(tmp_path / "set.zip")[0], (tmp_path / "set.zip").stat().st_size))
    assert means[0][1] == means[1][1] and means[1][0] - means[0][0] > 140


def test_generated_clips_keep_the_fingerprint_that_results_ship_under(dataset):
    split = {number: [part.tolist() for part in parts] for number, parts in dataset.splits.items()}
    sizes = [dataset.path(i).stat().st_size for i in range(len(dataset))]
    card = (dataset.root.parent / "generated.json").read_text()
    made_of = [list(dataset.names), dataset.num_frames.tolist(), split, sizes, card]
    assert dataset.fingerprint == fingerprint(made_of)


def test_generated_clips_that_were_replaced_are_noticed(demo_folder, tmp_path):
    """By others of the same names, sizes and lengths."""
    copy = shutil.copytree(demo_folder, tmp_path / "copy")
    before = index_folder(copy, progress=False)
    assert before.fingerprint == index_folder(demo_folder, progress=False).fingerprint
    content = before.path(0).read_bytes()
    before.path(0).write_bytes(content.replace(b"x264 - core", b"X264 - core"))
    after = index_folder(copy, progress=False)
    assert after.names == before.names and after.fingerprint != before.fingerprint


@pytest.mark.parametrize("file", ["generated.json", "truth.npz"])
def test_broken_generated_clips_are_set_aside(demo_folder, tmp_path, monkeypatch, capsys, file):
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    monkeypatch.setitem(DEMO_SIZES, "demo-small", (48, 24))
    folder = tmp_path / "data" / f"demo-small-v{VERSION}"
    shutil.copytree(demo_folder, folder)
    before = open_dataset("demo-small", progress=False).fingerprint
    os.truncate(folder / file, 100)
    assert open_dataset("demo-small", progress=False).fingerprint == before
    assert f"{folder} is broken" in capsys.readouterr().err
    assert (folder.with_name(f"{folder.name}.broken") / file).stat().st_size == 100


def test_a_broken_journal_costs_its_lines_alone(tmp_path):
    draft = Draft(tmp_path, "plan", SETTINGS, 3)
    frames = {
        k: np.full((8, *size, 3), 7, np.uint8) for k, size in (("hr", (24, 32)), ("lr", (12, 16)))
    }
    pixels = f"{zlib.crc32(frames['lr'], zlib.crc32(frames['hr'])):08x}"
    with draft:
        for row in range(3):
            draft.add(row, [1], {"sha256": "x", "pixels": pixels} | frames)
    with open(tmp_path / "journal.jsonl", "r+b") as journal:
        journal.write(b"\xff\xfe\n[]\n{}\n")
        journal.seek(0, os.SEEK_END)
        journal.write(
            b'{"row": 9, "state": [], "result": {}}\n{"row": [], "state": 1, "result": 2}\n'
        )
    with Draft(tmp_path, "plan", SETTINGS, 3) as again:
        assert sorted(again.done) == [1, 2]
