"""Preparation from end to end: official sets, kills, two at once, a full disk, another machine."""

import csv
import functools
import http.server
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time
import zipfile

import numpy as np
import pytest
from hostile import pictures, write
from rar import write_rar

from data_prep import open_dataset
from data_prep.fetch import fetch
from data_prep.official import Download
from data_prep.prepare import How, prepare_set
from data_prep.prepared import verify_prepared
from statkit.cli.commands import main
from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings, both_sides
from statkit.data.stored import store_frames
from statkit.experiments.results import read_results
from statkit.video import read_frames

SMALL = FrameSettings(8, (24, 32))
QUIET = How(progress=False, workers=2)
posix = pytest.mark.skipif(os.name != "posix", reason="kills and mounts are those of POSIX")


def manifest(out):
    path = out / "prepared" / "manifest.csv"
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def bytes_of(out):
    return {path.name: path.read_bytes() for path in sorted((out / "prepared").iterdir())}


@pytest.fixture(scope="module")
def clips():
    """A function that gives the bytes of a short clip, a different one for each number."""

    @functools.cache
    def clip(number):
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            frames = np.roll(pictures(9 + number % 4, (24, 32)), number, axis=2)
            return write(Path(folder) / "clip.avi", frames, "mpeg4").read_bytes()

    return clip


def fill(folder, clips, count=24):
    for i in range(count):
        path = folder / "AB"[i % 2] / f"v_x_g{i // 4:02d}_c{i % 4:02d}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clips(i))
    (folder / "A" / "bad.avi").write_bytes(b"no video")
    return folder


# --- official sets ------------------------------------------------------------------------------


@pytest.fixture
def ucf101(tmp_path, clips):
    """Archives as they are downloaded, of three of the 101 classes; one class is spelled in two
    ways, one clip is missing, one is not in the lists."""
    names = [
        f"{folder}/v_{label}_g{g:02d}_c{c:02d}"
        for folder, label in (
            ("Archery", "Archery"),
            ("HandstandPushups", "HandStandPushups"),
            ("YoYo", "YoYo"),
        )
        for g in (1, 8)
        for c in (1, 2)
    ]
    members = {f"UCF-101/{name}.avi": clips(i) for i, name in enumerate(names)}
    del members[f"UCF-101/{names[-1]}.avi"]
    members["UCF-101/YoYo/v_YoYo_g99_c01.avi"] = clips(20)
    source = tmp_path / "downloads"
    write_rar(source / "UCF101.rar", members)
    with zipfile.ZipFile(source / "UCF101TrainTestSplits-RecognitionTask.zip", "w") as packed:
        for number in (1, 2, 3):
            spelled = [n.replace("v_HandStand", "v_Handstand") for n in names]
            train = [n for n in spelled if ("g08" in n) == (number != 2)]
            test = [n for n in spelled if n not in train]
            text = "".join(f"{n}.avi {i % 3 + 1}\r\n" for i, n in enumerate(train))
            packed.writestr(f"ucfTrainTestlist/trainlist0{number}.txt", text)
            text = "".join(f"{n}.avi\r\n" for n in test)
            packed.writestr(f"ucfTrainTestlist/testlist0{number}.txt", text)
        packed.writestr("ucfTrainTestlist/classInd.txt", "1 Archery\r\n")
    return source


def test_ucf101_from_its_archives(ucf101, tmp_path, capsys):
    out = prepare_set("ucf101", ucf101, tmp_path / "out", settings=SMALL, how=QUIET)
    said = capsys.readouterr().out
    assert "classes: 3, officially 101" in said
    assert "split 1 train clips: 5, officially 9537" in said
    assert "in the lists, not found: 1\n  v_YoYo_g08_c02" in said
    assert "found, not in the lists: 1\n  YoYo/v_YoYo_g99_c01.avi" in said
    assert "research data collected from YouTube" in said
    dataset = open_dataset(out, progress=False)
    assert len(dataset) == 12 and dataset.classes == ("Archery", "HandstandPushups", "YoYo")
    assert [len(part) for n in (1, 2, 3) for part in dataset.split(n)] == [5, 6, 6, 5, 5, 6]
    lines = {line["clip"]: line for line in manifest(out)}
    assert lines["HandstandPushups/v_HandStandPushups_g08_c01.avi"]["split1"] == "train"
    assert lines["YoYo/v_YoYo_g99_c01.avi"]["split1"] == ""
    assert (
        dataset.path(0).is_file()
        and "v_YoYo_g08_c02" in (out / "prepared" / "report.txt").read_text()
    )
    how = How(progress=False, strict=True)
    with pytest.raises(DatasetError, match="1 clips of the lists are missing and 1 are extra"):
        prepare_set("ucf101", ucf101, tmp_path / "strict", settings=SMALL, how=how)


