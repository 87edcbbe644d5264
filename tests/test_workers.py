"""The process that reads files can crash, fail or be taken over; the one that asked it is told the
truth and runs nothing that it sends."""

import json
import pickle
import struct
import sys
from dataclasses import asdict

import numpy as np
import pytest
from hostile import pictures, write

from data_prep import readers
from data_prep.prepare import How, prepare_set
from data_prep.prepared import open_prepared
from data_prep.readers import DecodingFault, Reader
from statkit.cli.commands import main
from statkit.data.frames import FrameSettings
from statkit.video import VideoError

SETTINGS = FrameSettings(2, (12, 16))
RESULT = {"frames": 2, "fps": 25.0, "height": 12, "width": 16, "note": "", "remark": ""}
RESULT |= {"bytes": 9, "sha256": "0" * 64, "pixels": "0" * 8}
PIXELS = 2 * 2 * 12 * 16 * 3

WORKER = """
import sys, time
answers = sys.stdout.buffer
answers.write({ready!r}); answers.flush()
sys.stdin.buffer.read(4)
answers.write({answer!r}); answers.flush()
time.sleep(60)
"""


def message(value) -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("<I", len(text)) + text


def ask_one_that_answers(answer: bytes, tmp_path, monkeypatch, limit=60.0):
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(ready=message(["ready", None]), answer=answer))
    monkeypatch.setattr(readers, "SCRIPT", script)
    reader = Reader(limit)
    try:
        return reader.ask("read", "clip.mp4", "clip.mp4", asdict(SETTINGS))
    finally:
        reader.close()


class Malicious:
    """A pickle that runs code where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_honest_answer_is_taken(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, PIXELS, np.uint8)
    answer = message(["alive", None]) + message(["done", RESULT]) + pixels.tobytes()
    found = ask_one_that_answers(answer, tmp_path, monkeypatch)
    assert np.array_equal(np.stack([found.pop("hr"), found.pop("lr")]).ravel(), pixels)
    assert found == RESULT


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack("<I", 0xFFFFFFFF),
        message(b"[" * 100_000),
        message(b"\xff\xfe"),
        message(b'["done", NaN]'),
        message("no pair"),
        message([["done"], None]),
        message(["run", "rm -rf"]),
        message(["alive", "x"]),
        message(["failed", ["no text"]]),
        message(["fault", {"error": "no traceback"}]),
        message(["done", RESULT | {"frames": -1}]),
        message(["done", RESULT | {"frames": True}]),
        message(["done", RESULT | {"fps": float("inf")}]),
        message(["done", RESULT | {"frames": 1 << 60}]),
        message(["done", RESULT | {"hr": "more"}]),
        message(["done", {k: v for k, v in RESULT.items() if k != "sha256"}]),
    ],
)
def test_any_other_answer_is_refused(tmp_path, monkeypatch, answer):
    with pytest.raises(VideoError, match="answer falsely"):
        ask_one_that_answers(answer, tmp_path, monkeypatch)


def test_a_pickle_is_not_loaded(tmp_path, monkeypatch):
    opened = tmp_path / "opened"
    pickled = pickle.dumps(("done", Malicious(opened)))
    for answer in (pickled, message(pickled)):
        with pytest.raises(VideoError, match="answer falsely"):
            ask_one_that_answers(answer, tmp_path, monkeypatch)
    assert not opened.exists()
    pickle.loads(pickled)
    assert opened.exists()


def test_pixels_that_do_not_come_are_a_hang(tmp_path, monkeypatch):
    answer = message(["done", RESULT]) + bytes(PIXELS - 1)
    with pytest.raises(VideoError, match="hangs"):
        ask_one_that_answers(answer, tmp_path, monkeypatch, limit=1.0)


@pytest.fixture
def clips(tmp_path):
    for label in ("A", "B"):
        for number in range(3):
            write(tmp_path / "clips" / label / f"{number}.mp4", pictures(6))
    return tmp_path / "clips"


def broken(tmp_path, monkeypatch, error: str) -> None:
    """Workers whose own code fails at the second clip of a class."""
    script = tmp_path / "broken.py"
    script.write_text(
        "from data_prep import worker\n"
        "read = worker.read_clip\n"
        "def read_clip(path, *rest):\n"
        f"    if path.endswith('1.mp4'): {error}\n"
        "    return read(path, *rest)\n"
        "worker.read_clip = read_clip\n"
        "worker.serve()\n"
    )
    monkeypatch.setattr(readers, "SCRIPT", script)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))


@pytest.mark.parametrize(
    "error, words",
    [
        ("raise ValueError('ndarray is not C-contiguous')", "not C-contiguous"),
        ("import no_such_module", "No module named"),
        ("path.no_such_attribute", "no_such_attribute"),
        ("import os; os._exit(3)", "exit status 3"),
    ],
)
def test_a_fault_of_the_kit_stops_the_run(clips, tmp_path, monkeypatch, capsys, error, words):
    """One line, the traceback in the report, no clip left out, and the next run goes on."""
    out = tmp_path / "out"
    arguments = ["prepare", "folder", "--source", str(clips), "--out", str(out)]
    arguments += ["--frames", "4", "--hr-size", "24x32", "--workers", "1"]
    with monkeypatch.context() as patched:
        broken(tmp_path, patched, error)
        assert main(arguments) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("statkit: ") and words in last and "no fault of the clip" in last
    report = (out / "report.txt").read_text()
    assert str(out / "report.txt") in last and "1.mp4" in report and words in report
    assert "Traceback" in report or "exit status" in words
    assert not (out / "prepared").exists()
    assert main(arguments) == 0
    assert len(open_prepared(out, progress=False)) == 6 and not (out / "report.txt").exists()


def test_a_worker_that_does_not_start_says_why(clips, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    monkeypatch.setattr(readers, "SCRIPT", tmp_path / "broken.py")
    with pytest.raises(DecodingFault, match="does not start: .*No module named"):
        prepare_set("folder", clips, tmp_path / "out", how=How(progress=False))
    assert "Traceback" in (tmp_path / "out" / "report.txt").read_text()


@pytest.mark.parametrize("size, hr_size", [((112, 200), (112, 149)), ((48, 64), (48, 64))])
def test_a_clip_whose_crop_has_the_hr_size_already(tmp_path, size, hr_size):
    clip = write(tmp_path / "clip.mp4", pictures(6, size))
    reader = Reader()
    found = reader.ask("read", str(clip), "clip", asdict(FrameSettings(4, hr_size)))
    reader.close()
    assert found["frames"] == 6 and found["hr"].shape == (4, *hr_size, 3)
