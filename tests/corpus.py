"""Real pages: some of the PostgreSQL manual that the system carries."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

MANUAL = Path(os.environ.get("HARTONOMOUS_MANUAL", "/usr/local/share/postgresql-doc/html"))
LARGEST = 40_000  # bytes; the longest pages would only take time


def pages(count: int) -> dict[str, str]:
    """count pages from all over the manual, by file name."""
    found = [path for path in sorted(MANUAL.glob("*.html")) if path.stat().st_size <= LARGEST]
    assert len(found) > 1000, f"the manual is missing at {MANUAL}"
    return {path.name: path.read_text(encoding="utf-8") for path in found[:: len(found) // count][:count]}


def write(folder: Path, content: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def text(page: str) -> str:
    """What a page says, without its markup."""
    words = html.unescape(re.sub(r"<[^>]*>", " ", page.partition("<body")[2].partition(">")[2]))
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t\xa0]+", " ", words)).strip()
