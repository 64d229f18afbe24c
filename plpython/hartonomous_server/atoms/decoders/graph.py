"""Graphs from GraphML, GML or JSON node-link: nodes as points, edges as lines between them."""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.source import Found, Gate, Shape, Source, TooLarge, decoding, malformed

MAX_BYTES = 8 << 20  # what is read takes some forty times as much
MAX_ELEMENTS = 100_000
PLACES = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("lng", "lat"))
TOKEN = re.compile(r'"[^"]*"|\[|\]|[^\s\[\]"]+')
CHECK = 5000


@dataclass
class Graph:
    directed: bool = False
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id: properties
    edges: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def node(self, name: Any, properties: dict[str, Any]) -> None:
        key = _key(name)
        if key in self.nodes:
            raise malformed(f"node {key[:40]!r} is there twice")
        self.nodes[key] = {"id": name, **_scalars(properties)}
        self._check()

    def edge(self, source: Any, target: Any, properties: dict[str, Any]) -> None:
        self.edges.append((_key(source), _key(target), {"source": source, "target": target, **_scalars(properties)}))
        self._check()

    def _check(self) -> None:
        if len(self.nodes) + len(self.edges) > MAX_ELEMENTS:
            raise TooLarge(f"too many nodes and edges, at most {MAX_ELEMENTS} are decoded")


def decode(source: Source, found: Found, gate: Gate) -> None:
    if source.size > MAX_BYTES:
        raise TooLarge(f"{source.size} bytes, at most {MAX_BYTES} are decoded")
    with decoding("graph", source):
        begins = source.head(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        format = {b"<": "graphml", b"{": "node-link"}.get(begins, "gml")
        found.facts.update(format=format)
        graph = {"graphml": _graphml, "node-link": _node_link, "gml": _gml}[format](source, gate)
        given = _given(graph)
        found.facts.update(directed=graph.directed, nodes=len(graph.nodes), edges=len(graph.edges),
                           layout="ring" if given is None else "given")
        for start, end, _ in graph.edges:
            for name in (start, end):
                if name not in graph.nodes:
                    raise malformed(f"an edge names the node {name[:40]!r}, which is not there")
        places = given or _ring(graph)
        for name, properties in graph.nodes.items():
            found.shapes.append(Shape("node", ewkb.point(*places[name]), properties))
        for start, end, properties in graph.edges:
            found.shapes.append(Shape("edge", ewkb.line([places[start], places[end]]), properties))


def _graphml(source: Source, gate: Gate) -> Graph:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        while piece := source.read(1 << 16):
            parser.feed(piece)
            gate()
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise malformed(f"content is no GraphML that can be decoded: {error.msg}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise malformed("GraphML declares a document type, expected none")
    if etree.QName(root).localname != "graphml" or (top := root.find("{*}graph")) is None:
        raise malformed(f"found XML of <{etree.QName(root).localname[:40]}>, expected <graphml> with a <graph>")
    keys = {key.get("id"): (key.get("attr.name") or key.get("id"), key.get("attr.type")) for key in root.iter("{*}key")}
    graph = Graph(top.get("edgedefault") == "directed")
    for count, element in enumerate(top.iter("{*}node", "{*}edge")):
        data = dict(_graphml_data(element, keys))
        if etree.QName(element).localname == "node":
            graph.node(element.attrib["id"], data)
        else:
            graph.edge(element.attrib["source"], element.attrib["target"], data)
        if count % CHECK == 0:
            gate()
    return graph


def _graphml_data(element: Any, keys: dict[str, tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    for data in element.iterchildren("{*}data"):
        name, kind = keys.get(data.get("key"), (data.get("key"), "string"))
        yield name, _value(data.text or "", kind in ("int", "long", "float", "double"))


def _gml(source: Source, gate: Gate) -> Graph:
    text = source.read().decode("utf-8", "replace")
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    stack: list[list[tuple[str, Any]]] = [[]]
    key: str | None = None
    for count, found in enumerate(TOKEN.finditer(text)):
        token = found[0]
        if count % (CHECK * 10) == 0:
            gate()
        if token == "]":
            if key is not None or len(stack) == 1:
                raise malformed("GML has a ] where a value or a key was expected")
            stack.pop()
        elif key is None:
            if not re.fullmatch(r"[A-Za-z_]\w*", token):
                raise malformed(f"GML has {token[:40]!r}, expected a key")
            key = token
        elif token == "[":
            stack[-1].append((key, []))
            stack.append(stack[-1][-1][1])
            key = None
        else:
            stack[-1].append((key, token[1:-1] if token[0] == '"' else _value(token, True)))
            key = None
    graphs = [value for name, value in stack[0] if name == "graph" and isinstance(value, list)]
    if len(stack) > 1 or key is not None or not graphs:
        raise malformed("content is no whole GML, GraphML or JSON: expected graph [ ... ]")
    graph = Graph(dict(graphs[0]).get("directed") == 1)
    for name, value in graphs[0]:
        if name in ("node", "edge") and isinstance(value, list):
            fields = dict(value)
            fields.update(dict(fields.pop("graphics", None) or []))
            if name == "node":
                graph.node(fields.pop("id"), fields)
            else:
                graph.edge(fields.pop("source"), fields.pop("target"), fields)
    return graph


def _node_link(source: Source, gate: Gate) -> Graph:
    given = json.loads(source.read())
    gate()
    edges = given.get("links", given.get("edges"))
    if not isinstance(given.get("nodes"), list) or not isinstance(edges, list):
        raise malformed('JSON has no lists "nodes" and "links" or "edges"')
    graph = Graph(bool(given.get("directed", False)))
    for number, node in enumerate(given["nodes"]):
        graph.node(node.pop("id", number), node)
    for edge in edges:
        graph.edge(edge.pop("source"), edge.pop("target"), edge)
    return graph


def _given(graph: Graph) -> dict[str, tuple[float, float]] | None:
    """Places of the nodes, when each has one."""
    for x, y in PLACES:
        places = {name: (node.get(x), node.get(y)) for name, node in graph.nodes.items()}
        if places and all(_is_number(a) and _is_number(b) for a, b in places.values()):
            return {name: (float(a), float(b)) for name, (a, b) in places.items()}  # type: ignore[arg-type]
    return None


def _ring(graph: Graph) -> dict[str, tuple[float, float]]:
    """Nodes on a circle, one apart, in breadth-first order from the first of each component."""
    neighbours: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for start, end, _ in graph.edges:
        neighbours[start].append(end)
        neighbours[end].append(start)
    order: dict[str, None] = {}
    for root in graph.nodes:
        queue = deque([] if root in order else [root])
        order.setdefault(root)
        while queue:
            for near in neighbours[queue.popleft()]:
                if near not in order:
                    order[near] = None
                    queue.append(near)
    radius = len(order) / math.tau
    return {name: (round(radius * math.cos(at / radius), 6), round(radius * math.sin(at / radius), 6))
            for at, name in enumerate(order)}


def _key(name: Any) -> str:
    if isinstance(name, bool) or not isinstance(name, (str, int, float)):
        raise malformed(f"a node is named by {str(name)[:40]!r}, expected a string or a number")
    return f"{type(name).__name__} {name}"


def _scalars(properties: dict[str, Any]) -> dict[str, Any]:
    """Strings and finite numbers."""
    for name, value in properties.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise malformed(f"property {name[:40]!r} is {value}, expected a finite number")
    return {name: value for name, value in properties.items() if isinstance(value, (str, int, float))}


def _value(text: str, as_number: bool) -> Any:
    if as_number:
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
