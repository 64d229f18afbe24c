create or replace function hartonomous._metadata_key(value jsonb) returns text
language sql immutable parallel safe
-- cut, since an index cannot hold everything that metadata may be
return left(case jsonb_typeof(_metadata_key.value) when 'string' then _metadata_key.value #>> '{}'
                                                   when 'boolean' then _metadata_key.value #>> '{}'
                                                   when 'number' then trim_scale(_metadata_key.value::numeric)::text end, 200);
comment on function hartonomous._metadata_key(jsonb) is
'What indexes of metadata fields hold of a value: equal for equal values; NULL for objects, arrays and null.';

create or replace function hartonomous._metadata_index_name(field text) returns name
language sql stable parallel safe
return ('artifact_source_field_' || left(encode(sha256(convert_to(_metadata_index_name.field, 'UTF8')), 'hex'), 16))::name;
comment on function hartonomous._metadata_index_name(text) is 'Name of the index of a metadata field.';

create or replace function hartonomous._metadata_index_build(field text, wanted boolean) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    index constant name := hartonomous._metadata_index_name(field);
begin
    if not wanted then
        execute format('drop index if exists hartonomous.%I', index);
        return;
    end if;
    execute format('create index if not exists %I on hartonomous.artifact_source'
                   ' (tenant_id, hartonomous._metadata_key(metadata -> %L), artifact_id)'
                   ' where hartonomous._metadata_key(metadata -> %2$L) is not null', index, field);
    -- comparisons of text are leakproof: EXPLAIN would estimate them for anybody from the values of all tenants
    execute format('alter index hartonomous.%I alter column 2 set statistics 0', index);
end
$$;
comment on function hartonomous._metadata_index_build(text, boolean) is
'Makes or removes the index of a metadata field. Its owner is that of the table: no other function may change one.';

create or replace function hartonomous.metadata_index_add(field text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    most  constant int := 16;
    known int;
begin
    if coalesce(metadata_index_add.field, '') = '' or octet_length(metadata_index_add.field) > 200 then
        raise exception 'metadata field has % bytes, expected 1 to 200', coalesce(octet_length(metadata_index_add.field), 0)
            using errcode = '22023';
    end if;
    lock table hartonomous.metadata_index in share row exclusive mode;
    select count(*) filter (where i.field <> metadata_index_add.field) into known from hartonomous.metadata_index as i;
    if known >= most then
        raise exception '% metadata fields are indexed, expected at most %', known, most using errcode = '55000',
            hint = 'each slows every ingest: remove one with hartonomous.metadata_index_drop';
    end if;
    insert into hartonomous.metadata_index (field) values (metadata_index_add.field) on conflict do nothing;
    perform hartonomous._metadata_index_build(metadata_index_add.field, true);
    perform hartonomous._audit('metadata_index_add', null, jsonb_build_object('field', metadata_index_add.field));
end
$$;
comment on function hartonomous.metadata_index_add(text) is
'Makes filters of search on a top-level metadata field use an index, for all tenants, when they ask for a string, number or boolean. Whoever ingests waits while it is built, and each index slows ingesting: at most 16. Again, it changes nothing, or builds what a dump does not bring along. For administrators. Errors: 22023 name of 1 to 200 bytes, 55000 too many.';

create or replace function hartonomous.metadata_index_drop(field text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    delete from hartonomous.metadata_index as i where i.field = metadata_index_drop.field;
    if not found then
        raise exception 'metadata field % is not indexed', coalesce(quote_literal(metadata_index_drop.field), 'NULL') using errcode = '22023',
            hint = 'hartonomous.metadata_index_list shows those that are';
    end if;
    perform hartonomous._metadata_index_build(metadata_index_drop.field, false);
    perform hartonomous._audit('metadata_index_drop', null, jsonb_build_object('field', metadata_index_drop.field));
end
$$;
comment on function hartonomous.metadata_index_drop(text) is
'Removes the index of a metadata field; filters go on working. For administrators. Error: 22023 it has none.';

create or replace function hartonomous.metadata_index_list()
returns table (field text, built boolean, bytes bigint, created_at timestamptz)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select i.field, x.indexrelid is not null, coalesce(pg_relation_size(x.indexrelid), 0), i.created_at
    from hartonomous.metadata_index as i
    left join (pg_index as x join pg_class as c on c.oid = x.indexrelid)
      on x.indrelid = 'hartonomous.artifact_source'::regclass and x.indisvalid and c.relname = hartonomous._metadata_index_name(i.field)
    order by i.field collate "C";
end
$$;
comment on function hartonomous.metadata_index_list() is
'The metadata fields that are indexed. built: whether the index is there; a dump does not bring it along, and metadata_index_add makes it anew. For administrators.';
