"""Video files become frames: the decoder and the functions that everything else reads through."""

from .decoder import READING, VIDEO_SUFFIXES, VideoDecoder, VideoError, VideoInfo
from .files import probe, read_frames, write_video

__all__ = [
    "READING",
    "VIDEO_SUFFIXES",
    "VideoDecoder",
    "VideoError",
    "VideoInfo",
    "probe",
    "read_frames",
    "write_video",
]
