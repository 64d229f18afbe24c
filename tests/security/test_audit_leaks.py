"""What the log records of a refusal is for administrators: who is refused is not told, however it sets its session."""

import psycopg
import pytest

REASONS = {"no such key", "wrong secret", "revoked", "expired"}
TOLD_APART = ("no such key", "wrong secret")  # the others are words of columns and hints too


def squeezed(text):
    """Plans print bytes as numbers and break lines within them."""
    return "".join(text.split())


def spellings(reason):
    return squeezed(reason), "".join(map(str, reason.encode()))


@pytest.fixture
def told(as_bob):
    """Messages that a session with every setting on gets."""
    messages = []
    as_bob.add_notice_handler(lambda told: messages.append(squeezed(f"{told.message_primary} {told.message_detail}")))
    for setting in ("debug_print_parse", "debug_print_rewritten", "debug_print_plan"):
        as_bob.execute(f"set {setting} = on")
    as_bob.execute("set client_min_messages = debug5")
    return messages


def keys(connection, tenants):
    """A key for each reason, and none."""
    made = connection.execute(
        "select hartonomous.api_key_create(%s) from generate_series(1, 3)", [tenants.ids[tenants.ann]]
    ).fetchall()
    made = [key for (key,) in made]
    ids = [int(key.split("_")[1]) for key in made]
    connection.execute("select hartonomous.api_key_revoke(%s)", [ids[1]])
    connection.execute("update hartonomous.api_key set expires_at = now() where key_id = %s", [ids[2]])
    wrong = [f"hk_{ids[0]}_{'0' * 40}", f"hk_{max(ids) + 1}_{'0' * 40}"]
    return [*wrong, *made[1:]]


def test_why_a_key_is_refused(connection, as_bob, tenants, told):
    for key in keys(connection, tenants):
        for _ in range(7):  # plans become generic
            with pytest.raises(psycopg.Error, match="key is not valid"):
                as_bob.execute("select hartonomous.authenticate(%s)", [key])
    assert len(told) > 20
    # a text with both is the function's own
    assert [text for text in told if len([r for r in TOLD_APART if any(s in text for s in spellings(r))]) == 1] == []
    found = connection.execute(
        "select distinct detail ->> 'reason' from hartonomous.audit_list() where operation = 'authenticate'"
    )
    assert {reason for (reason,) in found} >= REASONS, "the log has them"


def test_a_constant_of_a_plan_is_found(as_bob, told):
    as_bob.execute("select convert_to(%s::text || random(), 'UTF8')", ["wrong secret"], prepare=True)
    assert any(spellings("wrong secret")[1] in text for text in told)
