"""Worker processes are gone soon after the process that started them was killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import os, sys, time
from statkit.runtime.processes import process_pool

def work(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    with process_pool(1) as pool:
        pool.submit(work, sys.argv[1]).result()
"""


@pytest.mark.skipif(os.name != "posix", reason="looks for the process as POSIX has them")
def test_no_worker_outlives_a_killed_parent(tmp_path):
    script, said = tmp_path / "script.py", tmp_path / "pid"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, script, said])
    worker = int(wait_for(lambda: said.is_file() and said.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not alive(worker))


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A process that ended and that nobody has asked about yet is a zombie.
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True
    )
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def wait_for(found):
    """What it finds, once it does; a minute is far more than it takes on any machine."""
    for _ in range(600):
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("nothing came within a minute")
