"""Errors that a user, a disk, a network or another program can cause are shown as one line. Every
other exception is a fault of the kit and shows its traceback."""

import errno
from concurrent.futures import BrokenExecutor

FULL = (errno.ENOSPC, errno.EDQUOT)
WRONG_KIND = {
    errno.EISDIR: "a folder, where a file is needed",
    errno.EEXIST: "a file, where a folder is needed",
    errno.ENOTDIR: "a file, where a folder is needed",
}
MEMORY = (
    "not enough memory: use a smaller batch_size or frame size, fewer workers, or another device"
)


class StatkitError(ValueError):
    """The message names the input and what to do. The command line and notebooks print this
    error as one line."""

    def _render_traceback_(self) -> list[str]:
        """The text that IPython prints instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


def in_one_line(error: BaseException) -> str | None:
    """The message that the user sees for an error; None for a fault of the kit."""
    if isinstance(error, StatkitError | FloatingPointError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in FULL:
            advice = "delete some files, or set STATKIT_CACHE to another disk"
            return f"{place}the disk is full; {advice}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{place}{str(error.strerror).lower()}; name a place that you may use"
        if error.errno in WRONG_KIND:
            return f"{place}{WRONG_KIND[error.errno]}; name another place"
        return f"{place}{error.strerror or error}"
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return MEMORY
    if isinstance(error, RuntimeError) and "can't allocate memory" in text:
        return MEMORY
    writing = ("PytorchStreamWriter failed", "unexpected pos")  # of torch.save, which hides why
    if isinstance(error, RuntimeError) and any(words in text for words in writing):
        return "the network could not be written: the disk is full or cannot be written"
    if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":
        return "a worker process was ended from outside, most often for want of memory: use fewer"
    return None


def one_line_in_notebooks() -> None:
    """Let this notebook show the errors of :func:`in_one_line` as one line; do nothing outside a
    notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return

    def show(shell, kind, error, trace, tb_offset=None) -> None:
        line = in_one_line(error)
        if line and not isinstance(error, StatkitError):
            error._render_traceback_ = lambda: [f"{kind.__name__}: {line}"]
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((Exception,), show)
