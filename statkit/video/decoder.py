"""One video file, decoded from its start, frame by frame.

Seeking is not used: it returns wrong frames on files with packed B-frames, and UCF101 and HMDB51
consist of such files.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter

from statkit.errors import StatkitError

MAX_PIXELS = 7680 * 4320
READING = 2  # increase it when the same file gives other frames than before; part of cache keys

# Containers of video. Other formats of the library are not opened: pictures, text drawn as video,
# and play lists, because play lists open further files and addresses.
CONTAINERS = (
    "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,mpegvideo,asf,flv,ogg,gif,apng,"
    "h264,hevc,m4v,mxf,dv,nut,rm,ivf"
)
# File name suffixes of these containers.
VIDEO_SUFFIXES = {
    *(".avi", ".divx", ".xvid", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".flv"),
    *(".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".vob", ".ts", ".mts"),
    *(".m2ts", ".wmv", ".asf", ".ogv", ".ogm", ".gif", ".apng", ".h264", ".264", ".hevc", ".h265"),
    *(".265", ".mxf", ".dv", ".nut", ".rm", ".rmvb", ".ivf"),
}
AS_STORED = ((1, 0), (0, 1))  # the directions of right and down in the picture
COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
# Marks of a still picture in a container of video: codecs of pictures, brands of HEIF.
STILL_CODECS = {"mjpeg", "jpeg2000", "jpegxl", "png", "apng", "gif", "webp", "bmp", "tiff"}
STILL_BRANDS = {"avif", "avis", "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}
# These codecs define decoded pictures to the last bit; MPEG-4 and MJPEG do not.
EXACT_CODECS = {"h264", "hevc", "vp8", "vp9"}
# decord is exact on these; it fails on streams without an index, sometimes after a long time.
DECORD_CONTAINERS = ("avi", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
SQUARE = 0.02  # relative difference of a pixel's sides up to which it counts as square
OBLONG = 4.0  # largest accepted ratio of a pixel's sides
TO_SQUARE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

# PyAV refuses a frame when it has no name for a piece of its side data, as for EXIF in MJPEG. Only
# the display matrix is needed here, so a piece without a name may have any name but that one.
SideData._missing_ = classmethod(lambda cls, _: cls.SEI_UNREGISTERED)


class VideoError(StatkitError):
    """A file is not readable as video, or does not have a frame."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a file: number of frames that decode, frames per second, height and width of
    the upright picture in square pixels; ``note``: a fault of a file that is still readable;
    ``remark``: the choice that was made in reading a file without a fault."""

    num_frames: int
    fps: float
    height: int
    width: int
    note: str = ""
    remark: str = ""


class VideoDecoder:
    """Decodes a video file once, from its start, one frame at a time.

    If there are several video streams, it reads the default stream; among equal streams, the stream
    with the most pixels per frame, then with the most frames. It never reads a cover or thumbnail,
    and reads a stream of one picture only if there is no other stream.

    ``heartbeat`` is called at every packet, to show that the decoder still works; ``promised``,
    number of frames in the header (0 if it has none); ``count``, number of frames that
    :meth:`frames` has given so far; ``note``, the fault of the file; empty if there is none.
    """

    def __init__(self, path: str | Path, heartbeat: Callable[[], None] | None = None):
        """VideoError if the file is missing or is not a video."""
        self.path, self.count, self.note = path, 0, ""
        self._size, self._axes, self._to_rgb = None, AS_STORED, VideoReformatter()
        self._square_width: int | None = None  # set if the pixels are not square
        self._remarks: list[str] = []
        self._heartbeat, self._discarded, self._decord_safe = heartbeat, 0, False
        self._starts_early = False  # a packet has a time before 0
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._container.close()

    def survey(self) -> tuple[int, bool]:
        """The number of packets that are not empty, and whether all packets are whole; decodes only
        the first frame. The file is at its end afterwards."""
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

        An incomplete packet is skipped, because it decodes to half a picture. The video ends at
        the first packet that cannot be decoded, with a ``note``.

        Raises:
            VideoError: no frame decodes, the size of the picture changes, or the file is a still
                picture in a container of video (AVIF, HEIC, GIF).
        """
        frames = self._decode()
        if self._may_be_still:
            first = list(islice(frames, 2))
            if len(first) == 1 and self.promised < 2 and not self.note:
                raise VideoError(f"{self.path}: a still picture, not a video")
            frames = chain(first, frames)
        yield from frames

    def _decode(self) -> Iterator[av.VideoFrame]:
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
                continue  # the video starts without a key frame: wait for a picture
            for frame in decoded:
                yield self._counted(frame)
        if not self.count:
            raise VideoError(f"{self.path}: no frame decodes{self.note and f' ({self.note})'}")

    def pixels(self, frame: av.VideoFrame) -> np.ndarray:
        """uint8 ``[H, W, 3]``, contiguous: the frame in RGB, upright, in square pixels; VideoError
        if the library cannot convert the frame's pixel format."""
        square = {}
        if self._square_width:
            square = {"width": self._square_width, "interpolation": TO_SQUARE}
        try:
            array = self._to_rgb.reformat(frame, format="rgb24", **square).to_ndarray()
        except av.FFmpegError as error:
            name = frame.format.name
            raise VideoError(
                f"{self.path}: pixel format {name} does not convert to RGB ({_short(error)})"
            ) from error
        (a, b), (c, d) = self._axes  # either b and c are 0, or a and d
        upright = array.swapaxes(0, 1) if self._on_its_side else array
        return np.ascontiguousarray(upright[:: b + d, :: a + c])

    def info(self) -> VideoInfo:
        """The properties of the file, after all frames were read."""
        size = (self._size[0], self._square_width or self._size[1])
        size = size[::-1] if self._on_its_side else size
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        note = self.note
        decoded = self.count + self._discarded
        if not note and self.promised > decoded + 1:  # one: an empty frame, common in AVI
            note = f"the header promises {self.promised} frames, {self.count} decode"
        return VideoInfo(self.count, float(rate), *size, note, "; ".join(self._remarks))

    @property
    def decord_safe(self) -> bool:
        """Whether decord gives the same bytes: the only video stream of the file, in a container of
        ``DECORD_CONTAINERS`` and a codec of ``EXACT_CODECS``; pictures of 8 bits, 4:2:0, an even
        size and square pixels, progressive, neither turned nor mirrored; no edit list that omits
        frames; start at time 0. The value is known at the end of the file."""
        from_0 = not self._stream.start_time and not self._starts_early
        known = self._container.format.name in DECORD_CONTAINERS
        return self._decord_safe and known and not self._discarded and from_0

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
                self._starts_early |= (packet.pts or 0) < 0
                yield packet
        except IndexError:  # from PyAV after the last packet, if a new stream began in the file
            return
        except (av.FFmpegError, OSError) as error:
            self.note = f"reading fails after frame {self.count} ({_short(error)})"

    @property
    def _codec(self) -> av.VideoCodecContext:
        return self._stream.codec_context

    @property
    def _may_be_still(self) -> bool:
        brand = self._container.metadata.get("major_brand", "").strip()
        return self._codec.name in STILL_CODECS or brand in STILL_BRANDS

    def _video_stream(self):
        streams = [s for s in self._container.streams.video if not s.disposition & COVERS]
        if not streams:
            raise VideoError(f"{self.path}: the file has no video stream")
        known = [stream for stream in streams if stream.codec_context is not None]
        if not known:
            raise VideoError(f"{self.path}: no decoder for its video stream")
        stream = max(known, key=_rank)
        codec = stream.codec_context
        if codec.width * codec.height > MAX_PIXELS:
            raise VideoError(
                f"{self.path}: a picture of {codec.height}x{codec.width} is too large "
                f"(more than {MAX_PIXELS} pixels)"
            )
        if len(streams) > 1:
            size = f"{codec.height}x{codec.width}"
            self._remarks.append(
                f"of {len(streams)} video streams, stream {stream.index} ({size}) is read"
            )
        codec.thread_count = 1
        return stream

    def _to_square(self) -> None:
        """Compute the picture's width in square pixels; the height does not change."""
        ratio = self._stream.sample_aspect_ratio or 1
        height, width = self._size
        wide = round(width * ratio)
        if abs(ratio - 1) <= SQUARE or wide == width:
            return
        told = f"its pixels are {ratio.numerator}:{ratio.denominator}"
        if 1 / OBLONG <= ratio <= OBLONG and 0 < wide * height <= MAX_PIXELS:
            self._square_width = wide
            self._remarks.append(f"{told}; its frames are brought to square pixels")
        else:
            self._remarks.append(f"{told}, which is implausible; its frames keep their shape")

    def _counted(self, frame: av.VideoFrame) -> av.VideoFrame:
        size = (frame.height, frame.width)
        if self._size is None:
            self._size, self._axes = size, _axes(frame)
            self._to_square()
            if frame.rotation % 90:
                self.note = f"its metadata turn it by {-frame.rotation} degrees; left as it is"
            even = size[0] % 2 == size[1] % 2 == 0
            plain = frame.format.name == "yuv420p" and not frame.interlaced_frame
            alone = len(self._container.streams.video) == 1
            exact = self._codec.name in EXACT_CODECS and not self._may_be_still
            upright = self._axes == AS_STORED and not self._square_width
            self._decord_safe = alone and exact and even and plain and upright
        if size != self._size:
            raise VideoError(
                f"{self.path}: the picture changes from {self._size[0]}x{self._size[1]} to "
                f"{size[0]}x{size[1]} at frame {self.count}"
            )
        if frame.is_corrupt:
            self.note = self.note or f"frame {self.count} is damaged"
        self.count += 1
        return frame


def _rank(stream: av.VideoStream) -> tuple:
    """The rank of a stream; the decoder reads the stream with the greatest rank."""
    codec, marked = stream.codec_context, bool(stream.disposition & Disposition.default)
    return stream.frames != 1, marked, codec.width * codec.height, stream.frames


def openable(path: str | Path):
    """The argument for the library: an absolute path (so ``a:b.avi`` is not an address), or the
    opened file if the name is not valid text."""
    name = str(Path(path).absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        return open(path, "rb")
    with open(path, "rb"):  # a clear error if reading is not allowed
        return name


def _axes(frame: av.VideoFrame) -> tuple[tuple[int, int], tuple[int, int]]:
    """The directions of the picture's right and down on the screen, each (right, down) of length
    one; ``AS_STORED`` if the metadata contain no quarter turn and no mirror."""
    matrix = frame.side_data.get(SideData.DISPLAYMATRIX)
    if matrix is None or frame.rotation % 90:
        return AS_STORED
    (a, b, _), (c, d, _), _ = np.sign(np.frombuffer(matrix, np.int32).reshape(3, 3)).tolist()
    straight = (a and d and not b and not c) or (b and c and not a and not d)
    return ((a, b), (c, d)) if straight else AS_STORED


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
