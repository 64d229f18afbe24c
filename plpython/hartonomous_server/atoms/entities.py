"""Entities of a text: what recognisers, lists of names and a small statistical parser of names make of it.

No part of it reads for sense. Spans are characters of the text, from 0, the end not included.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hartonomous_server.atoms import entity_words as words

MOST = 100  # entities of a text
RUN = 8  # words of a name
# one name a line, of the places that GeoNames has with 50,000 inhabitants; of 300,000, in other languages too
TOWNS = Path("/usr/local/share/hartonomous/towns.txt")

_HOST = r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"
_URL = re.compile(rf"\b(?:https?://[^\s<>\"']{{1,2000}}|www\.{_HOST}(?:/[^\s<>\"']{{0,2000}})?)", re.IGNORECASE)
_EMAIL = re.compile(rf"(?<![\w.+-])[\w.+-]{{1,64}}@{_HOST}\b")
_CLOSING = ".,;:!?)]}'\""
_NUMBER = r"(?<![\w.,])[-+−]?\d{1,15}(?:[.,]\d{1,15}){0,5}"
_BLANK = "[ \u00a0]"
_SCALE = rf"(?:{_BLANK}(?:{'|'.join(words.SCALES)}))?"
_SYMBOL = "[$€£¥₹]"
_IMPERSONAL = frozenset(("of", "for", "&"))


@dataclass(frozen=True)
class Span:
    type: str
    start: int
    end: int


def find(text: str, language: str) -> list[dict[str, Any]]:
    """At most MOST entities, in order, none within another: type, text, start, end."""
    taken: list[Span] = []
    for spans in (_links(text), _phones(text), _dates(text, language), _quantities(text), _names(text)):
        taken += [span for span in spans if all(span.end <= t.start or t.end <= span.start for t in taken)][:MOST]
    taken.sort(key=lambda span: span.start)
    return [{"type": s.type, "text": text[s.start : s.end], "start": s.start, "end": s.end} for s in taken[:MOST]]


def _links(text: str) -> Iterator[Span]:
    for kind, pattern in (("email", _EMAIL), ("url", _URL)):
        for found in pattern.finditer(text):
            yield Span(kind, found.start(), found.start() + len(found[0].rstrip(_CLOSING)))


def _phones(text: str) -> Iterator[Span]:
    """Numbers with a country code that the plan of their country has."""
    if "+" not in text:
        return
    import phonenumbers

    for found in phonenumbers.PhoneNumberMatcher(text, None):
        yield Span("phone", found.start, found.end)


def _dates(text: str, language: str) -> Iterator[Span]:
    for found in _date_pattern(language).finditer(text):
        yield Span("date", *found.span())


@cache
def _date_pattern(language: str) -> re.Pattern[str]:
    """Dates by digits, and by the names of months in English and the language of the text."""
    months: set[str] = set()
    weekdays: set[str] = set()
    for known in {"en", language}:
        names = _locale(known)
        months |= {name for month in words.MONTHS for name in names.get(month, ())}
        weekdays |= {name for day in words.WEEKDAYS for name in names.get(day, ())}
    month, weekday = _one_of(months), _one_of(weekdays)
    day, year = r"[0-3]?\d(?:st|nd|rd|th|\.|º)?", r"\d{4}"
    of = r"(?:\s(?:de|of|di|d[eo]l?))?"
    return re.compile(
        rf"(?<![\w.,/-])(?:(?:{weekday}),?\s)?(?:{year}-[01]?\d-[0-3]?\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?"
        rf"|[0-3]?\d([./-])[01]?\d\1\d{{4}}|[0-3]?\d/[01]?\d/\d\d|{day}{of}\s(?:{month})(?:\.?,?{of}\s{year})?"
        rf"|(?:{month})\.?\s{day}(?:,?\s{year})?(?!\d)|(?:{month})\.?{of}\s{year})(?![\w/-])", re.IGNORECASE)


def _locale(language: str) -> dict[str, Any]:
    """Names that dateparser knows in a language."""
    try:
        return importlib.import_module(f"dateparser.data.date_translation_data.{language}").info
    except ImportError:
        return {}


def _one_of(names: set[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))) or "(?!)"


def _quantities(text: str) -> Iterator[Span]:
    for found in _quantity_pattern().finditer(text):
        yield Span("quantity", *found.span())


@cache
def _quantity_pattern() -> re.Pattern[str]:
    import pycountry

    codes = "|".join(sorted(currency.alpha_3 for currency in pycountry.currencies))
    unit = rf"(?:{'|'.join(words.UNITS)}|{_SYMBOL}|{codes})(?!\w)"
    amount = rf"{_SYMBOL}{_BLANK}?\d{{1,15}}(?:[.,]\d{{1,15}}){{0,5}}{_SCALE}(?!\w)"
    return re.compile(rf"{amount}|(?:{codes}){_BLANK}{_NUMBER}|{_NUMBER}{_SCALE}{_BLANK}?{unit}")


_TOKEN = re.compile(r"[^\W\d_](?:[\w'’-]|\.(?=[^\W\d_]))*|&")


def _names(text: str) -> Iterator[Span]:
    """Persons, places and organizations: the longest that begins at each word of a run of capitalised words."""
    for run in _runs(text):
        at = 0
        while at < len(run):
            for end in range(min(len(run), at + RUN), at, -1):
                start, stop = run[at][0], run[end - 1][1]
                if kind := _kind(tuple(text[a:b] for a, b in run[at:end])):
                    if text[stop : stop + 1] == "." and text[run[end - 1][0] : stop] in words.ABBREVIATED:
                        stop += 1
                    yield Span(kind, start, stop)
                    at = end
                    break
            else:
                at += 1


def _runs(text: str) -> Iterator[list[tuple[int, int]]]:
    """Runs of capitalised words, with the small words by which names are joined between them."""
    run: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        start, end, word = *token.span(), token[0]
        between = text[run[-1][1] : start] if run else ""
        title = between == ". " and text[slice(*run[-1])].lower() in words.TITLES
        firm = between == ", " and word in words.LEGAL_FORMS
        if run and not (between == " " or title or firm):
            yield run
            run = []
        if word[0].isupper() or (run and word in words.JOINING):
            run.append((start, end))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _kind(parts: tuple[str, ...]) -> str | None:
    first, last, name = parts[0], parts[-1], " ".join(parts)
    if not (first[0].isupper() and last[0].isupper()):
        return None
    if name in _places():
        return "place"
    if len(parts) == 1 or first in words.ARTICLES:
        return None
    followed = zip(parts, (*parts[1:], "of"), strict=True)
    body = any(word in words.BODIES and after in ("of", "for", "de") for word, after in followed)
    if last in words.LEGAL_FORMS or (body and not name.isupper()):
        return "organization"
    if len(parts) > 5 or name.isupper() or not _IMPERSONAL.isdisjoint(parts):
        return None
    return "person" if first.lower() in words.TITLES or (first.lower() in _given_names() and _personal(name)) else None


@lru_cache(maxsize=4096)
def _personal(name: str) -> bool:
    """Whether a name is more likely a person's than a corporation's, by a conditional random field."""
    import probablepeople

    return not any(label.startswith("Corporation") for _, label in probablepeople.parse(name))


@cache
def _given_names() -> frozenset[str]:
    from probablepeople.gender import gender_names

    return frozenset(gender_names) - frozenset(words.NO_FIRST_NAMES)


@cache
def _places() -> frozenset[str]:
    """Countries, their parts and larger towns, as they are written."""
    import pycountry

    names = {name for country in pycountry.countries for name in (country.name, getattr(country, "common_name", ""))}
    names |= {part.name for part in pycountry.subdivisions}
    if TOWNS.exists():
        names |= set(TOWNS.read_text("utf-8").splitlines())
    written = frozenset(name for name in names if len(name) > 3 and name[0].isupper() and not name.isupper())
    return written - frozenset(words.NO_PLACES)
