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

create or replace function hartonomous._filter_indexed(filter jsonb) returns boolean
language sql stable parallel safe
return _filter_indexed.filter - array['source_uri_prefix', 'metadata'] = '{}'
   and not exists (select from jsonb_object_keys(coalesce(_filter_indexed.filter -> 'metadata', '{}')) as k (field)
                   where hartonomous._metadata_key(_filter_indexed.filter -> 'metadata' -> k.field) is null
                      or not exists (select from hartonomous.metadata_index as i where i.field = k.field));
comment on function hartonomous._filter_indexed(jsonb) is
'Whether an index lists what satisfies a filter: all that it names is a uri''s beginning or an indexed field of the metadata.';

create or replace function hartonomous._occurrence_query(filter jsonb) returns text
language sql stable parallel safe
return (  -- values stand in the text, so that the plan is made for them
    select 'select o.artifact_id from hartonomous.artifact_source as o where o.tenant_id = $1'
           || coalesce(' and o.source_uri ^@ ' || quote_literal(_occurrence_query.filter ->> 'source_uri_prefix'), '')
           || coalesce(' and o.metadata @> ' || quote_literal(_occurrence_query.filter -> 'metadata'), '')
           || coalesce(string_agg(format(' and hartonomous._metadata_key(o.metadata -> %L) = %L', i.field,
                                         hartonomous._metadata_key(_occurrence_query.filter -> 'metadata' -> i.field)), ''), '')
    from hartonomous.metadata_index as i where hartonomous._metadata_key(_occurrence_query.filter -> 'metadata' -> i.field) is not null);
comment on function hartonomous._occurrence_query(jsonb) is 'A query for the artifacts of tenant $1 with an occurrence that satisfies a filter, by what indexes there are.';

create or replace function hartonomous._filter_occurrences(tenant_id int, filter jsonb, most int) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
    ids bigint[];
    occurrences bigint;
begin
    execute format('select array_agg(distinct m.artifact_id), count(*) from (%s limit $2) as m', hartonomous._occurrence_query(filter))
    into ids, occurrences using tenant_id, most::bigint + 1;
    return case when occurrences <= most then coalesce(ids, '{}') end;
end
$$;
comment on function hartonomous._filter_occurrences(int, jsonb, int) is
'Artifacts of a tenant, deleted ones too, with an occurrence that satisfies a filter; NULL when there are more such occurrences than most.';

create or replace function hartonomous._filter_ids(tenant_id int, filter jsonb, most int) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    ids bigint[];
begin
    execute 'select array_agg(m.artifact_id) from (select a.artifact_id from hartonomous.artifact as a where a.tenant_id = $1 and a.deleted_at is null'
        || coalesce((select format(' and a.modality = %s', m.modality) from hartonomous.modality as m where m.name = filter ->> 'modality'), '')
        || coalesce(' and a.subtype = ' || quote_literal(filter ->> 'subtype'), '')
        || coalesce(' and a.created_at >= ' || quote_literal((filter ->> 'created_after')::timestamptz), '')
        || coalesce(' and a.created_at < ' || quote_literal((filter ->> 'created_before')::timestamptz), '')
        || coalesce(' and a.artifact_id % ' || (filter ->> '_modulus')::int || ' = 0', '')
        || coalesce(' and a.artifact_id = any (' || quote_literal(translate(filter ->> '_among', '[] ', '{}')) || ')', '')
        || case when filter ?| array['source_uri_prefix', 'metadata'] then format(' and a.artifact_id in (%s)', hartonomous._occurrence_query(filter)) else '' end
        || ' limit $2) as m'
    into ids using tenant_id, most::bigint + 1;
    return case when coalesce(cardinality(ids), 0) <= most then coalesce(ids, '{}') end;
end
$$;
comment on function hartonomous._filter_ids(int, jsonb, int) is
'Live artifacts of a tenant that satisfy a filter, by what indexes there are; NULL when there are more than most.';

create or replace function hartonomous._filter_live(tenant_id int, ids bigint[], filter jsonb, most int) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    sort     smallint;
    kind     text;
    after    timestamptz;
    before   timestamptz;
    prefix   text;
    noted    jsonb;
    modulus  int;
    among    bigint[];
    anywhere boolean;
    live     bigint[];
