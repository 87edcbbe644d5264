"""The paper's own numbers, for comparison with ours. They use all of UCF101 and HMDB51; only the
order of rows can be compared with runs on other data."""

from __future__ import annotations

import csv
from pathlib import Path

NUMBERS = Path(__file__).with_name("paper_tables.csv")
METHODS = {"sat+tat": "stat", "sat+tat+rc": "stat_rc", "sat+tat+rc+ut": "stat_rc_ut"}
TABLE_1 = {  # overall weights, weights of the blocks -> row
    ("1/7-4/7-2/7", "1/4-1/4-1/4-1/4"): "stat_1_4_2",
    ("4/7-1/7-2/7", "1/15-2/15-4/15-8/15"): "stat_4_1_2",
    ("1/3-1/3-1/3", "1/4-1/4-1/4-1/4"): "stat",
    ("1/3-1/3-1/3", "1/15-2/15-4/15-8/15"): "stat_increasing",
    ("1/3-1/3-1/3", "0-0-0-1"): "stat_last",
    ("", ""): "stat_rc",
}

TABLE_4 = {"student": ("student",), "stat": ("two_stream_stat", "two_stream_stat_rc_ut")}


COLUMNS = {"resnet34": "", "r2plus1d_18": ", 3-D network"}  # of Table 3


def paper_column(backbone: str) -> str:
    """The column of Table 3 to compare a network with: 2-D or 3-D."""
    return "r2plus1d_18" if "r2plus1d" in backbone else "resnet34"


def paper_numbers(table: str, backbone: str = "resnet34") -> dict[tuple[str, str], float]:
    """prec@1 in per cent by row and resolution; the resolution is "" where a table has only one.

    Args:
        table: "1" to "4"; other tables have no numbers.
        backbone: selects one of Table 3's two columns; other tables have one column.
    """
    found = {}
    with NUMBERS.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["table"] != table or (table == "3" and line["backbone"] != backbone):
                continue
            row = METHODS.get(line["method"], line["method"])
            if table == "1":
                row = TABLE_1[line["overall_ce_sat_tat"], line["sat_blocks"]]
            rows = (row,)
            if table == "4":
                rows = TABLE_4.get(row, ())
            for row in filter(None, rows):
                found[row, line["resolution"] if table == "2" else ""] = float(line["prec1"])
    return found
