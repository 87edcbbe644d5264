"""Grade a notebook that was handed in, without running it.

An answer runs in a process of its own (this module as a script), which is stopped after a time
limit. The checks run here: what an answer does to its own process changes no verdict, for only
values come back, as JSON.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np
import torch

from statkit.errors import StatkitError

from . import LESSONS, NoAnswer, Verdict, check, lesson_of

LIMIT = 30.0
LONGEST = 1 << 24  # characters of one answer
MOST_WORDS = 500  # characters of what is said about one answer
MEMORY = 1 << 32  # bytes that one answer may take
NOT_PYTHON = re.compile(r"^[%!?].*|^[\w.]+\?+$", re.MULTILINE)  # IPython's commands


class Grade(NamedTuple):
    """One exercise: its name, its lesson ("lesson04"), 1 or 0, and the words of its check."""

    exercise: str
    lesson: str
    score: int
    words: str


def grade(notebook: Path, *, limit: float = LIMIT) -> list[Grade]:
    """Check every exercise of the lessons that the notebook has exercises of. An answer may use
    what the notebook's cells import, and what its own cell defines, and may take ``limit`` seconds,
    PyTorch's start included. StatkitError for no notebook, or one without any exercise."""
    try:
        book = json.loads(Path(notebook).read_text(encoding="utf-8-sig"))
        sources = ("".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code")
        cells = [NOT_PYTHON.sub("", source) for source in sources]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StatkitError(f"{notebook} is not a notebook that can be read ({error!r})") from None
    imports, answers = [], {}
    for cell in cells:
        try:
            nodes = ast.parse(cell).body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            nodes = []
            names = [line[4:].split("(")[0] for line in cell.splitlines() if line[:4] == "def "]
        else:
            names = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
        imports += [ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
        answers |= {name: cell for name in names if lesson_of(name)}
    if not answers:
        raise StatkitError(f"{notebook} has no exercise of these lessons")
    return [
        _grade(name, lesson, imports, answers.get(name), limit)
        for lesson in sorted({lesson_of(name) for name in answers})
        for name in LESSONS[lesson]
    ]


def _grade(name: str, lesson: str, imports: list[str], cell: str | None, limit: float) -> Grade:
    if cell is None:
        return Grade(name, lesson, 0, "There is no cell with this function.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        answer, found = _Answer(name, imports, cell, folder), []
        # A thread, because a process that the answer left behind can keep the pipe open for ever.
        work = Thread(target=lambda: found.append(check(answer)), daemon=True)
        work.start()
        work.join(limit)
        verdict = found[0] if found else Verdict(False, f"Stopped after {limit:g} seconds.")
        answer.stop()
    words = "".join(c for c in " ".join(verdict.words.split()) if c.isprintable())
    return Grade(name, lesson, int(verdict.right), words[:MOST_WORDS])


class _Answer:
    """A reader's function in a process of its own, called like a function."""

    def __init__(self, name: str, imports: list[str], cell: str, folder: str):
        self.__name__ = name
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
        self._send([name, imports, cell])

    def __call__(self, *arguments):
        self._send([_encode(value) for value in arguments])
        try:
            found = json.loads(self._process.stdout.readline(LONGEST))
            if "error" not in found:
                return _decode(found["value"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise NoAnswer("your function gave no answer that can be read") from None
        raise NoAnswer(f"your function raised {found['error']}")

    def _send(self, value) -> None:
        with suppress(OSError):  # it ended; reading tells
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """End the process and those that it started, also where it has ended itself."""
        with suppress(OSError):
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
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(one) for one in value]}
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
    with suppress(ImportError, ValueError):  # Windows; a lower limit that stands already
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, imports, cell = json.loads(sys.stdin.readline())
    space, broken = {"np": np, "torch": torch}, None
    for line in imports:
        with suppress(Exception):  # a package that is not here; who uses it fails
            exec(line, space)
    try:
        exec(cell, space)
    except Exception as error:
        broken = error
    for line in sys.stdin:
        try:
            if name not in space:
                raise broken
            reply = {"value": _encode(space[name](*map(_decode, json.loads(line))))}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
