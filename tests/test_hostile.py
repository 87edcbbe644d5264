"""Whatever lies in a folder is read right or left out with a reason, and nothing stops the rest."""

import io
import os
import random
import signal
import tarfile
import threading
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hostile import begun_earlier, corpus, oblong, photographs, pictures, shifted, turned, write
from rar import write_rar
from test_prepare import SMALL, manifest

from data_prep import index_folder, open_dataset
from data_prep import readers as readers_room
from data_prep.archives import _unpack_at_once, is_archive, unpack
from data_prep.prepare import How, prepare_set
from data_prep.readers import DecodingFault, Reader
from data_prep.report import plain
from data_prep.worker import BLOCK, promised_frames, read_clip
from statkit.data import own_clip
from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.data.stored import store_frames
from statkit.video import VideoError, probe, read_frames

QUIET = How(progress=False)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Folder of the hostile files, what has to come of them, and the prepared set."""
    folder = tmp_path_factory.mktemp("hostile")
    cases = corpus(folder / "files")
    settings = FrameSettings(8, (48, 64))
    out = prepare_set("folder", folder / "files", folder / "out", settings=settings, how=QUIET)
    return folder / "files", cases, out


def test_every_file_is_read_or_left_out_with_a_reason(hostile):
    _, cases, out = hostile
    lines = {line["clip"]: line for line in manifest(out)}
    assert len(cases) > 80 and lines.keys() == cases.keys()
    for name, case in cases.items():
        line = lines[name]
        assert case.words in line["note"], name
        if case.frames is None:
            assert line["status"] == "left out" and line["note"] and line["row"] == "", name
            continue
        sound = not line["note"] or "streams" in line["note"] or "its pixels are" in line["note"]
        assert line["status"] == ("ok" if sound else "damaged"), name
        assert (int(line["height"]), int(line["width"])) == case.size, name
        assert case.frames in (-1, int(line["frames"])), name


OTHERWISE = {  # other levels, other numbers, or half a picture
    *("A/grey.mp4", "A/black and white.avi", "A/edited.mp4"),
    *("B/noise inside.avi", "B/hardly begun.mpg"),
}


def test_the_pictures_are_the_right_ones(hostile):
    """The left half tells the frame's number, the top right corner is white."""
    _, cases, out = hostile
    dataset = open_dataset(out, progress=False)
    store = store_frames(dataset, FrameSettings(8, (48, 64)), progress=False)
    for row, name in enumerate(dataset.names):
        if name in OTHERWISE or "turned" in name:
            continue  # oblong pictures stay in: square pixels show the same levels
        hr = store.hr[row].astype(float)
        told = np.rint(hr[:, 12:36, 6:26].mean((1, 2, 3)) / 10)
        expected = store.positions[row] % 24
        close = 1 if name.endswith(".gif") else 0
        assert np.abs(told - expected).max() <= close, (name, told, expected)
        assert hr[:, 4:18, 40:60].min() > 220 and hr[:, 30:44, 40:60].max() < 40, name


def test_an_indexed_folder_is_the_same_set(hostile, capsys):
    files, _, out = hostile
    raw, ready = index_folder(files, progress=False), open_dataset(out, progress=False)
    said = capsys.readouterr().out
    report = Path(said.partition(" in full in ")[2].strip()).read_text(errors="surrogateescape")
    for line in manifest(out):
        assert plain(f"{line['clip']}: {line['note']}") in report or not line["note"]
    assert raw.names == ready.names and np.array_equal(raw.num_frames, ready.num_frames)
    assert np.array_equal(raw.labels, ready.labels)
    assert all(map(np.array_equal, raw.split(1), ready.split(1)))
    stores = [store_frames(d, FrameSettings(8, (48, 64)), progress=False) for d in (raw, ready)]
    for row, name in enumerate(raw.names):
        same = (np.array_equal(*(getattr(s, side)[row] for s in stores)) for side in ("hr", "lr"))
        assert all(same), name


