"""Reads many files in parallel, each in a process that may crash, hang or be killed.

A decoder is a large program in C that reads arbitrary files. It runs in separate processes
(:mod:`data_prep.worker`). A process that shows no sign of life is ended, and its file is
recorded as unreadable. A hostile file can take control of such a process. Therefore only answers
of plain data with the requested type and size are accepted. An error of the kit itself is not a
property of a file: it ends the run (:class:`DecodingFault`).
"""

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import numpy as np

from statkit.errors import StatkitError
from statkit.runtime.cache import cache_folder
from statkit.runtime.processes import cores, dask_executor
from statkit.video import VideoError

from .worker import exactly, receive, send

PASSING = ("reading hangs", "reading it ")  # reasons that may not come again
LIMIT = 8.0  # seconds without a decoded frame; a file gets two tries
SCRIPT = Path(__file__).with_name("worker.py")
TEXTS = {"note": str, "remark": str}
# The fields of a job's result; every number is finite and not negative.
RESULTS = {
    "promise": int,
    "count": int,
    "probe": TEXTS | {"num_frames": int, "fps": float, "height": int, "width": int},
    "read": TEXTS
    | {"frames": int, "fps": float, "height": int, "width": int}
    | {"bytes": int, "sha256": str, "pixels": str},
}


class DecodingFault(StatkitError):
    """The kit failed while it read a file, and the file is not the reason.

    Attributes:
        traceback: traceback of the worker process.
    """

    def __init__(self, message: str, traceback: str = ""):
        super().__init__(message)
        self.traceback = traceback


class Reader:
    """One worker process; it starts when needed and starts again after a loss.

    Args:
        limit: seconds without a heartbeat before the process is ended.
    """

    def __init__(self, limit: float = LIMIT):
        self.limit = limit
        self._process: subprocess.Popen | None = None
        self._closed = False

    def ask(self, *job):
        """Send a job of :data:`data_prep.worker.JOBS` and wait for its result.

        Returns:
            The checked result, see :data:`RESULTS`; for "read" also uint8 arrays ``hr`` and ``lr``
            of the shapes in the job's settings.

        Raises:
            VideoError: the file cannot be read, or the process crashed, hung or gave an answer that
                is not allowed, twice.
            DecodingFault: the kit failed, not the file.
        """
        for _ in range(2):  # low memory on the machine can also end a process
            try:
                return self._ask(job)
            except _Lost as lost:
                reason = str(lost)
            if self._closed:
                break
        raise VideoError(reason)

    def close(self) -> None:
        """End the process for good."""
        self._closed = True
        if process := self._process:
            process.kill()
            process.wait()

    def _ask(self, job):
        process = self._process or self._start()
        try:
            send(process.stdin, job)
            while True:
                kind, value = self._answer(job)
                if kind == "done":
                    return value
                if kind == "failed":
                    raise VideoError(value)
                if kind == "fault":
                    path, error = job[1], value["error"]
                    raise DecodingFault(f"the kit failed at {path}: {error}", value["traceback"])
        except (OSError, EOFError, _Refused) as error:
            process.kill()
            code, self._process = process.wait(), None
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()
            if self._hung:
                raise _Lost(f"reading hangs: no frame in {self.limit:g} seconds") from error
            if isinstance(error, _Refused):
                raise _Lost(f"reading it makes the decoder answer falsely ({error})") from error
            if 0 <= code < 128:  # not a crash: the program ended by itself
                told = f"the decoding process ended at {job[1]} ({_ended(code)})"
                raise DecodingFault(told) from error
            raise _Lost(f"reading it crashes the decoder ({_ended(code)})") from error

    def _answer(self, job) -> tuple:
        """The next message, checked, and the frames after it."""
        watch = threading.Timer(self.limit, self._give_up, [self._process])
        watch.daemon = True
        watch.start()
        try:
            answers = self._process.stdout
            try:
                kind, value = receive(answers)
                value = _checked(job[0], kind, value)
            except (TypeError, ValueError, RecursionError) as error:
                raise _Refused(str(error)) from error
            if kind == "done" and job[0] == "read":
                for side, shape in _shapes(job[3]).items():
                    data = exactly(answers, math.prod(shape))
                    value[side] = np.frombuffer(data, np.uint8).reshape(shape)
            return kind, value
        finally:
            watch.cancel()

    def _give_up(self, process: subprocess.Popen) -> None:
        self._hung = True
        process.kill()

    def _start(self) -> subprocess.Popen:
        here = str(SCRIPT.parent.parent)
        path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with tempfile.TemporaryFile() as words:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                env=os.environ | threads | {"PYTHONPATH": path},
            )
            with suppress(EOFError, ValueError):
                if receive(process.stdout) == ["ready", None]:
                    self._process, self._hung = process, False
                    return process
            process.kill()
            process.wait()
            words.seek(0)
            told = words.read()[-50_000:].decode(errors="replace")
        last = (told.strip().splitlines() or [f"no words, {_ended(process.returncode)}"])[-1]
        raise DecodingFault(f"the decoding process {SCRIPT} does not start: {last}", told)


