"""What can be told of a text without reading it for sense: language, sentiment, entities.

The libraries bring their data; nothing is downloaded. They are loaded by the first call of a session.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from hartonomous_server.atoms import entities
from hartonomous_server.blas import numpy
from hartonomous_server.db import interrupts, query

BATCH = 100  # texts in memory
TELLING = 2000  # characters that the language is told by


def extract(db: Any, tenant: int, artifact_ids: Sequence[int]) -> int:
    """Reads what is pending among artifacts of a tenant; returns how many."""
    count, interrupt = 0, interrupts(db)
    for at in range(0, len(artifact_ids), BATCH):
        rows = query(db, "select artifact_id, body from hartonomous._semantics_take($1, $2)",
                     ("int", tenant), ("bigint[]", artifact_ids[at : at + BATCH]))
        found = []
        for row in rows:
            found.append(json.dumps(read(row["body"])))
            interrupt()
        query(db, "select hartonomous._semantics_put($1, $2, $3)", ("int", tenant),
              ("bigint[]", [row["artifact_id"] for row in rows]), ("jsonb[]", found))
        count += len(rows)
    return count


def read(text: str) -> dict[str, Any]:
    """Semantics of a text. Without a letter it has no language; sentiment is judged in English only."""
    language, probability = _language(text)
    found: dict[str, Any] = {"entities": entities.find(text, language)}
    if language:
        found |= {"language": language, "language_probability": probability}
    if language == "en":
        found["sentiment"] = _sentiment().polarity_scores(text)["compound"]
    return found


def _language(text: str) -> tuple[str, float]:
    if not any(map(str.isalpha, text)):
        return "", 0.0
    language, probability = _identifier().classify(text[:TELLING])
    return language, round(float(probability), 3)


@cache
def _identifier() -> Any:
    """Of the languages that have two letters in ISO 639-1: small ones more often win by mistake than by right."""
    numpy()
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted({label for label in identifier.labels if len(label) == 2}))
    return identifier


@cache
def _sentiment() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
