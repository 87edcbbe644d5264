"""How many processes a launcher started to train together, and which of them this one is."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread


def processes() -> int:
    """How many train together; 1 for a process that no launcher started."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def is_main() -> bool:
    """Whether this process writes files and speaks; the others only compute."""
    return processes() == 1 or int(os.environ["RANK"]) == 0


def process_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes. None of them, nor a kernel that one of them started, goes on
    working for a process that is no longer there."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_the_parent)


def _end_with_the_parent() -> None:
    Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent_process().join()
    os._exit(1)
