"""Source code: functions and classes of Python by its own parser. x is the column, y the line, both from 0."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.source import Found, Gate, Shape, Source

MAX_BYTES = 1 << 20  # its tree takes a hundred times as much
KINDS = {ast.FunctionDef: "function", ast.AsyncFunctionDef: "function", ast.ClassDef: "class"}


def decode(source: Source, found: Found, gate: Gate) -> None:
    """Code in another language is as good as any: it has no shapes."""
    if source.size > MAX_BYTES:
        found.facts["undecoded"] = f"{source.size} bytes, at most {MAX_BYTES} are decoded"
        return
    content = source.read()
    gate()
    lines = content.splitlines() or [b""]
    found.facts["lines"] = len(content.splitlines())
    tree = _parsed(content)
    gate()
    if tree is None:
        return
    found.facts["language"] = "python"
    widths = [len(line) for line in lines]
    stack: list[tuple[Any, str]] = [(tree, "")]
    while stack:
        parent, prefix = stack.pop()
        for node in ast.iter_child_nodes(parent):
            kind = KINDS.get(type(node))
            name = prefix + getattr(node, "name", "") if kind else prefix
            if kind:
                top, bottom = node.lineno - 1, node.end_lineno  # type: ignore[attr-defined]
                box = (node.col_offset, top, max(widths[top:bottom], default=0), bottom)  # type: ignore[attr-defined]
                found.shapes.append(Shape(kind, ewkb.boxes([box])[0], {"name": name, "line": top + 1}))
            stack.append((node, f"{name}." if kind else prefix))
    found.shapes.sort(key=lambda shape: shape.properties["line"])


def _parsed(content: bytes) -> ast.AST | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
