"""Decoding in the server: new artifacts get facts and shapes; stored content is read again for samples."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import content
from hartonomous_server.atoms.decoders import audio, code, graph, image, sensor, tensor, video
from hartonomous_server.atoms.decoders.source import Found, Gate, Source, TooLarge, malformed
from hartonomous_server.db import interrupts, query

Decoder = Callable[[Source, Found, Gate], None]
DECODERS: dict[int, tuple[str, Decoder]] = {  # by modality code
    2: ("code", code.decode), 3: ("image", image.decode), 4: ("audio", audio.decode), 5: ("video", video.decode),
    6: ("sensor", sensor.decode), 7: ("graph", graph.decode), 8: ("tensor", tensor.decode),
}  # fmt: skip
CALL_SHAPES = 5000
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
READ_PATIENCE_S = 3600.0  # the caller can cancel

Root = tuple[int, int, int, int]  # place and length


def as_json(value: Any) -> str:
    """ContentMalformed for what PostgreSQL's JSON cannot hold: a NUL character, half of a pair, a number not finite."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:
        text = "\\u0000"
    if NUL.search(text):
        raise malformed("a name or a text in content has a NUL character or half of a surrogate pair")
    return text


def store(db: Any, tenant: int, modality: int, artifacts: Sequence[tuple[int, Source]]) -> None:
    """Decodes new artifacts; ContentMalformed when one is not what its modality says."""
    if modality not in DECODERS:
        return
    key, decode = DECODERS[modality]
    cancel = interrupts(db)
    for artifact_id, source in artifacts:
        found = Found()
        try:
            decode(source, found, Gate(source, cancel))
        except TooLarge as limit:
            found.shapes, found.facts["undecoded"] = [], str(limit)
        except ImportError as error:
            found.shapes, found.facts["undecoded"] = [], f"the server's Python has no {error.name}"
        query(db, "select hartonomous._semantics_add($1, $2, $3)", ("int", tenant), ("bigint", artifact_id),
              ("jsonb", as_json({key: found.facts})))
        _put_shapes(db, tenant, artifact_id, found)


def _put_shapes(db: Any, tenant: int, artifact_id: int, found: Found) -> None:
    ordinals: dict[str, int] = {}
    numbered = []
    for shape in found.shapes:
        ordinals[shape.kind] = ordinals.get(shape.kind, -1) + 1
        numbered.append((shape.kind, ordinals[shape.kind], shape.geom, as_json(shape.properties)))
    for at in range(0, len(numbered), CALL_SHAPES):
        kinds, numbers, geoms, properties = zip(*numbered[at : at + CALL_SHAPES], strict=True)
        query(db, "select hartonomous._shape_put($1, $2, $3, $4, $5, $6)", ("int", tenant), ("bigint", artifact_id),
              ("text[]", kinds), ("int[]", numbers), ("bytea[]", geoms), ("jsonb[]", properties))


def stored(db: Any, root: Root) -> Source:
    """The content whose root atom is at a place."""
    h_xy, h_yz, h_zm, size = root
    return Source(size, lambda start, end: content.read_slice(db, h_xy, h_yz, h_zm, start, end - start))


@contextmanager
def _asked() -> Iterator[None]:
    """What is beyond a limit cannot be given."""
    try:
        yield
    except TooLarge as limit:
        raise errors.InvalidParameter(f"content is not decoded: {limit}") from None


def image_pixels(db: Any, root: Root, box: Sequence[float] | None) -> tuple[int, int, int, int, bytes] | None:
    corners = None if box is None else (box[0], box[1], box[2], box[3])
    with _asked():
        return image.pixels(stored(db, root), corners)


def audio_samples(db: Any, root: Root, start: float, end: float | None) -> Iterator[tuple[int, bytes]]:
    source = stored(db, root)
    with _asked():
        yield from audio.samples(source, start, end, Gate(source, interrupts(db), READ_PATIENCE_S))


def sensor_samples(db: Any, root: Root, series: str | None, start: float | None,
                   end: float | None) -> Iterator[tuple[str, bytes]]:
    source = stored(db, root)
    with _asked():
        yield from sensor.samples(source, series, start, end, Gate(source, interrupts(db), READ_PATIENCE_S))
