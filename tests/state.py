"""What a database holds, as one hash per table: `logical` for what users rely on, `exact` for every column and row.

Two runs that did the same work, in whatever order and batches and after whatever interruptions, have the same logical
state: rows are named by natural keys (content hash, model name, uri), and ids, times, transactions and the division of
embedding into requests are left out. A dump and what was restored from it have the same exact state.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

# Natural names of what rows refer to by id. A request is named by what it did with which weights.
_NAMES = """
with artifact_name as (
    select artifact_id, concat_ws('/', tenant_id, encode(content_hash, 'hex'),
                                  case when deleted_at is not null then 'deleted' end) as artifact
    from hartonomous.artifact
), model_name as (
    select model_id, concat_ws('/', tenant_id, name, version) as model from hartonomous.model
), tensor_name as (
    select t.model_tensor_id, concat_ws('/', m.model, t.name) as tensor
    from hartonomous.model_tensor as t join model_name as m using (model_id)
), request_name as (
    select inference_request_id,
           concat_ws('/', r.tenant_id, r.operation, encode(r.state_hash, 'hex'), r.engine, r.role_name) as request
    from hartonomous.inference_request as r
), node_name as (
    select 'artifact' as type, artifact_id as id, artifact as node from artifact_name
    union all select 'model', model_id, model from model_name
    union all select 'model_tensor', model_tensor_id, tensor from tensor_name
    union all select 'inference_request', inference_request_id, request from request_name
)
"""

# Reference counts, whether or not the changes have been added to the atoms.
_COUNTED = """
    select h_xy, h_yz, h_zm, sum(n)::bigint as ref_count
    from (select h_xy, h_yz, h_zm, ref_count as n from hartonomous.atom
          union all select k.* from hartonomous.atom_reference_change as r
          cross join lateral unnest(r.h_xy, r.h_yz, r.h_zm, r.change) as k) as part
    group by h_xy, h_yz, h_zm"""

LOGICAL = {
    "tenant": "select tenant_id, name from hartonomous.tenant",
    "tenant_role": "select role_name, tenant_id from hartonomous.tenant_role",
    "api_key": "select tenant_id, label, scopes, secret_hash, expires_at is null as lasting from hartonomous.api_key",
    "secret": "select tenant_id, name, key_version from hartonomous.secret",
    "jwt_issuer": "select issuer, audience, jwks, tenant_claim, scopes from hartonomous.jwt_issuer",
    "access_policy": "select tenant_id, ordinal, effect, operation, condition, label from hartonomous.access_policy",
    "rate_limit": "select tenant_id, operation, per_key, units, per, burst from hartonomous.rate_limit",
    "atom": f"""
        select h_xy, h_yz, h_zm, a.tenant_id, modality, content_hash, geom, value, block, ends,
               c.ref_count, meta, version
        from hartonomous.atom as a join ({_COUNTED}) as c using (h_xy, h_yz, h_zm)""",
    "artifact": """
        select n.artifact, modality, subtype, content_length, h_xy, h_yz, h_zm, canonical_text, semantics
        from hartonomous.artifact join artifact_name as n using (artifact_id)""",
    "artifact_shape": """
        select n.artifact, kind, ordinal, geom, properties
        from hartonomous.artifact_shape join artifact_name as n using (artifact_id)""",
    "artifact_source_removed": """
        select n.artifact, r.source_uri, r.document_uri, r.position, r.metadata
        from hartonomous.artifact_source_removed as r join artifact_name as n using (artifact_id)""",
    "artifact_source": """
        select n.artifact, s.tenant_id, source_uri, document_uri, position, metadata
        from hartonomous.artifact_source as s join artifact_name as n using (artifact_id)""",
    "ingestion_log": """
        select tenant_id, source_uri, artifacts_created, artifacts_shared, artifacts_skipped, atoms_created,
               atoms_shared, retired, error
        from hartonomous.ingestion_log""",
    "metadata_schema": "select tenant_id, modality, schema from hartonomous.metadata_schema",
    "metadata_index": "select field from hartonomous.metadata_index",
    "version_retention": "select relation, keep, kept_since from hartonomous.version_retention",
    "upload": """
        select u.tenant_id, u.modality, u.source_uri, u.metadata, n.artifact
        from hartonomous.upload as u left join artifact_name as n using (artifact_id)""",
    "upload_part": """
        select p.tenant_id, u.source_uri, p.start, p.length, p.data
        from hartonomous.upload_part as p join hartonomous.upload as u using (upload_id)""",
    "model": """
        select n.model, kind, architecture, config, t.definition as tokenizer, dimensions, max_tokens, parameters,
               state_hash, status
        from hartonomous.model as m join model_name as n using (model_id)
        left join hartonomous.tokenizer as t using (tokenizer_id)""",
    "tokenizer": "select tenant_id, content_hash, definition from hartonomous.tokenizer",
    "model_history": """
        select h.tenant_id, name, version, kind, parameters, state_hash, status from hartonomous.model_history as h""",
    "training_row": """
        select m.model, n.artifact, label from hartonomous.training_row
        join model_name as m using (model_id) join artifact_name as n using (artifact_id)""",
    "evaluation": "select tenant_id, name, kind from hartonomous.evaluation",
    "evaluation_item": "select tenant_id, name, ordinal, input, expected from hartonomous.evaluation_item",
    "model_deployment": """
        select d.tenant_id, kind, n.model, c.model as candidate, share
        from hartonomous.model_deployment as d join model_name as n using (model_id)
        left join model_name as c on c.model_id = d.candidate_id""",
    "model_deployment_history": """
        select h.tenant_id, kind, n.model, share
        from hartonomous.model_deployment_history as h left join model_name as n using (model_id)""",
    "model_layer": """
        select n.model, l.name, layer_index, layer_type
        from hartonomous.model_layer as l join model_name as n using (model_id)""",
    "model_layer_history": "select tenant_id, name, layer_index, layer_type from hartonomous.model_layer_history",
    "model_tensor_history": """
        select tenant_id, name, dtype, shape, byte_length, content_hash from hartonomous.model_tensor_history""",
    "model_tensor": """
        select n.tensor, l.name as layer, dtype, shape, byte_length, content_hash
        from hartonomous.model_tensor as t join tensor_name as n using (model_tensor_id)
        join hartonomous.model_layer as l using (model_layer_id)""",
    "tensor_atom": "select tenant_id, content_hash, data from hartonomous.tensor_atom",
    "tensor_atom_coefficient": """
        select n.tensor, a.content_hash, start, byte_length, coefficient, ordinal, rank
        from hartonomous.tensor_atom_coefficient as c join tensor_name as n using (model_tensor_id)
        join hartonomous.tensor_atom as a using (tensor_atom_id)""",
    "tensor_footprint": """
        select n.tensor, start, ordinal, f.geom, f.norm, f.mean, f.largest
        from hartonomous.tensor_footprint as f join hartonomous.tensor_atom_coefficient as c using (coefficient_id)
        join tensor_name as n using (model_tensor_id)""",
    "tensor_atom_coefficient_history": """
        select h.tenant_id, a.content_hash, start, byte_length, coefficient, ordinal, rank
        from hartonomous.tensor_atom_coefficient_history as h
        join hartonomous.tensor_atom as a using (tensor_atom_id)""",
    # neither how many requests did the work, nor that two did the same, which sessions that overlap may
    "inference_request": "select distinct request from request_name",
    "atom_embedding": """
        select n.artifact, m.model, model_state, r.request, embedding, input_hash
        from hartonomous.atom_embedding join artifact_name as n using (artifact_id)
        join model_name as m using (model_id) left join request_name as r using (inference_request_id)""",
    "embedding_basis": """
        select b.tenant_id, m.model, version, current, made
        from hartonomous.embedding_basis as b join model_name as m using (model_id)""",
    "embedding_place": """
        select n.artifact, m.model, basis, place, coarse, bucket_x, bucket_y, bucket_z
        from hartonomous.embedding_place join artifact_name as n using (artifact_id)
        join model_name as m using (model_id)""",
    "embedding_statistics": """
        select s.tenant_id, m.model, s.model_state, s.rows, s.queries
        from hartonomous.embedding_statistics as s join model_name as m using (model_id)""",
    "embedding_curve": """
        select c.tenant_id, m.model, path, filter_class, k, candidates, recall, lower_bound, worst, far
        from hartonomous.embedding_curve as c join model_name as m using (model_id)""",
    "search_word": "select distinct tenant_id, word from hartonomous.search_word",
    "search_synonym": "select tenant_id, term, synonyms from hartonomous.search_synonym",
    "graph_node": """
        select distinct node_type, n.node, g.tenant_id, g.detail - 'items'
        from hartonomous.graph_node as g left join node_name as n on (n.type, n.id) = (g.node_type, g.node_id)""",
    "graph_edge": """
        select distinct e.tenant_id, from_type, f.node, relation, to_type, t.node, detail
        from hartonomous.graph_edge as e
        left join node_name as f on (f.type, f.id) = (e.from_type, e.from_id)
        left join node_name as t on (t.type, t.id) = (e.to_type, e.to_id)""",
}

# Constants of a version, commit times, which are none of a user's doing, the record of calls, successful or not,
# and what is part of another table's state.
NO_STATE = {
    "modality", "operation", "tenant_table", "permit_check", "transaction_time", "context_secret",
    "audit_log", "audit_seal", "audit_unsealed", "atom_reference_change",
    "search_sample", "recall_state", "recall_action",
    # what work left behind as earlier versions depends on its batches
    "artifact_history", "artifact_source_history", "atom_embedding_history",
}  # fmt: skip

Digest = dict[str, str]


def logical(connection: psycopg.Connection[Any]) -> Digest:
    """Hash of each table's logical content."""
    _settle(connection)
    return {table: _hash(connection, query, _NAMES) for table, query in LOGICAL.items()}


