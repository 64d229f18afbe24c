"""Several sessions that load one model."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import cli
import hartonomous
import psycopg
import pytest
import state
import tiny_model
import waiting
from hartonomous import errors, models, safetensors
from hartonomous.model_files import open_model
from sessions import meanwhile, together

LACKING = "encoder.layer.1.output.LayerNorm.bias"


@pytest.fixture
def name(request):
    return request.node.name.partition("[")[0]


def begin(client, folder, name):
    with open_model(folder) as files:
        return client.model_begin(name, **files.arguments({"format": "pt"}))


def put(client, model_id, weights):
    for tensor, array in weights:
        data = array.tobytes()
        half = len(data) // 2 // 4 * 4
        client.tensor_put(model_id, tensor, "F32", array.shape, half, data[half:])
        client.tensor_put(model_id, tensor, "F32", array.shape, 0, data[:half])


def state_hash(client, name):
    (model,) = (model for model in client.model_list() if model.name == name)
    return model.state_hash


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def expected(dsn, folder):
    cli.run(dsn, "models", "ingest", folder, "--name", "expected")
    with hartonomous.connect(dsn) as client:
        return state_hash(client, "expected")


def test_all_parts_by_everybody(dsn, client, folder, expected, name):
    """Four sessions put every part, in opposite orders."""
    model_id = begin(client, folder, name)
    weights = list(tiny_model.tensors().items())
    orders = [weights, weights[::-1], weights[20:] + weights[:20], weights[::-2] + weights[::2]]
    together(dsn, [lambda session, order=order: put(session, model_id, order) for order in orders])
    assert client.model_commit(model_id) == sum(array.size for _, array in weights)
    assert state_hash(client, name) == expected
    assert client.connection.execute(
        "select count(*) from hartonomous.model_tensor where model_id = %s", [model_id]
    ).fetchone() == (len(weights),)


def test_the_command_twice_at_once(server, template, tmp_path):
    wide = tiny_model.write(tmp_path / "wide", inner=20_000)
    with (
        server.database("test_two_load", template=template) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        digest = loaded_twice(dsn, connection, wide)
    with server.database("test_one_loads", template=template) as calm, hartonomous.connect(calm) as client:
        models.ingest(client, wide)
        alone = state.logical(client.connection)
    assert digest == alone


def loaded_twice(dsn, connection, folder):
    processes = [cli.start(dsn, "models", "ingest", folder) for _ in range(2)]
    ends = [(*process.communicate(timeout=waiting.PATIENCE), process.returncode) for process in processes]
    assert min(code for *_, code in ends) == 0, ends
    for _, error, code in ends:
        assert code == 0 or ("HINT" in error and "run again" in error), error
    assert "identical" in cli.run(dsn, "models", "ingest", folder).stdout
    return state.logical(connection)


def test_begin_at_once(dsn, folder, name):
    ids = together(dsn, [lambda client: begin(client, folder, name)] * 4)
    assert len(set(ids)) == 1


@pytest.fixture
def almost(client, folder, name):
    """A model that lacks one tensor: its id and that tensor."""
    model_id = begin(client, folder, name)
    weights = tiny_model.tensors()
    lacking = LACKING, weights.pop(LACKING)
    put(client, model_id, weights.items())
    return model_id, lacking


def put_last(session, almost):
    model_id, (tensor, array) = almost
    session.execute(
        "select hartonomous.tensor_put(%s, %s, 'F32', %s, 0, %s)",
        [model_id, tensor, list(array.shape), array.tobytes()],
    )


def test_commit_waits_for_a_part_that_is_being_put(dsn, client, almost, expected, name):
    with psycopg.connect(dsn) as session:
        put_last(session, almost)
        with meanwhile(dsn, lambda other: other.model_commit(almost[0])) as commit:
            assert not commit.done()
            session.commit()
            commit.result(waiting.PATIENCE)
    assert state_hash(client, name) == expected


def test_commit_refuses_when_that_part_is_rolled_back(dsn, client, almost):
    with psycopg.connect(dsn) as session:
        put_last(session, almost)
        with meanwhile(dsn, lambda other: other.model_commit(almost[0])) as commit:
            session.rollback()
            with pytest.raises((errors.ModelIncomplete, errors.TensorMismatch), match=re.escape(LACKING)):
                commit.result(waiting.PATIENCE)


def test_a_part_that_comes_after_the_commit_is_refused(dsn, client, almost):
    model_id, (tensor, array) = almost
    with psycopg.connect(dsn) as session:
        put_last(session, almost)
        session.execute("select hartonomous.model_commit(%s)", [model_id])
        late = lambda other: other.tensor_put(model_id, tensor, "F32", array.shape, 0, bytes(array.nbytes))  # noqa: E731
        with meanwhile(dsn, late) as part:
            assert not part.done()
            session.commit()
            with pytest.raises(errors.ModelExists):
                part.result(waiting.PATIENCE)


def test_drop_while_a_part_is_being_put(dsn, client, almost, name):
    with psycopg.connect(dsn) as session:
        put_last(session, almost)
        with meanwhile(dsn, lambda other: other.model_drop(name)) as drop:
            session.commit()
            drop.result(waiting.PATIENCE)
    assert name not in {model.name for model in client.model_list()}
    assert client.connection.execute(
        "select count(*) from hartonomous.model_tensor where model_id = %s", [almost[0]]
    ).fetchone() == (0,)


def test_drop_of_one_while_another_takes_its_weights(dsn, client, folder, name):
    """The atoms that the model being loaded found there must not go with the one that had them."""
    cli.run(dsn, "models", "ingest", tiny_model.write(folder.parent / "unique", seed=99), "--name", "leaves")
    weights = list(tiny_model.tensors(seed=99).items())
    model_id = begin(client, folder, name)
    with psycopg.connect(dsn) as session:
        session.execute("select hartonomous.model_drop('leaves')")
        with meanwhile(dsn, lambda other: put(other, model_id, weights)) as load:
            session.commit()
            load.result(waiting.PATIENCE)
    client.model_commit(model_id)
    tensor, array = weights[0]
    assert client.tensor(name, tensor).tobytes() == array.tobytes()


def test_a_file_that_is_slow_to_read_holds_no_transaction(dsn, client, connection, folder, name, monkeypatch):
    """What was read is stored and committed while the rest is still to come."""
    goes_on = threading.Event()
    read_chunks = safetensors.read_chunks

    def slow(stream, header):
        for number, part in enumerate(read_chunks(stream, header)):
            if number == 5:
                assert goes_on.wait(waiting.PATIENCE)
            yield part

    monkeypatch.setattr(safetensors, "read_chunks", slow)
    monkeypatch.setattr(models, "TRANSACTION_BYTES", 1)

    def rests():
        stored = connection.execute(
            "select count(*) from hartonomous.model_tensor join hartonomous.model as m using (model_id)"
            " where m.name = %s",
            [name],
        ).fetchone()[0]
        (state,) = connection.execute(
            "select state from pg_stat_activity where pid = %s", [client.connection.info.backend_pid]
        ).fetchone()
        return stored == 5 and state == "idle"

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(models.ingest, client, folder, name)
        try:
            waiting.until("what was read is committed, and nothing is open", rests)
        finally:
            goes_on.set()
    assert loading.result().tensors == len(tiny_model.tensors())
