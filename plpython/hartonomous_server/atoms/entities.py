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

MOST = 100  # entities of a text
RUN = 8  # words of a name
# one name a line, of the places that GeoNames has with 50,000 inhabitants; of 300,000, in other languages too
TOWNS = Path("/usr/local/share/hartonomous/towns.txt")

_HOST = r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"
_URL = re.compile(rf"\b(?:https?://[^\s<>\"']{{1,2000}}|www\.{_HOST}(?:/[^\s<>\"']{{0,2000}})?)", re.IGNORECASE)
_EMAIL = re.compile(rf"(?<![\w.+-])[\w.+-]{{1,64}}@{_HOST}\b")
_CLOSING = ".,;:!?)]}'\""
_NUMBER = r"(?<![\w.,])[-+−]?\d{1,15}(?:[.,]\d{1,15}){0,5}"
_SCALE = r"(?:\s(?:thousand|million|billion|trillion|Millionen|Milliarden|millions|milliards|millones))?"
_SYMBOL = "[$€£¥₹]"
_UNITS = (
    r"%|‰|°\s?[CF]?|[kKMGTP]i?B(?:it|/s)?|bytes?|bits?|[nµμmckMG]?m(?:[²³23]|/s)?|km/h|mph|[mµμk]?g|t|[mcdh]?[lL]|ha"
    r"|[nµμm]?s|min|h|[mkMGT]?Wh?|[mkM]?[VAJΩ]|[kMG]?Hz|[hkM]?Pa|[mk]?bar|[km]?cal|[kM]?N|K|mol|lm|lx|dB|rpm|ppm|ft|lbs?|oz|mi|yd"
    r"|(?:kilo|centi|milli|mega|giga|tera|nano|micro)?(?:met(?:re|er)s?|grams?|lit(?:re|er)s?|watts?|volts?|amp(?:ere)?s?|hertz|joules?"
    r"|pascals?|bytes?|seconds?|newtons?)|minutes?|hours?|days?|weeks?|months?|years?|degrees?|percent|per cent|tonn?es?|tons?|pounds?"
    r"|ounces?|inch(?:es)?|feet|foot|yards?|miles?|acres?|hectares?|gallons?|dollars?|[eE]uros?|cents?|yen|rupees?|francs?|kelvin"
    r"|Stunden?|Minuten?|Sekunden?|Tagen?|Wochen?|Monaten?|Jahren?|heures?|secondes?|jours?|semaines?|mois|ans?|horas?|minutos?"
    r"|segundos?|d[ií]as?|semanas?|meses|años?|Meter[n]?|Gramm|Prozent|pesos?"
)
_JOINED = frozenset("of de da do dos das del della di du la le van von der den zu bin al el & for".split())
_ARTICLES = frozenset("A An The Der Die Das Dem Den Le La Les El Los Las Il Lo De Het O Os As".split())
_TITLES = frozenset(
    "mr mrs ms miss mx dr prof professor sir dame lord lady president senator judge captain king queen herr frau fräulein"
    " monsieur madame mme mlle señor señora sr sra signor signora don doña dhr mevr pan pani".split()
)
_LEGAL = {"CorporationLegalType", "CorporationNameOrganization", "CorporationCommitteeType"}
_OFFICES = frozenset("Ministry Department Agency Council Parliament Senate Office Bureau Faculty Board House Court".split())
_IMPERSONAL = frozenset(("of", "for", "&"))
# names of towns that are words at the beginning of a sentence more often
_WORDS = frozenset("Bar Bath Batman Best Born Buy Deal Hit Hove Lens Male Man Mobile Most Nice Of Orange Reading Same Split Time".split())


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
        months |= {name for month in _MONTHS for name in names.get(month, ())}
        weekdays |= {name for day in _WEEKDAYS for name in names.get(day, ())}
    month, weekday = _one_of(months), _one_of(weekdays)
    day, year = r"[0-3]?\d(?:st|nd|rd|th|\.|º)?", r"\d{4}"
    of = r"(?:\s(?:de|of|di|d[eo]l?))?"
    return re.compile(
        rf"(?<![\w.,/-])(?:(?:{weekday}),?\s)?(?:{year}-[01]?\d-[0-3]?\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?"
        rf"|[0-3]?\d([./-])[01]?\d\1(?:\d{{4}}|\d\d)|{day}{of}\s(?:{month})(?:\.?,?{of}\s{year})?"
        rf"|(?:{month})\.?\s{day}(?:,?\s{year})?(?!\d)|(?:{month})\.?{of}\s{year})(?![\w/-])", re.IGNORECASE)


