"""A* (Hart, Nilsson and Raphael 1968) between points of the plane, over edges as long as their ends are apart.

The straight line to the goal is never longer than the way, nor than an edge and the straight line from its end, so the
first label of the goal that comes off the heap is the shortest way. With a bound on the number of edges, a longer way
to a node counts, too, if it has fewer of them: a node has a label for each number of edges that is worth it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from hartonomous_server import errors

BATCH = 32  # nodes whose edges are fetched at once: the one at hand, and those that are likely to be next
MOST_LABELS = 200_000


class Node(NamedTuple):
    key: int
    x: float
    y: float


Edges = Mapping[int, Sequence[Node]]  # of each node, by its key, where its edges lead
Fetch = Callable[[Sequence[Node]], Edges]


class _Label(NamedTuple):
    """A way to a node; labels are ordered by the length of the way to the goal at best, then by edges."""

    bound: float
    hops: int
    cost: float
    node: Node
    before: _Label | None


def shortest(start: Node, goal: Node, max_hops: int, fetch: Fetch, most_labels: int = MOST_LABELS) -> list[_Label]:
    """The shortest way by at most max_hops edges, from start to goal; empty when there is none.

    fetch gives the edges of nodes. PathUndecided when more than most_labels labels were made and no way is certain.
    """
    edges: dict[int, Sequence[Node]] = {}
    heap = [_Label(_length(start, goal), 0, 0.0, start, None)]
    fewest: dict[int, int] = {}  # edges of the labels taken from the heap; later ones are longer, so need fewer
    made = 1
    while heap:
        label = heapq.heappop(heap)
        node, hops = label.node, label.hops + 1
        if fewest.get(node.key, hops) < hops:
            continue
        fewest[node.key] = label.hops
        if node.key == goal.key:
            return _way(label)
        if label.hops == max_hops:
            continue
        if node.key not in edges:
            edges.update(fetch(_ahead(node, heap, edges, max_hops)))
        for other in edges.get(node.key, ()):
            if fewest.get(other.key, hops + 1) <= hops or (hops == max_hops and other.key != goal.key):
                continue
            cost = label.cost + _length(node, other)
            heapq.heappush(heap, _Label(cost + _length(other, goal), hops, cost, other, label))
            made += 1
        if made > most_labels:
            raise errors.PathUndecided(
                f"{made} ways were tried, the shortest is not found", hint="ask for fewer max_hops or neighbours"
            )
    return []


def _ahead(node: Node, heap: Sequence[_Label], edges: Edges, max_hops: int) -> list[Node]:
    """The node, and others from the front of the heap: fetched in vain at worst, they do not change the result."""
    wanted = {node.key: node}
    for label in heap[: 4 * BATCH]:
        if len(wanted) == BATCH:
            break
        if label.node.key not in edges and label.hops < max_hops:
            wanted.setdefault(label.node.key, label.node)
    return list(wanted.values())


def _way(label: _Label | None) -> list[_Label]:
    way = []
    while label is not None:
        way.append(label)
        label = label.before
    return way[::-1]


def _length(a: Node, b: Node) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)
