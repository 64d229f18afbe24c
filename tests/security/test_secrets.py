"""Secrets stay secret: what a tenant sets, what an intruder exchanges, what the server writes down."""

import secrets

import hartonomous
import psycopg
import pytest
from cluster import OwnServer, dump, restore
from hartonomous import errors

VALUE = "the value of a secret"


class Keys:
    """A server with a key file of its own, and databases with tenant 1."""

    def __init__(self, folder):
        self.path = folder / "keys"
        self.hex = {version: secrets.token_hex(32) for version in (1, 2)}
        self.server = OwnServer(folder)

    def write(self, *versions, mode=0o600):
        self.path.write_text("".join(f"{version}:{self.hex[version]}\n" for version in versions))
        self.path.chmod(mode)

    def client(self, database="secrets"):
        return hartonomous.connect(self.server.dsn(database))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    keys = Keys(tmp_path_factory.mktemp("server"))
    keys.write(1)
    with keys.server as server:
        server.execute(f"alter system set hartonomous.key_file = '{keys.path}'")
        server.execute("alter system set log_statement = 'all'")
        server.execute("alter system set log_min_duration_statement = 0")
        server.execute("select pg_reload_conf()")
        server.create("secrets", extension=True)
        yield keys


@pytest.fixture
def keys(own):
    """Version 1 in the file and one secret under it."""
    own.write(1)
    with own.client() as client:
        client.secret_put("provider", VALUE)
    return own


@pytest.fixture
def intruder(keys):
    """A superuser; what it does is undone."""
    with keys.server.connect("secrets") as connection, connection.transaction(force_rollback=True):
        yield connection


def refused(keys, match):
    with keys.client() as client, pytest.raises(errors.SecretUnavailable, match=match) as raised:
        client.secret_get("provider")
    assert raised.value.hint
    return raised.value


def test_it_comes_back(keys):
    with keys.client() as client:
        assert client.secret_get("provider") == VALUE
        assert [secret.name for secret in client.secret_list()] == ["provider"]


def test_it_is_encrypted_anew_each_time_and_not_there_in_clear(intruder):
    query = "select ciphertext from hartonomous.secret"
    before = intruder.execute(query).fetchone()[0]
    intruder.execute("select hartonomous.secret_put('provider', %s)", [VALUE])
    after = intruder.execute(query).fetchone()[0]
    assert before != after and VALUE.encode() not in before + after


@pytest.mark.parametrize(
    "change",
    [
        "update hartonomous.secret set ciphertext = set_byte(ciphertext, length(ciphertext) - 1,"
        " get_byte(ciphertext, length(ciphertext) - 1) # 1)",
        "update hartonomous.secret set ciphertext = set_byte(ciphertext, 40, get_byte(ciphertext, 40) # 1)",
        "update hartonomous.secret set ciphertext = substr(ciphertext, 1, 30)",
        "update hartonomous.secret set ciphertext = ''",
        "update hartonomous.secret set ciphertext = 'junk'",
        "update hartonomous.secret set ciphertext = (hartonomous._secret_seal(1, 'another', 'x', 1)).ciphertext",
        "update hartonomous.secret set ciphertext = (hartonomous._secret_seal(2, 'provider', 'x', 1)).ciphertext",
    ],
    ids=["last byte", "a byte", "cut", "empty", "junk", "of another name", "of another tenant"],
)
def test_a_row_that_is_damaged_or_exchanged_does_not_open(intruder, change):
    intruder.execute(change)
    with pytest.raises(psycopg.Error, match='secret "provider" does not open') as raised, intruder.transaction():
        intruder.execute("select hartonomous.secret_get('provider')")
    assert raised.value.sqlstate == "ZH005"


