"""Folders of short films, in many codecs, for the tests of what people bring."""

import numpy as np
from hostile import pictures, write

CODECS = {".wmv": "wmv2", ".flv": "flv1", ".gif": "gif", ".mpg": "mpeg2video", ".webm": "libvpx"}


def clip(path, number=0):
    """A short film, another one for each number, in a codec that its suffix is used with."""
    codec = CODECS.get(path.suffix.lower(), "mpeg4")
    frames = np.roll(pictures(9 + number % 3, (24, 32)), number, axis=2)
    container = "mp4" if path.suffix.lower() in (".m4v", ".mp4") else None
    return write(path, frames, codec, "rgb8" if codec == "gif" else "yuv420p", container=container)


def fill(root, *names):
    for number, name in enumerate(names):
        clip(root / name, number)


def each(form, classes=("wave", "jump"), count=3):
    return [form.format(c=c, k=k) for c in classes for k in range(1, count + 1)]


def class_folders(root):
    fill(root, *each("{c}/{k}.mp4"))
