"""Training methods as data: every row of the paper's tables, and the baselines (``rows.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

THIRDS = (1 / 3, 1 / 3, 1 / 3)
SCRATCH = "scratch"
TEACHERS_TAM = "teacher's TAM"


@dataclass(frozen=True)
class Row:
    """One training method.

    Attributes:
        title: name in figures and tables.
        weights: W_CE, W_SAT, W_TAT of Equation 4.
        input: the network's input: "hr", "lr", or "flow", optical flow of the LR frames.
        block_weights: weights of the blocks and layers, by name, or user-defined phases
            (:func:`statkit.schedules.inner_weights`).
        epoch_factor: factor on the configuration's number of epochs.
        max_epochs: upper limit of that number.
        start: row whose trained weights this row starts from; :data:`SCRATCH`, random weights even
            if the configuration has a pretrained backbone; :data:`TEACHERS_TAM`, the
            configuration's start, but with the teacher's temporal module, as rows with transfer
            start; None, the configuration's start.
        teacher: row whose trained network is the teacher.
        kd: weight of Hinton's knowledge distillation (of the logits).
        confident: weights of the samples by :func:`statkit.losses.confidence_weights`.
        power, distance: of Equations 1 and 2; None, the configuration's choices.
        specific: SAT and TAT of :func:`statkit.losses.specific_part` alone.
        other_clip: a control: the teacher's attention on another clip of the batch.
        tam_rate: learning rate of the temporal module; None, the configuration's.
        size: size to which LR frames are enlarged: None, the configuration's; "hr", the
            teacher's; "half", half of the teacher's; "lr", no enlargement.
        small_stem: no striding before the first block.
        fused_rows: rows whose class probabilities are averaged; nothing is trained.
    """

    title: str
    weights: tuple[float, float, float] = (1.0, 0.0, 0.0)
    input: str = "lr"
    block_weights: str | tuple[tuple[float, ...], ...] = "equal"
    epoch_factor: float = 1
    max_epochs: int | None = None
    start: str | None = None
    kd: float = 0.0
    confident: bool = False
    power: int | None = None
    distance: str | None = None
    size: str | None = None
    small_stem: bool = False
    fused_rows: tuple[str, ...] = ()
    specific: bool = False
    other_clip: bool = False
    tam_rate: float | None = None
    teacher: str = "teacher"

    @property
    def transfers(self) -> bool:
        """Whether the row uses a teacher."""
        return self.weights[1] + self.weights[2] + self.kd > 0

    @property
    def copies_tam(self) -> bool:
        """Whether the temporal module starts as a copy of the teacher's."""
        return self.transfers or self.start == TEACHERS_TAM

    @property
    def labelled(self) -> bool:
        """Whether the row uses labels; the unlabelled stage (Section 3.3.1) uses none."""
        return self.weights[0] > 0

    def before(self, rows: Mapping[str, Row]) -> Row | None:
        """The row that this row starts from; None if there is none."""
        return None if self.start in (None, SCRATCH, TEACHERS_TAM) else rows[self.start]

    def chain(self, rows: Mapping[str, Row]) -> list[Row]:
        """This row, the row that it starts from, and so on to the first row."""
        before = self.before(rows)
        return [self, *(before.chain(rows) if before else [])]


def _read() -> dict[str, Row]:
    """The rows of ``rows.toml``, which has weights as in the paper: "1/3-1/3-1/3"."""
    rows = tomllib.loads(Path(__file__).with_name("rows.toml").read_text("utf-8"))
    for fields in rows.values():
        if "weights" in fields:
            parts = fields["weights"].split("-")
            fields["weights"] = tuple(int(w) if w.isdigit() else float(Fraction(w)) for w in parts)
        fields["fused_rows"] = tuple(fields.get("fused_rows", ()))
    return {name: Row(**fields) for name, fields in rows.items()}


ROWS = _read()


def staged(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The rows with the paper's stage two, which continues from the single model: a transfer row
    without a ``start`` starts from the trained plain student of the same input, size and stem."""

    def kind(row: Row) -> tuple:
        return row.input, row.size, row.small_stem

    plain = {}
    for name, row in rows.items():
        if not (row.transfers or row.start or row.fused_rows or row.input == "hr"):
            plain.setdefault(kind(row), name)
    return {
        name: replace(row, start=plain.get(kind(row)))
        if row.transfers and row.start is None
        else row
        for name, row in rows.items()
    }


PROBES = {
    "linear_probe_hr": "Linear probe (HR)",
    "linear_probe": "Linear probe",
    "pixel_probe": "Linear probe on the pixels of one LR frame",
}
TITLES = {name: row.title for name, row in ROWS.items()} | PROBES

TABLE_3 = ("teacher", "student", "sat", "tat", "stat")
