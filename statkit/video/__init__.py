"""Video files become frames: the decoder and the functions that everything else reads through."""

from .files import probe, read_frames, write_video
from .film import VideoDecoder, VideoError, VideoInfo

__all__ = ["VideoDecoder", "VideoError", "VideoInfo", "probe", "read_frames", "write_video"]
