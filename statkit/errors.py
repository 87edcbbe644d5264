"""The errors that a user, a disk or a neighbour can cause; every other exception is a fault of the
kit, and shows its traceback."""

from __future__ import annotations


class StatkitError(ValueError):
    """Its message names what came in and what to do. The command line and notebooks print it as
    one line."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]
