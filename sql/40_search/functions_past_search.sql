create or replace function hartonomous._search_vector_at(
    tenant_id int, query @extschema:vector@.vector, k int, model text, filter jsonb, masked boolean, at timestamptz, snippets boolean,
    center @extschema:postgis@.geometry default null, radius double precision default null, after_score real default null, after_id bigint default null)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    past constant record := hartonomous._search_model_at(tenant_id, model, at, null);
    near record;
begin
    perform hartonomous._dimensions_fit(past.dimensions, query);
    near := hartonomous._vector_leg_at(tenant_id, past.model_id, past.owner_id, query, case when after_id is null then k else 9223372036854775807 end,
                                       filter, at, center, radius, null);
    if after_id is not null then
        select array_agg(n.id order by n.position) as ids, array_agg(n.similarity order by n.position) as similarities into near
        from (select i.*, coalesce(max(i.similarity) filter (where i.id = after_id) over (), after_score) as after
              from unnest(near.ids, near.similarities) with ordinality as i (id, similarity, position)) as n
        where n.similarity < n.after or n.similarity = n.after and n.id > after_id;
    end if;
    return query select r.* from hartonomous._search_rows_at(tenant_id, near.ids, near.similarities, k, filter, masked, at, snippets) as r;
end
$$;
comment on function hartonomous._search_vector_at(int, @extschema:vector@.vector, int, text, jsonb, boolean, timestamptz, boolean, @extschema:postgis@.geometry, double precision, real, bigint) is
'search_vector as of a time, and search_spatial when a center is given; arguments checked, but for the dimensions.';

