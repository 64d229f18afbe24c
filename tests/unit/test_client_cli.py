"""The command line without a server: help, usage, errors and what it prints."""

import click
import pytest
from cli import SILENT
from hartonomous.cli import cli, run
from hartonomous.cli.output import one_line, printable
from hartonomous.cli.tree import lineage_tree
from hartonomous.errors import ModelNotFound
from hartonomous.records import LineageNode

NOWHERE = "host=127.0.0.1 port=1 connect_timeout=2"


def verbs(command, path=()):
    yield path, command
    for name, verb in sorted(getattr(command, "commands", {}).items()):
        yield from verbs(verb, (*path, name))


VERBS = dict(verbs(cli))


def test_all_verbs_are_there():
    assert set(VERBS) >= {
        ("models", "ingest"), ("models", "list"), ("models", "export"), ("models", "student"), ("models", "deploy"),
        ("ingest",), ("embed",), ("search",), ("lineage",), ("tenants", "list"), ("doctor",), ("version",),
    }  # fmt: skip


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_help_has_an_example(path, capsys):
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example:" in text
    if path:
        assert f"hartonomous {' '.join(path)}" in text.partition("Example:")[2] or hasattr(VERBS[path], "commands")


@pytest.mark.parametrize("path", [p for p, verb in VERBS.items() if not hasattr(verb, "commands")], ids=" ".join)
def test_verbs_that_print_data_have_json(path):
    options = {name for parameter in VERBS[path].params for name in parameter.opts}
    assert ("--json" in options) == (path not in SILENT)


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["search"], ["search", "x", "--filter", "[]"], ["search", "x", "-k", "0"], ["embed", "--batch", "0"],
     ["artifacts", "deleted", "-k", "99999999999999"], ["artifacts", "delete", "99999999999999999999"]],
)
def test_wrong_usage(arguments, capsys):
    assert run(arguments) == 2
    assert "Usage: hartonomous" in capsys.readouterr().err


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_whole_numbers_are_such_as_the_server_takes(path):
    for parameter in VERBS[path].params:
        if isinstance(parameter.type, click.types.IntParamType):
            assert isinstance(parameter.type, click.IntRange) and None not in (parameter.type.min, parameter.type.max)


@pytest.mark.parametrize(
    "arguments", [["models", "list"], ["search", "x"], ["ingest", "."], ["--json", "lineage", "1"]]
)
def test_no_server(arguments, capsys):
    assert run(["--dsn", NOWHERE, *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: the connection to the server failed or was lost\nDETAIL: ")
    assert "HINT: " in printed.err


def test_doctor_without_a_server(capsys):
    assert run(["--dsn", NOWHERE, "doctor"]) == 1
    assert capsys.readouterr().out.startswith("not ok  connection: ")
    assert run(["--dsn", NOWHERE, "doctor", "--json"]) == 1
    assert capsys.readouterr().out.startswith('[{"item": "connection", "ok": false')


def test_version_without_a_server(capsys):
    assert run(["--dsn", NOWHERE, "version"]) == 0
    assert "extension  none" in capsys.readouterr().out


def raises(error):
    @click.command()
    def verb():
        raise error

    return verb


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to continue"),
        (ModelNotFound("no model x", hint="look"), 1, "error: no model x\nHINT: look"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device"),
        (ZeroDivisionError("oops"), 1, "error: ZeroDivisionError: oops\nHINT: run again with --debug"),
    ],
)
def test_errors_are_messages(error, code, message, capsys, monkeypatch):
    monkeypatch.setitem(cli.commands, "fails", raises(error))
    assert run(["fails"]) == code
    assert message in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setitem(cli.commands, "fails", raises(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "fails"])


def test_stored_text_cannot_steer_the_terminal():
    assert printable("a\x1b[31mb\u202e\r\nü") == "a\ufffd[31mb\ufffd\ufffd\nü"
    assert one_line("a\x1b\nb") == "a\ufffd\ufffdb"


def node(depth, kind, number, relation=None, via=None, **detail):
    return LineageNode(depth, kind, number, relation, via, detail)


def test_lineage_as_a_tree():
    nodes = [
        node(0, "artifact", 5, source_uri="a.html#x", sha256="aa"),
        node(1, "artifact", 4, "ComponentOf", 5, source_uri="a.html"),
        node(1, "inference_request", 1, "EmbeddedBy", 5),
        node(2, "model", 1, "UsedModel", 1, name="mini", version="1"),
        *(node(3, "model_tensor", n, "HasTensor", 1) for n in range(10)),
    ]
    lines = list(lineage_tree(nodes))
    assert lines[:4] == [
        "artifact 5  a.html#x  sha256 aa",
        "├── ComponentOf: artifact 4  a.html",
        "└── EmbeddedBy: inference_request 1",
        "    └── UsedModel: model 1  mini  version 1",
    ]
    assert lines[4] == "        ├── HasTensor: model_tensor 0"
    assert lines[-1] == "        └── HasTensor: 2 more"
    assert len(lines) == 13
