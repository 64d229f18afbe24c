create or replace function hartonomous._filter_check(filter jsonb) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    known constant text[] := array['modality', 'subtype', 'source_uri_prefix', 'created_after', 'created_before', 'metadata'];
    key   text;
begin
    if jsonb_typeof(filter) <> 'object' then
        raise exception 'filter is a JSON %, not an object', jsonb_typeof(filter) using errcode = 'ZH041';
    end if;
    for key in select jsonb_object_keys(filter) loop
        if key <> all (known) then
            raise exception 'unknown filter key "%"', key using errcode = 'ZH041', hint = 'known keys: ' || array_to_string(known, ', ');
        elsif jsonb_typeof(filter -> key) <> (case key when 'metadata' then 'object' else 'string' end) then
            raise exception 'filter key "%" is a JSON %', key, jsonb_typeof(filter -> key) using errcode = 'ZH041',
                hint = case key when 'metadata' then 'give an object that the metadata must contain' else 'give a string' end;
        end if;
    end loop;
    if filter ? 'modality' then
        perform hartonomous._modality(filter ->> 'modality');
    end if;
    if not (pg_input_is_valid(coalesce(filter ->> 'created_after', 'now'), 'timestamptz')
            and pg_input_is_valid(coalesce(filter ->> 'created_before', 'now'), 'timestamptz')) then
        raise exception 'created_after and created_before must be times' using errcode = 'ZH041', hint = 'for example 2026-01-31 12:00+00';
    end if;
end
$$;
comment on function hartonomous._filter_check(jsonb) is 'ZH041 unless a search filter has known keys with values of the right kind.';

create or replace function hartonomous._search_check(k int, filter jsonb, as_of timestamptz, recall real) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if as_of is not null then
        perform hartonomous._not_yet('as_of');
    elsif k is null or k not between 1 and 10000 then
        raise exception 'k is %, expected 1 to 10000', coalesce(k::text, 'NULL') using errcode = '22023';
    elsif recall is null or not recall between 0 and 1 then
        raise exception 'recall is %, expected 0 to 1', coalesce(recall::text, 'NULL') using errcode = '22023';
    end if;
    perform hartonomous._filter_check(coalesce(filter, '{}'));
end
$$;
comment on function hartonomous._search_check(int, jsonb, timestamptz, real) is 'Checks the arguments that all searches share.';

create or replace function hartonomous._filter_mask_check(tenant_id int, filter jsonb) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    if filter ?| array['subtype', 'source_uri_prefix', 'metadata'] then
        perform hartonomous._mask_refuse(tenant_id, 'search', 'subtype, source_uri_prefix and metadata');
    end if;
end
$$;
comment on function hartonomous._filter_mask_check(int, jsonb) is
'ZH002 for filter keys by which a masked caller could find out, guess by guess, what is masked.';

create or replace function hartonomous._snippet(body text, length int default 240) returns text
language sql immutable parallel safe
return case when char_length(regexp_replace(_snippet.body, '\s+', ' ', 'g')) <= _snippet.length
            then regexp_replace(_snippet.body, '\s+', ' ', 'g')
            else left(regexp_replace(left(_snippet.body, 4 * _snippet.length), '\s+', ' ', 'g'), _snippet.length - 3) || '...' end;
comment on function hartonomous._snippet(text, int) is 'The beginning of a text on one line, at most length characters.';

create or replace function hartonomous.search_vector(
    query @extschema:vector@.vector, k int default 10, model text default null, filter jsonb default '{}',
    as_of timestamptz default null, recall real default 0.95)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
