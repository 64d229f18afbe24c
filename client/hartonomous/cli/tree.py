"""Lineage as a tree."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from hartonomous.cli.output import printable
from hartonomous.records import LineageNode

SHOWN = 8  # children of one relation; a model has a hundred tensors
LABELS = ("source_uri", "name", "operation", "version", "title", "sha256", "state_hash")
PREFIXES = {"version": "version ", "sha256": "sha256 ", "state_hash": "state "}


def lineage_tree(nodes: list[LineageNode]) -> Tree:
    children: dict[tuple[int, int | None], list[LineageNode]] = {}
    for node in nodes:
        children.setdefault((node.depth, node.via), []).append(node)
    root = nodes[0]
    tree = Tree(_label(root))
    _grow(tree, root, children)
    return tree


def _grow(tree: Tree, parent: LineageNode, children: dict[tuple[int, int | None], list[LineageNode]]) -> None:
    # taken out, so that a node reached by several ways is drawn once with what is below it
    below = children.pop((parent.depth + 1, parent.node_id), [])
    by_relation: dict[str | None, list[LineageNode]] = {}
    for node in below:
        by_relation.setdefault(node.relation, []).append(node)
    for relation, group in by_relation.items():
        for node in group[:SHOWN]:
            _grow(tree.add(_label(node)), node, children)
        if len(group) > SHOWN:
            tree.add(Text(f"{relation}: {len(group) - SHOWN} more"))


def _label(node: LineageNode) -> Text:
    label = Text(f"{node.relation}: " if node.relation else "")
    label.append(f"{node.node_type} {node.node_id}", "bold")
    detail = node.detail or {}
    for key in LABELS:
        if detail.get(key):
            label.append(f"  {PREFIXES.get(key, '')}{printable(str(detail[key]))}")
    return label
