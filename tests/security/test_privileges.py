"""Who may do what: the matrix of group roles and objects that privileges.sql gives equals privileges.txt.

REGENERATE=1 pytest tests/security/test_privileges.py writes the file anew, for review in the change that needs it.
"""

import os
from pathlib import Path

QUERY = Path(__file__).with_name("privileges.sql")
GOLDEN = Path(__file__).with_name("privileges.txt")


def test_matrix(connection):
    connection.execute("set search_path = hartonomous, public, pg_catalog")
    found = [line for (line,) in connection.execute(QUERY.read_text())]
    if os.environ.get("REGENERATE"):
        GOLDEN.write_text("".join(f"{line}\n" for line in found))
    assert found == GOLDEN.read_text().splitlines()
