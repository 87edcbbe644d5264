"""Sliders and live pictures for the notebooks."""

from .controls import Choice, Shares, Slider, Toggle
from .explorer import Explorer, explore
from .picture import render

__all__ = ["Choice", "Explorer", "Shares", "Slider", "Toggle", "explore", "render"]
