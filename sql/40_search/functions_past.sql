-- What a tenant had at a time. Its versions bear the stamps of few transactions, so these are asked for their times, not each version; a
-- version is there when the transaction that began it had committed by then, and the one that ended it, if any, had not.
create or replace function hartonomous._artifact_at(tenant_id int, at timestamptz)
returns table (artifact_id bigint, modality smallint, subtype text, created_at timestamptz, deleted_at timestamptz, has_text boolean)
language sql stable parallel restricted
begin atomic
    with stamp as materialized (  -- or the time of each version would be asked for
        select c.sys_begin as x from hartonomous.artifact as c where c.tenant_id = _artifact_at.tenant_id
        union select h.sys_begin from hartonomous.artifact_history as h where h.tenant_id = _artifact_at.tenant_id
        union select h.sys_end from hartonomous.artifact_history as h where h.tenant_id = _artifact_at.tenant_id
    ), done as materialized (
        select s.x from stamp as s where hartonomous._commit_time(s.x) <= _artifact_at.at
    )
    select c.artifact_id, c.modality, c.subtype, c.created_at, c.deleted_at, c.has_text from hartonomous.artifact as c
    where c.tenant_id = _artifact_at.tenant_id and exists (select from done as b where b.x = c.sys_begin)
    union all
    select h.artifact_id, h.modality, h.subtype, h.created_at, h.deleted_at, h.has_text from hartonomous.artifact_history as h
    where h.tenant_id = _artifact_at.tenant_id and exists (select from done as b where b.x = h.sys_begin)
      and not exists (select from done as e where e.x = h.sys_end);
end;
comment on function hartonomous._artifact_at(int, timestamptz) is 'Artifacts of a tenant, deleted ones too, as they were at a time.';

create or replace function hartonomous._occurrence_at(tenant_id int, at timestamptz)
returns table (artifact_id bigint, artifact_source_id bigint, source_uri text, document_uri text, metadata jsonb)
language sql stable parallel restricted
begin atomic
    with stamp as materialized (  -- or the time of each version would be asked for
        select c.sys_begin as x from hartonomous.artifact_source as c where c.tenant_id = _occurrence_at.tenant_id
        union select h.sys_begin from hartonomous.artifact_source_history as h where h.tenant_id = _occurrence_at.tenant_id
        union select h.sys_end from hartonomous.artifact_source_history as h where h.tenant_id = _occurrence_at.tenant_id
    ), done as materialized (
        select s.x from stamp as s where hartonomous._commit_time(s.x) <= _occurrence_at.at
    )
    select c.artifact_id, c.artifact_source_id, c.source_uri, c.document_uri, c.metadata from hartonomous.artifact_source as c
    where c.tenant_id = _occurrence_at.tenant_id and exists (select from done as b where b.x = c.sys_begin)
    union all
    select h.artifact_id, h.artifact_source_id, h.source_uri, h.document_uri, h.metadata from hartonomous.artifact_source_history as h
    where h.tenant_id = _occurrence_at.tenant_id and exists (select from done as b where b.x = h.sys_begin)
      and not exists (select from done as e where e.x = h.sys_end);
end;
comment on function hartonomous._occurrence_at(int, timestamptz) is 'Occurrences of a tenant''s artifacts as they were at a time.';

create or replace function hartonomous._embedding_at(tenant_id int, model_id bigint, at timestamptz)
returns table (artifact_id bigint, embedding @extschema:vector@.vector)
language sql stable parallel restricted
begin atomic
    with stamp as materialized (  -- or the time of each version would be asked for
        select c.sys_begin as x from hartonomous.atom_embedding as c where c.tenant_id = _embedding_at.tenant_id and c.model_id = _embedding_at.model_id
        union select h.sys_begin from hartonomous.atom_embedding_history as h where h.tenant_id = _embedding_at.tenant_id and h.model_id = _embedding_at.model_id
        union select h.sys_end from hartonomous.atom_embedding_history as h where h.tenant_id = _embedding_at.tenant_id and h.model_id = _embedding_at.model_id
    ), done as materialized (
        select s.x from stamp as s where hartonomous._commit_time(s.x) <= _embedding_at.at
    )
    select c.artifact_id, c.embedding from hartonomous.atom_embedding as c
    where c.tenant_id = _embedding_at.tenant_id and c.model_id = _embedding_at.model_id and exists (select from done as b where b.x = c.sys_begin)
    union all
    select h.artifact_id, h.embedding from hartonomous.atom_embedding_history as h
    where h.tenant_id = _embedding_at.tenant_id and h.model_id = _embedding_at.model_id and exists (select from done as b where b.x = h.sys_begin)
      and not exists (select from done as e where e.x = h.sys_end);
