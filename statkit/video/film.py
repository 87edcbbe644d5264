"""Video files: the one door through which frames enter the house.

Frames are RGB uint8 arrays ``[T, H, W, 3]`` at the file's own size, upright. Both readers decode
from the start of the file and keep what was asked for: seeking returns wrong frames on files with
packed B-frames, which UCF101 and HMDB51 are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

MAX_PIXELS = 7680 * 4320

# Containers of video. Others that the library knows are left shut: pictures, text drawn as film,
# and play lists, which open further files and addresses by themselves.
CONTAINERS = (
    "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,mpegvideo,asf,flv,ogg,gif,apng,"
    "h264,hevc,m4v,mxf,dv,nut,rm,ivf"
)
# What files of these containers are called.
VIDEO_SUFFIXES = {
    *(".avi", ".divx", ".xvid", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".flv"),
    *(".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".vob", ".ts", ".mts"),
    *(".m2ts", ".wmv", ".asf", ".ogv", ".ogm", ".gif", ".apng", ".h264", ".264", ".hevc", ".h265"),
    *(".265", ".mxf", ".dv", ".nut", ".rm", ".rmvb", ".ivf"),
}
AS_STORED = ((1, 0), (0, 1))  # where right and down of the picture point to


class VideoError(ValueError):
    """A file that cannot be read as video, or a frame that it does not have."""


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: frames that really decode, frames a second, height and width in pixels
    of the upright picture; ``note`` says what is wrong with a file that reads all the same."""

    num_frames: int
    fps: float
    height: int
    width: int
    note: str = ""


