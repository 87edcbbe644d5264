"""The paper's own runs by name, with all published details; and the first configuration of a run:
a preset, or the default of its data set."""

from dataclasses import dataclass, replace

from statkit.backbones import MODELS
from statkit.data.clips import VideoDataset
from statkit.data.frames import FrameSettings
from statkit.recipes import RECIPES

from .rows import TABLE_3
from .settings import ExperimentConfig, PaperChoices, default_config

PAPER_HR = (256, 340)
ALL_PARTS = (*TABLE_3, "student_staged", "stat_rc", "stat_rc_ut")
TWO_STREAMS = ("teacher", "student", "flow", "two_stream", "two_stream_stat_rc_ut")


@dataclass(frozen=True)
class Preset:
    """A run of the paper: its data set, splits, table, rows and configuration."""

    dataset: str
    table: str
    rows: tuple[str, ...]
    config: ExperimentConfig
    splits: tuple[int, ...] = (1, 2, 3)


def _paper(backbone: str, segments: int, frames: int) -> ExperimentConfig:
    """Both stages with the paper's recipe; LR frames are enlarged to the teacher's 256x340."""
    stored = FrameSettings(frames_per_clip=32, hr_size=PAPER_HR)
    return ExperimentConfig(
        backbone=backbone,
        segments=segments,
        frames=stored.for_network(segments, frames),
        pretrained=True,
        recipe=RECIPES["paper"],
        staged=True,
        choices=PaperChoices(phase=10),
    )


PRESETS = {
    "paper-resnet34": Preset("UCF101", "3", ALL_PARTS, _paper("resnet34", 8, 1)),
    "paper-r2plus1d-18": Preset("UCF101", "3", ALL_PARTS, _paper("r2plus1d_18", 4, 5)),
    "paper-two-stream": Preset("HMDB51", "4", TWO_STREAMS, _paper("r2plus1d_34", 4, 16)),
}


def starting_config(
    dataset: VideoDataset,
    *,
    preset: str | None = None,
    recipe: str | None = None,
    backbone: str | None = None,
) -> ExperimentConfig:
    """A preset's configuration, or the data set's default, with another recipe or backbone.

    Another backbone uses its own K and, on real clips, its pretrained weights.
    """
    config = PRESETS[preset].config if preset else default_config(dataset)
    if recipe and RECIPES[recipe] != config.recipe:
        config = replace(config, recipe=RECIPES[recipe], student_size=None)
    if backbone and backbone != config.backbone:
        pretrained = not dataset.generated and bool(
            MODELS[backbone].weights or MODELS[backbone].wants
        )
        other = {"backbone": backbone, "pretrained": pretrained, "segments": None}
        config = replace(config, **other, student_size=None)
    return config


def with_frames_for_network(config: ExperimentConfig, dataset: VideoDataset) -> ExperimentConfig:
    """The configuration with stored frames for its network, single or consecutive; unchanged if
    whole clips are stored."""
    if dataset.num_frames.max() <= config.frames.frames_per_clip:
        return config
    network = MODELS[config.backbone]
    segments = config.segments or network.segments
    frames = config.frames.for_network(segments, network.frames_per_segment)
    return replace(config, frames=frames)
