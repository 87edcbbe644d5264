"""Frames of video files: the decoder, and the functions that all other modules use to read."""

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
