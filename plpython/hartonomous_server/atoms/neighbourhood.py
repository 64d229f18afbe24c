"""Ways between artifacts: what lies next to them comes from the database, a batch of artifacts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hartonomous_server.atoms.path import MOST_LABELS, Edges, Node, shortest
from hartonomous_server.db import query


def path(db: Any, tenant: int, ends: Sequence[int], xs: Sequence[int], ys: Sequence[int], max_hops: int,
         neighbours: int | None) -> list[tuple[int, int, float]]:
    """(step, artifact id, cost) of the shortest way between the two ends, artifacts with their places.

    Edges go to the nearest neighbours or, for None, along the graph.
    """

    def nearest(nodes: Sequence[Node]) -> Any:
        keys, *places = zip(*nodes, strict=True)
        return query(db, "select ord, artifact_ids, xs, ys from hartonomous._artifact_nearest($1, $2, $3, $4, $5)",
                     ("int", tenant), ("bigint[]", keys), *(("int[]", place) for place in places), ("int", neighbours))

    def linked(nodes: Sequence[Node]) -> Any:
        return query(db, "select ord, artifact_ids, xs, ys from hartonomous._artifact_linked($1, $2, $3)",
                     ("int", tenant), ("bigint[]", [node.key for node in nodes]), ("int", MOST_LABELS))

    def fetch(nodes: Sequence[Node]) -> Edges:
        rows = linked(nodes) if neighbours is None else nearest(nodes)
        return {
            nodes[row["ord"] - 1].key: [
                Node(*one) for one in zip(row["artifact_ids"] or (), row["xs"] or (), row["ys"] or (), strict=True)
            ]
            for row in rows
        }

    start, goal = (Node(*one) for one in zip(ends, xs, ys, strict=True))
    return [(label.hops, label.node.key, label.cost) for label in shortest(start, goal, max_hops, fetch)]
