create or replace function hartonomous._text_hits_at(tenant_id int, searches tsquery[], at timestamptz)
returns table (ordinal bigint, artifact_id bigint, weight double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off
set jit = off as $$
#variable_conflict use_column
declare
    live constant bigint[] := hartonomous._live_at(tenant_id, '{}', at, true)
                              || case when tenant_id = 0 then '{}' else hartonomous._live_at(0, '{}', at, true) end;
begin
    return query
    with hit as materialized (  -- what is live now by the index, whose keys are of these tenants; what is not, one by one
        select t.ordinal, a.artifact_id, ts_rank('{1,1,1,1}', a.lexemes, t.search)::double precision as weight
        from unnest(searches) with ordinality as t (search, ordinal)
        join hartonomous.artifact as a on a.lexemes @@ t.search
        where a.deleted_at is null
        union all
        select t.ordinal, a.artifact_id, ts_rank('{1,1,1,1}', a.lexemes, t.search)::double precision
        from unnest(searches) with ordinality as t (search, ordinal)
        join hartonomous.artifact as a on a.lexemes @@ t.search
        where a.tenant_id in (0, _text_hits_at.tenant_id) and a.deleted_at is not null
    )
    select h.ordinal, h.artifact_id, h.weight from hit as h where h.artifact_id in (select w.id from unnest(live) as w (id));
end
$$;
comment on function hartonomous._text_hits_at(int, tsquery[], timestamptz) is
'Artifacts that a tenant saw at a time whose texts of then have what searches of the word index look for, and how often.';

create or replace function hartonomous._heading_hits_at(tenant_id int, searches tsquery[], at timestamptz)
returns table (ordinal bigint, artifact_id bigint)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
    with earlier as materialized (
        select h.artifact_id, hartonomous._heading_vector(h.tenant_id, h.metadata) as words from hartonomous.artifact_source_history as h
        where h.tenant_id in (0, _heading_hits_at.tenant_id) and hartonomous._visible_at(h.sys_begin, h.sys_end, _heading_hits_at.at)
    )
    select t.ordinal, o.artifact_id
    from unnest(searches) with ordinality as t (search, ordinal)
    join hartonomous.artifact_source as o on hartonomous._heading_vector(o.tenant_id, o.metadata) @@ t.search
    where hartonomous._visible_at(o.sys_begin, null, _heading_hits_at.at)
    union
    select t.ordinal, e.artifact_id
    from unnest(searches) with ordinality as t (search, ordinal) join earlier as e on e.words @@ t.search;
end
$$;
comment on function hartonomous._heading_hits_at(int, tsquery[], timestamptz) is
'Artifacts of whose occurrences at a time a heading or title has what searches of the word index look for.';

create or replace function hartonomous._artifact_count_at(tenant_id int, at timestamptz) returns bigint
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off
set jit = off as $$
#variable_conflict use_column
begin
    return (select case when count(*) < 256 then count(*) else 255 * (1::bigint << 40) / greatest(max(s.artifact_id), 1) end
            from (select a.artifact_id from hartonomous._artifact_at(_artifact_count_at.tenant_id, _artifact_count_at.at) as a
                  order by a.artifact_id limit 256) as s);
end
$$;
comment on function hartonomous._artifact_count_at(int, timestamptz) is '_artifact_count as of a time.';

create or replace function hartonomous._keyword_scores_at(tenant_id int, numbers int[], kinds text[], searches tsquery[], at timestamptz)
returns table (artifact_id bigint, score double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_nestloop = off set jit = off as $$
#variable_conflict use_column
declare
    needed constant int := (select count(distinct t.number) from unnest(numbers, kinds) as t (number, kind) where t.kind = 'must');
    whole  constant bigint := hartonomous._artifact_count_at(tenant_id, at) + case when tenant_id = 0 then 0 else hartonomous._artifact_count_at(0, at) end;
begin
    -- scored as _keyword_scores does
    return query
    with hit as (
        select t.number, t.kind, h.artifact_id, h.weight
        from hartonomous._text_hits_at(_keyword_scores_at.tenant_id, searches, _keyword_scores_at.at) as h
        join unnest(numbers, kinds) with ordinality as t (number, kind, ordinal) on t.ordinal = h.ordinal
        union all
        select distinct t.number, t.kind, h.artifact_id, 0.3::double precision
        from hartonomous._heading_hits_at(_keyword_scores_at.tenant_id, searches, _keyword_scores_at.at) as h
        join unnest(numbers, kinds) with ordinality as t (number, kind, ordinal) on t.ordinal = h.ordinal
    ), posting as (
        select h.number, h.kind, h.artifact_id, sum(h.weight) as weight from hit as h group by h.number, h.kind, h.artifact_id
    ), rarity as (
        select p.number, ln(1 + (greatest(whole - count(*), 0) + 0.5) / (count(*) + 0.5)) as weight from posting as p group by p.number
    )
    select p.artifact_id, sum(p.weight * r.weight)
    from posting as p join rarity as r on r.number = p.number
    group by p.artifact_id
    having count(*) filter (where p.kind = 'must') = needed and not bool_or(p.kind = 'not');
end
$$;
comment on function hartonomous._keyword_scores_at(int, int[], text[], tsquery[], timestamptz) is
'_keyword_scores as of a time.';

create or replace function hartonomous._keyword_best_at(
    tenant_id int, query text, k int, filter jsonb, after_score real, after_id bigint, within bigint[], also bigint[], at timestamptz,
    out ids bigint[], out scores double precision[], out also_scores double precision[], out stems text[], out beginnings text[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_nestloop = off set jit = off as $$
#variable_conflict use_column
declare
    asked constant record := hartonomous._keyword_query(tenant_id, query);
    live  constant bigint[] := coalesce(within, hartonomous._live_at(tenant_id, filter, at)
                                                || case when tenant_id = 0 then '{}' else hartonomous._live_at(0, filter, at) end);
    ranked bigint[];
    found_scores double precision[];
begin
    stems := coalesce(asked.stems, '{}');
    beginnings := coalesce(asked.beginnings, '{}');
    select array_agg(s.artifact_id), array_agg(s.score) into ranked, found_scores
    from (select h.artifact_id, h.score::real as score
          from hartonomous._keyword_scores_at(tenant_id, asked.numbers, asked.kinds, asked.searches, at) as h) as s
    where after_score is null or s.score < after_score or s.score = after_score and s.artifact_id > after_id;
    select array_agg(b.id order by b.score desc, b.id), array_agg(b.score order by b.score desc, b.id) into ids, scores
    from (select r.id, r.score from unnest(ranked, found_scores) as r (id, score)
          where r.id in (select w.id from unnest(live) as w (id))
          order by r.score desc, r.id limit k) as b;
    select array_agg(coalesce(r.score, 0) order by w.position) into also_scores
    from unnest(also) with ordinality as w (id, position) left join unnest(ranked, found_scores) as r (id, score) on r.id = w.id;
end
$$;
comment on function hartonomous._keyword_best_at(int, text, int, jsonb, real, bigint, bigint[], bigint[], timestamptz) is
'_keyword_best as of a time; what terms stand for besides (search_synonym) is as now.';

create or replace function hartonomous._highlights_at(
    tenant_id int, ids bigint[], scores double precision[], k int, filter jsonb, at timestamptz, stems text[], beginnings text[])
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
    select r.artifact_id, r.score, r.source_uri, hartonomous._highlight(t.body, t.lexemes, stems, beginnings), r.verdict
    from hartonomous._search_rows_at(_highlights_at.tenant_id, ids, scores::real[]::double precision[], k, filter, false, at, true) as r
    left join lateral (select b.body, b.lexemes from hartonomous._text_at(_highlights_at.tenant_id, r.artifact_id, at) as b) as t on true
    order by r.score desc, r.artifact_id;
end
$$;
comment on function hartonomous._highlights_at(int, bigint[], double precision[], int, jsonb, timestamptz, text[], text[]) is
'_search_rows_at with the words of a query marked in the texts.';

create or replace function hartonomous._search_hybrid_at(
    tenant_id int, query text, region @extschema:postgis@.geometry, text_weight double precision, vector_weight double precision, k int, model text, filter jsonb, at timestamptz,
    after_score real, after_id bigint)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_nestloop = off set jit = off as $$
#variable_conflict use_column
declare
    past  constant record := hartonomous._search_model_at(tenant_id, model, at, query);
    leg   constant record := hartonomous._vector_leg_at(tenant_id, past.model_id, past.owner_id,
        hartonomous._embed_at(past.model_id, past.state_hash, at, query, 'query'), 9223372036854775807, filter, at, null, null, region);
    word  record;
    best  record;
begin
    -- all of them, which are compared anyway
    word := hartonomous._keyword_best_at(tenant_id, query, 2147483647, filter, null, null, case when region is not null then coalesce(leg.ids, '{}') end,
                                         leg.ids, at);
    if text_weight is null then  -- reciprocal rank fusion
        best := hartonomous._fused(word.ids, leg.ids, k, after_score, after_id);
    else
        select array_agg(f.id) as ids, array_agg(f.score) as scores into best
        from (select c.id, (text_weight * coalesce(c.words / nullif(word.scores[1], 0), 0) + vector_weight * coalesce(s.similarity, 0))::real as score
              from (select w.id, w.words from unnest(word.ids, word.scores) as w (id, words)
                    union select n.id, n.words from unnest(leg.ids, word.also_scores) as n (id, words)) as c
              left join unnest(leg.ids, leg.similarities) as s (id, similarity) on s.id = c.id) as f
        where after_score is null or f.score < after_score or f.score = after_score and f.id > after_id;
    end if;
    return query
    select r.* from hartonomous._highlights_at(tenant_id, best.ids, best.scores, k, filter, at, word.stems, word.beginnings) as r;
end
$$;
comment on function hartonomous._search_hybrid_at(int, text, @extschema:postgis@.geometry, double precision, double precision, int, text, jsonb, timestamptz, real, bigint) is
'search_hybrid as of a time, arguments checked; weights NULL: reciprocal rank fusion.';
