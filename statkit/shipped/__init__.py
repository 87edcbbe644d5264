"""Package data of the kit: runs (CSV files with one line per run), and trained networks with a
manifest, so that a lesson can show them immediately."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np

from statkit.errors import StatkitError

SHIPPED = Path(__file__).parent
MANIFEST = SHIPPED / "networks.json"


@cache
def manifest() -> dict[str, dict]:
    """The shipped networks, by the name of their run
    (:func:`statkit.experiments.runs.run_name`): settings, seed, data fingerprint, result, history
    of the training, revision and command that made them, and the sha256 of their file."""
    return json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.is_file() else {}


def shipped_weights(name: str) -> dict[str, np.ndarray]:
    """The state of a shipped network, by parameter: float32, or int64 for counters; StatkitError if
    the file does not match the manifest."""
    file = SHIPPED / f"{name}.npz"
    if hashlib.sha256(file.read_bytes()).hexdigest() != manifest()[name]["sha256"]:
        raise StatkitError(f"{file} is damaged: install the kit again, or train with fresh=True")
    with np.load(file) as state:
        # All parameters are fields of one array in the newer files, which are smaller by this.
        fields = state["state"] if state.files == ["state"] else state
        names = state.files if fields is state else fields.dtype.names
        return {name: unpack(fields[name]) for name in names}


def pack(values: np.ndarray) -> np.ndarray:
    """A parameter in its stored form. A matrix or kernel is stored as float16, rounded to 8 bits
    after the leading bit: finer than bfloat16, the format in which networks can run. High and low
    bytes are separate, uint8 ``[2, *shape]``, because they compress better."""
    if values.ndim < 2:
        return values
    bits = values.astype(np.float16).view(np.uint16)
    rounded = (bits.astype(np.uint32) + 2) // 4 * 4
    return np.stack([rounded >> 8, rounded & 255]).astype(np.uint8)


def unpack(stored: np.ndarray) -> np.ndarray:
    """The inverse of :func:`pack`, as float32."""
    if stored.dtype != np.uint8:
        return stored
    bits = stored.astype(np.uint16)
    return (bits[0] << 8 | bits[1]).view(np.float16).astype(np.float32)