def test_hmdb51_from_an_archive_of_archives(tmp_path, clips, capsys):
    inner, splits = {}, {}
    for number, label in enumerate(("brush_hair", "wave")):
        names = [f"Film_#_{i}_(a)!;-)_{label}_u_cm_np1_fr_goo_{i}.avi" for i in range(5)]
        members = {f"{label}/{name}": clips(5 * number + i) for i, name in enumerate(names)}
        rar = write_rar(tmp_path / "scratch" / f"{label}.rar", members)
        inner[f"{label}.rar"] = rar.read_bytes()
        for split in (1, 2, 3):
            lines = [f"{n} {c} \n" for n, c in zip(names, (1, 1, 2, 2, 0), strict=True)]
            name = f"testTrainMulti_7030_splits/{label}_test_split{split}.txt"
            splits[name] = "".join(lines).replace("_#_3", "___3").encode()
    write_rar(tmp_path / "d" / "hmdb51_org.rar", inner)
    write_rar(tmp_path / "d" / "test_train_splits.rar", splits)
    out = prepare_set("hmdb51", tmp_path / "d", tmp_path / "out", settings=SMALL, how=QUIET)
    said = capsys.readouterr().out
    assert "clips: 10, officially 6766" in said and "split 3 test clips: 4, officially 1530" in said
    assert "matched though spelled differently: 2" in said and "CC BY 4.0" in said
    assert "split 2, wave: 2 train, 2 test clips, officially 70 train, 30 test" in said
    dataset = open_dataset(out, progress=False)
    assert dataset.classes == ("brush_hair", "wave")
    assert [len(part) for part in dataset.split(3)] == [4, 4] and len(dataset) == 10
    assert not list((out / "clips").rglob("*.rar"))


def test_lists_that_are_not_there_are_asked_for_and_nothing_is_left(tmp_path, clips):
    fill(tmp_path / "clips", clips, 4)
    with pytest.raises(DatasetError, match="--lists"):
        prepare_set("ucf101", tmp_path / "clips", tmp_path / "out", settings=SMALL, how=QUIET)
    assert not (tmp_path / "out").exists()  # a folder that was made for nothing is gone


def test_several_sets_in_one_folder_are_not_mixed(tmp_path, clips):
    fill(tmp_path / "in" / "large", clips, 4)
    fill(tmp_path / "in" / "small", clips, 4)
    with pytest.raises(DatasetError, match="several sets: large, small"):
        prepare_set("folder", tmp_path / "in", tmp_path / "out", settings=SMALL, how=QUIET)


# --- what is stored -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, clips):
    folder = tmp_path_factory.mktemp("prepared")
    fill(folder / "clips", clips)
    return prepare_set("folder", folder / "clips", folder / "out", settings=SMALL, how=QUIET)


def test_stored_frames_are_those_of_the_clips(prepared):
    dataset = open_dataset(prepared, progress=False)
    store = store_frames(dataset, FrameSettings(5, (24, 32)), progress=False)
    assert isinstance(store.hr, np.memmap) and store.hr.shape == (24, 8, 24, 32, 3)
    assert store.settings == SMALL and set(store.lengths) == {8}
    for clip in range(24):
        frames = read_frames(dataset.path(clip), store.positions[clip], backend="pyav")
        hr, lr = both_sides(frames, SMALL, dataset.names[clip])
        assert np.array_equal(store.hr[clip], hr) and np.array_equal(store.lr[clip], lr)


