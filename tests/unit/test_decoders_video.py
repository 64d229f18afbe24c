"""The decoder of video, over clips whose pictures and sound are known."""

import io
import random

import av
import media
import numpy as np
import pytest
from decoding import box, decode, line
from hartonomous_server import errors
from hartonomous_server.atoms.decoders import video
from hartonomous_server.atoms.decoders.source import TooLarge
from PIL import Image

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
RATE = 8000


def clip(format="matroska", codec="mpeg4", sound=True):
    """Three seconds of a colour each, ten pictures a second, a key frame in each; a tone in the second one."""
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        pictures = container.add_stream(codec, rate=10, options={"g": "10"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        heard = container.add_stream("pcm_s16le", rate=RATE, layout="mono") if sound else None
        for number in range(30):
            pixels = np.broadcast_to(np.array(COLOURS[number // 10], np.uint8), (48, 64, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if heard is not None:
            tone = np.concatenate([media.sine(RATE) * 0, media.sine(RATE), media.sine(RATE) * 0]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone), format="s16", layout="mono")
            frame.rate = RATE
            container.mux(heard.encode(frame))
            container.mux(heard.encode())
    return file.getvalue()


@pytest.mark.parametrize("format", ["matroska", "avi", "mov"])
def test_key_frames_and_sound(format):
    found = decode(video, clip(format))
    assert (found.facts["width"], found.facts["height"], found.facts["frames"]) == (64, 48, 30)
    assert found.facts["duration"] == pytest.approx(3, abs=0.1) and found.facts["frame_rate"] == 10
    assert found.facts["audio"] == {"codec": "pcm_s16le", "sample_rate": RATE, "channels": 1}
    keys = [shape for shape in found.shapes if shape.kind == "keyframe"]
    assert [box(shape.geom)[0] for shape in keys] == pytest.approx([0, 1, 2], abs=0.05)
    assert [box(shape.geom)[2] for shape in keys] == pytest.approx([1, 2, 3], abs=0.1)
    for key, colour in zip(keys, COLOURS, strict=True):
        assert key.properties["mean"] == pytest.approx(colour, abs=8)
    [envelope] = [shape for shape in found.shapes if shape.kind == "envelope"]
    times, peaks, _ = line(envelope.geom, 3).T
    assert times[-1] == pytest.approx(3, abs=0.01)
    assert (peaks[(times >= 1.1) & (times < 1.9)] > 0.3).all() and (peaks[(times < 0.9) | (times >= 2.1)] < 0.01).all()


def test_a_real_film_of_jpegs():
    content = media.sample("anim-1.mov")
    found = decode(video, content)
    sizes = content.index(b"stsz")
    assert found.facts["frames"] == int.from_bytes(content[sizes + 12 : sizes + 16])
    start = content.index(b"\xff\xd8\xff")
    first = np.asarray(Image.open(io.BytesIO(content[start:])).convert("RGB")).reshape(-1, 3)
    assert (found.facts["width"], found.facts["height"]) == (256, 256) and len(first) == 256 * 256
    assert found.shapes[0].properties["mean"] == pytest.approx(first.mean(0).tolist(), abs=2)
    assert [box(shape.geom)[0] for shape in found.shapes] == pytest.approx([0, 1, 2, 3], abs=0.04)


def test_a_real_stream():
    content = media.sample("alea.mpg")
    found = decode(video, content)
    width, height = int.from_bytes(content[4:7]) >> 12, int.from_bytes(content[4:7]) & 4095
    pictures = content.count(b"\0\0\x01\0")
    assert (found.facts["width"], found.facts["height"], found.facts["frames"]) == (width, height, pictures)


def test_a_codec_that_is_not_on_the_list():
    with pytest.raises(TooLarge, match="codec indeo3 is not decoded"):
        decode(video, media.sample("homer.avi"))


MKV, MOV = clip(), clip("mov")
PLAYLISTS = [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
             b"RIFF\0\0\0\0WAVEfmt ", b"<?xml version='1.0'?><MPD/>"]  # fmt: skip


REFUSED = [(b"", "0 bytes, expected a video"), (MKV[: len(MKV) // 2], "header declares"),
           (MOV[: len(MOV) // 2], "no video|declares"), (MOV[:100], "no video"), (MKV[:64], "no video|no stream"),
           *((playlist, "expected a video") for playlist in PLAYLISTS)]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=range(len(REFUSED)))
def test_content_that_is_not_what_it_says_is_refused(content, message):
    with pytest.raises(errors.ContentMalformed, match=message):
        decode(video, content)


def test_sound_alone_is_no_video():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        heard = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(media.sine(RATE).reshape(1, -1), format="s16", layout="mono")
        frame.rate = RATE
        container.mux(heard.encode(frame))
    with pytest.raises(errors.ContentMalformed, match="no stream of pictures"):
        decode(video, file.getvalue())


def test_limits(monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(TooLarge, match="64 x 48 pixels a frame"):
        decode(video, MKV)
    monkeypatch.undo()
    monkeypatch.setattr(video, "MAX_SAMPLES", RATE)
    with pytest.raises(TooLarge, match="more than 8000 samples"):
        decode(video, MKV)


@pytest.mark.parametrize("content", [MKV, MOV], ids=["mkv", "mov"])
def test_damage_is_refused_or_decoded(content):
    chance, refused = random.Random(5), 0
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(chance.randrange(1, 20)):
            damaged[int(len(damaged) * chance.random() ** 3)] = chance.randrange(256)
        try:
            decode(video, bytes(damaged))
        except errors.ContentMalformed:
            refused += 1
        except TooLarge:
            pass
    assert refused
