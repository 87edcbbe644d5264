"""The paper's own numbers, for comparison with ours. They use all of UCF101 and HMDB51; only the
order of rows can be compared with runs on other data."""

import csv
from pathlib import Path

NUMBERS = Path(__file__).with_name("paper_tables.csv")
COLUMNS = {"resnet34": "", "r2plus1d_18": ", 3-D network"}  # of Table 3


def paper_column(backbone: str) -> str:
    """The column of Table 3 to compare a network with: 2-D or 3-D."""
    return "r2plus1d_18" if "r2plus1d" in backbone else "resnet34"


def paper_numbers(table: str, backbone: str = "resnet34") -> dict[tuple[str, str], float]:
    """prec@1 in per cent by row and resolution, "" where a table ("1" to "4"; others have no
    numbers) has only one. ``backbone`` selects one of Table 3's two columns."""
    return {
        (row, line["resolution"] if table == "2" else ""): float(line["prec1"])
        for line in csv.DictReader(NUMBERS.read_text("utf-8").splitlines())
        if line["table"] == table and (table != "3" or line["backbone"] == backbone)
        for row in line["rows"].split()
    }