def exact(connection: psycopg.Connection[Any]) -> Digest:
    """Hash of each table and sequence of the extension, as it is."""
    _settle(connection)
    kept = [(name, kind) for name, kind in _relations(connection, "r", "p", "S") if name != "context_secret"]
    return {name: _hash(connection, _everything(name, kind)) for name, kind in kept}


def contents(connection: psycopg.Connection[Any]) -> Digest:
    """As exact, without the sequences, which a transaction that rolls back does not set back."""
    return {name: digest for name, digest in exact(connection).items() if not name.endswith("_seq")}


def of_tenants(connection: psycopg.Connection[Any], tenants: list[int]) -> Digest:
    """Hash of each tenant table's rows of some tenants, as they are."""
    _settle(connection)
    registered = connection.execute("select relation::text, tenant_column from hartonomous.tenant_table").fetchall()
    chosen = ", ".join(map(str, tenants))
    return {
        name: _hash(connection, f"select * from {name} where {column} in ({chosen})") for name, column in registered
    }


def tables(connection: psycopg.Connection[Any]) -> set[str]:
    """The extension's tables, partitions left out."""
    return {name for name, _ in _relations(connection, "r", "p")}


def _everything(name: str, kind: str) -> str:
    columns = "last_value, is_called" if kind == "S" else "*"
    made_at_install = " where tenant_id <> 0" if name == "tenant" else ""
    return SQL("select {} from hartonomous.{}").format(SQL(columns), Identifier(name)).as_string(None) + made_at_install


