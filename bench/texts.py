"""Real texts of many hands, and their embeddings: package descriptions, manual pages, docstrings, documentation."""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import random
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hartonomous
import lib
from hartonomous import models
from models_files import unpack

np = lib.np
ROOT = Path("/usr/local/share/texts")
CACHE = Path("/cache")  # of all checkouts
CODE = [
    Path("/usr/lib/python3.13"),
    Path("/usr/lib/python3/dist-packages"),
    Path("/opt/test/lib/python3.13/site-packages"),
    Path("/usr/local/share/releases"),
]
SHORTEST, LONGEST = 80, 200  # characters
MODEL = "all-MiniLM-L6-v2"
BATCH, CHUNK = 1000, 10_000

Text = tuple[str, str]  # where it is from, and what it says


def texts(count: int) -> list[Text]:
    """So many different texts, in an order of chance that is always the same."""
    first: dict[str, str] = {}
    for kind in (packages, manual_pages, docstrings, documentation):
        for source, body in kind():
            words = " ".join(body.replace("\0", " ").split())[:LONGEST]
            letters = sum(char.isalpha() and char.isascii() for char in words)
            if len(words) >= SHORTEST and letters > 0.6 * len(words):  # English, and no tables
                first.setdefault(words, source)
    found = sorted((source, words) for words, source in first.items())
    if len(found) < count:
        raise SystemExit(f"{len(found):,} texts, expected {count:,}")
    random.Random(11).shuffle(found)
    return found[:count]


def packages() -> Iterator[Text]:
    for record in (ROOT / "packages").read_text().split("\n\n"):
        fields = re.match(r"Package: (.*)\n.*\nDescription-en: (.*(?:\n .*)*)", record)
        if fields:
            yield f"packages/{fields[1]}", re.sub(r"^ \.$", "", fields[2], flags=re.M)


def manual_pages() -> Iterator[Text]:
    for path in sorted(ROOT.rglob("man/man*/*.gz")):
        source = gzip.decompress(path.read_bytes())
        if not source.startswith(b".so "):
            command = ["mandoc", "-T", "utf8", "-O", "width=1000"]
            page = subprocess.run(command, input=source, capture_output=True, check=False).stdout.decode()
            yield from paragraphs(f"man/{path.stem}", re.sub(".\b", "", page))


def docstrings() -> Iterator[Text]:
    warnings.simplefilter("ignore")
    for root in CODE:
        for path in sorted(root.rglob("*.py")):
            try:
                tree = ast.parse(path.read_text())
            except (SyntaxError, UnicodeDecodeError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from paragraphs(f"code/{path.relative_to(root)}", ast.get_docstring(node) or "")


def documentation() -> Iterator[Text]:
    for path in sorted(ROOT.rglob("*")):
        if path.suffixes[-2:] in ([".rst", ".gz"], [".rst", ".txt"]) or path.suffix == ".pod":
            content = path.read_bytes()
            page = gzip.decompress(content) if path.suffix == ".gz" else content
            yield from paragraphs(f"docs/{path.name}", page.decode(errors="replace"))


def paragraphs(source: str, page: str) -> Iterator[Text]:
    return ((source, body) for body in re.split(r"\n\s*\n", page))


def embedded(count: int, dsn: str) -> tuple[list[Text], Any]:
    """So many texts with their vectors (count, 384), kept in files by the hash of what they are of: it takes long."""
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    listed = CACHE / f"texts-{source}-{count}.json"
    if not listed.exists():
        keep(listed, json.dumps(texts(count)).encode())
    found = [(source, words) for source, words in json.loads(listed.read_bytes())]
    parts = []
    for low in range(0, count, CHUNK):
        words = [words for _, words in found[low : low + CHUNK]]
        path = CACHE / f"texts-{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]}.float32"
        if not path.exists():
            print(f"\rembedded {low:,} of {count:,} texts", end="", file=sys.stderr, flush=True)
            keep(path, embed(words, dsn).tobytes())
        parts.append(np.fromfile(path, np.float32).reshape(-1, 384))
    return found, np.concatenate(parts)


def keep(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def embed(words: list[str], dsn: str) -> Any:
    """By two sessions at once: one would leave a core idle while it tokenizes."""
    with hartonomous.connect(dsn) as client:
        if MODEL not in {model.name for model in client.model_list()}:
            with tempfile.TemporaryDirectory() as folder:
                models.ingest(client, unpack(Path(folder)), MODEL)

    def half(part: list[str]) -> Any:
        with hartonomous.connect(dsn) as client:
            return np.concatenate(
                [client.embed_many(part[low : low + BATCH], MODEL) for low in range(0, len(part), BATCH)]
            )

    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(half, (words[: len(words) // 2], words[len(words) // 2 :]))))
