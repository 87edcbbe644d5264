"""What the options of a command choose: data, configuration, rows."""

import shlex
from dataclasses import replace

import numpy as np

from data_prep import DEMO_SIZES, generated_set, open_dataset
from statkit.backbones import find_weights
from statkit.data.clips import DatasetError, VideoDataset
from statkit.experiments.plan import imagined_dataset
from statkit.experiments.presets import PRESETS, starting_config, with_frames_for_network
from statkit.experiments.rows import TABLE_3
from statkit.experiments.settings import PARTS, ExperimentConfig
from statkit.runtime.distributed import main_first
from statkit.runtime.parameters import parameters_of, pasted_path


def chosen_dataset(options) -> VideoDataset:
    """The data set of the command, or a placeholder for a plan of clips that are not here."""
    if getattr(options, "clips", None) and options.plan:
        return imagined_dataset(options.clips, options.classes or 2)
    base = options.data.partition(":")[0]
    if getattr(options, "plan", False) and base in DEMO_SIZES and not options.lists:
        return planned_clips(options.data)
    with main_first():
        return open_dataset(options.data, lists=options.lists)


def planned_clips(source: str) -> VideoDataset:
    """Generated clips if they are here; otherwise a placeholder, so that a plan draws none."""
    folder, card = generated_set(source)
    if "knobs" not in card or (folder / "truth.npz").is_file():
        return open_dataset(source)
    classes = len(card["actions"])
    made = imagined_dataset(card["train"], classes, test=card["test"], name=folder.name)
    lengths = np.full(len(made), card["frames"])
    return replace(made, generated=True, num_frames=lengths, splits={1: made.splits[1]})


def chosen_config(options, dataset: VideoDataset) -> ExperimentConfig:
    """The configuration of the preset or the data set, changed by the options."""
    asked = {name: getattr(options, name) for name in ("preset", "recipe", "backbone")}
    config = starting_config(dataset, **asked)
    config = with_given(options, config, "pretrained", "student_pretrained")
    config = replace(config, **{n: with_given(options, getattr(config, n)) for n in PARTS})
    if not options.plan:  # raise the error before the frames are read
        for pretrained in (config.pretrained, config.student_pretrained):
            find_weights(config.backbone, pretrained or False)
    if options.frames_per_clip is None and options.consecutive is None:
        config = with_frames_for_network(config, dataset)
    return config


def chosen_rows(options) -> tuple[str, ...]:
    """The requested rows, the preset's rows, or the first rows of Table 3."""
    return options.rows or (PRESETS[options.preset].rows if options.preset else TABLE_3)


def with_given(options, part, *more: str):
    """A part of a configuration with the fields that the command line gives: the declared fields,
    and ``more`` by name."""
    given = {name: vars(options).get(name) for name in (*parameters_of(type(part)), *more)}
    return replace(part, **{n: v for n, v in given.items() if v not in (None, "all")})


def experiment_options(options) -> dict:
    """The arguments of an experiment other than its configuration."""
    unlabelled = None
    if options.unlabelled:
        with main_first():
            unlabelled = _unlabelled(options.unlabelled)
    given = {name: getattr(options, name) for name in ("live_teacher", "micro_batch", "device")}
    return {"unlabelled": unlabelled, **given}


def _unlabelled(source: str) -> VideoDataset:
    """The clips of the unlabelled stage, in any form that other clips may have."""
    try:
        return open_dataset(source)
    except DatasetError as error:
        if not pasted_path(source).is_dir():
            raise
        raise DatasetError(
            f"{error}; clips without class folders are prepared first: statkit prepare unlabelled "
            f"--source {shlex.quote(source)} --out FOLDER, and then --unlabelled FOLDER"
        ) from error
