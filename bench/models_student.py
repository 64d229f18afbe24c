"""A student at energy 0.95 and its parent, on questions over the PostgreSQL manual."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from hartonomous import documents, models
from lib import row
from models_files import WHEEL
from place import Place

DATA = Path(__file__).parent / "data"
MANUAL = Path("/usr/local/share/postgresql-doc/html")
PREFIX = "postgresql-17/"
PASSAGES = 8  # of a page
ENERGY = 0.95
LEAST = 90  # percent of the parent's hit@5
BATCH = 256


def measure(_: Place, client: Any, folder: Path) -> list[dict[str, Any]]:
    models.ingest(client, WHEEL, "parent")
    lines = [(DATA / f"{name}.jsonl").read_text().splitlines() for name in ("questions", "tuning_questions")]
    questions = [json.loads(line) for line in [*lines[0], *lines[1]]]
    pages = sorted({page for question in questions for page in question["pages"]})
    documents.ingest(client, [MANUAL / page for page in pages], uri_prefix=PREFIX)
    made = client.model_student("parent", "student", ENERGY)
    chosen = passages(client)
    for name in ("parent", "student"):
        for start in range(0, len(chosen), BATCH):
            client.embed_artifacts(chosen[start : start + BATCH], name)
    pairs = [(question["question"], PREFIX + page) for question in questions for page in question["pages"]]
    client.evaluation_put("manual", "retrieval", [text for text, _ in pairs], [uri for _, uri in pairs])
    found = client.model_validate("parent", "student", "manual")
    share = made.stored_bytes / client.model_storage("parent").stored_bytes
    print(f"\n{len(chosen)} passages of {len(pages)} pages, {found['items']} questions; student: {made.quality}")
    return rows(found["metrics"], share, made.quality["cosine"])


def passages(client: Any) -> list[int]:
    """Some of each page, evenly spread."""
    sql = """
        select s.document_uri, s.artifact_id from hartonomous.artifact_source as s
        join hartonomous.artifact as a using (tenant_id, artifact_id)
        where s.position is not null and a.canonical_text is not null order by s.document_uri, s.position"""
    chosen = set()
    for _, found in groupby(client.query(sql), lambda one: one[0]):
        of_page = [artifact for _, artifact in found]
        count = min(PASSAGES, len(of_page))
        chosen |= {of_page[number * len(of_page) // count] for number in range(count)}
    return sorted(chosen)


def rows(metrics: dict[str, Any], share: float, cosine: float) -> list[dict[str, Any]]:
    hit = metrics["hit@5"]
    low, high = (100 + 100 * difference / hit["a"] for difference in hit["interval"])
    kept = {"student": 100 * hit["b"] / hit["a"], "from": low, "to": high}
    both = {"student": 100 * hit["b"], "parent": 100 * hit["a"]}
    gain = metrics["ndcg@5"]
    return [
        row("hit@5 of the parent that its student keeps, and 95 % interval", "%", kept, 1, least=LEAST),
        row("hit@5", "%", both, 1),
        row("nDCG@5", "%", {"student": 100 * gain["b"], "parent": 100 * gain["a"]}, 1),
        row("bytes of tensor atoms", "%", {"student": 100 * share, "parent": 100.0}, 1),
        row("mean cosine to the parent's embeddings", "", {"student": cosine}, 3),
    ]
