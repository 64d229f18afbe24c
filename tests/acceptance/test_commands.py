"""What all verbs share: help with an example, the doctor, and how they stop."""

import json
import signal

import cli
import click
import corpus
import pytest
import state
import tiny_model
import waiting
from click.testing import CliRunner
from hartonomous.cli import cli as root

INTERRUPTED = "interrupted; run the same command again to continue"


def verbs(command, path=()):
    yield path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from verbs(below, (*path, name))


@pytest.mark.parametrize("path", verbs(root), ids=" ".join)
def test_help_has_an_example(path):
    result = CliRunner().invoke(root, [*path, "--help"])
    assert result.exit_code == 0
    example = result.output.partition("Example:")[2]
    assert f"hartonomous {' '.join(path)}".strip() in example


@pytest.mark.parametrize("path", [path for path in verbs(root) if path], ids=" ".join)
def test_verbs_that_print_data_have_json(path):
    command = root
    for name in path:
        command = command.commands[name]
    silent = path in cli.SILENT
    if not isinstance(command, click.Group):
        assert any("--json" in parameter.opts for parameter in command.params) != silent


def test_doctor_on_a_good_server(dsn):
    checks = json.loads(cli.run(dsn, "doctor", "--json").stdout)
    items = {check["item"]: check for check in checks}
    assert all(check["ok"] for check in checks if check["required"])
    assert items["extension hartonomous"]["found"] == items["extension hartonomous available"]["found"]
    for item in ("PostgreSQL", "BLAS core", "track_commit_timestamp", "max_locks_per_transaction", "preload pg_cron"):
        assert items[item]["found"]
    assert "not ok" not in cli.run(dsn, "doctor").stdout


def test_doctor_on_a_database_without_the_extension(server):
    with server.database("test_without_extension") as dsn:
        out = cli.run(dsn, "doctor", code=1).stdout
        assert "not ok  extension hartonomous: not created" in out
        assert "create extension hartonomous cascade" in out
        error = cli.run(dsn, "search", "anything", code=1).stderr
        assert 'not created in database "test_without_extension"' in error and "create extension" in error


def test_policies(dsn):
    """Put, listed, in force, dropped."""
    condition = '{"==": [{"var": "operation"}, "model_read"]}'
    arguments = ["--tenant", "1", "--condition", condition, "--label", "no models", "--json"]
    put = cli.run(dsn, "policies", "put", "5", "deny", *arguments)
    policy = json.loads(put.stdout)["policy_id"]
    listed = json.loads(cli.run(dsn, "policies", "list", "--tenant", "1", "--json").stdout)
    assert (listed["policy_id"], listed["effect"], listed["condition"]) == (policy, "deny", json.loads(condition))
    assert "no models" in cli.run(dsn, "policies", "list").stdout
    assert "an access policy denies model_read" in cli.run(dsn, "models", "list", code=1).stderr
    cli.run(dsn, "policies", "drop", policy)
    assert cli.run(dsn, "policies", "list", "--json").stdout == ""
    cli.run(dsn, "models", "list")


def test_limits(dsn):
    """Put, listed, in force, dropped."""
    put = cli.run(dsn, "limits", "put", "1", "3600", "--tenant", "1", "--operation", "model_read", "--json")
    limit = json.loads(put.stdout)["rate_limit_id"]
    (listed,) = cli.lines(dsn, "limits", "list", "--tenant", "1")
    assert (listed["rate_limit_id"], listed["units"], listed["per"], listed["burst"]) == (limit, 1, 3600.0, 1)
    assert "1:00:00" in cli.run(dsn, "limits", "list").stdout
    cli.run(dsn, "models", "list")
    error = cli.run(dsn, "models", "list", code=1).stderr
    assert "rate limit of 1 units per 01:00:00 for model_read is reached" in error and "retry after 3" in error
    cli.run(dsn, "limits", "drop", limit)
    assert cli.run(dsn, "limits", "list", "--json").stdout == ""
    cli.run(dsn, "models", "list")


def test_no_server(tmp_path):
    dsn = f"host={tmp_path} dbname=nothing user=nobody"
    error = cli.run(dsn, "models", "list", code=1).stderr
    assert (
        error.startswith("error: the connection to the server failed") and "HINT" in error and "Traceback" not in error
    )
    assert "not ok  connection" in cli.run(dsn, "doctor", code=1).stdout


