"""Figures saved with their arrays and parameters, notebooks run headless, and the book of both."""

from .save import save_figure, save_text, versions

__all__ = ["save_figure", "save_text", "versions"]
