"""Token ids to text, piece by piece: no broken characters, nothing that may turn out to be a stop text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

CONTEXT = 8  # tokens before a piece that it is decoded with: whether it begins with a space depends on them
BROKEN = "\ufffd"


class Pieces:
    """The text of tokens that follow a prompt. All pieces together are the text, which ends before a stop text."""

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Sequence[int], stops: Sequence[str]) -> None:
        self._decode = decode
        self._stops = stops
        self._ids = list(prompt[-CONTEXT:])
        self._read = len(self._ids)  # tokens whose text was taken
        self._held = ""  # what may be the beginning of a stop text
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that is certain now."""
        self._ids.append(token)
        return self._take(whole=False)

    def end(self) -> str:
        """The rest."""
        return "" if self.stopped else self._take(whole=True)

    def _take(self, whole: bool) -> str:
        before, text = self._decode(self._ids[: self._read]), self._decode(self._ids)
        new = text[len(before) :]
        if new.endswith(BROKEN) and not whole:  # the first bytes of a character
            return ""
        self._ids = self._ids[-CONTEXT:]
        self._read = len(self._ids)
        return self._up_to_stop(self._held + new.replace("\0", BROKEN), whole)  # no text of the server has a NUL

    def _up_to_stop(self, text: str, whole: bool) -> str:
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped = True
            return text[: min(found)]
        held = 0 if whole else max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of a text that is a beginning of the stop text."""
    return next(length for length in range(min(len(text), len(stop) - 1), -1, -1) if text.endswith(stop[:length]))
