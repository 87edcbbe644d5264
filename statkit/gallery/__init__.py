"""Figures saved with their arrays and parameters, notebooks run headless, and the book of both."""

from statkit.runtime.cache import save_text

from .parameters import check_parameters
from .save import save_figure, versions

__all__ = ["check_parameters", "save_figure", "save_text", "versions"]
