"""Recognising what people do in video of 12x16 pixels, by spatial-temporal attention transfer.

The paper's method stands here, one idea a module; every other folder is a room named after what it
does. ``statkit/README.md`` says where each equation, figure and table lives.
"""

__version__ = "0.2.0"
