"""How well decoders predict texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hartonomous_server import blas, errors
from hartonomous_server.db import interrupts
from hartonomous_server.evaluation import comparison
from hartonomous_server.inference import engine, limits
from hartonomous_server.inference.decoder import CHUNK, cache_bytes
from hartonomous_server.models.decoders import DecoderConfig
from hartonomous_server.models.tokenizer import MAX_CHARACTERS


def measure(db: Any, model_id: int, texts: Sequence[str]) -> dict[str, comparison.Metric]:
    """Perplexity of a token, and bits for a byte of text, which models with other tokens can be compared by."""
    np = blas.numpy()
    model = engine.load(db, model_id, engine.state_hash(db, model_id))
    config, check = model.decoder.config, interrupts(db)
    _check_memory(config, limits.memory(db))
    losses, counts, size = np.zeros((3, len(texts)))
    for at, text in enumerate(texts):
        check()
        if len(text) > MAX_CHARACTERS:
            found = f"text {at + 1} has {len(text)} characters"
            raise errors.InvalidParameter(f"{found}, expected at most {MAX_CHARACTERS}")
        size[at] = len(text.encode())
        for ids in windows(config, model.tokenizer.encode_all(text)):
            losses[at] -= model.decoder.likelihoods(ids, check).sum()
            counts[at] += len(ids) - 1
        if not counts[at] or not size[at]:
            raise errors.InvalidParameter(f"text {at + 1} has no token to predict", hint="leave it out of the set")
    if not np.isfinite(losses).all():
        raise errors.PredictionInvalid(f"prediction of text {int(np.isfinite(losses).argmin()) + 1} is not finite")
    return comparison.likelihood(losses, counts, size)


def windows(config: DecoderConfig, ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Parts of a text that the model can read; each begins with the last token of the one before it.

    The first begins with the token that texts begin with, where the model has one.
    """
    if config.first is not None and list(ids[:1]) != [config.first]:
        ids = [config.first, *ids]
    for start in range(0, len(ids) - 1, config.positions - 1):
        yield ids[start : start + config.positions]


def _check_memory(config: DecoderConfig, most: int) -> None:
    needed = cache_bytes(config, config.positions) + 8 * CHUNK * config.vocabulary
    if needed > most:
        raise errors.MemoryExceeded(
            f"{config.positions} tokens take {needed >> 10} kB, expected at most the {most >> 10} kB"
            f" of {limits.MEMORY}",
            hint=f"have an administrator raise {limits.MEMORY}",
        )
