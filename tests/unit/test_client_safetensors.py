"""The safetensors stream: what is read is what was written, and no damaged file gets through or fails unclearly."""

import hashlib
import io
import json
import struct

import numpy as np
import pytest
from hartonomous import safetensors
from hartonomous.errors import Error, ModelCorrupt, TensorMismatch
from hypothesis import given
from hypothesis import strategies as st


def file(entries, data=b""):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(begin, end, dtype="U8", shape=None):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def read(blob, chunk=safetensors.CHUNK):
    stream = io.BytesIO(blob)
    header = safetensors.read_header(stream, len(blob))
    return header, list(safetensors.read_chunks(stream, header, chunk))


GOOD = file({"__metadata__": {"format": "pt"}, "b": tensor(4, 10), "a": tensor(0, 4, "F32", [])}, b"0123456789")


def test_reads_tensors_in_the_order_of_their_bytes():
    header, chunks = read(GOOD)
    assert [t.name for t in header.tensors] == ["a", "b"]
    assert header.metadata == {"format": "pt"}
    assert [(t.name, start, data) for t, start, data in chunks] == [("a", 0, b"0123"), ("b", 0, b"456789")]


def test_cuts_tensors_into_chunks():
    _, chunks = read(GOOD, chunk=4)
    assert [(t.name, start, data) for t, start, data in chunks] == [
        ("a", 0, b"0123"),
        ("b", 0, b"4567"),
        ("b", 4, b"89"),
    ]


def test_an_empty_tensor_is_one_empty_chunk():
    _, chunks = read(file({"a": tensor(0, 0, "F32", [3, 0]), "b": tensor(0, 1)}, b"x"))
    assert [(t.name, data) for t, _, data in chunks] == [("a", b""), ("b", b"x")]


def test_a_file_without_tensors_is_legal():
    assert read(file({})) == (safetensors.Header([], None, 10), [])


BAD = {
    "empty": (b"", ModelCorrupt, "the header's length: found 0 bytes, expected 8"),
    "short length": (b"\1\0\0", ModelCorrupt, "found 3 bytes"),
    "length beyond the file": (
        struct.pack("<Q", 1000) + b"{}",
        ModelCorrupt,
        "header of 1000 bytes, expected at most 2",
    ),
    "absurd length": (b"\xff" * 8 + b"{}", ModelCorrupt, "expected at most"),
    "not JSON": (file(b"{nope"), ModelCorrupt, "not valid JSON"),
    "not UTF-8": (file(b"\xff\xfe"), ModelCorrupt, "not valid JSON"),
    "deep JSON": (file(b"[" * 100_000), ModelCorrupt, "not valid JSON"),
    "a list": (file([]), ModelCorrupt, "expected an object"),
    "name twice": (file(b'{"a":{},"a":{}}'), ModelCorrupt, '"a" stands twice'),
    "metadata not texts": (file({"__metadata__": {"a": 1}}), ModelCorrupt, "__metadata__"),
    "entry not an object": (file({"a": 1}), ModelCorrupt, 'tensor "a": found int'),
    "entry lacks a key": (file({"a": {"dtype": "U8"}}), ModelCorrupt, "expected dtype, shape and data_offsets"),
    "unknown dtype": (file({"a": tensor(0, 1, "F7")}, b"x"), TensorMismatch, "unknown dtype 'F7'"),
    "negative shape": (file({"a": tensor(0, 1, shape=[-1])}, b"x"), TensorMismatch, "natural numbers"),
    "true as extent": (file({"a": tensor(0, 1, shape=[True])}, b"x"), TensorMismatch, "natural numbers"),
    "three offsets": (
        file({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2]}}, b"x"),
        ModelCorrupt,
        "a begin and an end",
    ),
    "offsets reversed": (
        file({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 0]}}, b"x"),
        ModelCorrupt,
        "a begin and an end",
    ),
    "wrong length": (file({"a": tensor(0, 4, "F32", [2])}, b"0123"), TensorMismatch, "4 bytes, expected 8 for F32"),
    "overlap": (file({"a": tensor(0, 4), "b": tensor(2, 6)}, b"012345"), ModelCorrupt, "it overlaps"),
    "gap": (file({"a": tensor(0, 2), "b": tensor(4, 6)}, b"012345"), ModelCorrupt, "it leaves a gap after"),
    "truncated": (file({"a": tensor(0, 2), "b": tensor(2, 6)}, b"012"), ModelCorrupt, 'truncated in tensor "b"'),
    "surplus": (file({"a": tensor(0, 2)}, b"012"), ModelCorrupt, "the last belong to no tensor"),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    blob, error, message = BAD[name]
    with pytest.raises(error) as raised:
        read(blob)
    assert message in str(raised.value)


def test_a_stream_shorter_than_its_stated_size_is_truncated():
    with pytest.raises(ModelCorrupt, match='truncated in tensor "b"'):
        stream = io.BytesIO(GOOD[:-3])
        list(safetensors.read_chunks(stream, safetensors.read_header(stream, len(GOOD))))


@given(st.integers(0, len(GOOD) - 1))
def test_every_truncation_is_refused(length):
    with pytest.raises(Error):
        read(GOOD[:length])


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_harmless(at, flip):
    blob = bytearray(GOOD)
    blob[at] ^= flip
    try:
        header, chunks = read(bytes(blob))
    except Error:
        return
    assert b"".join(data for _, _, data in chunks) == blob[header.data_start :]


SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
TENSORS = st.dictionaries(
    st.text(min_size=1).filter(lambda n: n != "__metadata__"),
    st.tuples(st.sampled_from(list(safetensors.DTYPES)), SHAPES),
)


@given(TENSORS, st.none() | st.dictionaries(st.text(), st.text()), st.integers(1, 100))
def test_what_is_written_is_read(specs, metadata, chunk):
    tensors, start = [], 0
    for name, (dtype, shape) in specs.items():
        length = int(np.prod(shape, dtype=int)) * safetensors.DTYPES[dtype][0]
        tensors.append(safetensors.Tensor(name, dtype, shape, start, length))
        start += length
    data = bytes(i % 251 for i in range(start))
    stream = io.BytesIO()
    safetensors.write(stream, tensors, metadata, (data[i : i + 7] for i in range(0, start, 7)))
    header, chunks = read(stream.getvalue(), chunk)
    assert sorted(header.tensors, key=lambda t: t.name) == sorted(tensors, key=lambda t: t.name)
    assert header.metadata == metadata
    digests = {}
    for t, _, part in chunks:
        digests.setdefault(t.name, hashlib.sha256()).update(part)
    for t in tensors:
        assert digests[t.name].digest() == hashlib.sha256(data[t.start : t.start + t.length]).digest()


def test_arrays():
    values = np.array([[1.5, -2.0], [0.0, 3.25]], dtype=np.float32)
    assert np.array_equal(safetensors.to_numpy(values.tobytes(), "F32", [2, 2]), values)
    bf16 = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    assert np.array_equal(safetensors.to_numpy(bf16, "BF16", (2, 2)), values)  # exact: these fit in 8 bits of mantissa
    assert safetensors.to_numpy(b"\1\2", "F8_E4M3", [2]).dtype == np.uint8
    assert safetensors.to_numpy(b"\1\0\0\0\0\0\0\0", "I64", []).shape == ()