def test_every_door_gives_the_same_bytes(hostile):
    """By either backend, in the prepared set, of a folder as it is, and of a clip of one's own."""
    files, _, out = hostile
    settings = FrameSettings(8, (48, 64))
    prepared = store_frames(open_dataset(out, progress=False), settings, progress=False)
    folder = store_frames(index_folder(files, progress=False), settings, progress=False)
    rows = {name: row for row, name in enumerate(folder.dataset.names)}
    assert len(rows) > 60
    for row, name in enumerate(prepared.dataset.names):
        frames = read_frames(files / name, backend="pyav")
        assert len(frames) == prepared.dataset.num_frames[row], name
        assert np.array_equal(frames, read_frames(files / name, backend="decord")), name
        own = own_clip.read_clip(files / name, settings)
        assert np.array_equal(own.hr, prepared.hr[row][: len(own.hr)]), name
        if (other := rows.pop(name, None)) is not None:
            assert np.array_equal(prepared.hr[row], folder.hr[other]), name
            assert np.array_equal(prepared.lr[row], folder.lr[other]), name
    assert not rows


def test_real_clips_are_the_same_bytes_by_every_door(real_data, tmp_path):
    """MPEG-4 with packed B-frames, which decord's old decoder rounds differently."""
    for file in sorted(real_data.glob("original_320x240/**/*.avi"))[::8]:
        (tmp_path / "clips" / file.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / file.parent.name / file.name).write_bytes(file.read_bytes())
    settings = FrameSettings(8, (72, 96))
    out = prepare_set("folder", tmp_path / "clips", tmp_path / "out", settings=settings, how=QUIET)
    prepared = store_frames(open_dataset(out, progress=False), settings, progress=False)
    folder = store_frames(index_folder(tmp_path / "clips", progress=False), settings)
    assert prepared.dataset.names == folder.dataset.names and len(folder.dataset) > 5
    assert np.array_equal(prepared.hr, folder.hr) and np.array_equal(prepared.lr, folder.lr)
    own = own_clip.read_clip(folder.dataset.path(0), settings)
    assert np.array_equal(own.hr, folder.hr[0])


UPRIGHT = {
    90: lambda frames: np.rot90(frames, -1, axes=(1, 2)),
    180: lambda frames: np.rot90(frames, 2, axes=(1, 2)),
    270: lambda frames: np.rot90(frames, 1, axes=(1, 2)),
    "left to right": lambda frames: frames[:, :, ::-1],
    "upside down": lambda frames: frames[:, ::-1],
    "corner to corner": lambda frames: frames.swapaxes(1, 2),
}


@pytest.mark.parametrize("backend", ["decord", "pyav"])
@pytest.mark.parametrize("how", UPRIGHT)
def test_a_picture_turned_by_metadata_stands_upright(tmp_path, backend, how):
    plain = read_frames(write(tmp_path / "plain.mp4", pictures(5)), backend=backend)
    film = turned(write(tmp_path / "turned.mp4", pictures(5)), how)
    assert np.array_equal(read_frames(film, backend=backend), UPRIGHT[how](plain))


@pytest.mark.parametrize("orientation, how", [(1, None), (2, "left to right"), (6, 90), (8, 270)])
def test_photographs_with_exif_stand_upright(tmp_path, orientation, how):
    plain = read_frames(write(tmp_path / "plain.avi", pictures(4), "mjpeg", "yuvj420p"))
    for backend in ("decord", "pyav"):
        for name in ("exif.avi", "exif.mov", "exif.mkv"):
            file = photographs(tmp_path / name, pictures(4), orientation)
            frames = read_frames(file, backend=backend).astype(int)
            upright = UPRIGHT[how](plain) if how else plain
            assert np.abs(frames - upright).mean() < 2, name


def test_pixels_become_square(tmp_path):
    """A square that was squeezed to half its width is a square again."""
    frames = np.zeros((3, 48, 64, 3), np.uint8)
    frames[:, 16:32, 24:32] = 255
    file = oblong(tmp_path / "oblong.mp4", frames, Fraction(2, 1))
    light = read_frames(file)[1].mean(-1) > 128
    assert light.shape == (48, 128) and np.argwhere(light.any(1)).ravel().size == 16
    assert abs(int(light.any(0).sum()) - 16) <= 1 and probe(file).width == 128


@pytest.mark.parametrize("seconds", [-1, -0.29, 1])
def test_a_film_that_does_not_start_at_time_0_has_the_same_frames(tmp_path, seconds):
    """decord leaves out the frames before time 0."""
    film = write(tmp_path / "film.mp4", pictures(40), options={"g": "10"})
    file = shifted(film, tmp_path / "shifted.mkv", seconds)
    for indices in (None, [0, 3, 39]):
        for backend in ("decord", "pyav"):
            frames = read_frames(file, indices, backend=backend)
            assert np.array_equal(frames, read_frames(film, indices))