def _checked(what: str, kind: object, value: object):
    """The value of a message, if a worker may send this value during the job.

    Raises:
        ValueError: a worker may not send it.
    """
    kinds = {"alive": type(None), "failed": str, "done": RESULTS[what]}
    kinds["fault"] = {"error": str, "traceback": str}
    if kind not in kinds:
        raise ValueError(f"a message {kind!r:.40}")
    parts = kinds[kind]
    one = not isinstance(parts, dict)
    given, parts = ({"": value}, {"": parts}) if one else (value, parts)
    if type(given) is not dict or given.keys() != parts.keys():
        raise ValueError(f"{kind}: not the parts that were asked for")
    for name, part in parts.items():
        found = given[name]
        number = type(found) in (int, float)
        if type(found) is not part or (number and not 0 <= found < 1 << 53):
            raise ValueError(f"{kind}: {name or 'the value'} is not allowed")
    return value


def _shapes(settings: dict) -> dict[str, tuple[int, ...]]:
    """Requested shapes of a clip's HR and LR frames."""
    length = settings["frames_per_clip"]
    return {side: (length, *settings[f"{side}_size"], 3) for side in ("hr", "lr")}


def _ended(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    from_outside = ", which the system also sends when memory is short"
    return name + (from_outside if name == "SIGKILL" else "")


class _Refused(Exception):
    """A worker process sent a message that is not allowed."""


class _Lost(Exception):
    """A worker process ended in the middle of a job."""


_of_thread = threading.local()


def _ask_here(job: tuple, limit: float, opened: Callable[[Reader], None] | None = None):
    """Run a job in this thread's own worker process, on the thread's machine."""
    reader = getattr(_of_thread, "reader", None)
    if reader is None or reader.limit != limit:
        reader = _of_thread.reader = Reader(limit)
        if opened:
            opened(reader)
    try:
        return reader.ask(*job), None
    except VideoError as error:
        return None, str(error)


def read_all(
    jobs: Iterable[tuple[int, tuple]],
    *,
    workers: int | None = None,
    limit: float = LIMIT,
    dask: str | None = None,
    report: Path | None = None,
) -> Iterator[tuple[int, dict | None, str | None]]:
    """Run jobs in parallel, on this machine or on a Dask cluster.

    Args:
        jobs: ``(key, job)``; :meth:`Reader.ask` describes a job.
        workers: processes; None means one per processor.
        limit: see :class:`Reader`.
        dask: address of a scheduler whose workers see the files under the same paths, or "local".
        report: file for the traceback of a fault; None means a file in the cache.

    Yields:
        ``(key, result, None)`` or ``(key, None, reason)``, in order of completion.

    Raises:
        DecodingFault: the kit failed, not a file; reading stops.
    """
    workers = workers or cores()
    jobs = iter(jobs)
    with _executor(workers, dask) as (pool, width, keep):
        extra = () if keep is None else (keep,)
        running = {}
        while True:
            for key, job in islice(jobs, 2 * width - len(running)):
                running[pool.submit(_ask_here, job, limit, *extra)] = key
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    result = future.result()
                except DecodingFault as fault:
                    raise _written(fault, report) from None
                yield running.pop(future), *result


def _written(fault: DecodingFault, report: Path | None) -> DecodingFault:
    """Write the fault's traceback to a file; returns the fault with the file in its message."""
    report = report or cache_folder("reports") / "decoding.txt"
    try:
        report.write_text(f"{fault}\n\n{fault.traceback}", "utf-8", "backslashreplace")
    except OSError as error:
        report = f"not written, {error}"
    return DecodingFault(f"{fault}; this is no fault of the clip (traceback: {report})")


@contextmanager
def _executor(workers: int, dask: str | None) -> Iterator[tuple[Executor, int, Callable | None]]:
    """The executor, the number of parallel jobs, and a callback per process started here."""
    if dask:
        with dask_executor(dask, workers, threads=True) as (pool, width):
            yield pool, width, None
        return
    readers: list[Reader] = []
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool, workers, readers.append
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for reader in readers:
            reader.close()
        pool.shutdown()
