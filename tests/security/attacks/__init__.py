"""Attacks of one tenant on another: each gets in on a copy weakened in one way, and fails on ours.

An attack is a function (session, victim) -> bool: did it get in, or learn something. An error of the server is a no.
`weaken` is SQL that a superuser runs on the copy, {names} of Names filled in; `undo` takes back what is cluster-wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BOTH = ("role", "key")


@dataclass(frozen=True)
class Attack:
    name: str
    run: Callable[[Any, Any], bool]
    weaken: str
    undo: str
    kinds: tuple[str, ...]


ATTACKS: list[Attack] = []  # weakened copies let them in, ours does not
KNOWN: list[
    Attack
] = []  # ours lets them in, as docs/decisions/20 says; `weaken` is the remedy it names, which stops them


def attack(weaken: str, undo: str = "", kinds: tuple[str, ...] = BOTH) -> Callable[[Any], Any]:
    def register(run: Callable[[Any, Any], bool]) -> Any:
        ATTACKS.append(Attack(run.__name__, run, weaken, undo, kinds))
        return run

    return register


def known(remedy: str, kinds: tuple[str, ...] = BOTH) -> Callable[[Any], Any]:
    def register(run: Callable[[Any, Any], bool]) -> Any:
        KNOWN.append(Attack(run.__name__, run, remedy, "", kinds))
        return run

    return register
