"""What a deployment tells: nobody's searches are emptied, and no model stops to answer, without a word."""

import cli
import hartonomous
import psycopg
import pytest
import tiny_model
from hartonomous import models


@pytest.fixture
def told(dsn, connection):
    """What a call tells, as texts."""
    messages = []
    connection.add_notice_handler(lambda notice: messages.append(f"{notice.severity} {notice.message_primary}"))

    def call(function, *arguments):
        messages.clear()
        connection.execute(f"select hartonomous.{function}({', '.join(['%s'] * len(arguments))})", arguments)
        return [text for text in messages if text.startswith("WARNING")]

    return call


def test_a_deployment_that_empties_searches_warns(client, told, tmp_path):
    for number, name in enumerate(("first", "second", "third")):
        models.ingest(client, tiny_model.write(tmp_path / name, seed=number), name)
    assert told("model_deploy", "second") == told("model_deploy", "first") == [], "nothing was embedded yet"
    ids = [client.ingest_text(f"the data {number}", f"u/{number}") for number in range(5)]
    client.embed_artifacts(ids)
    lacks = "WARNING {} artifacts have no embedding by model '{}@1' yet: searches do not find them"
    assert told("model_deploy", "second") == [lacks.format(5, "second")]
    client.embed_artifacts(ids[:2], "second")
    assert told("model_deploy", "first") == [], "back to what has all"
    assert told("model_deploy", "second", "0.5") == [lacks.format(3, "second")], "a candidate answers too"
    client.embed_artifacts(ids, "second")
    assert told("model_deploy", "second", "0.5") == told("model_deploy", "second") == []
    client.ingest_text("by the second alone", "u/5")
    client.embed_artifacts(client.embedding_pending())
    assert told("model_rollback") == [lacks.format(1, "first")]
    assert told("model_drop", "third") == [], "nobody asked it"


def test_a_deployed_model_goes_with_a_word(client, told, tmp_path):
    for number, name in enumerate(("one", "two")):
        models.ingest(client, tiny_model.write(tmp_path / name, seed=number), name)
    told("model_deploy", "one")
    told("model_deploy", "two")
    assert told("model_drop", "two") == ["WARNING model 'two' was deployed: 'one@1' answers now where none is named"]
    models.ingest(client, tmp_path / "two", "two")
    told("model_deploy", "two", "0.5")
    assert told("model_drop", "two") == ["WARNING model 'two' was deployed: 'one@1' answers now where none is named"]
    before = told("model_drop", "one")
    assert len(before) == 1 and before[0].startswith("WARNING model 'one' was deployed: '")


def test_client_and_command_pass_it_on(dsn, client, caplog, tmp_path):
    for number, name in enumerate(("here", "there")):
        models.ingest(client, tiny_model.write(tmp_path / name, seed=number), name)
    client.model_deploy("here")
    client.ingest_text("passed on", "u/passed on")
    client.embed_artifacts(client.embedding_pending())
    caplog.clear()
    client.model_deploy("there")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("hartonomous", "WARNING")
    assert "no embedding by model 'there@1'" in record.message
    assert "HINT: repeat select hartonomous.embed_artifacts(" in record.message
    client.model_rollback()
    deployed = cli.run(dsn, "models", "deploy", "there")
    assert deployed.stdout == "there is deployed\n"
    assert deployed.stderr.startswith("warning: ") and deployed.stderr.count("no embedding by model") == 1
    client.model_rollback()


def test_the_only_model_goes_with_a_word(server, template, tmp_path):
    server.create("test_deployment_alone", template=template)
    try:
        dsn = server.dsn("test_deployment_alone")
        with hartonomous.connect(dsn) as client, psycopg.connect(dsn, autocommit=True) as connection:
            messages = []
            connection.add_notice_handler(lambda notice: messages.append(notice.message_primary))
            models.ingest(client, tiny_model.write(tmp_path / "one"), "one")
            connection.execute("select hartonomous.model_drop('one')")
            assert messages == ["model 'one' was deployed: no embedding model is deployed now"]
    finally:
        server.drop("test_deployment_alone")
