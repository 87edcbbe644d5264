"""How many processes a launcher started to train together, and which of them this one is."""

from __future__ import annotations

import os


def processes() -> int:
    """How many train together; 1 for a process that no launcher started."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def is_main() -> bool:
    """Whether this process writes files and speaks; the others only compute."""
    return processes() == 1 or int(os.environ["RANK"]) == 0
