"""Video files become frames: the decoder and the functions that everything else reads through."""

from .files import probe, read_frames, write_video
from .film import Film, VideoError, VideoInfo

__all__ = ["Film", "VideoError", "VideoInfo", "probe", "read_frames", "write_video"]
