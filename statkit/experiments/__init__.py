"""Rows of the paper's tables as runs, grids of runs, their results, and the claims they test."""

from .experiment import Experiment

__all__ = ["Experiment"]
