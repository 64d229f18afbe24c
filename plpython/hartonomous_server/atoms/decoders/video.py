"""Video by PyAV: key frames and the envelope of its sound. x is time in seconds."""

from __future__ import annotations

from typing import Any, cast

from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.audio import MAX_SAMPLES, Envelopes
from hartonomous_server.atoms.decoders.image import MAX_PIXELS, rounded
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
from hartonomous_server.blas import numpy, signals_blocked

APART_S = 1.0  # between key frames that are looked at
UNKNOWN = 1 << 40  # frames of sound
CODECS = {
    "h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4", "h263", "mjpeg", "theora",
    "aac", "mp3", "mp3float", "mp2", "mp2float", "ac3", "vorbis", "opus", "flac", "pcm_s16le", "pcm_s16be", "pcm_u8",
    "pcm_s8", "pcm_s24le", "pcm_f32le",
}  # fmt: skip


def decode(source: Source, found: Found, gate: Gate) -> None:
    with signals_blocked():
        import av

    with decoding("video", source):
        try:
            _decode(av, source, found, gate)
        except av.FFmpegError as error:
            source.check()
            raise malformed(f"content is no video that can be decoded: {error.strerror}") from None


def _decode(av: Any, source: Source, found: Found, gate: Gate) -> None:
    format = _format(source)
    source.seek(0)
    with av.open(source, format=format, metadata_errors="replace", options={"format_whitelist": format}) as container:
        if not container.streams.video:
            raise malformed("found no stream of pictures, expected a video")
        pictures = container.streams.video[0]
        sound = container.streams.audio[0] if container.streams.audio else None
        _facts(found.facts, format, container, pictures, sound)
        streams = [_ready(stream) for stream in (pictures, sound) if stream is not None]
        pictures.codec_context.skip_frame = "NONKEY"
        heard = None if sound is None else _Sound(av, sound)
        keys: list[tuple[float, dict[str, Any]]] = []
        packets, end = 0, 0.0
        for packet in container.demux(streams):
            gate()
            if packet.stream is pictures and packet.size:
                packets += 1
            for frame in packet.decode():
                if packet.stream is pictures:
                    end = max(end, frame.time or 0.0)
                    if frame.key_frame and (not keys or (frame.time or 0.0) >= keys[-1][0] + APART_S):
                        keys.append((frame.time or 0.0, _colours(frame)))
                elif heard is not None:
                    heard.add(frame)
            if packet.dts is not None:
                end = max(end, float((packet.dts + (packet.duration or 0)) * packet.time_base))
        if not keys:
            raise malformed("found no key frame that can be decoded")
        _check_end(found.facts, pictures, packets, end)
        found.facts.update(frames=packets, duration=round(max(found.facts.get("duration", 0.0), end), 6))
        _shapes(found, keys, end)
        if heard is not None:
            found.shapes.extend(heard.envelopes.shapes())


class _Sound:
    def __init__(self, av: Any, stream: Any) -> None:
        self.envelopes = Envelopes(stream.rate, UNKNOWN)
        self._resampler = av.AudioResampler("fltp", stream.layout, stream.rate)
        self._samples = 0

    def add(self, frame: Any) -> None:
        for piece in self._resampler.resample(frame):
            block = piece.to_ndarray().T
            self._samples += block.size
            if self._samples > MAX_SAMPLES:
                raise TooLarge(f"more than {MAX_SAMPLES} samples of sound")
            self.envelopes.add(block)


def _format(source: Source) -> str:
    """By the first bytes: demuxers of playlists, which follow links, are never tried."""
    head = source.head(64)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot"):
        return "mov"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] in (b"\0\0\x01\xba", b"\0\0\x01\xb3"):
        return "mpeg" if head[3] == 0xBA else "mpegvideo"
    expected = "a video: MP4, QuickTime, Matroska, WebM, AVI, Ogg or MPEG"
    raise malformed(f"found {beginning(source, 12)}, expected {expected}")


def _ready(stream: Any) -> Any:
    context = stream.codec_context
    if context.codec.name not in CODECS:
        raise TooLarge(f"the codec {context.codec.name} is not decoded")
    context.thread_count, context.thread_type = 1, "NONE"
    return stream


def _facts(facts: dict[str, Any], format: str, container: Any, pictures: Any, sound: Any) -> None:
    width, height = pictures.codec_context.width, pictures.codec_context.height
    facts.update(format=format, codec=pictures.codec_context.codec.name, width=width, height=height)
    if container.duration:
        facts["duration"] = container.duration / 1e6
    if pictures.average_rate:
        facts["frame_rate"] = round(float(pictures.average_rate), 6)
    if sound is not None:
        codec = sound.codec_context.codec.name
        facts["audio"] = {"codec": codec, "sample_rate": sound.rate, "channels": sound.channels}
    if width * height > MAX_PIXELS:
        raise TooLarge(f"{width} x {height} pixels a frame, at most {MAX_PIXELS} are decoded")


def _colours(frame: Any) -> dict[str, Any]:
    np = numpy()
    pixels = frame.to_ndarray(format="rgb24").reshape(-1, 3)
    return {"mean": rounded(pixels.mean(0, dtype=np.float64)), "spread": rounded(pixels.std(0, dtype=np.float64))}


def _check_end(facts: dict[str, Any], pictures: Any, packets: int, end: float) -> None:
    """Containers that count their frames, or tell how long they are, must have them."""
    if pictures.frames and packets < pictures.frames:
        raise malformed(f"header declares {pictures.frames} frames, found {packets}")
    declared = cast(float, facts.get("duration", 0.0))
    if end < declared * 0.9 - 1:
        raise malformed(f"header declares {declared:.3f} s, found {end:.3f}")


def _shapes(found: Found, keys: list[tuple[float, dict[str, Any]]], end: float) -> None:
    """A key frame holds from its time to the next one's; from 0 to 1 it meets the sound of the time."""
    times = [time for time, _ in keys]
    for (start, colours), stop in zip(keys, [*times[1:], max(end, times[-1] + 1e-3)], strict=True):
        found.shapes.append(Shape("keyframe", ewkb.boxes([(start, 0, stop, 1)])[0], colours))
