"""PostgreSQL in another place, its files linked: a test can add extension scripts without writing to the system's."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster import BINARIES

SHARE = Path("/usr/share/postgresql") / BINARIES.parent.name


def relocate(folder: Path) -> tuple[Path, Path]:
    """Folders of binaries and of shared files under a folder; the server finds the second from where the first lies."""
    binaries = folder / BINARIES.relative_to("/usr")
    binaries.mkdir(parents=True)
    shutil.copy2(BINARIES / "postgres", binaries)
    (binaries.parent / "lib").symlink_to(BINARIES.parent / "lib")
    share = folder / SHARE.relative_to("/usr")
    for source, target in ((SHARE, share), (SHARE / "extension", share / "extension")):
        target.mkdir(parents=True)
        for entry in source.iterdir():
            if not entry.name.startswith(("extension", "hartonomous")):
                (target / entry.name).symlink_to(entry)
    return binaries, share
