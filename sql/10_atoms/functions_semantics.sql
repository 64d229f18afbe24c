create or replace function hartonomous._semantics_extractor() returns text
language sql immutable parallel safe
return '1'::text;
comment on function hartonomous._semantics_extractor() is
'Names the libraries and rules of semantics_extract; another one makes everything pending again.';

create or replace function hartonomous._semantics_stale(tenant_id int) returns table (artifact_id bigint)
language sql stable parallel safe
begin atomic
    select a.artifact_id from hartonomous.artifact as a
    where a.tenant_id = _semantics_stale.tenant_id and a.deleted_at is null and a.canonical_text is not null
      and a.semantics ->> 'extractor' is distinct from hartonomous._semantics_extractor();
end;
comment on function hartonomous._semantics_stale(int) is 'Artifacts of a tenant with a text from which nothing was extracted as it is now.';

create or replace function hartonomous.semantics_pending(batch int default 256, worker int default 0, workers int default 1) returns bigint[]
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
begin
    if workers < 1 or worker not between 0 and workers - 1 then
        raise exception 'worker % of % workers', worker, workers using errcode = '22023', hint = 'workers count from 0';
    elsif batch < 1 then
        raise exception 'batch is %, expected at least 1', batch using errcode = '22023', hint = 'NULL gives all';
    end if;
    return array(
        select s.artifact_id from hartonomous._semantics_stale(tenant) as s
        where s.artifact_id % workers = worker
        order by s.artifact_id limit batch);
end
$$;
comment on function hartonomous.semantics_pending(int, int, int) is
'Artifacts with a text that semantics_extract would read, at most batch (NULL: all), those of one worker among several. Error: 22023 worker or batch.';

create or replace function hartonomous.semantics_extract(artifact_ids bigint[]) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit('semantics', cardinality(artifact_ids));
begin
    perform hartonomous._artifacts_own(tenant, artifact_ids,
        'semantics_extract takes artifacts of your own tenant; hartonomous.semantics_pending lists them');
    return hartonomous._semantics_extract(tenant, artifact_ids);
end
$$;
comment on function hartonomous.semantics_extract(bigint[]) is
'Reads the first 20,000 characters of the texts of artifacts and adds to their semantics: language (ISO 639-1) and language_probability, sentiment (-1 to 1, of English texts), entities (at most 100: type, text, start and end in characters from 0) and extractor. Those that have it, deleted ones, and those that another session is at, are passed over. Returns how many were read. Safe when called by many sessions at once. Error: ZH010 no such artifact.';

create or replace function hartonomous._semantics_extract(tenant_id int, artifact_ids bigint[]) returns bigint
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import semantics
return semantics.extract(plpy, tenant_id, artifact_ids or [])
$$;
comment on function hartonomous._semantics_extract(int, bigint[]) is 'semantics_extract for a tenant, arguments checked.';

create or replace function hartonomous._semantics_take(tenant_id int, artifact_ids bigint[])
returns table (artifact_id bigint, body text)
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    -- who holds one is reading it or changes it: nobody waits, nothing is read twice
    return query
    select a.artifact_id, left(a.canonical_text, 20000) from hartonomous.artifact as a
    where a.tenant_id = _semantics_take.tenant_id and a.artifact_id = any (_semantics_take.artifact_ids)
      and a.deleted_at is null and a.canonical_text is not null
      and a.semantics ->> 'extractor' is distinct from hartonomous._semantics_extractor()
    order by a.artifact_id for no key update skip locked;
end
$$;
comment on function hartonomous._semantics_take(int, bigint[]) is 'Locks those of some artifacts that are pending and that nobody else has locked, with the beginning of their texts.';

create or replace function hartonomous._semantics_put(tenant_id int, artifact_ids bigint[], found jsonb[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    update hartonomous.artifact as a
    set semantics = a.semantics - array['language', 'language_probability', 'sentiment', 'entities'] || i.found
                    || jsonb_build_object('extractor', hartonomous._semantics_extractor()),
        updated_at = now()
    from unnest(_semantics_put.artifact_ids, _semantics_put.found) as i (artifact_id, found)
    where a.tenant_id = _semantics_put.tenant_id and a.artifact_id = i.artifact_id;
end;
comment on function hartonomous._semantics_put(int, bigint[], jsonb[]) is 'Adds what was found to the semantics of artifacts, in the place of what an earlier extractor found.';
