"""The daily verbs of a tenant among many against the same tenant alone, and the plans that keep them apart."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import lib
import psycopg
from security_data import INGESTED, MODEL, PLAN_ROLE, TENANT_ROLE, Database, texts
from security_measure import ratio, turns

np = lib.np
ALLOWED = 1.10
LARGE = {"artifact", "artifact_source", "atom_embedding", "graph_edge", "graph_node", "ingestion_log"}
AS_TENANT = """
alter role bench_plan set session_preload_libraries = 'auto_explain';
alter role bench_plan set auto_explain.log_min_duration = 0;
alter role bench_plan set auto_explain.log_analyze = on;
alter role bench_plan set auto_explain.log_nested_statements = on;
alter role bench_plan set auto_explain.log_format = 'json';
alter role bench_plan set auto_explain.log_level = 'notice';
"""
TABLE_READ = "select count(*) from hartonomous.artifact_source where source_uri like 'library/1%%'"


class Verbs:
    """The calls of one session, in the database it is connected to; both sessions draw the same arguments."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.chance = random.Random(1)
        self.new = texts(random.getrandbits(30), 0, 10_000)
        of_verb = "select artifact_id from hartonomous.artifact_source where source_uri = any (%s)"
        self.whole = self._ids(of_verb, [[f"verb/{i}" for i in range(INGESTED)]])
        self.embedded = self._ids(
            "select artifact_id from hartonomous.artifact_source where source_uri like 'library/9%%'"
        )
        vectors = np.random.default_rng(2).standard_normal((500, 384), dtype=np.float32)
        self.vectors = [f"[{','.join(map(str, vector))}]" for vector in vectors.tolist()]
        self.queries = list(texts(3, 0, 500))

    def _ids(self, query: str, *arguments: Any) -> list[int]:
        return sorted(row[0] for row in self.connection.execute(query, *arguments))

    def _call(self, query: str, *arguments: Any) -> None:
        self.connection.execute(query, arguments, prepare=True).fetchall()

    def all(self) -> dict[str, Callable[[], None]]:
        one = self.chance.choice
        return {
            "search": lambda: self._call("select * from hartonomous.search(%s)", one(self.queries)),
            "search_vector": lambda: self._call(
                "select * from hartonomous.search_vector(%s::vector)", one(self.vectors)
            ),
            "content": lambda: self._call("select hartonomous.content(%s)", one(self.whole)),
            "content_slice": lambda: self._call("select hartonomous.content_slice(%s, 2, 20)", one(self.whole)),
            "artifact_show": lambda: self._call(
                "select * from hartonomous.artifact_show(%s)", [one(self.embedded) for _ in range(10)]
            ),
            "ingest_text": lambda: self._call("select hartonomous.ingest_text(%s)", next(self.new)),
            "lineage": lambda: self._call("select * from hartonomous.lineage(%s)", one(self.embedded)),
            "embed": lambda: self._call("select hartonomous.embed(%s)", one(self.queries)),
            "embedding_pending": lambda: self._call("select hartonomous.embedding_pending(%s)", MODEL),
            "read of a table": lambda: self._call(TABLE_READ),
        }


def measure(many: Database, lone: Database) -> list[dict[str, Any]]:
    with many.connect(TENANT_ROLE) as a, lone.connect(TENANT_ROLE) as b:
        among, alone = Verbs(a).all(), Verbs(b).all()
        rows = [compare(verb, among[verb], alone[verb]) for verb in among]
    return rows + plans(many)


def compare(verb: str, among: Callable[[], None], alone: Callable[[], None]) -> dict[str, Any]:
    """As many samples as fit into some seconds: 40 of the slow verbs, up to 2000 of the fast."""
    trial = turns([among, alone], 5)
    n = int(min(2000, max(40, 6000 / sum(map(np.median, trial)))))
    found = ratio(*turns([among, alone], n))
    return {
        "part": "isolation", "what": verb, "value": f"{found['ratio']:.3f}", "bound": f"<= {ALLOWED}",
        "holds": found["ratio"] <= ALLOWED, **found,
        "detail": f"{found['ms'][0]:.3f} ms among {found['ms'][1]:.3f} alone, 95 % "
                  f"{found['95 %'][0]:.3f} - {found['95 %'][1]:.3f}, n {n}",
    }  # fmt: skip


# --- plans ---


def plans(many: Database) -> list[dict[str, Any]]:
    """No verb reads other tenants' rows: each scan of a large table begins with the tenant, by an index."""
    with many.connect() as owner:
        owner.execute(AS_TENANT)
    with many.connect(PLAN_ROLE) as connection:
        seen: list[dict[str, Any]] = []
        calls = Verbs(connection).all()
        for call in calls.values():  # what is prepared has its generic plan by now
            for _ in range(7):
                call()
        connection.add_notice_handler(lambda notice: seen.extend(plan_of(notice.message_primary or "")))
        rows = []
        for verb, call in calls.items():
            seen.clear()
            call()
            rows.append(judge(verb, many.rows, [scan for plan in seen for scan in scans(plan)]))
    return rows


def plan_of(message: str) -> list[dict[str, Any]]:
    start = message.find("{")
    return [json.loads(message[start:])["Plan"]] if "plan:" in message and start > 0 else []


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node.get("Relation Name", "").startswith("atom_p") or node.get("Relation Name") in LARGE:
        yield node
    for child in node.get("Plans", []):
        yield from scans(child)


def visited(scan: dict[str, Any]) -> float:
    """Rows of the table that a scan looked at; for a scan of postings, those of one word."""
    dropped = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    once_a_word = any(child.get("Index Name") == "artifact_lexeme" for child in scan.get("Plans", []))
    return (scan["Actual Rows"] + dropped) * (1 if once_a_word else scan["Actual Loops"])


def judge(verb: str, rows: int, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The tenant's rows and the public ones may be visited, twice each, and none by going through a whole table."""
    allowed = 2 * (rows + 2 * INGESTED)
    sequential = sorted({scan["Relation Name"] for scan in found if scan["Node Type"] == "Seq Scan" and visited(scan)})
    most = max((visited(scan) for scan in found), default=0)
    return {
        "part": "isolation",
        "what": f"plan of {verb}",
        "value": f"{most:.0f}",
        "bound": f"<= {allowed} rows",
        "holds": not sequential and most <= allowed and (bool(found) or verb == "embed"),
        "indexes": sorted({scan["Index Name"] for scan in found if "Index Name" in scan}),
        "detail": f"visited in one scan of {len(found)}; sequential: {', '.join(sequential) or 'none'}",
    }
