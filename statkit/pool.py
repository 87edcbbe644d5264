"""Worker processes that end with the process that started them, also when that was killed."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread


def process_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes. None of them, nor a kernel that one of them started, goes on
    working for a process that is no longer there."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_the_parent)


def _end_with_the_parent() -> None:
    Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent_process().join()
    os._exit(1)
