"""The paper's own numbers, to stand beside ours. They are on UCF101 and HMDB51 whole; only the
order of rows can be compared with runs on other data."""

from __future__ import annotations

import csv
from pathlib import Path

TABLES = Path(__file__).with_name("paper_tables.csv")


def paper_table_3(backbone: str) -> dict[str, float]:
    """prec@1 in per cent by row of Table 3 ("teacher", "student", "sat", "tat", "stat", ...)."""
    names = {"sat+tat": "stat", "sat+tat+rc": "stat_rc", "sat+tat+rc+ut": "stat_rc_ut"}
    with TABLES.open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["table"] == "3"]
    return {
        names.get(line["method"], line["method"]): float(line["prec1"])
        for line in lines
        if line["backbone"] == backbone
    }
