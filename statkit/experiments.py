"""The rows of the paper's tables as runs: one teacher a seed, what it said of the training clips
kept once, and a student a row. A finished run is kept and never done twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from .cache import cache_folder, fingerprint, write_atomically
from .datasets import FrameSettings, FrameStore, Source, VideoDataset, store_frames
from .device import pick_device
from .evaluation import Evaluation, Look, evaluate, linear_probe, look_at
from .losses import STATLoss
from .models import STATNet, build_model
from .results import Result
from .targets import KeptTargets, LiveTeacher, Teacher
from .training import RECIPES, Recipe, train_single, train_transfer
from .views import VIEWS


@dataclass(frozen=True)
class Row:
    """One way to train: a row of Table 3, or a baseline beside it.

    Attributes:
        title: as figures and tables print it.
        weights: W_CE, W_SAT, W_TAT of Equation 4.
        side: "hr" for the teacher, "lr" for students.
        longer: how many times the setting's epochs.
        views: how many views to draw from, if not as the setting's recipe says.
        start: row whose trained weights this one starts from, as the paper's second stage does;
            from nothing (or the pretrained backbone) when None.
    """

    title: str
    weights: tuple[float, float, float] = (1.0, 0.0, 0.0)
    side: str = "lr"
    longer: int = 1
    views: int | None = None
    start: str | None = None

    @property
    def transfers(self) -> bool:
        return self.weights[1] + self.weights[2] > 0


ROWS = {
    "teacher": Row("Teacher (HR)", side="hr"),
    "student": Row("Student"),
    "student_converged": Row("Student, 3x epochs", longer=3),
    "student_crops": Row("Student, 3x epochs, crops", longer=3, views=len(VIEWS)),
    "sat": Row("SAT", (1 / 2, 1 / 2, 0)),
    "tat": Row("TAT", (1 / 2, 0, 1 / 2)),
    "stat": Row("SAT+TAT", (1 / 3, 1 / 3, 1 / 3)),
    "stat_crops": Row(
        "SAT+TAT, 3x epochs, crops", (1 / 3, 1 / 3, 1 / 3), longer=3, views=len(VIEWS)
    ),
    "stat_staged": Row("SAT+TAT after Student", (1 / 3, 1 / 3, 1 / 3), start="student"),
    "stat_converged": Row("SAT+TAT, 3x epochs", (1 / 3, 1 / 3, 1 / 3), longer=3),
}
PROBES = {"linear_probe_hr": "Linear probe (HR)", "linear_probe": "Linear probe"}
TITLES = {row: kind.title for row, kind in ROWS.items()} | PROBES
TABLE_3 = ("teacher", "student", "sat", "tat", "stat")


@dataclass(frozen=True)
class Setting:
    """All that a run depends on besides its row, its seed and the clips.

    Attributes:
        backbone: a name of ``statkit.models.MODELS``; changing the network is changing this.
        segments: K; the backbone's own when None.
        frames: how stored frames are made, see :class:`statkit.datasets.FrameSettings`.
        student_size: the size that LR frames are enlarged to; the teacher's when None.
        pretrained: as in :func:`statkit.models.build_model`.
        recipe: for teacher and students alike.
        split: number of the official split.
    """

    backbone: str = "demo"
    segments: int | None = None
    frames: FrameSettings = field(default_factory=FrameSettings)
    student_size: tuple[int, int] | None = None
    pretrained: bool | str = False
    recipe: Recipe = RECIPES["quick"]
    split: int = 1


DEMO = Setting(student_size=(36, 48))
REAL = Setting(
    backbone="resnet18",
    segments=4,
    frames=FrameSettings(hr_size=(112, 149)),
    pretrained=True,
    recipe=RECIPES["finetune"],
)


def default_setting(dataset: VideoDataset, *, epochs: int | None = None) -> Setting:
    """The demo network for generated clips, a fine-tuned ImageNet ResNet-18 for real ones."""
    setting = DEMO if dataset.generated else REAL
    if epochs is None:
        return setting
    return replace(setting, recipe=replace(setting.recipe, epochs=epochs))


class Experiment:
    """One setting on one data set with one seed; its rows on demand.

    Args:
        dataset, setting, seed: what it is.
        device: see :func:`statkit.device.pick_device`.
        progress: whether to show bars.
    """

    def __init__(
        self,
        dataset: VideoDataset,
        setting: Setting = DEMO,
        seed: int = 0,
        *,
        device: str = "auto",
        progress: bool = True,
    ):
        self.dataset, self.setting, self.seed = dataset, setting, seed
        self.device, self.progress = pick_device(device), progress
        self.split = dataset.split(setting.split)
        self._networks: dict[str, STATNet] = {}
        self._teachers: dict[int, Teacher] = {}
        self._looks: dict[tuple[str, int], Look] = {}

    @cached_property
    def store(self) -> FrameStore:
        return store_frames(self.dataset, self.setting.frames, progress=self.progress)

    def source(self, row: str) -> Source:
        """The pixels that a row's network sees."""
        frames = self.setting.frames
        if ROWS[row].side == "hr":
            return Source(self.store.hr, frames.hr_size)
        return Source(self.store.lr, self.setting.student_size or frames.hr_size)

    def network(self, row: str, *, on_epoch: Callable | None = None) -> STATNet:
        """The row's trained network in evaluation mode: trained now, or as kept."""
        if row not in self._networks:
            if not self._weights(row).is_file():
                self._train(row, on_epoch)
            network = self._new(row, pretrained=False).to(self.device)
            state = torch.load(self._weights(row), map_location="cpu", weights_only=True)
            network.load_state_dict(state)
            self._networks[row] = network.eval()
        return self._networks[row]

    def evaluate(self, row: str) -> Evaluation:
        """The row's network on the test clips."""
        precision = self.setting.recipe.precision
        return evaluate(
            self.network(row), self.source(row), self.store, self.split.test, precision=precision
        )

    def result(self, row: str) -> Result:
        """The row's line of the table: measured now, or as kept."""
        file = self._folder(row) / "result.json"
        if not file.is_file():
            evaluation = self.evaluate(row)
            run = json.loads((self._folder(row) / "run.json").read_text())
            result = replace(
                self._result(row, ROWS[row].side, evaluation.prec1, evaluation.prec5),
                epochs=self._recipe(row).epochs,
                seconds=round(run["seconds"], 1),
                device=run["device"],
                on_actor=evaluation.on_actor and evaluation.on_actor[-1],
                in_action=evaluation.in_action,
                in_action_blind=evaluation.in_action_blind,
            )
            text = json.dumps(asdict(result), indent=1)
            write_atomically(file, lambda path: path.write_text(text))
        return Result(**json.loads(file.read_text()))

    def look(self, row: str, clip: int) -> Look:
        """The row's network looking at one clip; kept, so that a slider finds it again."""
        if (row, clip) not in self._looks:
            self._looks[row, clip] = look_at(self.network(row), self.source(row), self.store, clip)
        return self._looks[row, clip]

    def trained(self, row: str) -> bool:
        """Whether the row's network is kept from an earlier run."""
        return self._weights(row).is_file()

    def probe(self, side: str) -> Result:
        """A linear classifier on the frozen pretrained backbone: what a trained network must beat.

        Args:
            side: "hr" or "lr", whose pixels it sees.
        """
        start = time.perf_counter()
        torch.manual_seed(self.seed)
        row = "teacher" if side == "hr" else "student"
        network = self._new(row, pretrained=self.setting.pretrained).to(self.device)
        source, labels = self.source(row), self.dataset.labels
        train, test = (
            evaluate(network, source, self.store, clips).features.mean(1) for clips in self.split
        )
        prec1, prec5 = linear_probe(
            train, labels[self.split.train], test, labels[self.split.test], seed=self.seed
        )
        name = "linear_probe_hr" if side == "hr" else "linear_probe"
        seconds = round(time.perf_counter() - start, 1)
        return replace(self._result(name, side, prec1, prec5), seconds=seconds)

    def _result(self, row: str, side: str, prec1: float, prec5: float) -> Result:
        frames = self.setting.frames
        size = frames.hr_size if side == "hr" else frames.lr_size
        return Result(
            row=row,
            backbone=self.setting.backbone,
            resolution=f"{size[0]}x{size[1]}",
            seed=self.seed,
            split=self.setting.split,
            prec1=round(prec1, 3),
            prec5=round(prec5, 3),
            epochs=0,
            seconds=0.0,
            device=_device_name(self.device),
            fingerprint=self.store.fingerprint,
        )

    def teacher(self, row: str = "stat") -> Teacher:
        """The fixed teacher as a source of targets for a row.

        Kept where that is less work than looking again for each of a table's three transfer rows;
        a 3-D network always looks again.
        """
        recipe = self._recipe(row)
        if recipe.views not in self._teachers:
            self._teachers[recipe.views] = self._new_teacher(recipe)
        return self._teachers[recipe.views]

    def _new_teacher(self, recipe: Recipe) -> Teacher:
        live = LiveTeacher(
            self.network("teacher"), self.source("teacher"), precision=recipe.precision
        )
        frames_kept = recipe.views * self.store.settings.frames_per_clip
        if live.network.temporal or frames_kept > 3 * recipe.epochs * live.network.segments:
            return live
        return KeptTargets(
            live,
            self.store,
            self.split.train,
            views=recipe.views,
            map_sizes=self._student_map_sizes(),
            progress=self.progress,
        )

    def _student_map_sizes(self) -> list[tuple[int, int]]:
        network = self._new("student", pretrained=False).eval()
        size = self.source("student").size
        with torch.no_grad():
            output = network(torch.zeros(1, network.segments, 3, *size))
        return [tuple(values.shape[-2:]) for values in output.attention_maps]

    def _train(self, row: str, on_epoch: Callable | None) -> None:
        kind, folder = ROWS[row], self._folder(row)
        torch.manual_seed(self.seed)
        network = self._new(row, pretrained=self.setting.pretrained)
        if kind.start:
            network.load_state_dict(self.network(kind.start).state_dict())
        teacher = None
        if kind.transfers:
            teacher = self.teacher(row)
            network.tam.load_state_dict(self.network("teacher").tam.state_dict())
        checkpoint = folder / "checkpoint.pt"
        options = {
            "seed": self.seed,
            "device": str(self.device),
            "checkpoint": checkpoint,
            "on_epoch": on_epoch,
            "progress": self.progress,
            "label": f"{kind.title}, seed {self.seed}",
        }
        place = self.source(row), self.store, self.split.train, self._recipe(row)
        start = time.perf_counter()
        if teacher:
            loss = STATLoss(*kind.weights)
            history = train_transfer(network, *place, teacher, loss, **options)
        else:
            history = train_single(network, *place, **options)
        run = {
            "seconds": time.perf_counter() - start,
            "device": _device_name(self.device),
            "history": history.epochs,
        }
        write_atomically(folder / "run.json", lambda path: path.write_text(json.dumps(run)))
        write_atomically(self._weights(row), lambda path: torch.save(network.state_dict(), path))
        checkpoint.unlink(missing_ok=True)

    def history(self, row: str) -> list[dict[str, float]]:
        """Mean loss parts of every epoch of a row's training."""
        self.network(row)
        return json.loads((self._folder(row) / "run.json").read_text())["history"]

    def _new(self, row: str, *, pretrained) -> STATNet:
        return build_model(
            self.setting.backbone,
            len(self.dataset.classes),
            self.setting.segments,
            pretrained=pretrained,
        )

    def _recipe(self, row: str) -> Recipe:
        recipe = self.setting.recipe
        views = ROWS[row].views or recipe.views
        return replace(recipe, epochs=recipe.epochs * ROWS[row].longer, views=views)

    def _folder(self, row: str) -> Path:
        """A row's folder is named after all that its result depends on, its teacher included."""
        kind = ROWS[row]
        setting = asdict(self.setting)
        if kind.side == "hr":
            setting.pop("student_size")
        how = [kind.weights, kind.side, kind.longer, kind.views, kind.start]
        made_of = [self.dataset.fingerprint, setting, how, self.seed]
        return cache_folder("runs", f"{row}-{fingerprint(made_of)}")

    def _weights(self, row: str) -> Path:
        return self._folder(row) / "weights.pt"


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
