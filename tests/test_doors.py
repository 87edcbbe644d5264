"""Whatever the layout, a folder as it is and the set prepared from it are the same set."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from folders import class_folders, clip, each, fill
from hostile import pictures, write

from data_prep import index_folder, open_dataset
from data_prep.prepare import How, prepare_set
from statkit.cli.options import path as typed
from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.data.stored import store_frames

SETTINGS = FrameSettings(8, (24, 32))


def one_folder_down(root):
    fill(root / "download" / "videos", *each("{c}/{k}.mp4"))
    (root / "download" / "README.md").write_text("clips")
    clip(root / "trailer.mp4")


def some_clips_deeper(root):
    fill(root, *each("{c}/{k}.mp4", count=2), *each("{c}/more/{k}.mp4", count=1))


def parts(root):
    fill(root, *each("train/{c}/{k}.mp4", count=2), *each("test/{c}/{k}.mp4", count=1))
    (root / "train" / "labels.csv").write_text("1,wave\n")


def parts_without_classes_to_test(root):
    """As competitions have them."""
    fill(root, *each("train/{c}/{k}.mp4"), "test/1.mp4", "test/2.mp4")


def parts_by_other_names(root):
    fill(root, *each("Training/{c}/{k}.mp4", count=2), *each("Validation/{c}/{k}.mp4", count=1))


def three_parts(root):
    fill(root / "set", *each("TRAIN/{c}/{k}.mp4", count=2), *each("val/{c}/{k}.mp4", count=1))
    fill(root / "set", *each("test_set/{c}/{k}.mp4", count=1))


def parts_in_other_letters(root):
    fill(root, *each("train/{c}/{k}.mp4", count=2))
    fill(root, *each("test/{c}/{k}.mp4", ("WAVE", "Jump"), count=1))


def parts_in_classes(root):
    fill(root, *each("{c}/train/{k}.mp4", count=2), *each("{c}/test/{k}.mp4", count=1))


def groups(root):
    """As UCF11 has them, with its annotations."""
    names = each("{c}/v_{c}_01/v_{c}_01_0{k}.mpg", count=1)
    fill(root, *names, *each("{c}/v_{c}_02/v_{c}_02_0{k}.mpg", count=2))
    for label in ("wave", "jump"):
        (root / label / "Annotation").mkdir()
        (root / label / "Annotation" / f"v_{label}_01_01.xgtf").write_text("<viper/>")


def groups_of_equal_names(root):
    fill(root, *each("{c}/person01/{k}.mp4", count=2), *each("{c}/person02/{k}.mp4", count=1))


def one_folder_in_each_class(root):
    fill(root, *each("{c}/videos/{c}{k}.mp4"))


def groups_one_folder_down(root):
    fill(root, *each("{c}/all/g1/{c}{k}.mp4", count=2), *each("{c}/all/g2/{c}{k}.mp4", count=1))


def one_part_alone(root):
    fill(root, *each("train/{c}/{k}.mp4"))
    (root / "test" / "wave").mkdir(parents=True)


def lists_of_other_clips(root):
    official_lists(root)
    for file in (root / "ucfTrainTestlist").iterdir():
        file.write_text(file.read_text().replace("v_", "w_"))


def a_table_for_the_split(root):
    class_folders(root)
    (root / "train.csv").write_text("clip,label\nwave/1.mp4,wave\n")


def many_suffixes(root):
    names = [f"wave/{k}{suffix}" for k, suffix in enumerate((".WMV", ".flv", ".gif", ".mpg"))]
    fill(root, *names, "jump/1.webm", "jump/2.M4V", "jump/3.mkv")


def official_lists(root, suffix=".avi"):
    names = [f"{c}/v_{c}_g0{k}_c01.avi" for c in ("wave", "jump") for k in (1, 2, 3)]
    fill(root / "UCF-101", *names)
    if suffix != ".avi":
        for name in names:
            (root / "UCF-101" / name).rename((root / "UCF-101" / name).with_suffix(suffix))
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "trainlist01.txt").write_text("".join(f"{n} 1\r\n" for n in names if "g01" not in n))
    (lists / "testlist01.txt").write_text("".join(f"{n}\r\n" for n in names if "g01" in n))


def converted(root):
    """Converted by a program that appends its suffix."""
    official_lists(root, ".avi.mp4")


def litter(root):
    class_folders(root)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.mp4", "notes.txt", "1.xml"):
        (root / "wave" / name).write_bytes(b"\0\0\0\1Bud1")
    (root / "__MACOSX" / "wave").mkdir(parents=True)
    (root / "__MACOSX" / "wave" / "._1.mp4").write_bytes(b"\0\5\x16\7")


def bad_clips(root):
    class_folders(root)
    (root / "jump" / "0.mp4").write_bytes(b"no video")
    write(root / "jump" / "00.mp4", pictures(9, (8, 10)), "mpeg4")


def archive(root):
    parts(root / "inside")
    with zipfile.ZipFile(root / "set.zip", "w") as packed:
        for path in sorted((root / "inside").rglob("*.*")):
            packed.write(path, path.relative_to(root))
    shutil.rmtree(root / "inside")


def links(root):
    """A selection from a larger set."""
    class_folders(root.with_name("whole"))
    for path in sorted(root.with_name("whole").rglob("*.mp4")):
        link = root / path.parent.name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


LAYOUTS = {  # function -> clips, of them to train and to test, words that are said
    class_folders: (6, 4, 2, "no split lists"),
    one_folder_down: (6, 4, 2, "beside the set, passed over: 1"),
    some_clips_deeper: (6, 4, 2, "2 clips that lie deeper"),
    parts: (6, 4, 2, "guessed: nothing"),
    parts_without_classes_to_test: (6, 4, 2, "test/1.mp4: not in a class folder"),
    parts_by_other_names: (6, 4, 2, "the part to validate on serves"),
    three_parts: (8, 4, 2, "2 clips to validate on are in neither part"),
    parts_in_other_letters: (6, 4, 2, "in capital letters alone are one class: Jump, WAVE"),
    parts_in_classes: (6, 4, 2, "guessed: nothing"),
    groups: (6, 2, 4, "groups"),
    groups_of_equal_names: (6, 4, 2, "groups"),
    one_folder_in_each_class: (6, 4, 2, "6 clips that lie deeper"),
    groups_one_folder_down: (6, 4, 2, "groups"),
    one_part_alone: (6, 4, 2, "clips of train/ alone"),
    lists_of_other_clips: (6, 4, 2, "ucfTrainTestlist name none of the clips"),
    a_table_for_the_split: (6, 4, 2, "train.csv: not read, lists are trainlist01.txt"),
    many_suffixes: (7, 5, 2, "7 of 7 files"),
    official_lists: (6, 4, 2, "matched 4 of 4 train, 2 of 2 test"),
    converted: (6, 4, 2, "matched 4 of 4 train, 2 of 2 test"),
    litter: (6, 4, 2, "of other programs or beside the set, passed over: 5"),
    bad_clips: (6, 4, 2, "jump/0.mp4: not readable"),
    archive: (6, 4, 2, "guessed: nothing"),
    links: (6, 4, 2, "links that lead out are followed"),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_both_doors_see_the_same_set(layout, tmp_path, capsys):
    (root := tmp_path / "set").mkdir()
    layout(root)
    count, train, test, words = LAYOUTS[layout]
    raw = open_dataset(root, progress=False)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and words in "\n".join(said)
    report = Path(said[-1].partition(" in full in ")[2]).read_text()
    assert said[0] in report and said[1] in report
    how = How(progress=False, workers=2)
    out = prepare_set("folder", root, tmp_path / "out", settings=SETTINGS, how=how)
    assert words in capsys.readouterr().out
    ready = open_dataset(out, progress=False)
    assert raw.classes == ready.classes == ("jump", "wave") and len(raw) == count
    assert [len(part) for part in raw.split(1)] == [train, test]
    assert raw.names == ready.names and raw.splits.keys() == ready.splits.keys()
    assert np.array_equal(raw.labels, ready.labels)
    assert np.array_equal(raw.num_frames, ready.num_frames)
    for number in raw.splits:
        assert all(map(np.array_equal, raw.split(number), ready.split(number)))
    stores = [store_frames(dataset, SETTINGS, progress=False) for dataset in (raw, ready)]
    assert np.array_equal(stores[0].hr, stores[1].hr) and np.array_equal(stores[0].lr, stores[1].lr)


def test_a_class_without_training_clips_is_said(tmp_path, capsys):
    fill(tmp_path, "train/wave/1.mp4", "train/jump/1.mp4", "test/wave/2.mp4", "test/fly/1.mp4")
    index_folder(tmp_path, progress=False)
    said = capsys.readouterr().out
    assert "classes with test clips alone: fly; classes with training clips alone: jump" in said


def test_clips_that_the_lists_leave_out_and_clips_of_both_parts_are_said(tmp_path, capsys):
    """By the raw folder as by the prepared set."""
    official_lists(tmp_path / "set")
    clip(tmp_path / "set" / "UCF-101" / "fly" / "v_fly_g01_c01.avi", 3)
    lists = tmp_path / "set" / "ucfTrainTestlist"
    names = (lists / "trainlist01.txt").read_text().split()[::2]
    (tmp_path / "set" / "UCF-101" / names[0]).write_bytes(
        (
            tmp_path / "set" / "UCF-101" / (lists / "testlist01.txt").read_text().split()[0]
        ).read_bytes()
    )
    index_folder(tmp_path / "set", progress=False)
    said = capsys.readouterr().out
    prepare_set("folder", tmp_path / "set", tmp_path / "out", settings=SETTINGS)
    for words in (said, capsys.readouterr().out):
        assert "classes in neither part: fly" in words
        assert "found, not in the lists: 1" in words
        assert "test clips with the bytes of a training clip: 1" in words
    (lists / "testlist01.txt").unlink()
    with pytest.raises(DatasetError, match="matches 4 training and 0 test clips"):
        index_folder(tmp_path / "set", progress=False)


def test_an_archive_is_opened_by_its_own_name(tmp_path):
    archive(tmp_path)
    assert len(index_folder(tmp_path / "set.zip", progress=False)) == 6


def test_a_folder_is_taken_as_people_type_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    class_folders(tmp_path / "my clips")
    wanted = index_folder(tmp_path / "my clips", progress=False)
    out = prepare_set("folder", wanted.root, tmp_path / "out", settings=SETTINGS)
    for text in ("my clips", "'my clips'", "~/my clips", wanted.root.as_uri(), "my\\ clips/"):
        assert open_dataset(text, progress=False).fingerprint == wanted.fingerprint, text
        assert typed(text) == wanted.root, text
    assert open_dataset(f'"{out}"', progress=False).prepared


def test_a_data_set_without_a_name_is_one_line():
    with pytest.raises(DatasetError, match="no data set is named"):
        open_dataset(" ")


@pytest.mark.skipif(os.name != "posix" or not os.getuid(), reason="root reads every folder")
def test_a_class_that_may_not_be_read_is_left_out(tmp_path, capsys):
    class_folders(tmp_path)
    clip(tmp_path / "shut" / "1.mp4")
    (tmp_path / "shut").chmod(0)
    try:
        assert index_folder(tmp_path, progress=False).classes == ("jump", "wave")
        assert "shut: a folder that cannot be read (Permission denied)" in capsys.readouterr().out
    finally:
        (tmp_path / "shut").chmod(0o755)


def test_groups_are_not_divided(tmp_path):
    groups(tmp_path)
    dataset = index_folder(tmp_path, progress=False)
    train, test = ({dataset.names[i].split("/")[1] for i in part} for part in dataset.split(1))
    assert train == {"v_wave_01", "v_jump_01"} and test == {"v_wave_02", "v_jump_02"}


def _pictures(root):
    for path in (root / c / f"clip{k}" / f"{i}.jpg" for c in "ab" for k in "12" for i in range(3)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff")


def _unreadable_part(root):
    fill(root, *each("train/{c}/{k}.mp4"))
    (root / "test" / "wave").mkdir(parents=True)
    (root / "test" / "wave" / "1.mp4").write_bytes(b"no video")


@pytest.mark.parametrize(
    "make, words",
    [
        (_unreadable_part, "no clip to test on can be read, test/wave/1.mp4 for example"),
        (_pictures, r"frames stored as pictures \(3 in a/clip1/\)"),
        (lambda root: fill(root, *each("train/{c}{k}.mp4"), *each("test/{c}{k}.mp4")), "directly"),
        (lambda root: fill(root, *each("ucf/{c}/v_{c}_{k}.mp4"), "more/Skip/x_skip_1.mp4"), "sets"),
        (lambda root: fill(root, *each("large/{c}/{k}.mp4"), *each("small/{c}/{k}.mp4")), "sets"),
        (lambda root: fill(root, "1.mp4", "2.mp4"), "no class folder"),
        (lambda root: root.write_bytes(b"no archive"), "neither a folder nor an archive"),
    ],
)
def test_what_cannot_be_meant_is_refused_alike(tmp_path, make, words):
    make(root := tmp_path / "set")
    with pytest.raises(DatasetError, match=words) as raw:
        index_folder(root, progress=False)
    with pytest.raises(DatasetError) as ready:
        prepare_set("folder", root, tmp_path / "out", settings=SETTINGS)
    assert str(raw.value) == str(ready.value)


def test_litter_does_not_stop_a_strict_preparation(tmp_path):
    litter(tmp_path / "set")
    how = How(progress=False, strict=True)
    out = prepare_set("folder", tmp_path / "set", tmp_path / "out", settings=SETTINGS, how=how)
    before = open_dataset(out, progress=False).fingerprint
    report = (out / "prepared" / "report.txt").read_text()
    assert "wave/Thumbs.db" in report and "wave/notes.txt: not readable" in report
    (tmp_path / "set" / "jump" / ".DS_Store").write_bytes(b"Bud1")  # looked at in the meantime
    prepare_set("folder", tmp_path / "set", out, settings=SETTINGS, how=how)
    assert open_dataset(out, progress=False).fingerprint == before


def test_lists_may_lie_in_an_archive_of_their_own(tmp_path):
    official_lists(tmp_path / "set")
    lists = (tmp_path / "set" / "ucfTrainTestlist").rename(tmp_path / "away")
    for name, root in (("clips.zip", tmp_path / "set"), ("lists.zip", lists)):
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            for path in sorted(root.rglob("*.*")):
                packed.write(path, path.relative_to(tmp_path))
    how, given = How(progress=False, workers=2), tmp_path / "lists.zip"
    raw = open_dataset(tmp_path / "clips.zip", lists=given, progress=False)
    assert [len(part) for part in raw.split(1)] == [4, 2]
    for _ in range(2):  # the second time the lists are packed anew
        out = prepare_set(
            "folder",
            tmp_path / "clips.zip",
            tmp_path / "o",
            lists=given,
            settings=SETTINGS,
            how=how,
        )
        assert open_dataset(out, progress=False).names == raw.names
        os.utime(given)
