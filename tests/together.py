"""Trains a few small networks, alone or as one of several processes that Accelerate starts:

accelerate launch --cpu --num_processes 2 tests/together.py CLIPS OUT
"""

import os
import sys
from pathlib import Path

import torch

from data_prep import index_folder
from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.losses import STATLoss
from statkit.models import build_model
from statkit.recipes import Recipe
from statkit.runtime.distributed import processes
from statkit.teacher import LiveTeacher
from statkit.training import train_transfer

SIZE = (24, 32)
# Batches of 23, 23 and 2 of 48 clips: slices that are not equal, and fewer clips than processes.
COMMON = {"epochs": 2, "batch_size": 23, "precision": "float32"}
CASES = {
    "all losses": (
        Recipe(**COMMON, optimizer="sgd", rate=0.05, clip_norm=0.5),
        STATLoss(0.25, 0.25, 0.25, kd=0.25, confident=True),
    ),
    "no labels": (Recipe(**COMMON, batchnorm="partial"), STATLoss(0, 0.5, 0.5)),
}


def new_network(seed):
    torch.manual_seed(seed)
    return build_model("demo", 12)


def train_all(folder):
    """The weights and the history of every case."""
    torch.set_num_threads(1)
    dataset = index_folder(folder, progress=False)
    store = store_frames(dataset, FrameSettings(hr_size=SIZE), progress=False)
    teacher = LiveTeacher(new_network(9), Source(store.hr, SIZE), precision="float32")
    found = {}
    for name, (recipe, loss) in CASES.items():
        # Only the main process's start counts.
        student = new_network(int(os.environ.get("RANK", 0)))
        student.tam.load_state_dict(teacher.network.tam.state_dict())
        source, clips = Source(store.lr, SIZE), dataset.split(1).train
        history = train_transfer(
            student, source, store, clips, recipe, teacher, loss, device="cpu", progress=False
        )
        found[name] = student.state_dict(), history.epochs
    return found


if __name__ == "__main__":
    clips, out = sys.argv[1:]
    found = train_all(clips)
    found["processes"] = processes()
    torch.save(found, Path(out) / f"{os.environ['RANK']}.pt")
