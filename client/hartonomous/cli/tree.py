"""Lineage as a tree of lines."""

from __future__ import annotations

from collections.abc import Iterator

from hartonomous.cli.output import one_line
from hartonomous.records import LineageNode

SHOWN = 8  # children of one relation; a model has a hundred tensors
LABELS = {"source_uri": "", "name": "", "operation": "", "version": "version ", "title": "", "sha256": "sha256 ",
          "state_hash": "state "}  # fmt: skip

Children = dict[tuple[int, int | None], list[LineageNode]]


def lineage_tree(nodes: list[LineageNode]) -> Iterator[str]:
    children: Children = {}
    for node in nodes:
        children.setdefault((node.depth, node.via), []).append(node)
    yield _label(nodes[0])
    yield from _below(nodes[0], children, "")


def _below(parent: LineageNode, children: Children, indent: str) -> Iterator[str]:
    # taken out, so that a node reached by several ways is drawn once with what is below it
    lines = _group(children.pop((parent.depth + 1, parent.node_id), []))
    for at, (line, node) in enumerate(lines, 1):
        last = at == len(lines)
        yield f"{indent}{'└── ' if last else '├── '}{line}"
        if node:
            yield from _below(node, children, indent + ("    " if last else "│   "))


def _group(nodes: list[LineageNode]) -> list[tuple[str, LineageNode | None]]:
    by_relation: dict[str | None, list[LineageNode]] = {}
    for node in nodes:
        by_relation.setdefault(node.relation, []).append(node)
    lines: list[tuple[str, LineageNode | None]] = []
    for relation, group in by_relation.items():
        lines += [(f"{relation}: {_label(node)}", node) for node in group[:SHOWN]]
        if len(group) > SHOWN:
            lines.append((f"{relation}: {len(group) - SHOWN} more", None))
    return lines


def _label(node: LineageNode) -> str:
    detail = node.detail or {}
    facts = [f"{label}{one_line(str(detail[key]))}" for key, label in LABELS.items() if detail.get(key)]
    return "  ".join([f"{node.node_type} {node.node_id}", *facts])
