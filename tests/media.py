"""Small contents of each modality, made without the libraries that decode them, and real ones from Debian packages."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from pathlib import Path

import numpy as np

SAMPLES = Path("/usr/local/share/hartonomous/samples")


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def png(pixels: np.ndarray, level: int = 9) -> bytes:
    """A PNG of pixels (height, width, 3) of 8 or 16 bits."""
    height, width, _ = pixels.shape
    depth = pixels.dtype.itemsize * 8
    rows = np.ascontiguousarray(pixels, ">u2" if depth == 16 else "u1")
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, part)
        for name, part in ((b"IHDR", header), (b"IDAT", zlib.compress(data, level)), (b"IEND", b""))
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def random_png(height: int, width: int, seed: int = 1) -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return png(pixels), pixels


def wav(samples: np.ndarray, rate: int = 8000) -> bytes:
    """A WAV of samples (frames, channels) of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
    return file.getvalue()


def sine(frames: int, rate: int = 8000, channels: int = 1) -> np.ndarray:
    times = np.arange(frames)[:, None] / rate
    return (12000 * np.sin(2 * np.pi * 440 * times * np.arange(1, channels + 1))).astype(np.int16)
