"""Files that a pile of video may hold, each with what has to come of it.

Every file is made here, by PyAV or byte by byte. ``FRAMES`` tells a picture's number and which way
is up: the level of the left half is ten times the number, the top right is white, the rest black.
"""

import io
import os
import struct
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image


@dataclass(frozen=True)
class Case:
    """What has to come of a file: ``frames`` of it (None: it is left out, -1: as many as there
    are), ``words`` of the note,
    and the upright height and width where the file is read."""

    frames: int | None
    words: str = ""
    size: tuple[int, int] | None = None


def pictures(count: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """uint8 [T, H, W, 3] as the module says."""
    height, width = size
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[:, :, : width // 2] = (np.arange(count) % 24 * 10).astype(np.uint8)[:, None, None, None]
    frames[:, : height // 2, width // 2 :] = 255
    return frames


def write(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    times: list[int] | None = None,
    sound: bool = False,
    options: dict | None = None,
    container: str | None = None,
) -> Path:
    """Write frames; ``times`` in 1/1000 s for a variable frame rate, ``sound`` a track beside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options={"threads": "1"} | (options or {}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = pix_fmt, 4_000_000
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        track = out.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                array, format="rgba" if array.shape[2] == 4 else "rgb24"
            )
            frame = frame.reformat(format=pix_fmt)
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if track:
            for packet in _sound(track):
                out.mux(packet)
    return path


def _sound(track):
    samples = (np.sin(np.arange(8192) / 5) * 9000).astype(np.int16)[None]
    for start in range(0, 8192, 1024):
        frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], "s16", "mono")
        frame.sample_rate, frame.pts = 8000, start
        yield from track.encode(frame)
    yield from track.encode()


def turned(path: Path, how: int | str) -> Path:
    """Write degrees (clockwise, for the player to apply) or a mirror into an mp4's track header."""
    matrix = {
        90: (0, 1, -1, 0),
        180: (-1, 0, 0, -1),
        270: (0, -1, 1, 0),
        45: (0.7071, 0.7071, -0.7071, 0.7071),
        "left to right": (-1, 0, 0, 1),
        "upside down": (1, 0, 0, -1),
        "corner to corner": (0, 1, 1, 0),
    }[how]
    a, b, c, d = (int(v * 65536) for v in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: flags, times, number, length, layer, volume
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def begun_earlier(path: Path, frames: int, to: Path) -> Path:
    """The same film, whose edit list leaves out the first frames."""
    with (
        av.open(str(path)) as film,
        av.open(str(to), "w", options={"avoid_negative_ts": "disabled"}) as out,
    ):
        stream = film.streams.video[0]
        copy = out.add_stream_from_template(stream)
        shift = int(frames / stream.average_rate / stream.time_base)
        for packet in film.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                out.mux(packet)
    return to


def beside(first: Path, second: Path, to: Path, *, default: int | None = None) -> Path:
    """One file with the video streams of two; ``default`` is the one that is marked."""
    with av.open(str(first)) as a, av.open(str(second)) as b, av.open(str(to), "w") as out:
        copies = [out.add_stream_from_template(file.streams.video[0]) for file in (a, b)]
        for number, copy in enumerate(copies):
            copy.disposition = Disposition.default if default in (None, number) else Disposition(0)
        for file, copy in zip((a, b), copies, strict=True):
            for packet in file.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copy
                    out.mux(packet)
    return to


def shifted(path: Path, to: Path, seconds: float) -> Path:
    """The same film, later by ``seconds``, which may be below 0."""
    asked = {"avoid_negative_ts": "disabled"}
    with av.open(str(path)) as film, av.open(str(to), "w", options=asked) as out:
        copy = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.pts += round(seconds / packet.time_base)
                packet.dts += round(seconds / packet.time_base)
                packet.stream = copy
                out.mux(packet)
    return to


def oblong(path: Path, frames: np.ndarray, ratio: Fraction) -> Path:
    """Frames whose pixels are wider than high, by ``ratio``."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"threads": "1"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.codec_context.sample_aspect_ratio = "yuv420p", ratio
        for array in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        out.mux(stream.encode())
    return path


def photographs(path: Path, frames: np.ndarray, orientation: int = 1) -> Path:
    """MJPEG of photographs with EXIF, as cameras write it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", orientation
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuvj420p"
        for number, array in enumerate(frames):
            photograph = io.BytesIO()
            Image.fromarray(array).save(photograph, "jpeg", quality=95, exif=exif)
            packet = av.Packet(photograph.getvalue())
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            out.mux(packet)
    return path


def avi_says(path: Path, frames: int) -> Path:
    """Change the number of frames that an AVI's two headers promise."""
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8
    data[at + 16 : at + 20] = struct.pack("<I", frames)
    at = data.index(b"strh") + 8
    data[at + 32 : at + 36] = struct.pack("<I", frames)
    path.write_bytes(data)
    return path


def cut(path: Path, share: float, to: Path) -> Path:
    """The first part of a file."""
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * share)])
    return to


def noisy(path: Path, start: float, end: float, to: Path) -> Path:
    """A file whose middle is noise."""
    data = bytearray(path.read_bytes())
    a, b = int(len(data) * start), int(len(data) * end)
    data[a:b] = np.random.default_rng(0).integers(0, 256, b - a, dtype=np.uint8).tobytes()
    to.write_bytes(data)
    return to


def corpus(folder: Path) -> dict[str, Case]:
    """Write the files into two class folders; returns what has to come of each, by name."""
    a, b = folder / "A", folder / "B"
    a.mkdir(parents=True)
    b.mkdir()
    frames, alpha = pictures(12), np.full((12, 48, 64, 1), 128, np.uint8)
    cases: dict[str, Case] = {}

    def case(path: Path, count: int | None, words: str = "", size=(48, 64)) -> None:
        cases[path.relative_to(folder).as_posix()] = Case(count, words, count and size)

    def film(name: str, count: int = 12, size=(48, 64), codec="libx264", pix="yuv420p", **more):
        path = write(a / name, pictures(count, size), codec, pix, **more)
        case(path, count, size=size)
        return path

    # what people have
    good = film("good.mp4")
    film("b frames.mp4", options={"bf": "3"})
    film("b frames.avi", codec="mpeg4", options={"bf": "2"})
    film("mpeg4.avi", codec="mpeg4")
    film("film.mkv")
    film("film.mov", codec="prores_ks", pix="yuv422p10le")
    film("film.webm", codec="libvpx-vp9")
    film("film.mpg", codec="mpeg2video")
    film("film1.mpg", codec="mpeg1video")
    film("film.ts")
    film("film.flv", codec="flv1")
    film("film.wmv", codec="wmv2")
    film("film.m4v", container="mp4")
    film("film.gif", codec="gif", pix="rgb8")
    film("raw.avi", codec="rawvideo", pix="bgr24")
    film("raw.h264")
    film("black and white.avi", codec="rawvideo", pix="monob")
    film("lossless.mkv", codec="ffv1", pix="bgr0")
    film("mjpeg.avi", codec="mjpeg", pix="yuvj420p")
    film("with sound.mp4", sound=True)
    film("grey.mp4", pix="gray")
    film("grey.avi", codec="ffv1", pix="gray")
    film("ten bits.mp4", pix="yuv420p10le")
    film("full colour.mp4", pix="yuv444p")
    film("odd.mp4", size=(49, 65), pix="yuv444p")
    film("odd.avi", size=(49, 65), codec="mpeg4")
    film("odd.mkv", size=(49, 65), codec="ffv1")
    film("portrait.mp4", size=(96, 48))
    film("wide.mp4", size=(32, 256))
    film("4k.mp4", 3, size=(2160, 3840), options={"preset": "ultrafast"})
    film("just large enough.mp4", size=(12, 16))
    film("one frame.mp4", 1)
    film("one frame.avi", 1, codec="mpeg4")
    film("two frames.mp4", 2)
    film("long.mp4", 300)
    uneven = [0, 40, 45, 300, 310, 1000, 1040, 1080, 1500, 1501, 1900, 2500]
    film("variable rate.mkv", times=uneven)
    film("variable rate.mp4", times=uneven)
    with_alpha = np.concatenate([frames, alpha], -1)
    case(write(a / "alpha.mov", with_alpha, "qtrle", "argb"), 12)
    case(write(a / "alpha png.mov", with_alpha, "png", "rgba"), 12)
    for degrees in (90, 180, 270):
        turned(film(f"turned {degrees}.mp4"), degrees)
        size = (64, 48) if degrees != 180 else (48, 64)
        case(a / f"turned {degrees}.mp4", 12, size=size)
    turned(film("turned 45.mp4"), 45)
    case(a / "turned 45.mp4", 12, "45")

    for how, size in (("upside down", (48, 64)), ("corner to corner", (64, 48))):
        turned(film(f"turned {how}.mp4"), how)
        case(a / f"turned {how}.mp4", 12, size=size)
    edited = write(folder / "t.mp4", pictures(20), options={"g": "10"})
    case(begun_earlier(edited, 8, a / "edited.mp4"), 12)

    # several streams, pixels that are not square, photographs in a row
    proxy = write(folder / "proxy.mp4", pictures(12, (24, 32)))
    case(beside(proxy, good, a / "proxy first.mp4"), 12, "of 2 video streams")
    case(beside(good, proxy, a / "proxy last.mp4"), 12, "of 2 video streams")
    case(beside(proxy, good, a / "proxy first.mkv", default=1), 12, "of 2 video streams")
    marked = beside(good, proxy, a / "small one marked.mkv", default=1)
    case(marked, 12, "of 2 video streams", size=(24, 32))
    large = write(folder / "large.mp4", pictures(1, (96, 128)))
    case(beside(large, good, a / "poster first.mp4"), 12, "of 2 video streams")
    case(oblong(a / "oblong.mp4", frames, Fraction(4, 3)), 12, "square", size=(48, 85))
    case(oblong(a / "nearly square.mp4", frames, Fraction(100, 99)), 12)
    case(oblong(a / "not believed.mp4", frames, Fraction(9, 1)), 12, "implausible")
    case(photographs(a / "exif.avi", frames), 12)
    case(photographs(a / "exif turned.mov", frames, 6), 12, size=(64, 48))

    # names
    for name in (
        "прыжок.mp4",
        "跳.avi",
        "two  spaces .mp4",
        "a:b.mp4",
        "100%d#;'\"&.mp4",
        "-rf.mp4",
    ):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        film(name, codec=codec)
    film("UPPER.MP4", container="mp4")
    data = good.read_bytes()
    for name in ("mp4 called.avi", "mp4 called.txt", "no ending", "line\nend.mp4"):
        (a / name).write_bytes(data)
        case(a / name, 12)
    if os.name == "posix":
        strange = os.fsdecode(bytes(a) + b"/not utf-8 \xff\xfe.mp4")
        Path(strange).write_bytes(data)
        case(Path(strange), 12)

    # damage
    long = write(folder / "long.avi", pictures(100, (96, 128)), "mpeg4")
    case(cut(long, 0.6, b / "cut off.avi"), -1, "is cut off", size=(96, 128))
    case(cut(write(folder / "t.mp4", pictures(50)), 0.6, b / "cut off.mp4"), None)
    case(cut(write(folder / "t.mkv", pictures(50)), 0.7, b / "cut off.mkv"), -1, "prematurely")
    case(noisy(long, 0.4, 0.6, b / "noise inside.avi"), -1, "damaged", size=(96, 128))
    case(noisy(long, 0, 0.2, b / "noise at the head.avi"), 100, "misdetection", (96, 128))
    case(noisy(good, 0.7, 1, b / "no index.mp4"), None)
    case(cut(a / "film.mpg", 0.06, b / "hardly begun.mpg"), 1, "damaged")
    promising = write(b / "promises more.avi", frames, "mpeg4")
    case(avi_says(promising, 5000), 12, "header promises 5000 frames, 12 decode")
    case(avi_says(write(b / "promises less.avi", frames, "mpeg4"), 4), 12)
    for path in folder.glob("*.*"):
        path.unlink()

    # no video
    for name, content, words in (
        ("empty.mp4", b"", "empty"),
        ("one byte.mp4", b"\0", "not readable"),
        ("text.avi", b"not a video at all\n" * 99, "not readable"),
        ("noise.mp4", np.random.default_rng(1).bytes(50_000), "not readable"),
        ("zeros.mkv", bytes(50_000), "not readable"),
        ("page.mp4", b"<html><body>404</body></html>", "not readable"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "not readable"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile ../A/good.mp4\n", "not readable"),
        ("notes.txt", b"\x1b[1mred\x1b[0m\n" * 20, "not readable"),
        ("sub.srt", b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", "not readable"),
        (".hidden.mp4", data, "hidden"),
    ):
        (b / name).write_bytes(content)
        case(b / name, None, words)
    with av.open(str(b / "sound alone.mp4"), "w") as out:
        track = out.add_stream("aac", rate=8000, layout="mono")
        for packet in _sound(track):
            out.mux(packet)
    case(b / "sound alone.mp4", None, "no video stream")
    with wave.open(str(b / "sound.wav"), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(8000))
    case(b / "sound.wav", None, "not readable")
    Image.fromarray(frames[1]).save(b / "photo.jpg")
    case(b / "photo.jpg", None, "not readable")
    Image.fromarray(frames[1]).save(b / "photo called.mp4", "png")
    case(b / "photo called.mp4", None, "not readable")
    case(write(b / "too small.mp4", pictures(12, (8, 10))), None, "cannot degrade")
    for name, codec, pix in (("gif", "gif", "rgb8"), ("mov", "png", "rgb24")):
        still = write(b / f"still.{name}", pictures(1), codec, pix)
        case(still, None, "a still picture")
    wide, high = write(folder / "1.ts", pictures(6, (48, 64))), pictures(6, (64, 96))
    (b / "size changes.ts").write_bytes(
        wide.read_bytes() + write(folder / "2.ts", high).read_bytes()
    )
    case(b / "size changes.ts", None, "changes from 48x64 to 64x96")
    for path in folder.glob("*.ts"):
        path.unlink()

    # the file system
    if os.name == "posix":
        outside = write(folder.parent / "outside" / "secret.mp4", frames)
        (b / "link out.mp4").symlink_to(outside)
        case(b / "link out.mp4", None, "leads out of the folder")
        (b / "folder link").symlink_to(outside.parent)
        case(b / "folder link", None, "leads out of the folder")
        (b / "link nowhere.mp4").symlink_to(b / "nothing")
        case(b / "link nowhere.mp4", None, "leads nowhere")
        (b / "round.mp4").symlink_to(b / "round.mp4")
        case(b / "round.mp4", None, "leads nowhere")
        (b / "link in.mp4").symlink_to(good)
        case(b / "link in.mp4", 12)
        os.mkfifo(b / "pipe.mp4")
        case(b / "pipe.mp4", None, "not a regular file")
        (b / "forbidden.mp4").write_bytes(data)
        (b / "forbidden.mp4").chmod(0)
        if os.geteuid():
            case(b / "forbidden.mp4", None, "ermission")
        else:
            case(b / "forbidden.mp4", 12)
    (b / "deeper" / "still").mkdir(parents=True)
    (b / "deeper" / "still" / "deep.mp4").write_bytes(data)
    case(b / "deeper" / "still" / "deep.mp4", 12)
    (b / "a folder.mp4").mkdir()
    (b / "a folder.mp4" / "inside.mp4").write_bytes(data)
    case(b / "a folder.mp4" / "inside.mp4", 12)
    (folder / "at the top.mp4").write_bytes(data)
    case(folder / "at the top.mp4", None, "not in a class folder")
    return cases
