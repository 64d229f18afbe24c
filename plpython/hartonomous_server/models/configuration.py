"""Reading a config.json strictly: each value is one that an engine here can run, or the error names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hartonomous_server import errors

MAX_LAYERS = 1000


def size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A positive integer."""
    value = config.get(key)
    value = default if value is None else value
    if value is None:
        raise errors.ModelCorrupt(f"configuration has no {key}", hint="pass the model's whole config.json")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise errors.ModelCorrupt(f"{key} is {value!r}, expected a positive integer")
    return value


def layers(config: Mapping[str, Any], key: str) -> int:
    count = size(config, key)
    if count > MAX_LAYERS:
        raise errors.ModelCorrupt(f"{key} is {count}, expected at most {MAX_LAYERS}")
    return count


def number(config: Mapping[str, Any], key: str, default: float, least: float, most: float) -> float:
    """A number between two others."""
    value = config.get(key, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least < value < most:
        raise errors.ModelCorrupt(f"{key} is {value!r}, expected a number between {least:g} and {most:g}")
    return float(value)


def only(config: Mapping[str, Any], key: str, supported: tuple[Any, ...], default: Any) -> Any:
    """A value that is supported."""
    value = config.get(key, default)
    if value not in supported:
        raise errors.ArchitectureUnsupported(
            f"{key} {value} is not supported, expected {' or '.join(str(s) for s in supported)}"
        )
    return value


def multiple(config: str, value: int, of: str, divisor: int) -> int:
    """value / divisor, without a remainder."""
    if value % divisor:
        raise errors.ModelCorrupt(f"{config} {value} is not a multiple of {of} {divisor}")
    return value // divisor