def _relations(connection: psycopg.Connection[Any], *kinds: str) -> list[tuple[str, str]]:
    return connection.execute(
        "select relname::text, relkind::text from pg_class where relnamespace = 'hartonomous'::regnamespace"
        " and relkind::text = any(%s) and not relispartition order by 1",
        [list(kinds)],
    ).fetchall()


def _hash(connection: psycopg.Connection[Any], query: str, names: str = "") -> str:
    # the rows' own hashes are sorted, so that no collation has a say
    statement = (
        f"{names} select encode(sha256(coalesce(string_agg(row_hash, '' order by row_hash), '')), 'hex')"
        " from (select sha256(convert_to(row(content.*)::text, 'UTF8')) as row_hash"
        f"       from ({query}) as content) as hashed"
    )
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def _settle(connection: psycopg.Connection[Any]) -> None:
    """What the text of a value depends on."""
    connection.execute(
        "set timezone = 'UTC'; set datestyle = 'iso'; set bytea_output = 'hex'; set extra_float_digits = 1;"
        " set search_path = pg_catalog, public"
    )


def references(connection: psycopg.Connection[Any]) -> tuple[dict[Any, int], dict[Any, int]]:
    """Reference counts of all atoms: as stored, and counted anew from artifacts and composites."""
    stored = connection.execute(_COUNTED).fetchall()
    counted: dict[Any, int] = {}
    for key in connection.execute("select h_xy, h_yz, h_zm from hartonomous.artifact").fetchall() + _children(
        connection
    ):
        counted[key] = counted.get(key, 0) + 1
    return {row[:3]: row[3] for row in stored}, counted


def _children(connection: psycopg.Connection[Any]) -> list[Any]:
    """Keys of the atoms that composites name, once for each time they are named."""
    return connection.execute(
        """
        select hartonomous.hilbert_encode(x, y), hartonomous.hilbert_encode(y, z), hartonomous.hilbert_encode(z, m)
        from (select st_x(p.geom)::bigint as x, st_y(p.geom)::bigint as y, st_z(p.geom)::bigint as z,
                     st_m(p.geom)::bigint as m
              from hartonomous.atom as a cross join lateral st_dump(a.geom) as p
              where a.value is null and a.block is null) as child"""
    ).fetchall()