def test_the_session_cannot_name_the_file(keys, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text(f"9:{'00' * 32}\n")
    mine.chmod(0o600)
    with keys.client() as client:
        client.connection.execute(f"set hartonomous.key_file = '{mine}'")
        client.secret_put("own", "x")
        assert {secret.key_version for secret in client.secret_list()} == {1}
        client.secret_drop("own")


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_file_that_others_read_is_refused(keys, mode):
    keys.write(1, mode=mode)
    assert str(keys.path) not in str(refused(keys, f"mode {mode:04o}"))


def test_without_a_file(keys):
    keys.path.unlink()
    refused(keys, "the key file cannot be read")
    keys.server.execute("alter system reset hartonomous.key_file")
    try:
        assert "alter system set hartonomous.key_file" in refused(keys, "no key file is configured").hint
        with keys.client() as client:
            (check,) = [check for check in client.server_check() if check.item == "key file"]
        assert not check.ok and "no key file is configured" in check.found
    finally:
        keys.server.execute(f"alter system set hartonomous.key_file = '{keys.path}'")


def test_rotation(keys):
    with keys.client() as client:
        for n in range(5):
            client.secret_put(f"more {n}", str(n))
        keys.write(1, 2)
        assert client.secret_get("provider") == VALUE
        client.secret_put("more 0", "0")
        assert [client.secret_rotate(2) for _ in range(4)] == [2, 2, 1, 0]
        assert {secret.key_version for secret in client.secret_list()} == {2}
        keys.write(2)
        assert client.secret_get("provider") == VALUE
        assert [client.secret_get(f"more {n}") for n in range(5)] == list("01234")
        keys.write(1)
        with pytest.raises(errors.SecretUnavailable, match="key version 2 is not in the key file"):
            client.secret_get("provider")
        with pytest.raises(errors.SecretUnavailable):
            client.secret_rotate()
        keys.write(2, 1)
        assert client.secret_rotate() == 6
        keys.write(1)
        for n in range(5):
            client.secret_drop(f"more {n}")


def test_a_key_replaced_under_its_version(keys):
    right = keys.hex[1]
    keys.hex[1] = secrets.token_hex(32)
    keys.write(1)
    keys.hex[1] = right
    refused(keys, 'secret "provider" does not open')


def test_dump_and_restore(keys, tmp_path):
    dump(keys.server.dsn("secrets"), tmp_path / "dump")
    data = (tmp_path / "dump").read_bytes()
    assert keys.hex[1].encode() not in data and VALUE.encode() not in data
    with keys.server.database("restored") as dsn:
        restore(tmp_path / "dump", dsn)
        with keys.client("restored") as client:
            assert client.secret_get("provider") == VALUE
        keys.path.unlink()
        with keys.client("restored") as client, pytest.raises(errors.SecretUnavailable):
            client.secret_get("provider")


def shows(text, key):
    """Whether a text has a key, as it is or as the bytes that plans print, broken into lines within numbers even."""
    return any(spelling in "".join(text.split()) for spelling in (key, "".join(map(str, key.encode()))))


def test_no_setting_of_a_session_prints_the_key(keys):
    """debug_print_plan shows constants, and parameters that a query was planned with are constants."""
    shown = []
    with keys.server.connect("secrets") as connection:
        connection.add_notice_handler(lambda notice: shown.append(f"{notice.message_primary} {notice.message_detail}"))
        for setting in ("debug_print_parse", "debug_print_rewritten", "debug_print_plan"):
            connection.execute(f"set {setting} = on")
        connection.execute("set client_min_messages = debug5")
        connection.execute("set log_parameter_max_length_on_error = -1")
        planted = secrets.token_hex(32)
        connection.execute("select convert_to(%s::text || random(), 'UTF8')", [planted], prepare=True)
        assert any(shows(text, planted) and planted not in text for text in shown), "as bytes of a plan"
        shown.clear()
        for _ in range(7):  # plans become generic
            connection.execute("select hartonomous.secret_put('provider', %s)", [VALUE])
            connection.execute("select hartonomous.secret_get('provider')")
        keys.write(1, 2)
        connection.execute("select hartonomous.secret_rotate()")
        connection.execute("update hartonomous.secret set key_version = -1")
        with pytest.raises(psycopg.Error):
            connection.execute("select hartonomous.secret_get('provider')")
    assert len(shown) > 20
    assert [text for text in shown if shows(text, keys.hex[1]) or shows(text, keys.hex[2])] == []


def test_what_the_server_writes_down(keys):
    with keys.client() as client:
        client.secret_put("provider", "written down nowhere")
        client.secret_get("provider")
    log = keys.server.log()
    assert "secret_put" in log
    # a superuser who has statements logged with their parameters has values logged; keys never
    assert not shows(log, keys.hex[1])


def test_nothing_of_it_in_statistics(connection):
    connection.execute("create extension if not exists pg_stat_statements")
    connection.execute("set pg_stat_statements.track = 'all'")
    path = connection.execute("select hartonomous._key_file()").fetchone()[0]
    with open(path) as file:
        key = file.readlines()[-1].strip().partition(":")[2]
    # as a parameter: statistics keep the constants of a statement whose entry was evicted while it ran
    connection.execute("select hartonomous.secret_put('x', %s)", ["value in a statement"])
    connection.execute("select hartonomous.secret_get('x')")
    texts = connection.execute(
        "select query from pg_stat_statements union all select query from pg_stat_activity"
    ).fetchall()
    assert any("secret_put" in text for (text,) in texts)
    assert [text for (text,) in texts if key in text or "value in a statement" in text] == []


def test_a_tenant_calls_nothing_inside(as_bob):
    for statement in (
        "select hartonomous._secret_key('/etc/passwd', null)", "select hartonomous._key_file()",
        "select hartonomous._secret_open(1, 'x', 'x', 1)", "select hartonomous._secret_seal(1, 'x', 'x', 1)",
        "select hartonomous.secret_rotate()", "select ciphertext from hartonomous.secret",
        "select * from pg_file_settings", "select * from pg_show_all_file_settings()",
        "select hartonomous.secret.* from hartonomous.secret", "copy hartonomous.secret to stdout",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_bob.execute(statement)


def test_a_masked_caller_gets_none(connection, as_bob, tenants):
    as_bob.execute("select hartonomous.secret_put('x', 'y')")
    connection.execute("select hartonomous.access_policy_put(-1, 'mask', tenant_id => %s)", [tenants.ids[tenants.bob]])
    with pytest.raises(psycopg.Error, match="secrets are masked") as raised:
        as_bob.execute("select hartonomous.secret_get('x')")
    assert raised.value.sqlstate == "ZH002"
