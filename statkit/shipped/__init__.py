"""Runs that come with the kit as package data: CSV files with one line per run."""

from pathlib import Path

SHIPPED = Path(__file__).parent