end;
comment on function hartonomous._embedding_at(int, bigint, timestamptz) is 'Embeddings of a tenant''s artifacts by a model as they were at a time.';

create or replace function hartonomous._live_at(tenant_id int, filter jsonb, at timestamptz, with_text boolean default false) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off
set jit = off as $$
#variable_conflict use_column
declare
    sort   constant smallint := (select m.modality from hartonomous.modality as m where m.name = filter ->> 'modality');
    after  constant timestamptz := coalesce((filter ->> 'created_after')::timestamptz, '-infinity');
    before constant timestamptz := (filter ->> 'created_before')::timestamptz;
    prefix constant text := coalesce(filter ->> 'source_uri_prefix', '');
    noted  constant jsonb := coalesce(filter -> 'metadata', '{}');
    live   bigint[];
begin
    live := array(
        select a.artifact_id from hartonomous._artifact_at(tenant_id, at) as a
        where a.deleted_at is null and (a.has_text or not with_text) and (_live_at.filter ->> 'modality' is null or a.modality = sort)
          and (_live_at.filter ->> 'subtype' is null or a.subtype = _live_at.filter ->> 'subtype')
          and a.created_at >= after and (before is null or a.created_at < before));
    if filter ?| array['source_uri_prefix', 'metadata'] then
        live := array(
            select w.id from unnest(live) as w (id)
            where w.id in (select o.artifact_id from hartonomous._occurrence_at(tenant_id, at) as o
                           where starts_with(o.source_uri, prefix) and o.metadata @> noted));
    end if;
    return live;
end
$$;
comment on function hartonomous._live_at(int, jsonb, timestamptz, boolean) is
'Artifacts of a tenant that were live at a time and satisfied a filter, of all or of those that had a text.';

create or replace function hartonomous._nearest_at(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k bigint, at timestamptz, among bigint[],
    axes @extschema:vector@.vector[] default null, center @extschema:postgis@.geometry default null, radius double precision default null,
    region @extschema:postgis@.geometry default null, out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off
set jit = off as $$
#variable_conflict use_column
begin
    select array_agg(n.artifact_id order by n.distance, n.artifact_id), array_agg(n.distance order by n.distance, n.artifact_id)
    into ids, distances
    from (
        select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) _nearest_at.query as distance
        from hartonomous._embedding_at(_nearest_at.tenant_id, _nearest_at.model_id, _nearest_at.at) as e
        where e.artifact_id in (select w.id from unnest(_nearest_at.among) as w (id))
          and (_nearest_at.center is null or @extschema:postgis@.st_3ddistance(hartonomous._place(e.embedding, _nearest_at.axes), _nearest_at.center) <= _nearest_at.radius)
          and (_nearest_at.region is null or hartonomous._place(e.embedding, _nearest_at.axes) operator(@extschema:postgis@.&&&) _nearest_at.region)
        order by 2, 1 limit _nearest_at.k
    ) as n;
end
$$;
comment on function hartonomous._nearest_at(int, bigint, @extschema:vector@.vector, bigint, timestamptz, bigint[], @extschema:vector@.vector[], @extschema:postgis@.geometry, double precision, @extschema:postgis@.geometry) is
'The k nearest at a time among given artifacts of a tenant, with their places along given directions within radius of a center or the box of a region, when they are given: every vector is compared.';

create or replace function hartonomous._search_model_at(
    tenant_id int, model text, at timestamptz, content text, out model_id bigint, out state_hash bytea, out owner_id int, out dimensions int)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    select p.model_id, p.state_hash into model_id, state_hash
    from hartonomous._model_past(_search_model_at.tenant_id, _search_model_at.model, 'embedding', at, content) as p;
    -- neither ever changes
    select v.tenant_id, v.dimensions into owner_id, dimensions
    from (select m.model_id, m.tenant_id, m.dimensions from hartonomous.model as m
          union all select h.model_id, h.tenant_id, h.dimensions from hartonomous.model_history as h) as v
    where v.tenant_id in (0, _search_model_at.tenant_id) and v.model_id = _search_model_at.model_id limit 1;
