"""Recall over time while embeddings are replaced by others and searches go on: what recall_watch does about it.

--rows N, --seconds N, --every N seconds recall_watch is called (0: never). Writes results/churn.json and churn.svg.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any

import lib
import psycopg
from psycopg.conninfo import make_conninfo
from search_build import literal

np = lib.np
DATABASE, MODEL, DIMENSIONS, K, ASKED = "bench_churn", "bench", 128, 10, 0.95
SHARE = 0.3  # of the rows, replaced in the middle third of the time
EACH = 5  # probes per point of the plot

SEARCH = (
    "select artifact_id, verdict from hartonomous.search_vector(%s::vector, %s::int, %s, recall => %s::real,"
    " snippets => false)"
)


def main() -> None:
    options = arguments()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    dsn = make_conninfo(lib.dsn(), dbname=DATABASE)
    ids = build(dsn, points(1, options.rows))
    began, done = time.monotonic(), threading.Event()
    probes: list[dict[str, Any]] = []
    actions: list[dict[str, Any]] = []
    works = [(replacing, dsn, ids, options, began), (asking, dsn, options, began, done)]
    works += [(asking, dsn, options, began, done)]
    works += [(watching, dsn, options, began, done, actions)] * (options.every > 0)
    threads = [threading.Thread(target=work, args=rest) for work, *rest in works]
    for thread in threads:
        thread.start()
    probing(dsn, options, began, probes)
    done.set()
    for thread in threads:
        thread.join()
    with psycopg.connect(dsn) as owner:
        spent = owner.execute(
            "select coalesce(sum(earned_us), 0) / 1e6, coalesce(sum(spent_us), 0) / 1e6 from hartonomous.recall_state"
        ).fetchone()
    show(probes, actions)
    print("seconds for asking again, earned and spent with what actions verified: {:.2f} {:.2f}".format(*spent))
    result = {"machine": machine, "rows": options.rows, "asked": ASKED, "replaced": SHARE, "every": options.every}
    path = lib.write("churn", result | {"probes": probes, "actions": actions, "earned and spent s": spent})
    path.with_suffix(".svg").write_text(plot(probes, actions, options.seconds))
    print(f"written to {path} and {path.with_suffix('.svg')}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--every", type=float, default=5)
    return parser.parse_args()


def points(seed: int, count: int, shifted: bool = False) -> Any:
    """Clusters near a few dimensions; shifted: on one side of all axes, where the signs of components tell little."""
    chance = np.random.default_rng(seed)
    noise = chance.standard_normal((count, DIMENSIONS))
    if shifted:
        return 2 + noise
    given = np.random.default_rng(0)
    basis, centres = given.standard_normal((12, DIMENSIONS)), given.standard_normal((50, 12))
    near = centres[chance.integers(len(centres), size=count)] + 0.7 * chance.standard_normal((count, 12))
    return near @ basis + 0.3 * noise


def build(dsn: str, vectors: Any) -> list[int]:
    began = time.time()
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE} with (force)")
        server.execute(f"create database {DATABASE}")
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("set client_min_messages = warning; create extension hartonomous cascade")
        owner.execute("select hartonomous.tenant_role_add(hartonomous.tenant_create('churn'), session_user)")
        owner.execute("select hartonomous.embedding_model_register(%s, %s)", [MODEL, DIMENSIONS])
        ids: list[int] = owner.execute(
            "select hartonomous.ingest_many(%s, 'binary')", [[b"row %d" % i for i in range(len(vectors))]]
        ).fetchone()[0]  # type: ignore[index]
        for first in range(0, len(ids), 2000):
            put(owner, ids[first : first + 2000], vectors[first : first + 2000])
        owner.execute("vacuum analyze")
        owner.execute("select hartonomous.embedding_model_analyze(%s)", [MODEL])
    print(f"built in {time.time() - began:.0f} s")
    return ids


def put(connection: Any, ids: list[int], vectors: Any) -> None:
    connection.execute(
        "select hartonomous.embedding_put_many(%s, %s::vector[], %s)",
        [ids, [literal(vector) for vector in vectors], MODEL],
    )


# --- what goes on at once ---


def replacing(dsn: str, ids: list[int], options: argparse.Namespace, began: float) -> None:
    """A hundredth of what changes at a time, in the middle third."""
    count = int(SHARE * len(ids))
    vectors, steps = points(2, count, shifted=True), 100
    with psycopg.connect(dsn, autocommit=True) as connection:
        for step in range(steps):
            time.sleep(max(0, began + options.seconds * (1 + step / steps) / 3 - time.monotonic()))
            part = slice(step * count // steps, (step + 1) * count // steps)
            put(connection, ids[part], vectors[part])


def asking(dsn: str, options: argparse.Namespace, began: float, done: threading.Event) -> None:
    """Users ask half for what is new, once it comes. A tenth is sampled, as a hundredth of ten times as many."""
    seed = threading.get_ident() % 10**6
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set hartonomous.search_sample_share = 0.1")
        while not done.is_set():
            seed += 1
            shifted = seed % 2 == 1 and time.monotonic() > began + options.seconds / 3
            query = literal(points(seed, 1, shifted)[0])
            connection.execute(SEARCH, [query, K, MODEL, ASKED]).fetchall()
            time.sleep(0.01)


def watching(dsn: str, options: argparse.Namespace, began: float, done: threading.Event, actions: Any) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not done.wait(options.every):
            connection.execute("update hartonomous.embedding_statistics set took_ms = least(took_ms, 200)")
            connection.execute("update hartonomous.search_sample set share = 0.01")
            found = connection.execute(
                "select filter_class, action, reason, recall_before, recall_after from hartonomous.recall_watch()"
            )
            names = [column.name for column in found.description or []]
            actions += [dict(zip(names, row, strict=True), s=time.monotonic() - began) for row in found]


def probing(dsn: str, options: argparse.Namespace, began: float, probes: list[dict[str, Any]]) -> None:
    """Recall of queries for what is new and for what is old, which are not sampled."""
    seed = 10**7
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set hartonomous.search_sample_share = 0")
        while time.monotonic() < began + options.seconds:
            shares: dict[bool, list[float]] = {False: [], True: []}
            exact, times = 0, []
            for _ in range(EACH):
                for shifted, recalls in shares.items():
                    seed += 1
                    query = literal(points(seed, 1, shifted)[0])
                    started = time.perf_counter()
                    found = connection.execute(SEARCH, [query, K, MODEL, ASKED]).fetchall()
                    times.append((time.perf_counter() - started) * 1000)
                    truth = {row[0] for row in connection.execute(SEARCH, [query, K, MODEL, 1]).fetchall()}
                    recalls.append(len(truth & {row[0] for row in found}) / K)
                    exact += found[0][1] == "exact"
            probes.append({
                "s": time.monotonic() - began,
                "old": float(np.mean(shares[False])), "new": float(np.mean(shares[True])),
                "exact": exact / EACH / 2, "ms": float(np.median(times)),
            })  # fmt: skip


# --- figures ---


def show(probes: list[dict[str, Any]], actions: list[dict[str, Any]]) -> None:
    form = "{s:7.1f} s  recall of old {old:.2f}  of new {new:.2f}  exact {exact:.2f}  {ms:.1f} ms"
    lines = [(p["s"], form.format(**p)) for p in averaged(probes, 3)]
    lines += [(a["s"], "{s:7.1f} s  {action} {filter_class}: {reason}; {recall_before} -> {recall_after}".format(**a))
              for a in actions]  # fmt: skip
    print("\n".join(line for _, line in sorted(lines)))


def averaged(probes: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Means over so many seconds each."""
    kept: dict[int, list[dict[str, Any]]] = {}
    for probe in probes:
        kept.setdefault(int(probe["s"] // seconds), []).append(probe)
    return [{key: float(np.mean([p[key] for p in group])) for key in group[0]} for group in kept.values()]


def plot(probes: list[dict[str, Any]], actions: list[dict[str, Any]], seconds: float) -> str:
    def x(s: float) -> float:
        return 50 + 700 * s / seconds

    def y(recall: float) -> float:
        return 30 + 300 * (1 - recall)

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="780" height="380" font-family="sans-serif"'
             ' font-size="12">',
             '<rect width="780" height="380" fill="white"/>',
             f'<rect x="{x(seconds / 3):.0f}" y="30" width="{700 / 3:.0f}" height="300" fill="#eee"/>',
             f'<text x="{x(seconds / 3) + 4:.0f}" y="324">{SHARE:.0%} of the rows are replaced</text>']  # fmt: skip
    for recall in (0, 0.25, 0.5, 0.75, ASKED, 1):
        parts.append(
            f'<path d="M50 {y(recall):.0f}H750" stroke="#bbb"/><text x="12" y="{y(recall) + 4:.0f}">{recall}</text>'
        )
    for s in range(0, int(seconds) + 1, 15):
        parts.append(f'<text x="{x(s) - 6:.0f}" y="346">{s} s</text>')
    for name, colour in (("old", "#36c"), ("new", "#c33")):
        line = " ".join(f"{x(p['s']):.0f},{y(p[name]):.0f}" for p in averaged(probes, 1.5))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for action in actions:
        at = x(action["s"])
        parts.append(f'<path d="M{at:.0f} 30V330" stroke="#393" stroke-dasharray="4"/>'
                     f'<text x="{at + 3:.0f}" y="24" fill="#393">{action["action"]}</text>')  # fmt: skip
    parts.append('<text x="50" y="370">recall@10 asked for what was there before (blue) and what comes (red), '
                 "actions of recall_watch (green)</text></svg>")  # fmt: skip
    return "\n".join(parts)


if __name__ == "__main__":
    main()
