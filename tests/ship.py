"""Make anew the networks that ship with the kit: ``python -m tests.ship`` takes trained demo
networks from the cache, rounds them, measures them once more, and writes them with a manifest.

Networks that the cache lacks are named with the command that trains them, and what ships of them
now is kept if it still fits.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from data_prep import open_dataset
from data_prep.demo import Clip, film
from statkit.experiments import Experiment
from statkit.experiments.measure import measure
from statkit.experiments.rows import ROWS
from statkit.experiments.runs import run_name
from statkit.experiments.settings import DEMO
from statkit.lowres import to_low_res
from statkit.models import build_model
from statkit.runtime.cache import REPOSITORY
from statkit.shipped import MANIFEST, SHIPPED, manifest, pack, unpack

SEED = 0
CHECKED = [
    Clip("WaveOneHand", 1, 1),
    Clip("Walk", 2, 1),
]  # any two clips that are drawn again at once
ROUNDING = 1.0  # percentage points of prec@1 that rounding may cost
ROOM = 6e6  # bytes of all networks together


def wanted():
    """What the lessons show first: (settings, rows, the command that trains them). Ten networks
    have room; the students with few labels of lesson 8 are trained there."""
    train = "statkit train --seeds 0 --rows"
    rows = ["teacher", "student", "sat", "tat", "stat", "stat_rc", "ut"]
    yield DEMO, rows, f"{train} {' '.join(rows)}"
    coarse = replace(DEMO, frames=replace(DEMO.frames, lr_size=(6, 8)))
    yield coarse, ["student", "stat"], f"{train} student stat --lr-size 6x8"


def settings_of(entry):
    """The settings of a manifest's entry, in terms of what the demo's default settings are now."""
    frames = replace(DEMO.frames, lr_size=tuple(entry["lr_size"]))
    more = {name: entry[name] for name in ("labelled", "student_epochs")}
    return replace(DEMO, frames=frames, **more)


def name_now(entry):
    """The name that the entry's run has with the code and the settings of today."""
    about = {"clips": entry["data_fingerprint"]}
    return run_name(entry["row"], ROWS, settings_of(entry), entry["seed"], **about)


def outputs_now(entry, state):
    """Logits ``[2, classes]`` of the network on two clips that are drawn here: they change with
    the clips, the camera, the network and its weights."""
    config, row = settings_of(entry), ROWS[entry["row"]]
    clips = [film(clip, SEED, 16, config.frames.hr_size)[0][1::2] for clip in CHECKED]
    if row.input != "hr":
        clips = [to_low_res(clip, config.frames.lr_size) for clip in clips]
    frames = torch.from_numpy(np.stack(clips)).permute(0, 1, 4, 2, 3).float().flatten(0, 1) / 255
    frames = torch.nn.functional.interpolate(frames, config.frames.hr_size, mode="bilinear")
    network = build_model(config.backbone, len(state["head.bias"])).eval()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    with torch.no_grad():
        return network(frames.unflatten(0, (2, -1))).logits.numpy()


def ship(dataset, config, row, command):
    """The manifest's entry of a network of the cache and its file; None if the cache lacks it."""
    experiment = Experiment(dataset, config, SEED, fresh=True, progress=False)
    if not experiment.trained(row):
        return None
    state = experiment.network(row).state_dict()
    packed = {name: pack(values.cpu().numpy()) for name, values in state.items()}
    rounded = {name: unpack(values) for name, values in packed.items()}
    kept, run = experiment.result(row), experiment.run(row)
    tensors = {name: torch.from_numpy(values) for name, values in rounded.items()}
    experiment.network(row).load_state_dict(tensors)
    found = measure(experiment, row, [run])
    if abs(found.prec1 - kept.prec1) > ROUNDING:
        raise SystemExit(f"{row}: prec@1 {found.prec1:.2f} rounded, {kept.prec1:.2f} before")
    name = experiment.folder(row).name
    file = SHIPPED / f"{name}.npz"
    np.savez_compressed(file, **packed)
    entry = {
        "row": row,
        "seed": SEED,
        "lr_size": config.frames.lr_size,
        "labelled": config.labelled,
        "student_epochs": config.student_epochs,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "prec1_before_rounding": kept.prec1,
        "revision": revision(),
        "command": command,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "seconds": run["seconds"],
        "device": run["device"],
        "result": asdict(found),
        "history": [{k: round(v, 5) for k, v in epoch.items()} for epoch in run["history"]],
    }
    entry["outputs"] = outputs_now(entry, rounded).round(4).tolist()
    print(f"{name}: prec@1 {kept.prec1:.1f}, rounded {found.prec1:.1f}")
    return name, entry


def revision():
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    dataset, entries, missing = open_dataset("demo"), {}, []
    for config, rows, command in wanted():
        for row in rows:
            found = ship(dataset, config, row, command)
            if found is None:
                missing.append((row, command))
            else:
                entries[found[0]] = found[1]
    for name, entry in manifest().items():
        if name_now(entry) == name:
            entries.setdefault(name, entry)
    for file in SHIPPED.glob("*.npz"):
        if file.stem not in entries:
            file.unlink()
    MANIFEST.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")
    size = sum(Path(SHIPPED / f"{name}.npz").stat().st_size for name in entries)
    print(f"{len(entries)} networks ship, {size / 1e6:.2f} MB")
    for row, command in missing:
        print(f"not in the cache: {row} ({command})")
    return int(size > ROOM)


if __name__ == "__main__":
    sys.exit(main())