begin
    if filter = '{}' then
        select array_agg(w.id order by w.position) into live
        from unnest(ids) with ordinality as w (id, position)
        join hartonomous.artifact as a on a.tenant_id = _filter_live.tenant_id and a.artifact_id = w.id
        where a.deleted_at is null;
    else
        sort := (select m.modality from hartonomous.modality as m where m.name = filter ->> 'modality');
        kind := filter ->> 'subtype';
        after := coalesce((filter ->> 'created_after')::timestamptz, '-infinity');
        before := (filter ->> 'created_before')::timestamptz;
        prefix := coalesce(filter ->> 'source_uri_prefix', '');
        noted := coalesce(filter -> 'metadata', '{}');
        modulus := coalesce((filter ->> '_modulus')::int, 1);  -- see _audit_filter
        among := case when filter ? '_among' then array(select jsonb_array_elements_text(filter -> '_among')::bigint) end;
        anywhere := not filter ?| array['source_uri_prefix', 'metadata'];
        select array_agg(w.id order by w.position) into live
        from unnest(ids) with ordinality as w (id, position)
        join hartonomous.artifact as a on a.tenant_id = _filter_live.tenant_id and a.artifact_id = w.id
        where a.deleted_at is null and (_filter_live.filter ->> 'modality' is null or a.modality = sort)
          and (kind is null or a.subtype = kind) and a.created_at >= after and (before is null or a.created_at < before)
          and w.id % modulus = 0 and (among is null or w.id = any (among))
          and (anywhere or exists (select from hartonomous.artifact_source as o where o.tenant_id = _filter_live.tenant_id and o.artifact_id = w.id
                                   and starts_with(o.source_uri, prefix) and o.metadata @> noted));
    end if;
    return coalesce(live[:most], '{}');
end
$$;
comment on function hartonomous._filter_live(int, bigint[], jsonb, int) is
'The first, at most so many, of given artifacts of a tenant that are live and satisfy a filter, in the order given.';

create or replace function hartonomous._filter_share(
    tenant_id int, model_id bigint, filter jsonb, out share double precision, out rows bigint, out listed bigint[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
set jit = off as $$
#variable_conflict use_column
declare
    sample bigint[];
    taken  int;
    passed int;
begin
    -- ids are permuted, so those that follow any one are a random sample, and their density tells how many there are
    select case when count(*) < 100 then count(*) else 99 * (1::bigint << 40) / greatest(max(s.artifact_id), 1) end into rows
    from (select e.artifact_id from hartonomous.atom_embedding as e
          where e.tenant_id = _filter_share.tenant_id and e.model_id = _filter_share.model_id order by e.artifact_id limit 100) as s;
    share := 1;
    if filter <> '{}' then
        select array_agg(e.artifact_id) into sample
        from (select e.artifact_id from hartonomous.atom_embedding as e
              where e.tenant_id = _filter_share.tenant_id and e.model_id = _filter_share.model_id
                and e.artifact_id >= case when rows > 1000 then hashtextextended(_filter_share.filter::text, 0) & ((1::bigint << 39) - 1) else 0 end
              order by e.artifact_id limit case when rows > 20000 then 400 else 100 end) as e;
        taken := 30;
        passed := cardinality(hartonomous._filter_live(tenant_id, sample[:taken], filter, taken));
        if passed <= 2 and hartonomous._filter_indexed(filter) then  -- what is rare is listed sooner than counted, and will be
            listed := hartonomous._filter_occurrences(tenant_id, filter, greatest(200, rows / 50)::int);
            if listed is not null then
                share := greatest(cardinality(listed), 0.5) / greatest(rows, cardinality(listed), 1);
                return;
            end if;
        end if;
        taken := 100;
        passed := passed + cardinality(hartonomous._filter_live(tenant_id, sample[31:100], filter, taken));
        if passed between 4 and 30 then  -- where the paths to many rows differ most, and a third more or less would decide
            taken := 400;
            passed := passed + cardinality(hartonomous._filter_live(tenant_id, sample[101:], filter, taken));
        end if;
        share := (passed + 0.5) / (least(taken, coalesce(cardinality(sample), 0)) + 1);
    end if;
end
$$;
comment on function hartonomous._filter_share(int, bigint, jsonb) is
'About how many embeddings a tenant has by a model, and the share of them that satisfies a filter, from a sample of 100 or 400; of a rare filter that indexes serve what satisfies it, listed, and the share by that.';
