"""Which modality a file is of: by its suffix, or else by its bytes."""

from __future__ import annotations

from codecs import getincrementaldecoder
from pathlib import Path

AUTO = "auto"
MODALITIES = ("text", "code", "image", "audio", "video", "sensor", "graph", "tensor", "binary")
LEGIBLE = ("text", "code")

# what the server's decoders read; of other pictures, sounds and videos it would find nothing
_SUFFIXES = {
    "code": "bash bat c cc clj cpp cs css cxx dart el erl ex f90 go h hpp hs java jl js jsx kt lua m ml nim php pl pm"
    " ps1 py pyi r rb rs scala sh sql swift tcl ts tsx vue zig",
    "image": "bmp gif jpeg jpg png tif tiff webp",
    "audio": "flac mp3 oga ogg opus wav",
    "video": "avi m4v mkv mov mp4 mpeg mpg ogv webm",
    "sensor": "csv jsonl ndjson tsv",
    "graph": "gml graphml",
    "tensor": "npy safetensors",
    "binary": "svg",  # a picture that is not decoded, and no text to be searched
}
BY_SUFFIX = {f".{suffix}": modality for modality, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def guess(path: Path, data: bytes, whole: bool = True) -> tuple[str, str]:
    """What a file with such a name and bytes, or such a beginning, should be; and what if it cannot be decoded."""
    plain = "text" if data and _is_utf8(data, whole) else "binary"
    named = BY_SUFFIX.get(path.suffix.lower(), plain) if data else plain
    return (plain, plain) if named in LEGIBLE and plain == "binary" else (named, plain)


def _is_utf8(data: bytes, whole: bool) -> bool:
    try:
        return "\0" not in getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
