"""Optical flow of the low-resolution frames: the second stream of Table 4, computed only from
the 12x16 frames."""

import numpy as np

VERSION = 1  # of the pictures: a change makes stored flow anew
ENLARGE = 4  # Farneback's windows are larger than a 12x16 frame
REACH = 4.0  # LR pixels of motion between two stored frames that fill the 8 bits


def flow_frames(frames: np.ndarray) -> np.ndarray:
    """Dense flow (Farneback) from each LR frame, uint8 ``[T, h, w, 3]``, to the next, as pictures
    for a normal 2-D network, of the same type and shape: motion to the right, motion down (128 is
    none, 255 is ``REACH`` LR pixels), and speed (0 is none). The last frame repeats the previous
    motion; a single frame has no motion."""
    import cv2

    height, width = frames.shape[1:3]
    size = (width * ENLARGE, height * ENLARGE)
    grey = [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_CUBIC)
        for frame in frames
    ]
    pictures = []
    for before, after in zip(grey, grey[1:], strict=False):
        motion = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 2, 11, 3, 7, 1.5, 0)
        motion = cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA) / ENLARGE
        speed = np.linalg.norm(motion, axis=-1, keepdims=True)
        shown = np.concatenate([128 + 127 * motion / REACH, 255 * speed / REACH], -1)
        pictures.append(np.rint(shown).clip(0, 255).astype(np.uint8))
    if not pictures:
        pictures = [np.full((height, width, 3), (128, 128, 0), np.uint8)]
    return np.stack([*pictures, pictures[-1]][: len(frames)])