def test_wrong_usage(dsn):
    assert "no such option" in cli.run(dsn, "search", "--nonsense", code=2).stderr.lower()
    assert "not valid JSON" in cli.run(dsn, "search", "q", "--filter", "{", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "x", "--model", "nobody"], "no embedding model 'nobody'"),
        (["search", "x", "-k", "10001"], "k is 10001, expected 1 to 10000"),
        (["search", "x", "--filter", '{"colour": "red"}'], 'unknown filter key "colour"'),
        (["embed", "--model", "nobody"], "no embedding model 'nobody'"),
        (["lineage", "999999"], "no artifact 999999"),
        (["models", "deploy", "nobody"], "no model 'nobody'"),
        (["models", "show", "nobody"], "model 'nobody'"),
        (["models", "ingest", "/nowhere"], "/nowhere does not exist"),
        (["ingest", "/nowhere"], "/nowhere does not exist"),
        (["policies", "put", "1", "deny", "--operation", "fly"], "unknown operation 'fly'"),
        (["policies", "put", "1", "deny", "--condition", "{"], "condition is not JSON"),
        (["policies", "put", "1", "deny", "--condition", "null"], "condition is not a JSON object"),
        (["policies", "drop", "999999"], "no policy with id 999999"),
        (["tenants", "add-role", "1", "nobody at all"], 'role "nobody at all" does not exist'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments(dsn, arguments, message):
    """Exit code 1, one error on stderr with a hint and without a traceback, nothing on stdout."""
    ended = cli.run(dsn, *arguments, code=1)
    assert ended.stdout == "" and ended.stderr.startswith("error: ") and message in ended.stderr
    assert "Traceback" not in ended.stderr and ("HINT: " in ended.stderr or "expected" in ended.stderr)


def test_export_of_no_model_leaves_no_file(dsn, tmp_path):
    assert "model 'nobody'" in cli.run(dsn, "models", "export", "nobody", tmp_path / "file", code=1).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("verb", "table"),
    [("models", "tensor_atom_coefficient"), ("ingest", "artifact_source"), ("embed", "atom_embedding")],
)
def test_ctrl_c(dsn, server, connection, tmp_path, verb, table):
    """Stopped in the middle of its work, a verb says so, exits with 130 and leaves neither rows nor a busy backend."""
    model = tiny_model.write(tmp_path / f"tiny-{verb}")
    pages = corpus.write(tmp_path / "pages", corpus.pages(3))
    arguments = {
        "models": ("models", "ingest", model),
        "ingest": ("ingest", pages, "--uri-prefix", f"{verb}/"),
        "embed": ("embed",),
    }
    if verb == "embed":
        cli.run(dsn, "models", "ingest", model)
        cli.run(dsn, "ingest", pages, "--uri-prefix", f"{verb}/")
    before = state.logical(connection)
    with waiting.locked(dsn, table):
        process = cli.start(dsn, *arguments[verb])
        waiting.until_blocked(connection, table)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
        assert (process.returncode, error.strip()) == (130, INTERRUPTED), out
        waiting.until_gone(connection)  # although the lock is still held
    after = state.logical(connection)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"model", "tokenizer"}  # model_begin was a transaction of its own
    cli.run(dsn, *arguments[verb])


def test_ctrl_c_leaves_no_half_of_a_file(dsn, connection, tmp_path):
    cli.run(dsn, "models", "ingest", tiny_model.write(tmp_path / "tiny-out"))
    out = tmp_path / "out"
    out.mkdir()
    with waiting.locked(dsn, "tensor_atom", "access exclusive"):
        process = cli.start(dsn, "models", "export", "tiny-out", out / "model.safetensors")
        waiting.until_blocked(connection, "tensor_atom")
        assert list(out.iterdir())  # it has begun
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1].strip() == INTERRUPTED and process.returncode == 130
    assert not list(out.iterdir())


def test_the_audit_log(dsn):
    tenant = cli.lines(dsn, "tenants", "create", "audited")[0]["tenant_id"]
    head = cli.lines(dsn, "audit", "seal")[0]["head"]
    (entry,) = cli.lines(dsn, "audit", "list", "--tenant", tenant)
    assert (entry["operation"], entry["result"], entry["detail"]) == ("tenant_create", "ok", {"name": "audited"})
    assert "tenant_create" in cli.run(dsn, "audit", "list", "--since", entry["at"][:19]).stdout
    assert cli.lines(dsn, "audit", "list", "--since", "2999-01-01") == []
    assert cli.run(dsn, "audit", "verify", "--head", head).stdout == "the audit log is whole\n"
    out = cli.run(dsn, "audit", "verify", "--head", "00", code=1).stdout
    assert "no seal has this head" in out


def test_secrets(dsn, tmp_path):
    (tmp_path / "key").write_text("of a provider\n")
    cli.run(dsn, "secrets", "put", "provider", tmp_path / "key")
    assert cli.run(dsn, "secrets", "get", "provider").stdout == "of a provider\n"
    assert [secret["name"] for secret in cli.lines(dsn, "secrets", "list")] == ["provider"]
    assert cli.lines(dsn, "secrets", "rotate") == [{"secrets": 0}]
    cli.run(dsn, "secrets", "drop", "provider")
    assert "no secret named 'provider'" in cli.run(dsn, "secrets", "get", "provider", code=1).stderr