_MONTHS = "january february march april may june july august september october november december".split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()


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
    unit = rf"(?:{_UNITS}|{_SYMBOL}|{codes})(?!\w)"
    scaled = rf"{_SCALE}\s?{unit}"
    return re.compile(rf"{_SYMBOL}\s?\d{{1,15}}(?:[.,]\d{{1,15}}){{0,5}}{_SCALE}(?!\w)|(?:{codes})\s{_NUMBER}|{_NUMBER}{scaled}")


_TOKEN = re.compile(r"[^\W\d_](?:[\w'’-]|\.(?=[^\W\d_]))*|&")


def _names(text: str) -> Iterator[Span]:
    """Persons, places and organizations: the longest that begins at each word of a run of capitalised words."""
    for run in _runs(text):
        at = 0
        while at < len(run):
            for end in range(min(len(run), at + RUN), at, -1):
                start, stop = run[at][0], run[end - 1][1]
                if kind := _kind(tuple(text[a:b] for a, b in run[at:end]), text, start):
                    if text[stop : stop + 1] == "." and text[run[end - 1][0] : stop] in ("Inc", "Ltd", "Corp", "Co"):
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
        title = between == ". " and text[slice(*run[-1])].lower() in _TITLES
        firm = between == ", " and word in ("Inc", "Ltd", "LLC", "Corp")
        if run and not (between == " " or title or firm):
            yield run
            run = []
        if word[0].isupper() or (run and word in _JOINED):
            run.append((start, end))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _kind(words: tuple[str, ...], text: str, start: int) -> str | None:
    first, last, name = words[0], words[-1], " ".join(words)
    if not (first[0].isupper() and last[0].isupper()):
        return None
    if name in _places() and not (name in _WORDS and _begins(text, start)):
        return "place"
    if len(words) == 1 or first in _ARTICLES:
        return None
    if first in _OFFICES and "of" in words[:3]:
        return "organization"
    human = len(words) <= 5 and _IMPERSONAL.isdisjoint(words)
    if first.lower() in _TITLES:
        return "person" if human else None
    labels, kind = _parsed(name)
    if kind == "Corporation" and _LEGAL & set(labels):
        return "organization"
    return "person" if kind == "Person" and human and first.lower() in _given_names() else None


def _begins(text: str, start: int) -> bool:
    return not text[:start].strip() or text[:start].rstrip()[-1] in ".!?:\n"


@lru_cache(maxsize=4096)
def _parsed(name: str) -> tuple[tuple[str, ...], str]:
    """Labels of the words of a name, and whether they make a person or a corporation: a conditional random field."""
    import probablepeople

    try:
        labels = tuple(label for _, label in probablepeople.parse(name))
        return labels, probablepeople.tag(name)[1]
    except probablepeople.RepeatedLabelError:
        return (), ""


@cache
def _given_names() -> frozenset[str]:
    from probablepeople.gender import gender_names

    return frozenset(gender_names)


@cache
def _places() -> frozenset[str]:
    """Countries, their parts and larger towns, as they are written."""
    import pycountry

    names = {name for country in pycountry.countries for name in (country.name, getattr(country, "common_name", ""))}
    names |= {part.name for part in pycountry.subdivisions}
    if TOWNS.exists():
        names |= set(TOWNS.read_text("utf-8").splitlines())
    return frozenset(name for name in names if len(name) > 3 and name[0].isupper() and not name.isupper())