@pytest.mark.parametrize("backend", ["decord", "pyav"])
def test_frames_that_an_edit_list_leaves_out_are_left_out(tmp_path, backend):
    film = write(tmp_path / "film.mp4", pictures(20), options={"g": "10"})
    edited = begun_earlier(film, 8, tmp_path / "edited.mp4")
    assert np.array_equal(read_frames(edited, backend=backend), read_frames(film)[8:])


# --- processes that are lost --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_long_work_shows_signs_of_life(tmp_path, suffix):
    """At every packet, whether it is decoded or counted, and at every block of the file."""
    film = write(tmp_path / f"film.{suffix}", pictures(40))
    beats = []
    probe(film, heartbeat=lambda: beats.append("probe"))
    promised_frames(str(film), lambda: beats.append("promise"))
    with open(film, "ab") as file:
        file.truncate(50 * BLOCK)
    read_clip(str(film), "film", SMALL, lambda: beats.append("read"))
    assert beats.count("probe") >= 40 and beats.count("read") >= 40 + 50
    assert beats.count("promise") >= (40 if suffix == "mkv" else 0)


def test_a_file_that_does_not_come_on_is_given_up(tmp_path):
    """Three hundred frames, and the patience for a few."""
    slow = write(tmp_path / "slow.avi", pictures(300, (120, 160)), "mpeg4")
    reader = Reader(limit=0.002)
    with pytest.raises(VideoError, match="hangs"):
        reader.ask("probe", str(slow))
    reader.limit = 60
    assert reader.ask("count", str(slow)) == 300  # a new process took over
    reader.close()


def test_a_crash_is_tried_again_and_then_told(tmp_path):
    clip = write(tmp_path / "clip.mp4", pictures(12))
    reader = Reader()
    assert reader.ask("count", str(clip)) == 12
    os.kill(reader._process.pid, signal.SIGKILL)
    assert reader.ask("count", str(clip)) == 12
    reader.close()
    dies = threading.Thread(target=_kill_each, args=(reader := Reader(), stop := threading.Event()))
    dies.start()
    try:
        with pytest.raises(VideoError, match="crashes the decoder"):
            while True:
                reader.ask("count", str(clip))
    finally:
        stop.set()
        dies.join()
        reader.close()


def _kill_each(reader, stop):
    while not stop.wait(0.001):
        process = reader._process
        if process:
            process.kill()


def test_a_process_that_cannot_start_is_no_bad_clip(monkeypatch, tmp_path):
    monkeypatch.setattr(readers_room, "SCRIPT", tmp_path / "nothing" / "worker.py")
    with pytest.raises(DecodingFault, match="does not start.*No such file"):
        Reader().ask("count", "clip.mp4")


# --- archives -----------------------------------------------------------------------------------

MEMBERS = {"A/1.avi": b"one" * 999, "A/ü #;'(1)!.avi": b"two"}
BAD = {
    "../out.avi": "leads out",
    "/abs.avi": "leads out",
    "A": "a file and a folder",
    "A/1.avi/2.avi": "a file and a folder",
    f"A/{'x' * 300}.avi": "too long",
    "d/" * 600 + "x.avi": "too long",
    ".unpacked.json": "hidden",
}


def _zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (MEMBERS | dict.fromkeys(BAD, b"bad")).items():
            packed.writestr(name, data)
        nameless = zipfile.ZipInfo("x")
        nameless.filename = ""
        packed.writestr(nameless, b"bad")
        link = zipfile.ZipInfo("A/link.avi")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("bomb.avi", bytes(80 << 20))