def test_other_sizes_come_from_the_stored_frames(prepared):
    dataset = open_dataset(prepared, progress=False)
    shutil.move(dataset.root, dataset.root.with_name("gone"))
    try:
        store = store_frames(dataset, FrameSettings(8, (12, 16), (6, 8)), progress=False)
    finally:
        shutil.move(dataset.root.with_name("gone"), dataset.root)
    assert store.hr.shape == (24, 8, 12, 16, 3) and store.lr.shape == (24, 8, 6, 8, 3)
    with pytest.raises(DatasetError, match="prepared at 24x32, .* --hr-size 48x64"):
        store_frames(dataset, FrameSettings(8, (48, 64)), progress=False)


def test_short_clips_need_no_more_frames_than_they_have(tmp_path, clips):
    fill(tmp_path / "clips", clips, 8)
    settings = FrameSettings(32, (24, 32))
    out = prepare_set("folder", tmp_path / "clips", tmp_path / "o", settings=settings, how=QUIET)
    store = store_frames(open_dataset(out, progress=False), settings, progress=False)
    assert store.hr.shape[1] == 12 and sorted(set(store.lengths)) == [9, 10, 11, 12]
    every = prepare_set(
        "folder", tmp_path / "clips", tmp_path / "e", settings=SMALL, all_frames=True, how=QUIET
    )
    assert np.load(every / "prepared" / "hr.npy").shape[1] == 12


