create or replace function hartonomous._export_column(name name, type regtype) returns text
language sql stable parallel safe
return format(case when _export_column.type = 'bytea'::regtype then $q$translate(encode(%1$I, 'base64'), E'\n', '') as %1$I$q$
                   -- JSON of other extensions' types may round: geometry would come as GeoJSON
                   when (select t.typnamespace from pg_type as t where t.oid = _export_column.type) = 'pg_catalog'::regnamespace then '%1$I'
                   else '%1$I::text as %1$I' end, _export_column.name);
comment on function hartonomous._export_column(name, regtype) is
'Expression for a column in an export: bytes as base64, types of other extensions as their text, all else as JSON has it.';

create or replace function hartonomous._export_tables(tenant_id int)
returns table (relation text, columns json, statement text)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select o.relation::text, json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod) order by a.attnum),
           format('select row_to_json(r)::text as row from (select %s from %s where %I = %s) as r',
                  string_agg(hartonomous._export_column(a.attname, a.atttypid), ', ' order by a.attnum), o.relation, t.tenant_column,
                  _export_tables.tenant_id)
    from hartonomous._erasure_order() as o
    join hartonomous.tenant_table as t on t.relation = o.relation
    join pg_attribute as a on a.attrelid = o.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                          and a.attname <> all (t.omitted)
    where t.exported
    group by o.relation, o.rank, t.tenant_column
    order by o.rank desc, o.relation::text;
end;
comment on function hartonomous._export_tables(int) is
'Tables of an export, those that are referred to before those that refer; their columns with types, and the statement that gives a tenant''s rows as JSON. Generated columns follow from others and are left out.';

create or replace function hartonomous._export_header(tenant_id int) returns jsonb
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return (select jsonb_build_object('format', 'hartonomous export', 'version', 1, 'tenant_id', t.tenant_id, 'name', t.name,
        'extension', hartonomous.version(), 'started_at', statement_timestamp(), 'snapshot', pg_current_snapshot()::text,
        'content_bytes', (select coalesce(sum(a.content_length), 0) from hartonomous.artifact as a where a.tenant_id = t.tenant_id))
    from hartonomous.tenant as t where t.tenant_id = _export_header.tenant_id);
end
$$;
comment on function hartonomous._export_header(int) is 'What the first line of an export says, but for its tables; NULL when there is no such tenant.';

create or replace function hartonomous._export_contents(tenant_id int)
returns table (artifact_id bigint, h_xy bigint, h_yz bigint, h_zm bigint, content_hash bytea, data bytea, packed boolean)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select a.artifact_id, a.h_xy, a.h_yz, a.h_zm, a.content_hash, coalesce(x.value, x.block), x.block is not null
    from hartonomous.artifact as a
    left join hartonomous.atom as x on (x.h_xy, x.h_yz, x.h_zm) = (a.h_xy, a.h_yz, a.h_zm)
    where a.tenant_id = _export_contents.tenant_id;
end;
comment on function hartonomous._export_contents(int) is 'Root atoms of a tenant''s artifacts, deleted ones included; data is NULL for composites, packed says of a block that it may be a frame.';

create or replace function hartonomous._export_parts(tenant_id int) returns table (upload_id bigint, start bigint, data bytea)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select p.upload_id, p.start + at.byte, substr(p.data, at.byte + 1, 65536)
    from hartonomous.upload_part as p cross join lateral generate_series(0, p.length - 1, 65536) as at (byte)
    where p.tenant_id = _export_parts.tenant_id;
end;
comment on function hartonomous._export_parts(int) is 'Bytes of a tenant''s unfinished uploads in pieces.';

create or replace function hartonomous.tenant_export(tenant_id int) returns setof text
language plpython3u stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.security import export
return export.lines(plpy, tenant_id)
$$;
comment on function hartonomous.tenant_export(int) is
'Everything of a tenant as lines of JSON, of one snapshot: a header with tables and columns; {"table", "row"} for each row, bytes as base64, vectors and geometries as text; {"table", "content": {"artifact_id", "start", "data"}} for the bytes of each artifact in pieces of at most 64 KiB, and with "upload_id" for those of unfinished uploads; at the end the rows per table and the SHA-256 of all lines before, each with its line feed. Hashes of keys and secrets are left out. Read it through a cursor over select tenant_export(...): then it is made in constant memory as it is fetched. Errors: 22023 no such tenant or rounding numbers, ZH013 damaged content.';
