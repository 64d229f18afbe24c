"""Ways between artifacts are as short as networkx finds them in the same graph, made by looking at all artifacts."""

import math
import random

import networkx
import psycopg
import pytest

ARTIFACTS, NEAREST, WAYS = 120, 6, 150
NEIGHBOURS = """
select n.artifact_id, n.x, n.y,
       array(select o.artifact_id from hartonomous.artifact as o
             where o.tenant_id in (0, 1) and o.deleted_at is null and o.artifact_id <> n.artifact_id
             order by point(o.x, o.y) <-> point(n.x, n.y), o.artifact_id limit %s)
from hartonomous.artifact as n where n.tenant_id in (0, 1) and n.deleted_at is null
"""
EDGES = """
select e.from_id, e.to_id from hartonomous.graph_edge as e where e.tenant_id in (0, 1)
and (select count(*) from hartonomous.artifact as a
     where a.artifact_id in (e.from_id, e.to_id) and a.deleted_at is null) = 2
"""


def content(chance):
    """About as far apart in x, where they begin, as in y, how long they are; some share a place."""
    size = int(2 ** (2 + 6 * chance.random()))
    return bytes([97 + chance.randrange(8), chance.choice((0, 0, *range(256))), 0, 0]) + chance.randbytes(size)


@pytest.fixture(scope="module", autouse=True)
def stored(dsn):
    """Artifacts of tenant 1, public ones, and another tenant's between them, some deleted; edges among all."""
    chance = random.Random(3)
    with psycopg.connect(dsn, autocommit=True) as connection:
        run = connection.execute
        other = run("select hartonomous.tenant_create('other')").fetchone()[0]
        for tenant in (0, other, 1):
            run("select hartonomous.tenant_role_add(%s, 'postgres')", [tenant])
            contents = [content(chance) for _ in range(ARTIFACTS)]
            ids = run("select hartonomous.ingest_many(%s, 'binary')", [contents]).fetchone()[0]
            run("select hartonomous.artifact_delete(i) from unnest(%s::bigint[]) as i", [ids[:5]])
        rows = run("select artifact_id, tenant_id from hartonomous.artifact order by x, y, artifact_id").fetchall()
        for at, (key, tenant) in enumerate(rows):
            for _ in range(4):
                to = rows[(at + chance.randrange(1, 40)) % len(rows)][0]
                run("select hartonomous._graph_edge_put(%s, 'artifact', array[%s::bigint], 'DerivedFrom', 'artifact',"
                    " array[%s::bigint])", [tenant, key, to])  # fmt: skip
        run("analyze")


def world(connection, kind):
    """The graph that tenant 1 has."""
    graph, places, links = networkx.DiGraph(), {}, []
    for key, x, y, others in connection.execute(NEIGHBOURS, [NEAREST]):
        places[key] = (x, y)
        links += [(key, other) for other in others]
    if kind == "graph":
        pairs = [(a, b) for a, b in connection.execute(EDGES) if a in places and b in places]
        links = [*pairs, *((b, a) for a, b in pairs)]
    graph.add_nodes_from(places)
    graph.add_weighted_edges_from((a, b, math.dist(places[a], places[b])) for a, b in links)
    return graph


def shortest(graph, start, goal, max_hops):
    """Length of the shortest way in as many layers of the graph as there may be hops; None when there is none."""
    layers = networkx.DiGraph()
    layers.add_node((start, 0))
    near = networkx.single_source_shortest_path_length(graph, start, cutoff=max_hops)
    for hop in range(max_hops + 1):
        layers.add_edge((goal, hop), "goal", weight=0)
        for node, first in near.items():
            for other, edge in graph[node].items() if first <= hop < max_hops else ():
                layers.add_edge((node, hop), (other, hop + 1), weight=edge["weight"])
    try:
        return networkx.dijkstra_path_length(layers, (start, 0), "goal")
    except networkx.NetworkXNoPath:
        return None


@pytest.mark.parametrize("kind", ["nearest", "graph"])
def test_ways_are_as_short_as_networkx_finds_them(client, connection, kind):
    chance = random.Random(4)
    graph = world(connection, kind)
    assert len(graph) > 200
    found = bounded = none = 0
    for _ in range(WAYS):
        start = chance.choice(list(graph))
        hops = networkx.single_source_shortest_path_length(graph, start)
        goal = chance.choice(list(hops))
        max_hops = max(0, hops[goal] + chance.choice((-1, 0, 0, 1, 2)))
        way = client.atom_path(start, goal, max_hops, kind, NEAREST)
        wanted = shortest(graph, start, goal, max_hops)
        if wanted is None:
            assert way == []
            none += 1
            continue
        assert math.isclose(way[-1].cost, wanted, abs_tol=1e-3)
        assert (way[0].artifact_id, way[-1].artifact_id) == (start, goal) and len(way) <= max_hops + 1
        assert [one.step for one in way] == list(range(len(way)))
        for before, after in zip(way, way[1:], strict=False):
            length = graph[before.artifact_id][after.artifact_id]["weight"]
            assert math.isclose(after.cost - before.cost, length, abs_tol=1e-3)
        found += len(way) > 2
        bounded += wanted > networkx.dijkstra_path_length(graph, start, goal) + 1e-3
    assert found > WAYS / 4 and bounded > 5 and none > 5, (found, bounded, none)
