"""Decoders without a server: what they find, what they refuse, what they leave undecoded."""

import io
import random
import struct
import zlib

import media
import numpy as np
import pytest
import soundfile
from decoding import decode
from hartonomous_server import errors
from hartonomous_server.atoms.decoders import audio, image
from hartonomous_server.atoms.decoders.source import Found, Gate, Source, TooLarge
from PIL import Image

PNG, PIXELS = media.random_png(200, 300)
WAV = media.wav(media.sine(4000, channels=2))
OGG = media.sample("bell.oga")
NAN = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 44, b"WAVE", b"fmt ", 16, 3, 1, 8000, 32000, 4, 32, b"data", 8)


def saved(format, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "mode"),
    [("PNG", "RGB"), ("PNG", "P"), ("PNG", "1"), ("PNG", "LA"), ("PNG", "I;16"), ("JPEG", "CMYK"), ("GIF", "P"),
     ("BMP", "L"), ("TIFF", "F"), ("TIFF", "I"), ("TIFF", "LAB"), ("WEBP", "RGBA")],
)  # fmt: skip
def test_images_of_each_kind(format, mode):
    found = decode(image, saved(format, mode))
    assert (found.facts["format"], found.facts["width"], found.facts["height"]) == (format.lower(), 300, 200)
    assert [shape.kind for shape in found.shapes] == ["tile"] * 6
    assert all(len(shape.properties["mean"]) == len(shape.properties["spread"]) for shape in found.shapes)


def test_tiles_are_the_means_of_their_pixels():
    found = decode(image, PNG)
    last = found.shapes[-1]
    corner = PIXELS[128:, 256:].reshape(-1, 3).astype(float)
    assert last.properties == {"mean": corner.mean(0).round(2).tolist(), "spread": corner.std(0).round(2).tolist()}
    ring = np.frombuffer(last.geom[13:], "<f8").reshape(5, 2)
    assert ring.tolist() == [[256, 128], [300, 128], [300, 200], [256, 200], [256, 128]]


def test_envelopes_hold_every_sample():
    rate, samples = 1000, media.sine(70_150, 1000)
    found = decode(audio, media.wav(samples, rate))
    assert found.facts == {"format": "wav", "encoding": "pcm_16", "sample_rate": 1000, "channels": 1, "frames": 70150,
                           "duration": 70.15}  # fmt: skip
    lines = [np.frombuffer(shape.geom[9:], "<f8").reshape(-1, 3) for shape in found.shapes]
    assert [len(line) for line in lines] == [601, 103]  # 702 steps, of which the last is short
    assert lines[0][-1, 0] == lines[1][0, 0] == 60 and lines[1][-1, 0] == 70.15
    levels = np.concatenate([line[:-1] for line in lines])
    values = samples[:, 0] / 32768
    steps = [values[at : at + 100] for at in range(0, len(values), 100)]
    np.testing.assert_allclose(levels[:, 1], [np.abs(step).max() for step in steps], rtol=1e-6)
    np.testing.assert_allclose(levels[:, 2], [np.sqrt(np.mean(step**2)) for step in steps], rtol=1e-6)


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3", "WAVEX"])
def test_sounds_of_each_format(format):
    content = encoded(format)
    found = decode(audio, content)
    assert found.facts["format"] == format.lower() and found.facts["frames"] >= 44_100
    assert [shape.properties["channel"] for shape in found.shapes] == [0, 1]
    source = Source(len(content), lambda start, end: content[start:end])
    whole, _ = soundfile.read(io.BytesIO(content))
    blocks = list(audio.samples(source, 0.5, 0.6, Gate(source, lambda: None)))
    for channel, geom in blocks:
        points = np.frombuffer(geom, np.dtype([("head", "u1", 5), ("xym", "<f8", 3)]), offset=9)["xym"]
        np.testing.assert_allclose(points[:, 1], whole[22_050:26_460, channel], atol=1e-4)
        assert points[:, 2].tolist() == list(range(22_050, 26_460))


def encoded(format):
    file = io.BytesIO()
    soundfile.write(file, media.sine(44_100, 44_100, 2), 44_100, format=format)
    return file.getvalue()


def test_sound_without_samples_and_with_one():
    assert decode(audio, media.wav(media.sine(0))).shapes == []
    assert len(decode(audio, media.wav(media.sine(1))).shapes) == 1