create or replace function hartonomous._vector_leg_at(
    tenant_id int, model_id bigint, owner_id int, query @extschema:vector@.vector, depth bigint, filter jsonb, at timestamptz,
    center @extschema:postgis@.geometry, radius double precision, region @extschema:postgis@.geometry,
    out ids bigint[], out similarities double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    -- a region is in coordinates as they are now: of a model that was dropped there are none, and nothing is within it
    axes constant @extschema:vector@.vector[] := case when coalesce(center, region) is not null and exists (
        select from hartonomous.model as m where m.model_id = _vector_leg_at.model_id) then hartonomous._axes(tenant_id, model_id) end;
    seen int;
    part record;
begin
    foreach seen in array hartonomous._tenants_at(tenant_id, owner_id) loop
        part := hartonomous._nearest_at(seen, model_id, query, depth, at, hartonomous._live_at(seen, filter, at), axes, center, radius, region);
        ids := ids || part.ids;
        similarities := similarities || array(select 1 - d from unnest(part.distances) as d);
    end loop;
    select array_agg(n.id order by n.similarity desc, n.id), array_agg(n.similarity order by n.similarity desc, n.id) into ids, similarities
    from (select i.id, i.similarity from unnest(ids, similarities) as i (id, similarity) order by i.similarity desc, i.id limit depth) as n;
end
$$;
comment on function hartonomous._vector_leg_at(int, bigint, int, @extschema:vector@.vector, bigint, jsonb, timestamptz, @extschema:postgis@.geometry, double precision, @extschema:postgis@.geometry) is
'The nearest to a vector at a time that a tenant sees and that satisfied a filter, best first.';

create or replace function hartonomous._embed_at(model_id bigint, state_hash bytea, at timestamptz, content text, role text) returns @extschema:vector@.vector
language sql stable parallel restricted
return hartonomous._vector((hartonomous._embed_past(_embed_at.model_id, _embed_at.state_hash, _embed_at.at, array[_embed_at.content], _embed_at.role))[1]);
comment on function hartonomous._embed_at(bigint, bytea, timestamptz, text, text) is 'Embedding of a text by a state that a model had at a time.';

create or replace function hartonomous._search_ensemble_at(
    tenant_id int, query text, models text[], parts double precision[], k int, filter jsonb, masked boolean, at timestamptz,
    after_score real, after_id bigint)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    ids    bigint[];
    scores double precision[];
    past   record;
    near   record;
begin
    for number in 1 .. cardinality(models) loop
        past := hartonomous._search_model_at(tenant_id, models[number], at, null);
        near := hartonomous._vector_leg_at(tenant_id, past.model_id, past.owner_id, hartonomous._embed_at(past.model_id, past.state_hash, at, query, ''),
                                           9223372036854775807, filter, at, null, null, null);
        ids := ids || near.ids;
        scores := scores || array(select parts[number] * s from unnest(near.similarities) as s);
    end loop;
    select array_agg(f.id), array_agg(f.score) into ids, scores
    from (select i.id, sum(i.score order by i.position)::real as score from unnest(ids, scores) with ordinality as i (id, score, position)
          group by i.id having count(*) = cardinality(models)) as f
    where after_score is null or f.score < after_score or f.score = after_score and f.id > after_id;
    return query select r.* from hartonomous._search_rows_at(tenant_id, ids, scores, k, filter, masked, at, true) as r;
end
$$;
comment on function hartonomous._search_ensemble_at(int, text, text[], double precision[], int, jsonb, boolean, timestamptz, real, bigint) is
'search_ensemble as of a time, arguments checked: all that had an embedding by each model are scored.';

create or replace function hartonomous._search_explain_at(
    tenant_id int, query @extschema:vector@.vector, k int, model text, filter jsonb, at timestamptz, recall real) returns jsonb
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    past   constant record := hartonomous._search_model_at(tenant_id, model, at, null);
    seen   int;
    found_rows bigint;
    matching bigint;
    parts  jsonb := jsonb_build_array();
begin
    perform hartonomous._dimensions_fit(past.dimensions, query);
    foreach seen in array hartonomous._tenants_at(tenant_id, past.owner_id) loop
        select count(*), count(*) filter (where e.artifact_id in (select w.id from unnest(hartonomous._live_at(seen, _search_explain_at.filter, at)) as w (id)))
        into found_rows, matching from hartonomous._embedding_at(seen, past.model_id, at) as e;
        parts := parts || jsonb_build_object('of', case seen when 0 then 'everybody' else 'own tenant' end,
                                             'rows', found_rows, 'matching', matching, 'path', 'exact', 'candidates', null);
    end loop;
    return jsonb_build_object('k', k, 'recall', recall, 'filter', filter, 'as_of', at, 'parts', parts);
end
$$;
comment on function hartonomous._search_explain_at(int, @extschema:vector@.vector, int, text, jsonb, timestamptz, real) is
'search_explain as of a time: how many embeddings there were, all of which are compared, and how many of them match.';

create or replace function hartonomous._search_text_at(
    tenant int, model_id bigint, owner_id int, words text[], direction @extschema:vector@.vector, k int, filter jsonb, at timestamptz,
    after_score real, after_id bigint)
returns table (artifact_id bigint, score real, source_uri text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off
set jit = off as $$
#variable_conflict use_column
declare
    prefix constant text := coalesce(filter ->> 'source_uri_prefix', '');
    noted  constant jsonb := coalesce(filter -> 'metadata', '{}');
    searches constant tsquery[] := array(
        select (hartonomous._word_key(0, ':', w.word) || ' | ' || hartonomous._word_key(tenant, ':', w.word))::tsquery from unnest(words) as w (word));
    near   constant record := hartonomous._vector_leg_at(tenant, model_id, owner_id, direction, 9223372036854775807, filter, at, null, null, null);
begin
    -- scored as _search_text does, which is apart so that its plan stays as it is
    return query
    with embedded as materialized (
        select n.id as artifact_id, n.similarity from unnest(near.ids, near.similarities) as n (id, similarity)
    ), occurrence as materialized (
        select o.artifact_id, o.source_uri, hashtextextended(coalesce(o.document_uri, o.source_uri), o.owner) as document
        from (select p.*, _search_text_at.tenant as owner from hartonomous._occurrence_at(_search_text_at.tenant, _search_text_at.at) as p
              union all
              select p.*, 0 from hartonomous._occurrence_at(0, _search_text_at.at) as p where _search_text_at.tenant <> 0) as o
        where starts_with(o.source_uri, prefix) and o.metadata @> noted
    ), candidate as materialized (
        select e.artifact_id, o.source_uri, e.similarity, o.document from embedded as e join occurrence as o on o.artifact_id = e.artifact_id
    ), hit as materialized (
        select p.ordinal as lexeme, c.artifact_id, c.document
        from hartonomous._text_hits_at(_search_text_at.tenant, searches, _search_text_at.at) as p
        join candidate as c on c.artifact_id = p.artifact_id
    ), word as (
        select h.lexeme, ln(1 + (t.n - count(*) + 0.5::double precision) / (count(*) + 0.5::double precision)) as weight
        from hit as h cross join (select count(*) from candidate) as t (n) group by h.lexeme, t.n
    ), share as (
        select w.lexeme, w.weight / sum(w.weight) over () as part from word as w
    ), passage_words as (
        select h.artifact_id, h.document, sum(s.part) as covered
        from hit as h join share as s on s.lexeme = h.lexeme group by h.artifact_id, h.document
    ), document_words as (
        select h.document, sum(s.part) as covered
        from (select distinct h.document, h.lexeme from hit as h) as h join share as s on s.lexeme = h.lexeme group by h.document
    ), document_score as (
        select d.document, 0.2 * d.similarity + 0.1 * coalesce(w.covered, 0) as score
        from (select c.document, avg(c.similarity) as similarity from candidate as c group by c.document) as d
        left join document_words as w on w.document = d.document
    ), ranked as materialized (
        select c.artifact_id, c.source_uri, c.document, (0.5 * c.similarity + 0.2 * coalesce(w.covered, 0) + d.score)::real as score
        from candidate as c
        join document_score as d on d.document = c.document
        left join passage_words as w on w.artifact_id = c.artifact_id and w.document = c.document
    ), spread as (
        select r.artifact_id, r.source_uri,
               (r.score - 0.1 * (row_number() over (partition by r.document order by r.score desc, r.artifact_id) - 1))::real as score
        from ranked as r
    ), best as (
        select distinct on (s.artifact_id) s.artifact_id, s.score, s.source_uri
        from spread as s order by s.artifact_id, s.score desc, s.source_uri collate "C"
    )
    select b.artifact_id, b.score, b.source_uri from best as b
    where _search_text_at.after_score is null or b.score < _search_text_at.after_score
       or b.score = _search_text_at.after_score and b.artifact_id > _search_text_at.after_id
    order by b.score desc, b.artifact_id limit _search_text_at.k;
end
$$;
comment on function hartonomous._search_text_at(int, bigint, int, text[], @extschema:vector@.vector, int, jsonb, timestamptz, real, bigint) is
'_search_text as of a time: the k best occurrences of then.';

create or replace function hartonomous._search_at(
    tenant_id int, query text, k int, model text, words text[], filter jsonb, masked boolean, at timestamptz,
    after_score real, after_id bigint)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
    past constant record := hartonomous._search_model_at(tenant_id, model, at, query);
begin
    return query
    select s.artifact_id, case when not masked then s.score end, hartonomous._mask_text(masked, s.source_uri),
           hartonomous._mask_text(masked, hartonomous._headline(t.body, words)),
           case when count(*) over () < _search_at.k then 'short' else 'exact' end
    from hartonomous._search_text_at(_search_at.tenant_id, past.model_id, past.owner_id, words,
                                     hartonomous._embed_at(past.model_id, past.state_hash, at, query, 'query'), _search_at.k, filter, at,
                                     after_score, after_id) as s
    left join lateral (select b.body from hartonomous._text_at(_search_at.tenant_id, s.artifact_id, at) as b) as t on true
    order by s.score desc, s.artifact_id;
end
$$;
comment on function hartonomous._search_at(int, text, int, text, text[], jsonb, boolean, timestamptz, real, bigint) is 'search as of a time, arguments checked.';