end
$$;
comment on function hartonomous._search_model_at(int, text, timestamptz, text) is
'The embedding model that a name meant at a time (see _model_past), its owner and its dimensions.';

create or replace function hartonomous._tenants_at(tenant_id int, owner_id int) returns int[]
language sql immutable parallel safe
return case when _tenants_at.owner_id = 0 and _tenants_at.tenant_id <> 0 then array[_tenants_at.tenant_id, 0] else array[_tenants_at.tenant_id] end;
comment on function hartonomous._tenants_at(int, int) is '_embedding_tenants for a model of an owner, which may be gone since.';

create or replace function hartonomous._history_check(at timestamptz) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform hartonomous._history_refuse(r.relation, r.kept_since, _history_check.at) from hartonomous.version_retention as r
    where r.kept_since > _history_check.at
      and r.relation = any (array['hartonomous.artifact', 'hartonomous.artifact_source', 'hartonomous.atom_embedding']::regclass[]);
end
$$;
comment on function hartonomous._history_check(timestamptz) is 'ZH008 for a time before what is kept of what searches read.';

create or replace function hartonomous._search_rows_at(
    tenant_id int, ids bigint[], scores double precision[], k int, filter jsonb, masked boolean, at timestamptz, snippets boolean)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    prefix constant text := coalesce(filter ->> 'source_uri_prefix', '');
    noted  constant jsonb := coalesce(filter -> 'metadata', '{}');
begin
    return query
    select n.artifact_id, case when not masked then n.score::real end, hartonomous._mask_text(masked, o.source_uri),
           hartonomous._mask_text(masked, hartonomous._snippet(t.body)), case when count(*) over () < _search_rows_at.k then 'short' else 'exact' end
    from (select i.artifact_id, i.score from unnest(ids, scores) as i (artifact_id, score)
          order by i.score desc, i.artifact_id limit _search_rows_at.k) as n
    left join lateral (
        select v.source_uri
        from (select c.source_uri, c.metadata from hartonomous.artifact_source as c
              where c.tenant_id in (0, _search_rows_at.tenant_id) and c.artifact_id = n.artifact_id
                and hartonomous._visible_at(c.sys_begin, null, _search_rows_at.at)
              union all
              select h.source_uri, h.metadata from hartonomous.artifact_source_history as h
              where h.tenant_id in (0, _search_rows_at.tenant_id) and h.artifact_id = n.artifact_id
                and hartonomous._visible_at(h.sys_begin, h.sys_end, _search_rows_at.at)) as v
        where snippets and starts_with(v.source_uri, prefix) and v.metadata @> noted
        order by v.source_uri collate "C" limit 1) as o on true
    left join lateral (select b.body from hartonomous._text_at(_search_rows_at.tenant_id, n.artifact_id, _search_rows_at.at) as b where snippets) as t on true
    order by n.score desc, n.artifact_id;
end
$$;
comment on function hartonomous._search_rows_at(int, bigint[], double precision[], int, jsonb, boolean, timestamptz, boolean) is
'What a search as of a time returns of the artifacts it found: the k best, masked or not, with the first occurrence that matched the filter then.';

create or replace function hartonomous._text_at(tenant_id int, artifact_id bigint, at timestamptz) returns table (body text, lexemes tsvector)
language sql stable parallel restricted
begin atomic
    select a.canonical_text, a.lexemes from hartonomous.artifact as a
    where a.tenant_id in (0, _text_at.tenant_id) and a.artifact_id = _text_at.artifact_id
      and (hartonomous._visible_at(a.sys_begin, null, _text_at.at)
           or exists (select from hartonomous.artifact_history as h
                      where h.tenant_id = a.tenant_id and h.artifact_id = a.artifact_id and h.has_text
                        and hartonomous._visible_at(h.sys_begin, h.sys_end, _text_at.at)));
end;
comment on function hartonomous._text_at(int, bigint, timestamptz) is 'Text of an artifact that a tenant sees, and its words; none when it had none at a time.';