def test_a_pile_of_video_is_one_class_to_train_on(tmp_path, clips):
    for i, name in enumerate(("a.avi", "deep/er/b.avi", "deep/c.avi")):
        (tmp_path / "pile" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pile" / name).write_bytes(clips(i))
    (tmp_path / "pile" / "notes.txt").write_text("no video")
    out = prepare_set("unlabelled", tmp_path / "pile", tmp_path / "o", settings=SMALL, how=QUIET)
    dataset = open_dataset(out, progress=False)
    assert dataset.classes == ("unlabelled",) and set(dataset.labels) == {0}
    assert dataset.names == ("a.avi", "deep/c.avi", "deep/er/b.avi")
    assert dataset.split(1).train.tolist() == [0, 1, 2] and len(dataset.split(1).test) == 0


def test_a_prepared_set_trains_from_the_command_line(prepared, tmp_path, capsys):
    for size in ("24x32", "12x16"):
        options = [
            "--data",
            str(prepared),
            "--backbone",
            "demo",
            "--epochs",
            "1",
            "--segments",
            "4",
        ]
        options += ["--hr-size", size, "--lr-size", "6x8", "--student-size", "24x32"]
        options += [
            "--epochs",
            "1",
            "--device",
            "cpu",
            "--rows",
            "teacher",
            "stat",
            "--out",
            str(tmp_path / size),
        ]
        assert main(["train", *options]) == 0, capsys.readouterr().err
        assert [result.row for result in read_results(tmp_path / size)] == ["teacher", "stat"]


# --- trust --------------------------------------------------------------------------------------


def test_prepared_once_is_enough(prepared, capsys):
    before = bytes_of(prepared)
    again = prepare_set("folder", prepared.parent / "clips", prepared, settings=SMALL, how=QUIET)
    assert "is prepared already: 24 clips" in capsys.readouterr().out
    assert bytes_of(again) == before
    with pytest.raises(DatasetError, match="another --out"):
        prepare_set(
            "folder",
            prepared.parent / "clips",
            prepared,
            settings=FrameSettings(4, (24, 32)),
            how=QUIET,
        )


def test_a_copy_has_the_same_fingerprint(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    assert (
        open_dataset(copy, progress=False).fingerprint
        == open_dataset(prepared, progress=False).fingerprint
    )


@pytest.mark.parametrize(
    "file, place, words",
    [
        ("hr.npy", -1000, "1 clips are not as they were prepared: "),
        ("lr.npy", 300, "1 clips are not as they were prepared: "),
        ("manifest.csv", 200, "manifest was changed"),
        ("card.json", -60, "card"),
    ],
)
def test_one_changed_byte_is_found_out(prepared, tmp_path, file, place, words):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    open_dataset(copy, progress=False)
    path = copy / "prepared" / file
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=words):
        open_dataset(copy, progress=False)
    with pytest.raises(DatasetError, match=words):
        verify_prepared(copy, progress=False)


def test_a_change_whose_date_was_set_back_is_found_out(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    open_dataset(copy, progress=False)
    path = copy / "prepared" / "hr.npy"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DatasetError, match="1 clips are not as they were prepared"):
        open_dataset(copy, progress=False)


def test_verify_from_the_command_line(prepared, capsys):
    assert main(["prepare", "--verify", str(prepared)]) == 0
    assert "frames of 24 clips are as they were prepared" in capsys.readouterr().out
    clip = open_dataset(prepared, progress=False).path(0)
    data = clip.read_bytes()
    clip.write_bytes(data + b"more")
    assert main(["prepare", "--verify", str(prepared)]) == 1
    assert "1 clips are not as they were" in capsys.readouterr().err
    clip.unlink()
    assert main(["prepare", "--verify", str(prepared)]) == 0
    said = f"23 clips are as they were, 1 are not there: {clip.parent.name}/{clip.name}"
    assert said in capsys.readouterr().out
    clip.write_bytes(data)


def test_a_clip_that_is_bad_stops_a_strict_preparation(tmp_path, clips):
    fill(tmp_path / "clips", clips, 4)
    how = How(progress=False, strict=True)
    with pytest.raises(DatasetError, match=r"A/bad\.avi: not readable as video"):
        prepare_set("folder", tmp_path / "clips", tmp_path / "o", settings=SMALL, how=how)


# --- kills, crowds, full disks ------------------------------------------------------------------


def _prepare(source, out, settings=SMALL):
    prepare_set("folder", source, out, settings=settings, how=QUIET)


def _started(*arguments):
    process = multiprocessing.get_context("fork").Process(target=_prepare, args=arguments)
    process.start()
    return process


def _lines(out):
    journal = out / ".work" / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


@posix
def test_kills_leave_no_trace(tmp_path, clips, prepared):
    """Killed at some line of the journal again and again, the store ends as if it never was."""
    chance = random.Random(0)
    source, out = prepared.parent / "clips", tmp_path / "out"
    for _ in range(3):
        process = _started(source, out)
        enough = _lines(out) + chance.randint(1, 5)
        while process.is_alive() and _lines(out) < enough:
            time.sleep(0.001)
        process.kill()
        process.join()
    assert not (out / "prepared").exists() and _lines(out) > 2
    with open(out / ".work" / "journal.jsonl", "a") as journal:
        journal.write('{"row": 20, "state"')  # a line that a kill has torn
    with open(out / ".work" / "hr.part", "r+b") as part:
        part.seek(128 + 5000)
        part.write(b"torn")  # pixels that never came to the disk
    _prepare(source, out)
    assert bytes_of(out) == bytes_of(prepared)
    assert not (out / ".work").exists()


@posix
def test_two_at_once_make_one_set(tmp_path, prepared):
    source, out = prepared.parent / "clips", tmp_path / "out"
    both = [_started(source, out) for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert bytes_of(out) == bytes_of(prepared)


@posix
def test_a_full_disk_is_told_and_gone_on_from(tmp_path, prepared, capfd):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(DatasetError, match="the disk is full"):
            _prepare(prepared.parent / "clips", place / "out")
        assert 0 < _lines(place / "out") < 24
        subprocess.run(["mount", "-o", "remount,size=9m", str(place)], check=True)
        _prepare(prepared.parent / "clips", place / "out")
        assert bytes_of(place / "out") == bytes_of(prepared)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_dask_cluster_gives_the_same(tmp_path, prepared):
    pytest.importorskip("dask.distributed")
    how = How(progress=False, workers=2, dask="local")
    out = prepare_set(
        "folder", prepared.parent / "clips", tmp_path / "out", settings=SMALL, how=how
    )
    assert bytes_of(out) == bytes_of(prepared)


# --- downloads ----------------------------------------------------------------------------------


class Cutting(http.server.SimpleHTTPRequestHandler):
    """A server that knows ranges, and ends every answer after 400 kB."""

    asked: list = []

    def do_GET(self):
        path = self.translate_path(self.path)
        if not os.path.isfile(path):
            return self.send_error(404)
        data = pathlib.Path(path).read_bytes()
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        if start >= len(data) and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(data[start : start + 400_000])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "www").mkdir()
    Cutting.asked = []
    handler = functools.partial(Cutting, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_download_goes_on_where_it_was_cut_off(server, tmp_path):
    data = random.Random(0).randbytes(1_000_000)
    (tmp_path / "www" / "x.rar").write_bytes(data)
    [file] = fetch([Download("http://elsewhere/x.rar")], tmp_path / "d", mirror=server)
    assert file.read_bytes() == data
    assert Cutting.asked == ["", "bytes=400000-", "bytes=800000-"]
    assert fetch([Download("http://elsewhere/x.rar")], tmp_path / "d", mirror=server) == [file]
    assert len(Cutting.asked) == 3
    file.write_bytes(b"other")
    with pytest.raises(DatasetError, match="not the file that is known"):
        fetch([Download("http://elsewhere/x.rar")], tmp_path / "d", mirror=server)
    assert not file.exists()


def test_a_download_that_is_not_there(server, tmp_path):
    with pytest.raises(DatasetError, match="404"):
        fetch([Download(f"{server}/none.rar")], tmp_path / "d")


def test_fetching_ucf101(server, ucf101, tmp_path, capsys):
    """The real way but for the address; the lists' known checksum refuses these lists."""
    for file in ucf101.iterdir():
        shutil.copy(file, tmp_path / "www")
    command = ["prepare", "ucf101", "--fetch", "--mirror", server, "--out", str(tmp_path / "o")]
    assert main(command) == 1
    assert "not the file that is known" in capsys.readouterr().err
    assert (tmp_path / "o" / "downloads" / "UCF101.rar").is_file()


def test_no_picture_but_of_generated_clips_is_committed():
    root = pathlib.Path(__file__).parent.parent
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    kinds = {".avi", ".mp4", ".mkv", ".gif", ".jpg", ".jpeg", ".png", ".pdf", ".npy", ".npz"}
    for name in map(pathlib.Path, listed.stdout.splitlines()):
        if name.match("data_prep/demo-*.npz"):  # the index of the generated clips
            continue
        if name.suffix in kinds and name.parts[:2] != ("statkit", "shipped"):  # networks
            told = root / name.with_suffix(".json")
            assert name.suffix == ".png" and told.is_file(), name
            assert json.loads(told.read_text())["clips"] == "generated clips", name
    for folder in ("cache/x", "figures/x.png"):
        assert not subprocess.run(["git", "check-ignore", "-q", folder], cwd=root).returncode


# --- real clips ---------------------------------------------------------------------------------


def test_real_clips_prepare_verify_and_train(real_data, tmp_path, capsys):
    source = tmp_path / "clips"
    for label in ("JumpingJack", "PushUps"):
        (source / label).mkdir(parents=True)
        for clip in sorted((real_data / "original_320x240" / label).glob("*.avi")):
            shutil.copy(clip, source / label)
    out = str(tmp_path / "out")
    lists = ["--lists", str(real_data / "splits")]
    sizes = ["--hr-size", "48x64"]
    assert main(["prepare", "ucf101", "--source", str(source), "--out", out, *lists, *sizes]) == 0
    assert "20 of 20 files are in the set" in capsys.readouterr().out
    assert main(["prepare", "--verify", out]) == 0
    train = ["--data", out, "--backbone", "demo", "--rows", "teacher", "stat", "--epochs", "1"]
    assert main(["train", *train, *sizes, "--device", "cpu"]) == 0
    raw = open_dataset(source, lists=real_data / "splits", progress=False)
    ready = open_dataset(out, progress=False)
    assert raw.names == ready.names and np.array_equal(raw.num_frames, ready.num_frames)
    assert all(map(np.array_equal, raw.split(1), ready.split(1)))
    stores = [store_frames(d, ready.prepared.settings, progress=False) for d in (raw, ready)]
    assert np.array_equal(stores[0].hr, stores[1].hr) and np.array_equal(stores[0].lr, stores[1].lr)
