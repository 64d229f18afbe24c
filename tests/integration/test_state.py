"""The hashes that other tests trust name every table and see every change."""

import psycopg
import pytest
import state
import tiny_model
from hartonomous import models


@pytest.fixture
def filled(client, connection, tmp_path):
    models.ingest(client, tiny_model.write(tmp_path / "tiny"), "tiny")
    client.ingest_document("u/1", "# A\n\nSome text.\n\n# B\n\nOther text.", "markdown")
    client.embed_artifacts(client.embedding_pending())
    return connection


def test_every_table_is_part_of_the_state(connection):
    assert state.tables(connection) == set(state.LOGICAL) | state.NO_STATE


@pytest.mark.parametrize(
    "change",
    [
        "update hartonomous.atom set ref_count = 9 where h_xy = (select max(h_xy) from hartonomous.artifact)",
        "update hartonomous.artifact set canonical_text = upper(canonical_text) where canonical_text = 'Some text.'",
        "update hartonomous.artifact set deleted_at = now() where canonical_text = 'Some text.'",
        "update hartonomous.artifact_source set metadata = metadata - 'title' where position = 0",
        "delete from hartonomous.ingestion_log where source_uri is not null",
        "update hartonomous.model set state_hash = sha256(state_hash)",
        "update hartonomous.tensor_atom_coefficient set coefficient = 2 where start = 0",
        "update hartonomous.tensor_atom set data = data || '\\x00'::bytea where octet_length(data) = 128",
        "update hartonomous.atom_embedding set embedding = -1 * embedding",
        "update hartonomous.inference_request set operation = 'other'",
        "delete from hartonomous.graph_edge where relation = 'EmbeddedBy' and from_id = (select min(from_id)"
        " from hartonomous.graph_edge where relation = 'EmbeddedBy')",
        "update hartonomous.graph_node set detail = '{}' where node_type = 'model'",
    ],
)
def test_a_change_is_seen(filled, change):
    before = state.logical(filled), state.exact(filled)
    with pytest.raises(psycopg.errors.RaiseException), filled.transaction():
        filled.execute(change.replace("-1 * embedding", "embedding * array_fill(-1, array[32])::vector"))
        assert state.logical(filled) != before[0] and state.exact(filled) != before[1]
        filled.execute("do $$ begin raise exception 'undo'; end $$")
    assert (state.logical(filled), state.exact(filled)) == before
