"""A RAR archive made byte by byte, for no free program writes one: files stored as they are, in
the form of RAR 3 that the official archives have."""

import struct
import zlib
from pathlib import Path


def write_rar(path: Path, members: dict[str, bytes], *, crc: dict[str, int] | None = None) -> Path:
    """Write members; ``crc`` gives some a checksum that is not theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as out:
        out.write(b"Rar!\x1a\x07\x00")
        out.write(_block(0x73, 0, b"\0" * 6))
        for name, data in members.items():
            encoded = name.replace("/", "\\").encode()
            sum_ = (crc or {}).get(name, zlib.crc32(data))
            size, time = len(data), 0x5A210000
            fields = struct.pack("<IIBIIBBHI", size, size, 3, sum_, time, 20, 0x30, len(encoded), 0)
            out.write(_block(0x74, 0x8000, fields + encoded))
            out.write(data)
        out.write(_block(0x7B, 0x4000, b""))
    return path


def _block(kind: int, flags: int, rest: bytes) -> bytes:
    body = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
    return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body
