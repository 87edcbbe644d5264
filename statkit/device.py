"""Where to compute and how precisely: decided here and nowhere else."""

from __future__ import annotations

import torch

PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device(name: str = "auto") -> torch.device:
    """A torch device by name; "auto" takes a CUDA GPU, else Apple's MPS, else the CPU.

    Raises:
        ValueError: a device that this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA GPU is available here; use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("Apple's MPS is not available here; use --device cpu")
    return device


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """Mixed precision where it helps: bfloat16 on GPUs and CPUs (AMX) that have units for it,
    float32 elsewhere.

    The attention maps and the losses are computed in float32 either way.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r} is not one of {PRECISIONS}")
    if precision == "auto":
        precision = "bfloat16" if _has_bfloat16_units(device) else "float32"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _has_bfloat16_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
