"""The number of processes that a launcher started to train together, and this process's role; a
pool of processes; one thread that computes ahead."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread

from statkit.errors import StatkitError

INSTALL_CLUSTER = "Run in the checkout: pip install -c constraints.txt -e '.[cluster]'"


def processes() -> int:
    """The number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def is_main() -> bool:
    """Whether this process writes files and prints; the other processes only compute."""
    return processes() == 1 or int(os.environ["RANK"]) == 0


def cores() -> int:
    """The number of processor cores that this process may use; a scheduler or ``taskset`` can give
    it fewer cores than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def dask_executor(
    where: str, workers: int | None, *, threads: bool = False
) -> Iterator[tuple[Executor, int]]:
    """An executor on a Dask cluster, and the number of jobs that it runs at a time. ``where`` is a
    scheduler's address, or "local" for a cluster made on this machine: ``workers`` processes (one
    per core when None) or, with ``threads``, threads of this process. StatkitError if Dask is not
    installed or no scheduler answers."""
    try:
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise StatkitError(f"Dask is not installed. {INSTALL_CLUSTER}") from error
    own = {"n_workers": workers or cores(), "threads_per_worker": 1, "processes": not threads}
    with ExitStack() as stack:
        cluster = where
        if where == "local":
            cluster = stack.enter_context(LocalCluster(**own, dashboard_address=None))
        try:
            client = stack.enter_context(Client(cluster, timeout=20))
        except (OSError, ValueError) as error:
            raise StatkitError(f"no Dask scheduler answers at {where} ({error})") from error
        yield client.get_executor(pure=False), max(1, sum(client.nthreads().values()))


@contextmanager
def executor(dask: str | None, workers: int) -> Iterator[Executor | None]:
    """The executor of a grid of work: a Dask cluster, processes of this machine, or none."""
    if dask:
        with dask_executor(dask, workers) as (found, width):
            print(f"Dask: {width} workers", flush=True)
            yield found
    elif workers > 1:
        with process_pool(workers) as pool:
            yield pool
    else:
        yield None


def process_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of new processes. When the parent process ends, the pool's processes and the kernels
    that they started end too."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_the_parent)


def computed_ahead(function: Callable, items: Iterable, *, depth: int = 2) -> Generator:
    """``function(item)`` of every item, in order; one thread computes up to ``depth`` results ahead
    while the caller uses the previous result."""
    items, pool = iter(items), ThreadPoolExecutor(1)
    waiting = deque(pool.submit(function, item) for item in islice(items, depth))
    try:
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))
            yield found
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_the_parent() -> None:
    def wait() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