REFUSED = [
    (image, b"", "0 bytes, expected an image"),
    (image, b"GIF89a", "expected an image"),
    (image, b"not an image at all", "begins with 6e 6f 74"),
    (image, PNG[: len(PNG) // 2], "Truncated"),
    (image, PNG[:-9], "no image that can be decoded"),
    (image, PNG[:-20], "no image that can be decoded"),
    (image, PNG[:100] + bytes(100) + PNG[200:], "no image that can be decoded"),
    (image, saved("JPEG")[:2000], "truncated"),
    (image, saved("JPEG")[:-2], "no end marker"),
    (image, saved("WEBP")[:2000], "no image"),
    (image, saved("WEBP")[:-1], "no image"),
    (image, saved("GIF")[:2000], "truncated"),
    (image, saved("TIFF")[:2000], "no image"),
    (image, saved("BMP")[:-1], "truncated"),
    (image, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "expected an image"),
    (audio, b"", "0 bytes, expected sound"),
    (audio, b"RIFF\0\0\0\0WAVE", "no data"),
    (audio, b"mp3?", "begins with 6d 70 33 3f"),
    (audio, WAV[:-1], f"header declares {len(WAV)} bytes, found {len(WAV) - 1}"),
    (audio, WAV[:40] + struct.pack("<I", 1 << 30) + WAV[44:], "header declares 1073741824 bytes of b'data'"),
    (audio, WAV[:22] + b"\0\0" + WAV[24:], "no sound that can be decoded"),
    (audio, OGG[: len(OGG) // 2], "before its last page"),
    (audio, OGG[:-1], "within its last page"),
    (audio, encoded("FLAC")[:20_000], "sound"),
    (audio, encoded("FLAC")[:-100], "sound|frames"),
    (audio, NAN + struct.pack("<2f", 0.5, float("nan")), "not finite"),
    (audio, NAN + struct.pack("<2f", 0.5, float("-inf")), "not finite"),
]


@pytest.mark.parametrize(("decoder", "content", "message"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_content_that_is_not_what_it_says_is_refused(decoder, content, message):
    with pytest.raises(errors.ContentMalformed, match=message) as raised:
        decode(decoder, content)
    assert "binary" in raised.value.hint


def test_a_text_that_explodes_is_refused():
    text = media.chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100 << 20)))
    with pytest.raises(errors.ContentMalformed):
        decode(image, PNG[:33] + text + PNG[33:])


def test_what_is_beyond_a_limit_is_named():
    huge = PNG[:8] + media.chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)) + PNG[33:]
    with pytest.raises(TooLarge, match="60000 x 60000 pixels, at most 67108864 are decoded"):
        decode(image, huge)
    with pytest.raises(TooLarge, match="longer than 0 s"):
        decode(audio, WAV, patience=0)


def test_a_jpeg_of_many_scans():
    whole = saved("JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    with pytest.raises(TooLarge, match="at most 100 are decoded"):
        decode(image, whole[:-2] + whole[last:-2] * 200 + whole[-2:])


def test_the_server_is_asked_while_a_library_reads():
    source = Source(len(PNG), lambda start, end: PNG[start:end])
    Gate(source, lambda: None, patience=-1)
    source._watched -= 1
    assert source.read() == b""
    with pytest.raises(TooLarge, match="took longer"):
        source.check()


def test_too_many_samples(monkeypatch):
    monkeypatch.setattr(audio, "MAX_SAMPLES", 7999)
    with pytest.raises(TooLarge, match="4000 frames of 2 channels, at most 7999 samples"):
        decode(audio, WAV)


@pytest.mark.parametrize(("decoder", "content"), [(image, PNG), (audio, OGG), (audio, WAV)], ids=["png", "ogg", "wav"])
def test_what_fails_while_reading_is_no_fault_of_the_content(decoder, content):
    """A cancel that arrives inside a library, which may swallow it."""

    class Cancelled(Exception):
        pass

    def read(start, end):
        if reads.append(start) or len(reads) > 1:
            raise Cancelled
        return content[start : start + 40]

    reads: list[int] = []
    source = Source(len(content), read)
    with pytest.raises(Cancelled):
        decoder.decode(source, Found(), Gate(source, lambda: None))


@pytest.mark.parametrize("name", ["cam1.jpg", "logo2.png", "bell.oga", "Noise.wav"])
def test_damage_is_refused_or_decoded(name):
    """Nothing but refusals, whatever bytes are changed or missing."""
    chance, whole = random.Random(name), media.sample(name)
    decoder = image if name.endswith(("jpg", "png")) else audio
    refused = 0
    for _ in range(40):
        content = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(1, 20)):
            if content:
                content[int(len(content) * chance.random() ** 3)] = chance.randrange(256)
        try:
            decode(decoder, bytes(content))
        except errors.ContentMalformed:
            refused += 1
        except TooLarge:
            pass
    assert refused