def _tar(path):
    with tarfile.open(path, "w:gz") as packed:
        bomb = {"bomb.avi": bytes(80 << 20)}
        for name, data in (MEMBERS | dict.fromkeys(BAD, b"bad") | bomb).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
        for kind, name in ((tarfile.SYMTYPE, "A/link.avi"), (tarfile.LNKTYPE, "A/hard.avi")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            packed.addfile(info)
        pipe = tarfile.TarInfo("A/pipe.avi")
        pipe.type = tarfile.FIFOTYPE
        packed.addfile(pipe)


def _rar(path):
    damaged = {"A/bad.avi": b"bad"}
    write_rar(path, MEMBERS | dict.fromkeys(BAD, b"bad") | damaged, crc={"A/bad.avi": 1})


@pytest.mark.parametrize(
    "make, name, refused",
    [
        (_zip, "x.zip", {"A/link.avi": "a link", "bomb.avi": "no video packs", ".": "leads out"}),
        (
            _tar,
            "x.tar.gz",
            {"A/link.avi": "a link", "A/hard.avi": "a link", "A/pipe.avi": "not a regular"}
            | {"bomb.avi": "no video packs"},
        ),
        (_rar, "x.rar", {"A/bad.avi": "damaged"}),
    ],
)
def test_archives_write_nothing_where_they_should_not(tmp_path, make, name, refused):
    make(tmp_path / name)
    assert is_archive(tmp_path / name)
    refused = refused | BAD
    for _ in range(2):  # the second time all is there, and something that a kill has left
        (tmp_path / "in" / "here" / ".unpacking-x").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "here" / ".unpacking-x").write_bytes(b"half")
        reasons = dict(unpack(tmp_path / name, tmp_path / "in" / "here", progress=False))
        assert reasons.keys() == refused.keys()
        assert all(words in reasons[member] for member, words in refused.items())
        files = sorted(p for p in (tmp_path / "in").rglob("*") if p.is_file() or p.is_symlink())
        assert [p.read_bytes() for p in files] == [b"one" * 999, b"two"]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in", name]


def test_a_program_unpacks_a_rar_in_one_call(tmp_path):
    """As must be where members are packed; here they are stored, and the way is the same."""
    members = {f"A/{i}.avi": bytes([i]) * 99 for i in range(50)}
    rar = write_rar(tmp_path / "x.rar", members | {"A/bad.avi": b"bad"}, crc={"A/bad.avi": 1})
    from data_prep.archives import UNPACKERS, _guarded, _opened

    if not any(map(__import__("shutil").which, UNPACKERS)):
        pytest.skip("needs unrar, unar or bsdtar")
    (tmp_path / "out").mkdir()
    with _opened(rar) as (found, _):
        _unpack_at_once(rar, tmp_path / "out", list(_guarded(found, rar.stat().st_size)))
    there = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.avi")}
    assert there == members.keys()


def _lzma(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        for i in range(4):
            packed.writestr(f"A/{i}.avi", bytes([i]) * 500 + random.Random(i).randbytes(700))


def _gzip(path):
    with tarfile.open(path, "w:gz") as packed:
        for i in range(4):
            info = tarfile.TarInfo(f"A/{i}.avi")
            info.size = 1200
            data = bytes([i]) * 500 + random.Random(i).randbytes(700)
            packed.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("make, name", [(_lzma, "x.zip"), (_gzip, "x.tar.gz")])
def test_of_a_damaged_archive_nothing_wrong_is_taken_in_silence(tmp_path, make, name):
    make(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    assert unpack(tmp_path / name, tmp_path / "right", progress=False) == []
    right = {file.read_bytes() for file in (tmp_path / "right").rglob("*.avi")}
    chance, told = random.Random(0), 0
    for i in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        (tmp_path / name).write_bytes(damaged)
        folder = tmp_path / str(i)
        try:
            refused = unpack(tmp_path / name, folder, progress=False)
        except DatasetError:
            refused = ["all of it"]
        found = {file.read_bytes() for file in folder.rglob("*.avi")}
        assert found <= right or refused, i
        told += bool(refused)
    assert told > 20


@pytest.mark.parametrize("content", [b"", b"Rar!\x1a\x07\x00 and no more", b"PK\x03\x04 half"])
def test_what_is_no_archive_is_told(tmp_path, content):
    (tmp_path / "x.rar").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.rar"):
        prepare_set("folder", tmp_path / "x.rar", tmp_path / "out", settings=SMALL, how=QUIET)


def test_what_an_archive_withholds_is_in_the_manifest(tmp_path):
    clip = write(tmp_path / "1.mp4", pictures(12)).read_bytes()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name in ("A/1.mp4", "A/2.mp4", "B/1.mp4", "B/2.mp4", "../x.mp4"):
            packed.writestr(name, clip)
    out = prepare_set("folder", tmp_path / "x.zip", tmp_path / "o", settings=SMALL, how=QUIET)
    last = manifest(out)[-1]
    assert (last["clip"], last["status"]) == ("x.zip:../x.mp4", "left out")
    assert last["note"] == "leads out of the folder" and len(open_dataset(out)) == 4


def test_probe_and_decoding_know_the_same_number(tmp_path):
    clip = write(tmp_path / "clip.mp4", pictures(30), options={"bf": "2"})
    assert probe(clip).num_frames == len(read_frames(clip)) == 30
