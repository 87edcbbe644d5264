"""Training methods as data: every row of the paper's tables, and the baselines.

To add a row, add a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

THIRDS = (1 / 3, 1 / 3, 1 / 3)
SCRATCH = "scratch"


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
        max_epochs: upper limit of the number of epochs.
        start: row whose trained weights this row starts from; :data:`SCRATCH`, random weights even
            if the configuration has a pretrained backbone; None, the configuration's start.
        kd: weight of Hinton's knowledge distillation (of the logits).
        confident: whether the teacher's confidence weights each sample
            (:func:`statkit.losses.confidence_weights`).
        power, distance: of the attention maps (Equation 1) and between them (Equation 2); None,
            the configuration's choices.
        specific: whether SAT and TAT compare only what is specific to each clip
            (:func:`statkit.losses.specific_part`).
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

    @property
    def transfers(self) -> bool:
        """Whether the row uses a teacher."""
        return self.weights[1] + self.weights[2] + self.kd > 0

    @property
    def labelled(self) -> bool:
        """Whether the row uses labels; the unlabelled stage (Section 3.3.1) uses none."""
        return self.weights[0] > 0

    def before(self, rows: Mapping[str, Row]) -> Row | None:
        """The row that this row starts from; None if there is none."""
        return None if self.start in (None, SCRATCH) else rows[self.start]

    def chain(self, rows: Mapping[str, Row]) -> list[Row]:
        """This row, the row that it starts from, and so on to the first row."""
        before = self.before(rows)
        return [self, *(before.chain(rows) if before else [])]


ROWS = {
    "teacher": Row("Teacher (HR)", input="hr"),
    "student": Row("Student"),
    # Table 3.
    "sat": Row("SAT", (1 / 2, 1 / 2, 0)),
    "tat": Row("TAT", (1 / 2, 0, 1 / 2)),
    "stat": Row("SAT+TAT", THIRDS),
    "stat_rc": Row("SAT+TAT+rc", THIRDS, block_weights="rolling"),
    "ut": Row("ut alone", (0, 1 / 2, 1 / 2), max_epochs=10),
    "stat_ut": Row("SAT+TAT+ut", THIRDS, start="ut"),
    "stat_rc_ut": Row("SAT+TAT+rc+ut", THIRDS, block_weights="rolling", start="ut"),
    # Table 1: overall weights, weights of blocks and layers.
    "stat_1_4_2": Row("1/7-4/7-2/7, equal", (1 / 7, 4 / 7, 2 / 7)),
    "stat_4_1_2": Row("4/7-1/7-2/7, increasing", (4 / 7, 1 / 7, 2 / 7), block_weights="increasing"),
    "stat_increasing": Row("1/3 each, increasing", THIRDS, block_weights="increasing"),
    "stat_last": Row("1/3 each, last only", THIRDS, block_weights="last"),
    # Beyond the paper.
    "stat_confident": Row("SAT+TAT, confident", THIRDS, confident=True),
    "kd": Row("KD", (1 / 2, 0, 0), kd=1 / 2),
    "stat_kd": Row("SAT+TAT+KD", (1 / 4, 1 / 4, 1 / 4), kd=1 / 4),
    "at": Row("AT (p = 2)", (1 / 2, 1 / 2, 0), power=2, distance="sum"),
    "stat_all": Row(
        "SAT+TAT+KD+rc+ut, confident",
        (1 / 4, 1 / 4, 1 / 4),
        block_weights="rolling",
        start="ut",
        kd=1 / 4,
        confident=True,
    ),
    # What is specific to the clip: attention less its mean; sharper maps.
    "sat_specific": Row("SAT, specific", (1 / 2, 1 / 2, 0), specific=True),
    "tat_specific": Row("TAT, specific", (1 / 2, 0, 1 / 2), specific=True),
    "stat_specific": Row("SAT+TAT, specific", THIRDS, specific=True),
    "stat_p2": Row("SAT+TAT, p = 2", THIRDS, power=2),
    "stat_p4": Row("SAT+TAT, p = 4", THIRDS, power=4),
    # More epochs, or another start: fair baselines, and transfer under the same conditions.
    "student_converged": Row("Student, 3x epochs", epoch_factor=3),
    "student_longest": Row("Student, 6x epochs", epoch_factor=6),
    "stat_converged": Row("SAT+TAT, 3x epochs", THIRDS, epoch_factor=3),
    "stat_1_4_2_converged": Row("1/7-4/7-2/7, 3x epochs", (1 / 7, 4 / 7, 2 / 7), epoch_factor=3),
    "stat_staged": Row("SAT+TAT after Student", THIRDS, start="student"),
    "student_from_teacher": Row("Student from the teacher's weights", start="teacher"),
    "stat_from_teacher": Row("SAT+TAT from the teacher's weights", THIRDS, start="teacher"),
    # Without ImageNet features, which the pretrained rows share with their teacher.
    "student_scratch": Row("Student from scratch, 3x epochs", start=SCRATCH, epoch_factor=3),
    "stat_scratch": Row("SAT+TAT from scratch, 3x epochs", THIRDS, start=SCRATCH, epoch_factor=3),
    # How the 12x16 frame meets the network's strides.
    "student_native": Row("Student, 12x16 as it is", size="lr"),
    "student_stem": Row("Student, 12x16, small stem", size="lr", small_stem=True),
    "stat_stem": Row("SAT+TAT, 12x16, small stem", THIRDS, size="lr", small_stem=True),
    "student_half": Row("Student, enlarged to half of HR", size="half"),
    "stat_half": Row("SAT+TAT, enlarged to half of HR", THIRDS, size="half"),
    # The same as "student" and "stat" if the configuration has no student size.
    "student_full": Row("Student, enlarged to HR", size="hr"),
    "stat_full": Row("SAT+TAT, enlarged to HR", THIRDS, size="hr"),
    # Two streams (Table 4).
    "flow": Row("Flow", input="flow"),
    "flow_stat": Row("Flow, SAT+TAT", THIRDS, input="flow"),
    "two_stream": Row("RGB + flow", fused_rows=("student", "flow")),
    "two_stream_stat": Row("RGB + flow, SAT+TAT", fused_rows=("stat", "flow_stat")),
    "flow_ut": Row("Flow, ut alone", (0, 1 / 2, 1 / 2), input="flow", max_epochs=10),
    "flow_stat_rc_ut": Row(
        "Flow, SAT+TAT+rc+ut", THIRDS, input="flow", block_weights="rolling", start="flow_ut"
    ),
    "two_stream_stat_rc_ut": Row(
        "RGB + flow, SAT+TAT+rc+ut", fused_rows=("stat_rc_ut", "flow_stat_rc_ut")
    ),
}


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

TABLE_1 = ("stat_1_4_2", "stat_4_1_2", "stat", "stat_increasing", "stat_last", "stat_rc")
TABLE_2 = ("student", "stat")
TABLE_3 = ("teacher", "student", "sat", "tat", "stat")
