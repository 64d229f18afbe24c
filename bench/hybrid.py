"""Search by words, by meaning and by both over the PostgreSQL manual, on the terms of its own index.

A term of the index and the pages that it leads to, by nobody of us. Weights are chosen on one half of the terms,
figures are those of the other. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lib
import psycopg
from psycopg.types.json import Jsonb
from retrieval import DATA, MANUAL, load, page

np = lib.np
K, DEPTH = 10, 50  # pages that count, results that they are taken from
SEED, DRAWS = 17, 10_000
WEIGHTS = [{"text": 1, "vector": vector} for vector in (0.5, 1, 2, 4, 8)]

Term = tuple[str, frozenset[str]]
Search = Callable[[str], list[str]]  # pages of a term, best first, each once


def main() -> None:
    options = arguments()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    with psycopg.connect(lib.dsn(), autocommit=True) as connection:
        if not options.loaded:
            load(connection)
        terms = index_terms()[: options.terms]
        tune, held_out = terms[::2], terms[1::2]
        best = tuned(connection, tune, options.weights)
        systems = {
            "hybrid, fused by rank": hybrid(connection, None),
            f"hybrid, weights {json.dumps(best)}": hybrid(connection, best),
            "words": by_words(connection),
            "meaning": by_meaning(connection),
            "search": answers(connection),
        }
        sets = {"index terms": held_out, "hard questions": hard_questions()}
        rows = [
            found | {"set": name, "n": len(chosen)}
            for name, chosen in sets.items()
            for found in compared({system: measure(search, chosen) for system, search in systems.items()})
        ]
    print(f"held out; weights chosen on the other half of {len(terms)} index terms")
    show(rows)
    found = {"machine": machine, "terms": len(terms), "held out": len(held_out), "weights": best, "rows": rows}
    print(f"written to {lib.write('hybrid', found)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--terms", type=int, help="so many, drawn by a fixed seed; default: all")
    parser.add_argument("--loaded", action="store_true", help="model and manual are there, with embeddings")
    parser.add_argument("--weights", type=json.loads, help="instead of choosing them")
    return parser.parse_args()


def index_terms() -> list[Term]:
    """Terms of the manual's index and the pages they lead to, in an order drawn by a fixed seed."""
    spec = importlib.util.spec_from_file_location("make_index_terms", DATA / "make_index_terms.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = module.IndexParser()
    parser.feed((Path(MANUAL) / "bookindex.html").read_text(encoding="utf-8"))
    terms = sorted((term, frozenset(pages)) for term, pages in parser.entries.items() if module.usable(pages))
    random.Random(SEED).shuffle(terms)
    return terms


def hard_questions() -> list[Term]:
    """Those held out."""
    found = [json.loads(line) for line in (DATA / "questions.jsonl").read_text().splitlines()]
    return [(q["question"], frozenset(q["pages"])) for q in found if q["half"] == "held_out"]


# --- the systems ---


def pages(connection: Any, statement: str, values: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(page(uri) for (uri,) in connection.execute(statement, values)))[:K]


def by_words(connection: Any) -> Search:
    statement = "select source_uri from hartonomous.search_keyword(%s, %s)"
    return lambda term: pages(connection, statement, (term, DEPTH))


def by_meaning(connection: Any) -> Search:
    statement = "select source_uri from hartonomous.search_vector(hartonomous.embed(%s), %s, recall => 1)"
    return lambda term: pages(connection, statement, (term, DEPTH))


def hybrid(connection: Any, weights: dict[str, float] | None) -> Search:
    given = None if weights is None else Jsonb(weights)
    statement = "select source_uri from hartonomous.search_hybrid(%s, weights => %s, k => %s, recall => 1)"
    return lambda term: pages(connection, statement, (term, given, DEPTH))


def answers(connection: Any) -> Search:
    statement = "select source_uri from hartonomous.search(%s, %s)"
    return lambda term: pages(connection, statement, (term, DEPTH))


def tuned(connection: Any, terms: Sequence[Term], given: dict[str, float] | None) -> dict[str, float]:
    """The weights with the best nDCG on the terms for tuning."""
    if given:
        return given
    scores = {
        json.dumps(weights): float(measure(hybrid(connection, weights), terms)["ndcg"].mean()) for weights in WEIGHTS
    }
    print("nDCG@10 on the half for tuning:", ", ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    return json.loads(max(scores, key=lambda name: scores[name]))


# --- figures ---


def measure(search: Search, terms: Sequence[Term]) -> dict[str, Any]:
    """Of each term: nDCG of the first 10 pages, whether a right one is among the first 5; milliseconds of a search."""
    ndcg, hit, milliseconds = [], [], []
    for term, right in terms:
        started = time.perf_counter()
        found = search(term)
        milliseconds.append((time.perf_counter() - started) * 1000)
        gain = sum(1 / math.log2(place + 1) for place, name in enumerate(found, 1) if name in right)
        ndcg.append(gain / sum(1 / math.log2(place + 1) for place in range(1, min(len(right), K) + 1)))
        hit.append(float(any(name in right for name in found[:5])))
    return {"ndcg": np.array(ndcg), "hit": np.array(hit), "ms": float(np.median(milliseconds))}


def compared(figures: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Means, and what the first system is better by, with its 95 % interval over terms drawn again, in pairs."""
    first = next(iter(figures.values()))
    return [
        {"system": name, "nDCG@10": float(own["ndcg"].mean()), "hit@5": float(own["hit"].mean()), "ms": own["ms"]}
        | {f"{figure} of the first - this": paired(first[figure] - own[figure]) for figure in ("ndcg", "hit")}
        for name, own in figures.items()
    ]


def paired(differences: Any) -> tuple[float, float, float]:
    """Mean of differences and its 95 % bootstrap interval."""
    chance = np.random.default_rng(SEED)
    means = [differences[chance.integers(len(differences), size=len(differences))].mean() for _ in range(DRAWS)]
    return float(differences.mean()), float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def show(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{'set':15}   n  {'system':44} nDCG@10  hit@5    ms   first - this: nDCG@10          hit@5")
    for found in rows:
        gains = [found[f"{figure} of the first - this"] for figure in ("ndcg", "hit")]
        intervals = "   ".join("{:+.3f} [{:+.3f}, {:+.3f}]".format(*gain) for gain in gains)
        means = f"{found['nDCG@10']:8.3f}{found['hit@5']:7.3f}{found['ms']:6.0f}"
        print(f"{found['set']:15}{found['n']:4}  {found['system']:44}{means}   {intervals}")


if __name__ == "__main__":
    main()
