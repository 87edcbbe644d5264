"""Archives beside and inside each other, and lists that name clips by number: no clip is lost, and
none gets into another part of a split without a word."""

import csv
import io
import stat
import zipfile

import pytest

from data_prep import open_dataset
from data_prep.lists import SplitLists, match, read_lists
from data_prep.prepared import write_prepared
from data_prep.sources import unpack_all
from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.data.stored import store_frames


def packed(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def files_of(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_two_archives_with_one_name_keep_the_first_and_tell_of_the_second(tmp_path):
    train = packed(tmp_path / "train.zip", {"wave/1.avi": b"first", "wave/2.avi": b"second"})
    test = packed(tmp_path / "test.zip", {"wave/1.avi": b"another", "jump/1.avi": b"third"})
    refused = unpack_all([train, test], tmp_path / "out", progress=False)
    assert files_of(tmp_path / "out") == {
        "wave/1.avi": b"first",
        "wave/2.avi": b"second",
        "jump/1.avi": b"third",
    }
    assert [name for name, _ in refused] == ["test.zip:wave/1.avi"]
    assert "another archive" in refused[0].reason


def test_an_archive_in_one_of_its_own_name_is_unpacked(tmp_path):
    inner = packed(tmp_path / "inner.zip", {"wave/1.avi": b"clip"}).read_bytes()
    outer = packed(tmp_path / "clips.zip", {"clips.zip": inner})
    assert unpack_all([outer], tmp_path / "out", progress=False) == []
    assert files_of(tmp_path / "out") == {"wave/1.avi": b"clip"}


def test_clips_of_an_archive_that_was_taken_away_leave_with_it(tmp_path):
    archives = [packed(tmp_path / f"{n}.zip", {f"wave/{n}.avi": b"x"}) for n in "ab"]
    unpack_all(archives, tmp_path / "out", progress=False)
    unpack_all(archives[1:], tmp_path / "out", progress=False)
    assert set(files_of(tmp_path / "out")) == {"wave/b.avi"}


def test_a_folder_with_a_backslash_is_a_folder(tmp_path):
    source = packed(tmp_path / "windows.zip", {"wave\\": b"", "wave\\1.avi": b"clip"})
    assert unpack_all([source], tmp_path / "out", progress=False) == []
    assert files_of(tmp_path / "out") == {"wave/1.avi": b"clip"}


def test_numbered_clips_in_lists_are_not_taken_for_each_other(tmp_path):
    (tmp_path / "trainlist01.txt").write_text("wave/1.avi 1\njump/2.avi 2\n")
    (tmp_path / "testlist01.txt").write_text("wave/2.avi\n")
    with pytest.raises(DatasetError, match="2 is listed in two classes"):
        read_lists(tmp_path)
    lists = SplitLists("UCF101", {1: {"1": "train"}}, {"1": "wave"})
    found = match({"wave/1.avi": "wave", "jump/1.avi": "jump"}, lists)
    assert found.listed == {"wave/1.avi": "1"} and found.extra == ("jump/1.avi",)
    assert match({"Jump/1.avi": "Jump"}, lists).moved == (("Jump/1.avi", "wave"),)


def test_names_of_other_letters_than_latin_ones_differ():
    lists = SplitLists("UCF101", {1: {"прыжок_3": "test"}}, {"прыжок_3": "прыжок"})
    assert not match({"бег/бег_3.avi": "бег"}, lists).listed
    assert match({"прыжок/прыжок-3.avi": "прыжок"}, lists).spelled


def test_a_set_that_has_its_splits_refuses_lists(tmp_path):
    with pytest.raises(DatasetError, match="split of their own"):
        open_dataset("demo-small", lists=tmp_path)
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "card.json").write_text("{}")
    with pytest.raises(DatasetError, match="prepare it anew with these lists"):
        open_dataset(tmp_path, lists=tmp_path)


def test_a_name_with_a_carriage_return_stays_one_line(tmp_path):
    line = {"clip": "wave/v.avi\r", "label": "wave", "status": "ok", "row": 0}
    write_prepared(tmp_path, {"splits": [1]}, [line, line], FrameSettings(), "")
    text = (tmp_path / "manifest.csv").read_bytes().decode()
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [one["clip"] for one in read] == ["wave/v.avi\r"] * 2


def test_a_killed_store_leaves_nothing_and_others_may_read(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    settings = FrameSettings(frames_per_clip=2, hr_size=(24, 32))
    store = store_frames(dataset, settings, progress=False)
    frames = tmp_path / "frames"
    [folder] = frames.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(frames.stat().st_mode)
    left = folder.rename(frames / f".{folder.name}-unfinished")
    (left / "half").touch()
    again = store_frames(dataset, settings, progress=False)
    assert [path.name for path in frames.iterdir()] == [folder.name]
    assert not (folder / "half").exists() and again.fingerprint == store.fingerprint
