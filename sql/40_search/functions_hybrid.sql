create or replace function hartonomous._hybrid_weights(weights jsonb, out words double precision, out vector double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    key text;
begin
    if weights is null then
        return;
    elsif jsonb_typeof(weights) <> 'object' then
        raise exception 'weights is a JSON %, not an object', jsonb_typeof(weights) using errcode = '22023', hint = 'for example {"text": 1, "vector": 2}';
    end if;
    for key in select jsonb_object_keys(weights) loop
        if key not in ('text', 'vector') then
            raise exception 'unknown weight %', quote_literal(key) using errcode = '22023', hint = 'weights are text and vector';
        elsif jsonb_typeof(weights -> key) <> 'number' or not (weights ->> key)::numeric between 0 and 1e9 then
            raise exception 'weight % is %, expected a number from 0', quote_literal(key), left(weights ->> key, 100) using errcode = '22023';
        end if;
    end loop;
    words := coalesce((weights ->> 'text')::double precision, 0);
    vector := coalesce((weights ->> 'vector')::double precision, 0);
    if words + vector = 0 then
        raise exception 'weights are all 0' using errcode = '22023', hint = 'for example {"text": 1, "vector": 2}';
    end if;
    words := words / (words + vector);
    vector := 1 - words;
end
$$;
comment on function hartonomous._hybrid_weights(jsonb) is 'Weights that sum to 1; NULL for none. 22023 when they are malformed.';

create or replace function hartonomous._region_check(region @extschema:postgis@.geometry) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if region is null then
        return;
    elsif @extschema:postgis@.st_zmflag(region) <> 2 or @extschema:postgis@.st_isempty(region) or @extschema:postgis@.st_srid(region) <> 0
       or (@extschema:postgis@.st_xmax(region) - @extschema:postgis@.st_xmin(region) + @extschema:postgis@.st_ymax(region) - @extschema:postgis@.st_ymin(region)
           + @extschema:postgis@.st_zmax(region) - @extschema:postgis@.st_zmin(region) between 0 and 1e9) is not true then
        raise exception 'region is %, expected a geometry with x, y and z', left(@extschema:postgis@.st_asewkt(region), 100) using errcode = '22023',
            hint = 'its box in three dimensions counts, for example LINESTRING Z (-1 -1 -1, 0 0 0); hartonomous.project gives the place of a vector';
    end if;
end
$$;
comment on function hartonomous._region_check(@extschema:postgis@.geometry) is '22023 unless a region is a geometry in three dimensions, or NULL.';

create or replace function hartonomous._vector_leg(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, depth int, filter jsonb, recall real, region @extschema:postgis@.geometry,
    out ids bigint[], out similarities double precision[], out within bigint[], out exact boolean)
language plpgsql stable parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    seen int;
    part record;
    live bigint[];
begin
    exact := true;
    foreach seen in array hartonomous._embedding_tenants(tenant_id, model_id) loop
        if region is null then
            part := hartonomous._nearest_sampled(tenant_id, seen, model_id, query, depth, filter, recall);
            exact := exact and part.exact;
        else
            live := hartonomous._filter_live(seen, hartonomous._within_region(tenant_id, seen, model_id, region), filter, 2147483647);
            within := coalesce(within, '{}') || live;
            part := hartonomous._nearest_among(seen, model_id, query, depth, live);
        end if;
        ids := ids || part.ids;
        similarities := similarities || array(select 1 - d from unnest(part.distances) as d);
    end loop;
    select array_agg(n.id order by n.similarity desc, n.id), array_agg(n.similarity order by n.similarity desc, n.id) into ids, similarities
    from (select i.id, i.similarity from unnest(ids, similarities) as i (id, similarity) order by i.similarity desc, i.id limit depth) as n;
end
$$;
comment on function hartonomous._vector_leg(int, bigint, @extschema:vector@.vector, int, jsonb, real, @extschema:postgis@.geometry) is
'The nearest to a vector that a tenant sees and that satisfy a filter, best first, within a region (NULL: anywhere), and all that satisfy the filter there.';

create or replace function hartonomous._similarities(tenant_id int, model_id bigint, query @extschema:vector@.vector, ids bigint[])
returns table (id bigint, similarity double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
    select e.artifact_id, 1 - (e.embedding operator(@extschema:vector@.<=>) _similarities.query)
    from (select distinct i.id from unnest(ids) as i (id)) as w
    join hartonomous.atom_embedding as e on e.tenant_id in (0, _similarities.tenant_id) and e.model_id = _similarities.model_id and e.artifact_id = w.id;
end
$$;
comment on function hartonomous._similarities(int, bigint, @extschema:vector@.vector, bigint[]) is
'Cosine similarities of artifacts that a tenant sees to a vector; none of one without embedding.';

create or replace function hartonomous._fused(
    words bigint[], near bigint[], k int, after_score real, after_id bigint, out ids bigint[], out scores real[])
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    select array_agg(b.id order by b.score desc, b.id), array_agg(b.score order by b.score desc, b.id) into ids, scores
    from (select f.id, f.score
          from (select r.id, coalesce(sum(1 / (60::double precision + r.place)) filter (where r.place <= 100),
                                      max(1 / (60::double precision + r.place)))::real as score
                from (select w.id, w.place from unnest(words) with ordinality as w (id, place)
                      union all select n.id, n.place from unnest(near) with ordinality as n (id, place)) as r
                group by r.id) as f
          where after_score is null or f.score < after_score or f.score = after_score and f.id > after_id
          order by f.score desc, f.id limit k) as b;
end
$$;
comment on function hartonomous._fused(bigint[], bigint[], int, real, bigint) is
'The k best of two lists by reciprocal rank after a score and an id: the sum over the places up to 100; what has none of these comes after, by its best place alone. So no score depends on how far the lists go.';

create or replace function hartonomous._hybrid_fused(
    tenant_id int, query text, model_id bigint, direction @extschema:vector@.vector, k int, filter jsonb, recall real,
    region @extschema:postgis@.geometry, after_score real, after_id bigint,
    out ids bigint[], out scores real[], out exact boolean, out stems text[], out beginnings text[])
language plpgsql stable parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    first constant int := 100;  -- to here an analysis has measured what is found
    last  constant int := case when after_score is null then 0 else least(greatest(1 / greatest(after_score, 1e-8) - 60, first), 1e8) end;
    depth constant int := greatest(first, 2 * last + k);  -- at most two rows a place
    near  record;
    far   record;
    word  record;
begin
    near := hartonomous._vector_leg(tenant_id, model_id, direction, first, filter, recall, region);
    word := hartonomous._keyword_best(tenant_id, query, depth, filter, null, null, near.within, null);
    exact := near.exact;
    stems := word.stems;
    beginnings := word.beginnings;
    select f.ids, f.scores into ids, scores from hartonomous._fused(word.ids, near.ids, k, after_score, after_id) as f;
    if cardinality(near.ids) = first and coalesce(scores[k], 0) < (1 / (60::double precision + first))::real then
        far := hartonomous._vector_leg(tenant_id, model_id, direction, depth, filter, 1, region);
        select f.ids, f.scores into ids, scores
        from hartonomous._fused(word.ids, (near.ids || array(
                 select n.id from unnest(far.ids) with ordinality as n (id, place) where n.id <> all (near.ids) order by n.place))[:depth],
             k, after_score, after_id) as f;
    end if;
end
$$;
comment on function hartonomous._hybrid_fused(int, text, bigint, @extschema:vector@.vector, int, jsonb, real, @extschema:postgis@.geometry, real, bigint) is
'The k best for the words of a text and for a vector by reciprocal rank after a score and an id. The first 100 near ones are found alike for every page; those after them are compared exactly.';

create or replace function hartonomous._hybrid_weighted(
    tenant_id int, query text, model_id bigint, direction @extschema:vector@.vector, k int, filter jsonb, recall real,
    region @extschema:postgis@.geometry, after_score real, after_id bigint, text_weight double precision, vector_weight double precision,
    out ids bigint[], out scores real[], out exact boolean, out stems text[], out beginnings text[])
language plpgsql stable parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    depth int := greatest(100, k + 50);
    near  record;
    word  record;
    bound double precision;
begin
    loop  -- the threshold algorithm: what neither list has yet cannot score more than the last of both together
        near := hartonomous._vector_leg(tenant_id, model_id, direction, depth, filter, recall, region);
        word := hartonomous._keyword_best(tenant_id, query, depth, filter, null, null, near.within, near.ids);
        select array_agg(f.id order by f.score desc, f.id), array_agg(f.score order by f.score desc, f.id) into ids, scores
        from (select c.id, (text_weight * coalesce(c.words / nullif(word.scores[1], 0), 0) + vector_weight * coalesce(s.similarity, 0))::real as score
              from (select w.id, w.words from unnest(word.ids, word.scores) as w (id, words)
                    union select n.id, n.words from unnest(near.ids, word.also_scores) as n (id, words)) as c
              left join hartonomous._similarities(tenant_id, model_id, direction, near.ids || word.ids) as s on s.id = c.id) as f
        where after_score is null or f.score < after_score or f.score = after_score and f.id > after_id;
        bound := case when cardinality(word.ids) = depth  -- similarities may be negative, and what has words may have no embedding
                      then text_weight * word.scores[depth] / word.scores[1] + vector_weight * greatest(near.similarities[depth], 0)
                      else vector_weight * near.similarities[depth] end;
        exit when bound is null or scores[k] > (bound + 1e-9)::real;
        depth := depth * 4;
    end loop;
    exact := near.exact;
    stems := word.stems;
    beginnings := word.beginnings;
end
$$;
comment on function hartonomous._hybrid_weighted(int, text, bigint, @extschema:vector@.vector, int, jsonb, real, @extschema:postgis@.geometry, real, bigint, double precision, double precision) is
'The k best, or more, by the weighted mean of the score for words, as a share of the best one''s, and the similarity to a vector, after a score and an id.';

create or replace function hartonomous.search_hybrid(
    query text, region @extschema:postgis@.geometry default null, weights jsonb default null, k int default 10, model text default null,
    filter jsonb default '{}', as_of timestamptz default null, recall real default 0.95,
    after_score real default null, after_id bigint default null)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    wanted constant jsonb := coalesce(filter, '{}');
    parts  constant record := hartonomous._hybrid_weights(weights);
    target bigint;
    direction @extschema:vector@.vector;
    best   record;
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    perform hartonomous._after_check(after_score, after_id);
    if hartonomous._masked(tenant, 'search') then
        perform hartonomous._mask_refuse(tenant, 'search', 'words of texts');
    elsif query is null then
        raise exception 'query is NULL' using errcode = '22004', hint = 'give a text to search for';
    end if;
    perform hartonomous._region_check(region);
    if as_of is not null then
        return query select r.* from hartonomous._search_hybrid_at(tenant, query, region, parts.words, parts.vector, k, model, wanted, as_of, after_score, after_id) as r;
        return;
    end if;
    target := hartonomous._model_route(tenant, model, 'embedding', query);
    direction := hartonomous._vector((hartonomous._embed(target, array[query], 'query'))[1]);
    perform hartonomous._embedding_mixed_tell(tenant, target);
    if weights is null then
        best := hartonomous._hybrid_fused(tenant, query, target, direction, k, wanted, recall, region, after_score, after_id);
    else
        best := hartonomous._hybrid_weighted(tenant, query, target, direction, k, wanted, recall, region, after_score, after_id, parts.words, parts.vector);
    end if;
    return query
    select r.artifact_id, r.score, r.source_uri, hartonomous._highlight(a.canonical_text, a.lexemes, best.stems, best.beginnings), r.verdict
    from hartonomous._search_rows(tenant, best.ids, best.scores::double precision[], k, wanted, false, best.exact, recall, true) as r
    join hartonomous.artifact as a on a.tenant_id in (0, tenant) and a.artifact_id = r.artifact_id
    order by r.score desc, r.artifact_id;
end
$$;
comment on function hartonomous.search_hybrid(text, @extschema:postgis@.geometry, jsonb, int, text, jsonb, timestamptz, real, real, bigint) is
'Artifacts that have the words of a text (as search_keyword finds them) or are near to it in meaning (as search_vector(embed(query)) does), best first. score: reciprocal rank fusion, the sum of 1 / (60 + place) over the first 100 of the two lists (Cormack, Clarke and Büttcher 2009), and after these what is among the first 100 of neither by its best place alone; with weights, {"text": 1, "vector": 2}, their weighted mean: cosine similarity, and the score for words as a share of the best one''s. region: only what has its place (see project) within the box of a geometry in three dimensions. verdict speaks of the list by meaning; short: fewer than k have a word or an embedding. Equal ones come by id. For the next page give score and id of the last row as after_score and after_id: pages make up what one call for all of them finds, with weights as exactly as the verdict says. Columns and other errors as search, and ZH002 masked, 22023 for a region or weights that are none.';
