"""The choice of device and precision; only this module makes the choice."""

import os
import platform
import re
from pathlib import Path

import numpy as np
import torch

from statkit.errors import StatkitError

from .distributed import own_device
from .processes import processes

DEVICES = r"auto|cpu(:\d+)?|mps(:\d+)?|cuda(:\d+)?"  # a launcher names the CPU cpu:0
PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device(name: str = "auto") -> torch.device:
    """A torch device by name; "auto" takes a CUDA GPU, else Apple's MPS, else the CPU. If several
    processes train together, each uses the device that the launcher gave it. StatkitError if this
    machine does not have the device, or the launcher gave another."""
    if not re.fullmatch(DEVICES, str(name)):
        raise StatkitError(f"device is auto, cpu, cuda, cuda:N or mps, got {name!r}")
    own = own_device()
    if own is not None:
        if name != "auto" and torch.device(name).type != own.type:
            raise StatkitError(f"the launcher gave this process {own}; leave --device {name} out")
        return own
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise StatkitError("no CUDA GPU is available here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise StatkitError(f"there is no {name} here, only {torch.cuda.device_count()} CUDA GPUs")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise StatkitError("Apple's MPS is not available here; use --device cpu")
    return device


def autocast(
    device: torch.device, precision: str = "auto", *, temporal: bool = False
) -> torch.autocast:
    """Mixed precision where it helps, see :func:`uses_bfloat16`.

    The attention maps and the losses are always computed in float32, and so are 3-D networks
    (``temporal``) on the CPU: PyTorch 2.15's bfloat16 gradient on the CPU is uninitialised memory
    for a convolution over two time steps, and five frames become two steps in the third block.
    """
    enabled = uses_bfloat16(device, precision) and not (temporal and device.type == "cpu")
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def uses_bfloat16(device: torch.device, precision: str = "auto") -> bool:
    """Whether networks run in bfloat16: "auto" uses it on GPUs and CPUs with bfloat16 units (AMX,
    AVX-512), and float32 elsewhere."""
    if precision not in PRECISIONS:
        raise StatkitError(f"precision {precision!r} is not one of {PRECISIONS}")
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def host_tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """The values in this machine's memory; pinned for a GPU, so that the copy to the GPU runs in
    parallel with the computation."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory() if device.type == "cuda" and torch.cuda.is_available() else tensor


def fits_on(device: torch.device, nbytes: int) -> bool:
    """Whether a GPU can store ``nbytes`` permanently: at most a quarter of its free memory."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return False
    return 4 * nbytes <= torch.cuda.mem_get_info(device)[0]


def memory_of(device: torch.device) -> int | None:
    """Bytes of a GPU's memory, or of this machine's memory; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    known = hasattr(os, "sysconf") and device.type == "cpu"
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else None


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that a GPU's, or this machine's, memory is too small."""
    said = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in said)


def device_name(device: torch.device) -> str:
    """The device's name for a report: the GPU's name, or the processor's name and its threads; with
    the number of processes if several train together."""
    several = f"{processes()} x " if processes() > 1 else ""
    if device.type == "cuda":
        return several + torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return "mps"
    file = Path("/proc/cpuinfo")  # Linux gives the processor's name only here
    lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{several}{name}, {torch.get_num_threads()} threads"
