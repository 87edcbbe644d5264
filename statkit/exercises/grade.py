"""Grade a notebook that was handed in, without running it.

An answer runs in a process of its own (this module as a script), which is stopped after a time
limit. The checks run here: what an answer does to its own process changes no verdict, for only
values come back, as JSON.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import NamedTuple

import numpy as np
import torch

from statkit.errors import StatkitError

from . import LESSONS, check, lesson_of

LIMIT = 30.0
LONGEST = 1 << 24  # characters of one answer


class Grade(NamedTuple):
    """One exercise: its name, its lesson ("lesson04"), 1 or 0, and the words of its check."""

    exercise: str
    lesson: str
    score: int
    words: str


def grade(notebook: Path, *, limit: float = LIMIT) -> list[Grade]:
    """Check every exercise of the lessons that the notebook has exercises of.

    An answer may use what the notebook's cells import, and what its own cell defines.

    Args:
        limit: seconds that an exercise may take, PyTorch's start included.

    Raises:
        StatkitError: not a notebook, or one without any exercise.
    """
    try:
        book = json.loads(Path(notebook).read_text(encoding="utf-8"))
        cells = ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise StatkitError(f"{notebook} is not a notebook that can be read ({error!r})") from None
    imports, answers = [], {}
    for cell in cells:
        try:
            nodes = ast.parse(cell).body
        except (SyntaxError, ValueError):
            nodes = []
            names = [line[4:].split("(")[0] for line in cell.splitlines() if line[:4] == "def "]
        else:
            names = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
        imports += [ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
        answers |= {name: cell for name in names if lesson_of(name)}
    if not answers:
        raise StatkitError(f"{notebook} has no exercise of these lessons")
    lessons = sorted({lesson_of(name) for name in answers})
    code = "\n".join(imports)
    return [
        _grade(name, lesson, code, answers.get(name), limit)
        for lesson in lessons
        for name in LESSONS[lesson]
    ]


def _grade(name: str, lesson: str, imports: str, cell: str | None, limit: float) -> Grade:
    if cell is None:
        return Grade(name, lesson, 0, "There is no cell with this function.")
    with tempfile.TemporaryDirectory() as folder:
        answer = _Answer(name, imports, cell, limit, folder)
        try:
            verdict = check(answer)
        finally:
            answer.stop()
        words = f"Stopped after {limit:g} seconds." if answer.late else verdict.words
        return Grade(name, lesson, int(verdict.right and not answer.late), words)


class _Answer:
    """A reader's function in a process of its own, called like a function."""

    def __init__(self, name: str, imports: str, cell: str, limit: float, folder: str):
        self.__name__, self.late = name, False
        root = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": root, "STATKIT_CACHE": folder},
            start_new_session=True,
        )
        self._timer = Timer(limit, self._too_late)
        self._timer.start()
        self._send([name, imports, cell])

    def __call__(self, *arguments):
        self._send([_encode(value) for value in arguments])
        try:
            found = json.loads(self._process.stdout.readline(LONGEST))
            assert "error" not in found, f"your function raised {found['error']}"
            return _decode(found["value"])
        except (ValueError, TypeError, KeyError):
            raise AssertionError("your function gave no answer that can be read") from None

    def _send(self, value) -> None:
        with suppress(OSError):  # it ended; reading tells
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def _too_late(self) -> None:
        self.late = True
        self.stop()

    def stop(self) -> None:
        self._timer.cancel()
        if self._process.poll() is None:
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.killpg(self._process.pid, 9) if os.name == "posix" else self._process.kill()
        self._process.wait()


def _encode(value):
    """Numbers, texts, lists, tuples, arrays and tensors as JSON; TypeError for anything else."""
    if isinstance(value, torch.Tensor):
        return {"tensor": _encode(value.detach().cpu().numpy())}
    if isinstance(value, np.ndarray | np.generic):
        value = np.asarray(value)
        if value.dtype.kind not in "biuf":
            raise TypeError(f"an array of {value.dtype} is no answer")
        content = b64encode(value.tobytes()).decode()
        return {"array": content, "as": value.dtype.str, "shape": value.shape}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_encode(one) for one in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} is no answer")


def _decode(value):
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return torch.from_numpy(_decode(value["tensor"]).copy())
    if "array" in value:
        values = np.frombuffer(b64decode(value["array"]), np.dtype(value["as"]))
        return values.reshape(value["shape"])
    [(kind, items)] = value.items()
    return {"list": list, "tuple": tuple}[kind](_decode(one) for one in items)


def _serve() -> None:
    """Answer calls, one line of JSON each; what the answer prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, imports, cell = json.loads(sys.stdin.readline())
    space, broken = {"np": np, "torch": torch}, None
    try:
        exec(imports, space)
        exec(cell, space)
    except Exception as error:
        broken = error
    for line in sys.stdin:
        try:
            if broken:
                raise broken
            reply = {"value": _encode(space[name](*map(_decode, json.loads(line))))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