class VideoDecoder:
    """A video file being decoded once, from its start, one frame at a time.

    Args:
        path: the file.
        heartbeat: called at every packet, as a sign of life.

    Attributes:
        promised: frames that the header claims; 0 where it makes no claim.
        count: frames that :meth:`frames` has given so far.
        note: what is wrong with it, if anything is.
    """

    def __init__(self, path: str | Path, heartbeat: Callable[[], None] | None = None):
        """
        Raises:
            VideoError: the file is missing, or is not a video.
        """
        self.path, self.count, self.note = path, 0, ""
        self._size, self._axes, self._to_rgb = None, AS_STORED, VideoReformatter()
        self._heartbeat, self._discarded, self._decord_safe = heartbeat, 0, False
        if not Path(path).is_file():
            raise VideoError(f"{path}: no such file")
        if not Path(path).stat().st_size:
            raise VideoError(f"{path}: the file is empty")
        try:
            self._container = av.open(
                openable(path), options={"format_whitelist": CONTAINERS}, metadata_errors="ignore"
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{path}: not readable as video ({_short(error)})") from error
        try:
            self._stream = self._video_stream()
        except VideoError:
            self._container.close()
            raise
        self.promised = self._stream.frames

    def __enter__(self) -> VideoDecoder:
        return self

    def __exit__(self, *_) -> None:
        self._container.close()

    @property
    def container(self) -> str:
        """The container's name, as the library calls it."""
        return self._container.format.name

    def survey(self) -> tuple[int, bool]:
        """Count the packets with something in them, decoding the first frame alone; are all of
        them whole? The film is at its end afterwards.
        """
        count, whole = 0, True
        for packet in self._packets():
            count += bool(packet.size)
            try:
                whole = whole and not packet.is_corrupt
                for frame in packet.decode() if self._size is None else ():
                    self._counted(frame)
            except av.FFmpegError:
                whole = False
        return count, whole and not self.note

    def frames(self) -> Iterator[av.VideoFrame]:
        """Every frame that decodes, in order of display.

        A packet that is cut off is passed over, for what decodes from it is half a picture. At
        the first that cannot be decoded the film ends, with a ``note``.

        Raises:
            VideoError: no frame decodes, or the size of the picture changes.
        """
        for packet in self._packets():
            if packet.is_corrupt:
                self.note = self.note or f"a packet after frame {self.count} is cut off"
                continue
            try:
                decoded = packet.decode()
            except av.FFmpegError as error:
                self.note = f"decoding fails after frame {self.count} ({_short(error)})"
                if self.count:
                    return
                continue  # a film that begins in the middle: wait for a picture
            for frame in decoded:
                yield self._counted(frame)
        if not self.count:
            raise VideoError(f"{self.path}: no frame decodes{self.note and f' ({self.note})'}")

    def pixels(self, frame: av.VideoFrame) -> np.ndarray:
        """uint8 ``[H, W, 3]``: the frame in RGB, upright."""
        array = self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
        (a, b), (c, d) = self._axes  # either b and c are 0, or a and d
        upright = array.swapaxes(0, 1) if self._on_its_side else array
        return upright[:: b + d, :: a + c]

    def info(self) -> VideoInfo:
        """What was found, once the frames have been gone through."""
        size = self._size[::-1] if self._on_its_side else self._size
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        note = self.note
        decoded = self.count + self._discarded
        if not note and self.promised > decoded + 1:  # one: an empty frame, common in AVI
            note = f"the header promises {self.promised} frames, {self.count} decode"
        return VideoInfo(self.count, float(rate), *size, note)

    @property
    def decord_safe(self) -> bool:
        """Whether its pictures are of the kind that every reader knows: 8 bits, 4:2:0, an even
        size, progressive, neither turned nor mirrored, none cut away by an edit list, from time 0
        on; known when the film is at its end."""
        return self._decord_safe and not self._discarded and not self._stream.start_time

    @property
    def _on_its_side(self) -> bool:
        """Whether the metadata turn the picture onto its side."""
        return not self._axes[0][0]

    def _packets(self) -> Iterator[av.Packet]:
        try:
            for packet in self._container.demux(self._stream):
                if self._heartbeat:
                    self._heartbeat()
                self._discarded += packet.is_discard
                yield packet
        except (av.FFmpegError, OSError) as error:
            self.note = f"reading fails after frame {self.count} ({_short(error)})"

    def _video_stream(self):
        streams = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            raise VideoError(f"{self.path}: the file has no video stream")
        codec = streams[0].codec_context
        if codec is None:
            raise VideoError(f"{self.path}: no decoder for its video stream")
        if codec.width * codec.height > MAX_PIXELS:
            raise VideoError(
                f"{self.path}: a picture of {codec.height}x{codec.width} is too large "
                f"(more than {MAX_PIXELS} pixels)"
            )
        codec.thread_count = 1
        return streams[0]

    def _counted(self, frame: av.VideoFrame) -> av.VideoFrame:
        size = (frame.height, frame.width)
        if self._size is None:
            self._size, self._axes = size, _axes(frame)
            if frame.rotation % 90:
                self.note = f"its metadata turn it by {-frame.rotation} degrees; left as it is"
            even = size[0] % 2 == size[1] % 2 == 0
            plain = frame.format.name == "yuv420p" and not frame.interlaced_frame
            self._decord_safe = even and plain and self._axes == AS_STORED
        if size != self._size:
            raise VideoError(
                f"{self.path}: the picture changes from {self._size[0]}x{self._size[1]} to "
                f"{size[0]}x{size[1]} at frame {self.count}"
            )
        if frame.is_corrupt:
            self.note = self.note or f"frame {self.count} is damaged"
        self.count += 1
        return frame


def openable(path: str | Path):
    """What the library opens: an absolute path (``a:b.avi`` is no address), or the opened file
    where the name is not text."""
    name = str(Path(path).absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        return open(path, "rb")
    with open(path, "rb"):  # a clear error where it may not be read
        return name


def _axes(frame: av.VideoFrame) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the picture's right and down point to when it is shown, each (right, down) and of
    length one; as stored where the metadata say nothing, or no quarter turn and no mirror."""
    matrix = frame.side_data.get(SideData.DISPLAYMATRIX)
    if matrix is None or frame.rotation % 90:
        return AS_STORED
    (a, b, _), (c, d, _), _ = np.sign(np.frombuffer(matrix, np.int32).reshape(3, 3)).tolist()
    straight = (a and d and not b and not c) or (b and c and not a and not d)
    return ((a, b), (c, d)) if straight else AS_STORED


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
