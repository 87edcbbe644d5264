"""Make anew the networks that ship with the kit: ``python -m tests.ship`` takes trained demo
networks from the cache, rounds them, measures them once more, and writes them with a manifest.

Networks that the cache lacks are named with the command that trains them, and what ships of them
now is kept if it still fits.

``python -m tests.ship --motion 0 1 2`` leaves the 2-D networks as they are. It also measures what
the cache holds of the 3-D network and of two streams with these seeds (Tables 3 and 4), and writes
``demo_motion.csv`` and ``CLAIMS.md``.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from data_prep import open_dataset
from data_prep.film import Clip, film
from statkit.cli.commands import main as statkit
from statkit.data.flow import flow_frames
from statkit.experiments import Experiment
from statkit.experiments.grid import TABLES
from statkit.experiments.presets import ALL_PARTS
from statkit.experiments.results import write_results
from statkit.experiments.rows import ROWS
from statkit.experiments.runs import run_name, student_size
from statkit.experiments.settings import DEMO, DEMO_3D
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
    """What the lessons show first: (settings, rows, the command that trains them). There is
    no room for more; the students with few labels of lesson 8 are trained there."""
    train = "statkit train --seeds 0 --rows"
    rows = ["teacher", "student", "sat", "tat", "stat", "stat_rc", "ut"]
    yield DEMO, rows, f"{train} {' '.join(rows)}"
    coarse = replace(DEMO, frames=replace(DEMO.frames, lr_size=(6, 8)))
    yield coarse, ["student", "stat"], f"{train} student stat --lr-size 6x8"
    rows = ["stat", "flow_stat"]
    flags = "--backbone demo_r2plus1d --student-size 36x48 --epochs 20"
    yield DEMO_3D, rows, f"{train} {' '.join(rows)} {flags}"


def settings_of(entry):
    """The settings of a manifest's entry, in terms of what the demo's default settings are now."""
    frames = replace(DEMO.frames, lr_size=tuple(entry["lr_size"]))
    more = {name: entry[name] for name in ("labelled", "student_epochs")}
    start = DEMO_3D if entry["result"]["backbone"] == DEMO_3D.backbone else DEMO
    return replace(start, frames=frames, **more)


def name_now(entry):
    """The name that the entry's run has with the code and the settings of today."""
    about = {"clips": entry["data_fingerprint"]}
    return run_name(entry["row"], ROWS, settings_of(entry), entry["seed"], **about)


def outputs_now(entry, state):
    """Logits ``[2, classes]`` of the network on two clips that are drawn here: they change with
    the clips, the camera, the network and its weights."""
    config, row = settings_of(entry), ROWS[entry["row"]]
    network = build_model(config.backbone, len(state["head.bias"])).eval()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    clips = [film(clip, SEED, 16, config.frames.hr_size)[0] for clip in CHECKED]
    clips = clips if network.temporal else [clip[1::2] for clip in clips]
    if row.input != "hr":
        clips = [to_low_res(clip, config.frames.lr_size) for clip in clips]
    if row.input == "flow":
        clips = [flow_frames(clip) for clip in clips]
    frames = torch.from_numpy(np.stack(clips)).permute(0, 1, 4, 2, 3).float().flatten(0, 1) / 255
    frames = torch.nn.functional.interpolate(frames, student_size(config), mode="bilinear")
    frames = frames.unflatten(0, (2, network.segments, -1))
    frames = frames.transpose(2, 3) if network.temporal else frames.squeeze(2)
    with torch.no_grad():
        return network(frames).logits.numpy()


def ship_motion(dataset, seeds):
    """Write the results of Tables 3 and 4 of the 3-D network from the cache's runs, and the claims;
    what the cache lacks is told."""
    results, missing = [], []
    for table, rows in (("3", ALL_PARTS), ("4", TABLES["4"].rows)):
        for seed in seeds:
            experiment = Experiment(dataset, DEMO_3D, seed, fresh=True, progress=False)
            for row in rows:
                if all(map(experiment.trained, ROWS[row].fused_rows or (row,))):
                    results.append(replace(experiment.result(row), table=table))
                else:
                    missing.append(f"{row} with seed {seed}")
    write_results(SHIPPED / "demo_motion.csv", results)
    print(f"{len(results)} results; not in the cache: {', '.join(missing) or 'none'}")
    statkit(["claims"])
    claims = (REPOSITORY / "CLAIMS.md").read_text("utf-8").splitlines()
    print("README.md repeats these numbers:", *(line for line in claims if "were tested" in line))


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
    found = experiment.measure(row)
    if abs(found.prec1 - kept.prec1) > ROUNDING:
        raise SystemExit(f"{row}: prec@1 {found.prec1:.2f} rounded, {kept.prec1:.2f} before")
    name = experiment.folder(row).name
    file = SHIPPED / f"{name}.npz"
    write(file, packed)
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


def write(file, packed):
    """One array with a field per parameter, LZMA: a tenth smaller than ``savez_compressed``."""
    order = sorted(packed, key=lambda key: packed[key].ndim)
    kinds = [(name, packed[name].dtype, packed[name].shape) for name in order]
    state = np.zeros((), kinds)
    for name in order:
        state[name] = packed[name]
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA)
    with archive, archive.open("state.npy", "w") as target:
        np.lib.format.write_array(target, state)


def revision():
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--motion", nargs="+", type=int, metavar="SEED", default=())
    options = parser.parse_args()
    dataset, entries, missing = open_dataset("demo"), {}, []
    for config, rows, command in wanted():
        for row in rows if config == DEMO_3D or not options.motion else ():
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
    if options.motion:
        ship_motion(dataset, options.motion)
    return int(size > ROOM)


if __name__ == "__main__":
    sys.exit(main())
