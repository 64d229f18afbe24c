create or replace function hartonomous.metadata_schema_put(modality text, schema jsonb) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('metadata_schema');
    code   constant smallint := hartonomous._modality(metadata_schema_put.modality);
begin
    if metadata_schema_put.schema is null then
        raise exception 'schema is NULL' using errcode = '22004', hint = 'hartonomous.metadata_schema_drop removes one';
    end if;
    perform hartonomous._metadata_schema_check(metadata_schema_put.schema);
    insert into hartonomous.metadata_schema as s (tenant_id, modality, schema)
    values (tenant, code, metadata_schema_put.schema)
    on conflict (tenant_id, modality) do update set schema = excluded.schema, updated_at = excluded.updated_at;
end
$$;
comment on function hartonomous.metadata_schema_put(text, jsonb) is
'From now on metadata of what the caller''s tenant ingests in a modality must be valid under a JSON Schema (Draft 2020-12, 64 KiB; an earlier one is replaced). What is stored already is not checked again. References stay inside the schema ("#/..."), patterns are PostgreSQL''s regular expressions, format only annotates. Errors: 22023 unknown modality, or no schema that can be used, such as one with a pattern that is no regular expression, 22004 NULL.';

create or replace function hartonomous._metadata_schema_check(schema jsonb) returns void
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import metadata_schema
metadata_schema.check_schema(plpy, schema)
$$;
comment on function hartonomous._metadata_schema_check(jsonb) is '22023 unless a schema is one that metadata can be checked by.';

create or replace function hartonomous.metadata_schema_drop(modality text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('metadata_schema');
    code   constant smallint := hartonomous._modality(metadata_schema_drop.modality);
begin
    delete from hartonomous.metadata_schema as s where s.tenant_id = tenant and s.modality = code;
    if not found then
        raise exception 'no metadata schema for %', metadata_schema_drop.modality using errcode = '22023',
            hint = 'hartonomous.metadata_schema_list shows those of your tenant';
    end if;
end
$$;
comment on function hartonomous.metadata_schema_drop(text) is
'Metadata of what the caller''s tenant ingests in a modality need no more be valid under a schema. Error: 22023 unknown modality, or one without schema.';

create or replace function hartonomous.metadata_schema_list()
returns table (modality text, schema jsonb, updated_at timestamptz)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
begin
    return query
    select m.name, s.schema, s.updated_at
    from hartonomous.metadata_schema as s join hartonomous.modality as m on m.modality = s.modality
    where s.tenant_id = tenant order by s.modality;
end
$$;
comment on function hartonomous.metadata_schema_list() is 'The JSON Schemas that metadata of the caller''s tenant must be valid under, by modality.';

create or replace function hartonomous._metadata_check(tenant_id int, modality smallint, metadata jsonb[]) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    needed constant jsonb := (select s.schema from hartonomous.metadata_schema as s
                              where s.tenant_id = _metadata_check.tenant_id and s.modality = _metadata_check.modality);
begin
    if needed is not null then
        perform hartonomous._metadata_validate(needed, coalesce(metadata, array['{}'::jsonb]));
    end if;
end
$$;
comment on function hartonomous._metadata_check(int, smallint, jsonb[]) is
'ZH016 unless metadata are valid under the schema of a tenant and modality, if there is one. NULL counts as an empty object.';

create or replace function hartonomous._metadata_validate(schema jsonb, metadata jsonb[]) returns void
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import metadata_schema
metadata_schema.check(plpy, schema, metadata)
$$;
comment on function hartonomous._metadata_validate(jsonb, jsonb[]) is 'ZH016 unless all metadata are valid under a JSON Schema.';
