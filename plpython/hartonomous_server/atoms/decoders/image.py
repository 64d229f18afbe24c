"""Images by Pillow: a shape per tile, pixels on demand. Coordinates are pixels, x to the right, y down."""

from __future__ import annotations

from typing import Any, cast

from hartonomous_server import errors
from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.source import (
    WINDOW_BYTES,
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

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")  # none of them starts a program or follows a link
MAX_BYTES = 1 << 29  # Pillow reads each part of a PNG whole
MAX_PIXELS = 1 << 26
MAX_SCANS = 100  # of a progressive JPEG
TILE = 128
READ_PIXELS = 1 << 20  # what one call may ask for
_CHANNELS = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}  # as which it is read


def decode(source: Source, found: Found, gate: Gate) -> None:
    """First frame of an image."""
    np = numpy()
    with decoding("image", source):
        image = _open(source, found.facts)
        gate()
        _check_end(source, image)
        image = _pixels(_open(source, {}))
        gate()
        width, height = image.size
        across = np.arange(0, width, TILE)
        for y in range(0, height, TILE):
            strip = _array(image.crop((0, y, width, min(y + TILE, height))))
            corners = [(x, y, min(x + TILE, width), min(y + TILE, height)) for x in across.tolist()]
            for geom, x in zip(ewkb.boxes(corners), across.tolist(), strict=True):
                tile = strip[:, x : x + TILE].reshape(-1, strip.shape[2])
                mean, spread = tile.mean(0, dtype=np.float64), tile.std(0, dtype=np.float64)
                if not np.isfinite(spread).all():
                    raise malformed(f"image has pixels that are not finite in rows {y} to {y + TILE}")
                found.shapes.append(Shape("tile", geom, {"mean": rounded(mean), "spread": rounded(spread)}))
            gate()


def pixels(source: Source, box: tuple[float, float, float, float] | None) -> tuple[int, int, int, int, bytes] | None:
    """Pixels whose squares overlap the box (x0, y0, x1, y1): left, top, width, channels, and a MULTIPOINT ZM of their
    channels, row by row; None when there are none."""
    np = numpy()
    with decoding("image", source):
        image = _open(source, {})
        width, height = image.size
        low, high = (0, 0), (width, height)
        if box is not None:
            corners = np.clip(box, 0, [width, height] * 2)
            low, high = tuple(np.floor(corners[:2]).astype(int)), tuple(np.ceil(corners[2:]).astype(int))
        left, top, across, down = int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])
        if across * down > READ_PIXELS:
            raise errors.InvalidParameter(f"box holds {across * down} pixels, expected at most {READ_PIXELS}",
                                          hint="ask for a smaller box, such as a tile of hartonomous.artifact_shapes")
        if across <= 0 or down <= 0:
            return None
        values = _array(_pixels(image).crop((left, top, left + across, top + down)))
        channels = values.shape[2]
        points = np.zeros((across * down, 4))
        points[:, :channels] = values.reshape(-1, channels)
    return left, top, across, channels, ewkb.multipoint(points, ewkb.Z | ewkb.M)


def _open(source: Source, facts: dict[str, Any]) -> Any:
    """An image whose header was read; its facts."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # judged here
    if source.size > MAX_BYTES:
        raise TooLarge(f"{source.size} bytes, at most {MAX_BYTES} are decoded")
    source.seek(0)
    try:
        image: Any = Image.open(cast(Any, source), formats=FORMATS)
    except UnidentifiedImageError:
        source.check()
        raise malformed(f"found {beginning(source)}, expected an image: {', '.join(FORMATS)}") from None
    width, height = image.size
    facts.update(format=image.format.lower(), width=width, height=height, mode=image.mode)
    if width * height > MAX_PIXELS:
        raise TooLarge(f"{width} x {height} pixels, at most {MAX_PIXELS} are decoded")
    return image


def _check_end(source: Source, image: Any) -> None:
    """Pillow takes an image for whole as soon as it has its pixels."""
    image.verify()  # checksums of PNG, to the last chunk
    if image.format == "JPEG":
        _check_scans(source)
    if image.format == "JPEG" and b"\xff\xd9" not in source.head(65536, max(0, source.size - 65536)):
        raise malformed("image is truncated: JPEG has no end marker")


def _check_scans(source: Source) -> None:
    """Each of them visits all blocks, and may take no more than some bytes."""
    scans = sum(source.head(WINDOW_BYTES + 1, at).count(b"\xff\xda") for at in range(0, source.size, WINDOW_BYTES))
    if scans > MAX_SCANS:
        raise TooLarge(f"{scans} scans, at most {MAX_SCANS} are decoded")


def _pixels(image: Any) -> Any:
    """The image decoded, in a mode whose channels are values."""
    transparent = image.mode == "P" and "transparency" in image.info
    image.load()
    mode = "RGBA" if transparent else _CHANNELS.get(image.mode, image.mode)
    return image if mode == image.mode else image.convert(mode)


def _array(image: Any) -> Any:
    """Channels (height, width, n) of a decoded image."""
    values = numpy().asarray(image)
    return values.reshape(*values.shape[:2], -1)


def rounded(values: Any) -> list[float]:
    return [round(value, 2) for value in values.tolist()]
