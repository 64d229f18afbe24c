"""Prompts and what follows them: several texts are continued side by side, and none depends on its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from hartonomous_server import errors
from hartonomous_server.inference.decoder import Check, Decoder, cache_bytes
from hartonomous_server.inference.limits import MEMORY
from hartonomous_server.inference.pieces import Pieces
from hartonomous_server.inference.sampling import Options, Sampler
from hartonomous_server.models.decoders import DecoderConfig

SIDE_BY_SIDE = 16  # texts
CHECK_SECONDS = 0.05  # a check costs as much as a small layer

Decode = Callable[[Sequence[int]], str]


class Piece(NamedTuple):
    """Some text of one of the prompts; finish says why it was its last: "end", "stop" or "length"."""

    prompt: int
    text: str
    tokens: int
    finish: str | None


class _Text:
    """One text that is being continued."""

    def __init__(self, number: int, decoder: Decoder, decode: Decode, prompt: Sequence[int], options: Options) -> None:
        self.number = number
        self.cache = decoder.cache(len(prompt) + options.max_tokens)
        self.token = prompt[-1]
        self._ends = decoder.config.last
        self._left = options.max_tokens
        self._sampler = Sampler(options, prompt, decoder.config.vocabulary)
        self._pieces = Pieces(decode, prompt, options.stop)

    def choose(self, logits: Any) -> Piece:
        """Takes the next token; its piece of text may be empty."""
        self.token = self._sampler.choose(logits)
        self._left -= 1
        if self.token in self._ends:
            return Piece(self.number, self._pieces.end(), 1, "end")
        text = self._pieces.add(self.token)
        if not self._left and not self._pieces.stopped:
            text += self._pieces.end()
        finish = "stop" if self._pieces.stopped else None if self._left else "length"
        return Piece(self.number, text, 1, finish)


def continued(
    decoder: Decoder, decode: Decode, prompts: Sequence[Sequence[int]], options: Options, memory: int, check: Check
) -> Iterator[Piece]:
    """Pieces of all texts as they come; memory: bytes that they may take together."""
    largest = max((cache_bytes(decoder.config, len(prompt) + options.max_tokens) for prompt in prompts), default=1)
    if largest > memory:
        raise errors.MemoryExceeded(
            f"prompt and max_tokens take {largest >> 10} kB, expected at most the {memory >> 10} kB of {MEMORY}",
            hint=f"lower max_tokens, shorten the prompt, or have an administrator raise {MEMORY}",
        )
    some, check = min(SIDE_BY_SIDE, memory // largest), _seldom(check)
    groups = (range(start, min(start + some, len(prompts))) for start in range(0, len(prompts), some))
    return (piece for group in groups for piece in _side_by_side(decoder, decode, group, prompts, options, check))


def begin(config: DecoderConfig, ids: Sequence[int], max_tokens: int) -> list[int]:
    """The tokens of a prompt, which must leave room for what follows."""
    prompt = list(ids) or ([config.first] if config.first is not None else [])
    if not prompt:
        raise errors.InvalidParameter(
            "prompt has no tokens, and the model has no token that texts begin with", hint="give a prompt"
        )
    if len(prompt) + max_tokens > config.positions:
        raise errors.InvalidParameter(
            f"prompt of {len(prompt)} tokens and max_tokens {max_tokens} exceed the {config.positions} of the model",
            hint="shorten the prompt or lower max_tokens",
        )
    return prompt


def _side_by_side(
    decoder: Decoder, decode: Decode, numbers: Sequence[int], prompts: Sequence[Sequence[int]], options: Options,
    check: Check,
) -> Iterator[Piece]:  # fmt: skip
    going = []
    for number in numbers:
        text = _Text(number, decoder, decode, prompts[number], options)
        piece = text.choose(decoder.read(text.cache, prompts[number], check))
        yield piece
        if piece.finish is None:
            going.append(text)
    while going:
        check()
        logits = decoder.step([text.cache for text in going], [text.token for text in going], check)
        pieces = [text.choose(row) for text, row in zip(going, logits, strict=True)]
        yield from pieces
        going = [text for text, piece in zip(going, pieces, strict=True) if piece.finish is None]


def _seldom(check: Check) -> Check:
    last = time.perf_counter()

    def seldom() -> None:
        nonlocal last
        if time.perf_counter() - last > CHECK_SECONDS:
            check()
            last = time.perf_counter()

    return seldom
