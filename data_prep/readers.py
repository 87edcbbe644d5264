"""Many files read side by side, each in a process that may crash, hang or be killed.

A decoder is a large program in C that is fed whatever lies in a folder. It runs in processes of
its own (:mod:`data_prep.worker`); one that shows no sign of life is ended, and its file is recorded
as unreadable.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from statkit.runtime.processes import cores, dask_executor
from statkit.video import VideoError

LIMIT = 8.0  # seconds without a decoded frame; a file gets two tries
SCRIPT = Path(__file__).with_name("worker.py")


class Reader:
    """One worker process, started when needed and started again when lost.

    Args:
        limit: seconds without a sign of life after which it is ended.
    """

    def __init__(self, limit: float = LIMIT):
        self.limit = limit
        self._process: subprocess.Popen | None = None
        self._closed = False

    def ask(self, *job):
        """Send a job of :data:`data_prep.worker.JOBS` and wait for its result.

        Raises:
            VideoError: the file cannot be read, or reading it crashed or hung twice.
        """
        for _ in range(2):  # a process can also be lost to a machine that is short of memory
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
            pickle.dump(job, process.stdin, protocol=5)
            process.stdin.flush()
            while True:
                kind, value = self._answer()
                if kind == "done":
                    return value
                if kind == "failed":
                    raise VideoError(value)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            process.kill()
            code, self._process = process.wait(), None
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()
            if self._hung:
                raise _Lost(f"reading hangs: no frame in {self.limit:g} seconds") from error
            raise _Lost(f"reading it crashes the decoder (exit status {code})") from error

    def _answer(self):
        watch = threading.Timer(self.limit, self._give_up, [self._process])
        watch.daemon = True
        watch.start()
        try:
            return pickle.load(self._process.stdout)
        finally:
            watch.cancel()

    def _give_up(self, process: subprocess.Popen) -> None:
        self._hung = True
        process.kill()

    def _start(self) -> subprocess.Popen:
        here = str(SCRIPT.parent.parent)
        path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | threads | {"PYTHONPATH": path},
        )
        with suppress(EOFError, pickle.UnpicklingError):
            if pickle.load(process.stdout)[0] == "ready":
                self._process, self._hung = process, False
                return process
        raise RuntimeError(f"{sys.executable} {SCRIPT} does not start; run it to see why")


class _Lost(Exception):
    """A worker process ended in the middle of a job."""


_of_thread = threading.local()


def _ask_here(job: tuple, limit: float, opened: Callable[[Reader], None] | None = None):
    """Run a job in this thread's own worker process; on whatever machine the thread runs."""
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
) -> Iterator[tuple[int, dict | None, str | None]]:
    """Run jobs side by side, here or on a Dask cluster.

    Args:
        jobs: ``(key, job)``, a job as :meth:`Reader.ask` takes it.
        workers: processes; all processors when None.
        limit: see :class:`Reader`.
        dask: address of a scheduler whose workers see the files under the same paths, or "local".

    Yields:
        ``(key, result, None)`` or ``(key, None, reason)``, in the order in which they are done.
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
                yield running.pop(future), *future.result()


@contextmanager
def _executor(workers: int, dask: str | None) -> Iterator[tuple[Executor, int, Callable | None]]:
    """Where jobs run, how many at a time, and who is told of each process started here."""
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
