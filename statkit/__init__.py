"""Recognising what people do in video of 12x16 pixels, by spatial-temporal attention transfer.

These modules hold the paper's method, one idea per module; the name of every other folder tells
its task. ``statkit/README.md`` lists the module of each equation, figure and table.
"""

__version__ = "0.2.0"
