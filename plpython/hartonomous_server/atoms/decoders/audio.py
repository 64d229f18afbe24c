"""Sound by libsndfile: envelopes of peak and loudness, samples on demand. x is time in seconds, y amplitude."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.source import (
    Found,
    Gate,
    Shape,
    Source,
    TooLarge,
    beginning,
    decoding,
    malformed,
)
from hartonomous_server.blas import numpy

MAX_SAMPLES = 1 << 28
BLOCK_FRAMES = 1 << 16
SEGMENT = 600  # steps of an envelope in one shape
FORMATS = {"WAV", "WAVEX", "FLAC", "OGG", "MP3"}


class Envelopes:
    """Collects blocks of samples (frames, channels): per step of a tenth of a second, or a 32nd of shorter sound, the
    peak and the root mean square."""

    def __init__(self, rate: int, frames: int) -> None:
        self._rate = rate
        self._step = max(1, min(round(rate / 10), -(-frames // 32)))
        self._rest: Any = None
        self._levels: list[Any] = []  # (steps, channels, 2)
        self._frames = 0

    def add(self, block: Any) -> None:
        np = numpy()
        if not np.isfinite(block).all():
            raise malformed(f"sound has samples that are not finite within {len(block)} frames of {self._frames}")
        self._frames += len(block)
        block = block if self._rest is None else np.concatenate([self._rest, block])
        whole = len(block) - len(block) % self._step
        self._rest = block[whole:].copy()
        if whole:
            self._measure(block[:whole].reshape(-1, self._step, block.shape[1]))

    def _measure(self, steps: Any) -> None:
        np = numpy()
        loudness = np.sqrt(np.mean(np.square(steps, dtype=np.float64), axis=1))
        self._levels.append(np.stack([np.abs(steps).max(axis=1), loudness], axis=2))

    def shapes(self) -> Iterator[Shape]:
        """A LINESTRING Z (time, peak, rms) per channel and segment; a level holds from its time to the next."""
        np = numpy()
        if self._rest is not None and len(self._rest):
            self._measure(self._rest[None])
        if not self._levels:
            return
        levels = np.concatenate(self._levels)
        for channel in range(levels.shape[1]):
            for at in range(0, len(levels), SEGMENT):
                some = levels[at : at + SEGMENT, channel]
                end = min((at + len(some)) * self._step, self._frames)
                times = np.append(np.arange(at, at + len(some)) * self._step, end) / self._rate
                points = np.column_stack([times, np.concatenate([some, some[-1:]])])
                yield Shape("envelope", ewkb.line(points, ewkb.Z), {"channel": channel})


def decode(source: Source, found: Found, gate: Gate) -> None:
    with decoding("sound", source):
        sound = _open(source)
        facts = {"format": sound.format.lower(), "encoding": sound.subtype.lower(), "sample_rate": sound.samplerate,
                 "channels": sound.channels, "frames": sound.frames, "duration": sound.frames / sound.samplerate}
        found.facts.update(facts)
        if sound.frames * sound.channels > MAX_SAMPLES:
            found_size = f"{sound.frames} frames of {sound.channels} channels"
            raise TooLarge(f"{found_size}, at most {MAX_SAMPLES} samples are decoded")
        envelopes, read = Envelopes(sound.samplerate, sound.frames), 0
        while len(block := sound.read(max(1, BLOCK_FRAMES // sound.channels), dtype="float32", always_2d=True)):
            gate()
            envelopes.add(block)
            read += len(block)
        gate()
        if read != sound.frames:
            raise malformed(f"header declares {sound.frames} frames, found {read}")
        found.shapes.extend(envelopes.shapes())


def samples(source: Source, start: float, end: float | None, gate: Gate) -> Iterator[tuple[int, bytes]]:
    """Per block and channel a MULTIPOINT M (time, amplitude, frame) of the samples at start <= time < end."""
    np = numpy()
    with decoding("sound", source):
        sound = _open(source)
        rate = sound.samplerate
        low = min(max(0, _ceil(start * rate)), sound.frames)
        high = sound.frames if end is None else min(max(low, _ceil(end * rate)), sound.frames)
        sound.seek(low)
        while low < high:
            gate()
            block = sound.read(min(max(1, BLOCK_FRAMES // sound.channels), high - low), dtype="float64", always_2d=True)
            if not len(block):
                raise errors.AtomMissing(f"sound ends at frame {low}, expected {high}")
            frames = np.arange(low, low + len(block))
            for channel in range(block.shape[1]):
                yield channel, ewkb.multipoint(np.column_stack([frames / rate, block[:, channel], frames]), ewkb.M)
            low += len(block)


def _ceil(frames: float) -> int:
    """The first frame not before a time; the product with the rate may be off by a rounding."""
    nearest = round(min(max(frames, -1e15), 1e15))
    return nearest if abs(frames - nearest) < 1e-6 else int(numpy().ceil(min(max(frames, -1e15), 1e15)))


def _open(source: Source) -> Any:
    import soundfile

    head = source.head(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        _check_riff(source)
    elif head[:4] == b"OggS":
        _check_ogg(source)
    elif head[:4] != b"fLaC" and head[:3] != b"ID3" and head[:2] not in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        raise malformed(f"found {beginning(source)}, expected sound: WAV, FLAC, Ogg or MP3")
    sound = soundfile.SoundFile(source)
    if sound.format not in FORMATS:
        raise malformed(f"found sound of the format {sound.format}, expected WAV, FLAC, Ogg or MP3")
    if not sound.samplerate > 0:
        raise malformed(f"header declares a sample rate of {sound.samplerate}")
    return sound


def _check_riff(source: Source) -> None:
    """libsndfile reads what is there, whatever the header says."""
    declared, at = struct.unpack("<I", source.head(4, 4))[0] + 8, 12
    if declared > source.size:
        raise malformed(f"header declares {declared} bytes, found {source.size}")
    while at + 8 <= declared:
        name, length = struct.unpack("<4sI", source.head(8, at))
        if at + 8 + length > source.size:
            raise malformed(f"header declares {length} bytes of {name!r} at byte {at}, found {source.size - at - 8}")
        if name == b"data":
            return
        at += 8 + length + length % 2
    raise malformed("sound has no data")


def _check_ogg(source: Source) -> None:
    """The last page must say that it is the last."""
    tail = source.head(65536, max(0, source.size - 65536))
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27 or not tail[at + 5] & 4:
        raise malformed("sound ends before its last page")
    sizes = tail[at + 27 : at + 27 + tail[at + 26]]
    if len(tail) < at + 27 + tail[at + 26] + sum(sizes):
        raise malformed("sound ends within its last page")