set jit = off as $$  -- compiling took half of the time, once estimates passed jit_above_cost
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
    wanted constant jsonb := coalesce(filter, '{}');
    masked constant boolean := hartonomous._masked(tenant, 'search');
    within bigint[];
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    if masked then
        perform hartonomous._filter_mask_check(tenant, filter);
    end if;
    if query is null then
        raise exception 'query is NULL' using errcode = '22004', hint = 'embed a text with hartonomous.embed';
    end if;
    perform hartonomous._dimensions_check(target, query);
    within := hartonomous._filter_candidates(tenant, wanted);
    return query
    -- each by itself, as in _search_text
    with embedded as materialized (
        select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) search_vector.query as distance
        from hartonomous.atom_embedding as e where e.tenant_id in (0, tenant) and e.model_id = target and within is null
        union all
        select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) search_vector.query
        from unnest(within) as w (artifact_id)
        join hartonomous.atom_embedding as e on e.tenant_id in (0, tenant) and e.artifact_id = w.artifact_id and e.model_id = target
    ), live as materialized (
        select a.artifact_id from hartonomous.artifact as a
        where a.tenant_id in (0, tenant) and a.deleted_at is null and (wanted = '{}' or hartonomous._filter_match(a, wanted)) and within is null
        union all
        select a.artifact_id from unnest(within) as w (artifact_id)
        join hartonomous.artifact as a on a.tenant_id in (0, tenant) and a.artifact_id = w.artifact_id
        where a.deleted_at is null and hartonomous._filter_match(a, wanted)
    ), nearest as (
        select e.artifact_id, e.distance from embedded as e join live as l on l.artifact_id = e.artifact_id
        order by e.distance, e.artifact_id
        limit search_vector.k
    )
    select n.artifact_id, case when not masked then (1 - n.distance)::real end, hartonomous._mask_text(masked, s.source_uri),
           hartonomous._mask_text(masked, hartonomous._snippet(a.canonical_text)),
           case when count(*) over () < search_vector.k then 'short' else 'exact' end
    from nearest as n
    join hartonomous.artifact as a on a.tenant_id in (0, tenant) and a.artifact_id = n.artifact_id
    left join lateral (
        select o.source_uri from hartonomous.artifact_source as o
        where o.tenant_id = a.tenant_id and o.artifact_id = n.artifact_id and hartonomous._occurrence_match(o, wanted)
        order by o.source_uri collate "C" limit 1) as s on true
    order by n.distance, n.artifact_id;
end
$$;
comment on function hartonomous.search_vector(@extschema:vector@.vector, int, text, jsonb, timestamptz, real) is
'Artifacts whose embeddings are nearest to a vector; columns and errors as search, and ZH040 for wrong dimensions or the zero vector.';

create or replace function hartonomous._occurrence_match(occurrence hartonomous.artifact_source, filter jsonb) returns boolean
language sql stable parallel safe
return (_occurrence_match.filter ->> 'source_uri_prefix' is null
        or starts_with((_occurrence_match.occurrence).source_uri, _occurrence_match.filter ->> 'source_uri_prefix'))
   and (_occurrence_match.filter -> 'metadata' is null
        or (_occurrence_match.occurrence).metadata @> (_occurrence_match.filter -> 'metadata'));
comment on function hartonomous._occurrence_match(hartonomous.artifact_source, jsonb) is
'Whether an occurrence satisfies the keys of a filter that speak of occurrences.';

create or replace function hartonomous._filter_match(artifact hartonomous.artifact, filter jsonb) returns boolean
language sql stable parallel safe
return (_filter_match.filter ->> 'modality' is null
        or (_filter_match.artifact).modality = (select m.modality from hartonomous.modality as m where m.name = _filter_match.filter ->> 'modality'))
   and (_filter_match.filter ->> 'subtype' is null or (_filter_match.artifact).subtype = _filter_match.filter ->> 'subtype')
   and (_filter_match.filter ->> 'created_after' is null
        or (_filter_match.artifact).created_at >= (_filter_match.filter ->> 'created_after')::timestamptz)
   and (_filter_match.filter ->> 'created_before' is null
        or (_filter_match.artifact).created_at < (_filter_match.filter ->> 'created_before')::timestamptz)
   and (not _filter_match.filter ?| array['source_uri_prefix', 'metadata']
        or exists (select from hartonomous.artifact_source as o
                   where o.tenant_id = (_filter_match.artifact).tenant_id and o.artifact_id = (_filter_match.artifact).artifact_id
                     and hartonomous._occurrence_match(o, _filter_match.filter)));
comment on function hartonomous._filter_match(hartonomous.artifact, jsonb) is 'Whether an artifact satisfies a filter.';

create or replace function hartonomous._filter_candidates(tenant_id int, filter jsonb) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    most    constant int := 10000;  -- from there on reading all is as fast
    clauses text;
    ids     bigint[];
begin
    select string_agg(format('hartonomous._metadata_key(o.metadata -> %L) = %L', i.field,
                             hartonomous._metadata_key(filter -> 'metadata' -> i.field)), ' and ')
    into clauses from hartonomous.metadata_index as i
    where hartonomous._metadata_key(filter -> 'metadata' -> i.field) is not null;
    if clauses is null then
        return null;
    end if;
    execute 'select array(select distinct o.artifact_id from hartonomous.artifact_source as o where o.tenant_id in (0, $1) and ' || clauses
            || ' and hartonomous._occurrence_match(o, $2) limit $3)'
    into ids using tenant_id, filter, most + 1;
    return case when cardinality(ids) <= most then ids end;
end
$$;
comment on function hartonomous._filter_candidates(int, jsonb) is
'Artifacts with an occurrence that satisfies a filter, by the indexes of its metadata fields; NULL when none of them is indexed, or so many satisfy it that an index is of no use.';
