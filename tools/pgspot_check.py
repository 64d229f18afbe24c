"""pgspot on the assembled script: python3 tools/pgspot_check.py SCRIPT.

pgspot stops at SQL-standard bodies (`return ...`, `begin atomic`). These are bound to their objects when they are
created, under the script's own search path, so no caller's search path reaches them: only the header is checked.
"""

import sys
from typing import Any

from pglast import ast
from pgspot import cli, visitors

check = visitors.SQLVisitor.visit_CreateFunctionStmt


def check_unless_bound(self: Any, ancestors: Any, node: ast.CreateFunctionStmt) -> None:
    if node.sql_body is None:
        check(self, ancestors, node)


def visit_sql(state: Any, sql: str, toplevel: bool = False) -> None:
    try:
        visitors.visit_sql(state, sql, toplevel)
    except Exception as error:
        raise ValueError(f"{error}, in the statement after line {state.counter.line_number()}") from error


visitors.SQLVisitor.visit_CreateFunctionStmt = check_unless_bound
cli.visit_sql = visit_sql
sys.argv[1:1] = ["--ignore-lang", "plpython3u"]
cli.run()
