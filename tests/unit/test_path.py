"""The shortest way under a bound on edges is the one that networkx finds in layers of the same graph."""

import itertools
import math
import random
import sys

import networkx
import pytest
from hartonomous_server import errors
from hartonomous_server.atoms import path
from hartonomous_server.atoms.path import Node, shortest

CASES = 1000


def world(seed, nodes=60, side=40):
    """Nodes on a small grid, many equally far apart or in one place; edges lead to some of the near ones."""
    chance = random.Random(seed)
    points = [Node(key, chance.randrange(side), chance.randrange(side)) for key in range(nodes)]
    reach, density = chance.choice(((4, 0.6), (15, 0.4), (40, 0.2)))
    edges = {}
    for node in points:
        others = sorted(points, key=lambda other: (path._length(node, other), chance.random()))
        edges[node.key] = [other for other in others[:reach] if other != node and chance.random() < density]
    return points, edges


def by_networkx(points, edges, start, goal, max_hops):
    """Length of the shortest way; None when there is none."""
    layers = networkx.DiGraph()
    layers.add_nodes_from([(start.key, 0), "goal"])
    for hop in range(max_hops + 1):
        layers.add_edge((goal.key, hop), "goal", weight=0)
        for key, others in edges.items():
            for other in others if hop < max_hops else ():
                layers.add_edge((key, hop), (other.key, hop + 1), weight=math.dist(points[key][1:], other[1:]))
    try:
        return networkx.dijkstra_path_length(layers, (start.key, 0), "goal")
    except networkx.NetworkXNoPath:
        return None


def lookup(edges, asked=None):
    def fetch(nodes):
        assert len({node.key for node in nodes}) == len(nodes) <= path.BATCH
        if asked is not None:
            asked.extend(node.key for node in nodes)
        return {node.key: edges[node.key] for node in nodes}

    return fetch


def test_shortest_of_all_in_a_thousand_random_cases():
    found = bounded = 0
    for case in range(CASES):
        points, edges = world(case // 20)
        chance = random.Random(case)
        start, goal = chance.choice(points), chance.choice(points)
        free = shortest(start, goal, 100, lookup(edges))
        max_hops = max(0, len(free) - 1 - chance.randrange(3)) if chance.random() < 0.7 else chance.randrange(20)
        expected = by_networkx(points, edges, start, goal, max_hops)
        way = shortest(start, goal, max_hops, lookup(edges))
        if expected is None:
            assert way == []
            continue
        assert math.isclose(way[-1].cost, expected, abs_tol=1e-9), case
        assert [label.hops for label in way] == list(range(len(way))) and len(way) - 1 <= max_hops
        assert (way[0].node, way[-1].node) == (start, goal)
        for before, label in itertools.pairwise(way):
            assert label.node in edges[before.node.key]
            assert math.isclose(label.cost - before.cost, path._length(before.node, label.node), abs_tol=1e-9)
        found += len(way) > 2
        bounded += way[-1].cost > free[-1].cost + 1e-9
    assert found > 250 and bounded > 25, (found, bounded)  # few are one edge long, and the bound matters


def test_a_longer_way_with_fewer_edges_counts():
    """The shortest way to the middle has too many edges for what follows."""
    a, b, c, d, e = (Node(*one) for one in ((1, 0, 0), (2, 1, 0), (3, 2, 0), (4, 2, 3), (5, 4, 0)))
    edges = {1: [b, d], 2: [c], 3: [e], 4: [c], 5: []}
    assert [label.node.key for label in shortest(a, e, 3, lookup(edges))] == [1, 2, 3, 5]
    edges[1].append(c)
    edges[1].remove(b)
    detour = {1: [b, d], 2: [Node(6, 1.5, 0)], 6: [c], 3: [e], 4: [c], 5: []}
    assert [label.node.key for label in shortest(a, e, 4, lookup(detour))] == [1, 2, 6, 3, 5]
    assert [label.node.key for label in shortest(a, e, 3, lookup(detour))] == [1, 4, 3, 5]
    assert shortest(a, e, 2, lookup(detour)) == []


def test_from_itself():
    node = Node(7, 1, 2)
    for max_hops in (0, 5):
        assert [(label.hops, label.node, label.cost) for label in shortest(node, node, max_hops, lookup({}))] == [
            (0, node, 0.0)
        ]


def test_many_in_one_place_and_a_very_long_way():
    row = [Node(key, key // 1000, 0) for key in range(5000)]
    edges = {node.key: row[node.key + 1 : node.key + 2] for node in row}
    way = shortest(row[0], row[-1], sys.maxsize, lookup(edges))
    assert len(way) == 5000 and way[-1].cost == 4


def test_edges_are_fetched_once_and_in_batches():
    points, edges = world(1, nodes=400, side=1000)
    assert len(shortest(points[0], points[1], 50, lookup(edges))) > 3
    asked: list[int] = []
    calls = []
    fetch = lookup(edges, asked)
    shortest(points[0], points[1], 50, lambda nodes: calls.append(len(nodes)) or fetch(nodes))
    assert len(asked) == len(set(asked))
    assert len(calls) < len(asked) / 4


def test_the_straight_line_leads_the_search():
    """On a grid only what lies near the line is looked at."""
    side = 60
    grid = {(x, y): Node(x * side + y, x, y) for x in range(side) for y in range(side)}
    edges = {
        node.key: [grid[n] for n in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)) if n in grid]
        for (x, y), node in grid.items()
    }
    asked: list[int] = []
    way = shortest(grid[5, 30], grid[45, 30], 100, lookup(edges, asked))
    assert way[-1].cost == 40 and len(asked) < len(grid) / 10


def test_it_gives_up_at_a_bound():
    nodes = [Node(key, random.Random(key).random(), 0) for key in range(50)]
    edges = {node.key: nodes for node in nodes}
    with pytest.raises(errors.PathUndecided, match="ways were tried") as raised:
        shortest(nodes[0], Node(99, 5, 5), 50, lookup(edges), most_labels=1000)
    assert "max_hops" in raised.value.hint


def test_what_fetching_raises_ends_the_search():
    """As a cancel does, which the server acts on when it is asked for edges."""

    class Canceled(Exception):
        pass

    def fetch(nodes):
        raise Canceled

    with pytest.raises(Canceled):
        shortest(Node(1, 0, 0), Node(2, 1, 1), 5, fetch)
