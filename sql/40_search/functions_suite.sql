create or replace function hartonomous.search_spatial(
    query @extschema:vector@.vector, center @extschema:postgis@.geometry, radius double precision, k int default 10, model text default null,
    filter jsonb default '{}', as_of timestamptz default null, recall real default 0.95)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := case when as_of is null then hartonomous._model_id(tenant, model, 'embedding') end;
    wanted constant jsonb := coalesce(filter, '{}');
    seen   int;
    part   record;
    ids    bigint[];
    distances double precision[];
begin
    perform hartonomous._search_vector_check(tenant, target, query, k, filter, as_of, recall);
    if hartonomous._masked(tenant, 'search') then
        perform hartonomous._mask_refuse(tenant, 'search', 'places of embeddings');
    elsif center is null or radius is null then
        raise exception 'center and radius must not be NULL' using errcode = '22004', hint = 'hartonomous.project gives the place of a vector';
    elsif @extschema:postgis@.st_geometrytype(center) <> 'ST_Point' or @extschema:postgis@.st_zmflag(center) <> 2
          or @extschema:postgis@.st_isempty(center) or @extschema:postgis@.st_srid(center) <> 0 then
        raise exception 'center is %, expected a POINT Z of SRID 0', @extschema:postgis@.st_asewkt(center) using errcode = '22023',
            hint = 'hartonomous.project gives the place of a vector';
    elsif not radius between 0 and 1e9 or (@extschema:postgis@.st_x(center) + @extschema:postgis@.st_y(center) + @extschema:postgis@.st_z(center)
                                           between -1e9 and 1e9) is not true then
        raise exception 'radius % around %, expected finite numbers, radius from 0', radius, @extschema:postgis@.st_asewkt(center) using errcode = '22023';
    end if;
    if as_of is not null then
        return query select r.* from hartonomous._search_vector_at(tenant, query, k, model, wanted, false, as_of, true, center, radius) as r;
        return;
    end if;
    perform hartonomous._embedding_mixed_tell(tenant, target);
    foreach seen in array hartonomous._embedding_tenants(tenant, target) loop
        select n.ids, n.distances into part
        from hartonomous._nearest_among(seen, target, query, k, hartonomous._filter_live(
            seen, hartonomous._within_place(tenant, seen, target, center, radius), wanted, 2147483647)) as n;
        ids := ids || part.ids;
        distances := distances || part.distances;
    end loop;
    return query select r.* from hartonomous._search_rows(tenant, ids, array(select 1 - d from unnest(distances) as d), k, wanted, false, true, recall, true) as r;
end
$$;
comment on function hartonomous.search_spatial(@extschema:vector@.vector, @extschema:postgis@.geometry, double precision, int, text, jsonb, timestamptz, real) is
'Artifacts whose embeddings are nearest to a vector among those whose place (see project) is within radius of a center, a POINT Z. All of these are compared: verdict is exact, or short when fewer than k exist there. Columns and errors as search_vector, and 22023 for a center or radius that is none, 22004 NULL, ZH002 masked.';

create or replace function hartonomous._ensemble_weights(models int, weights real[]) returns double precision[]
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    given double precision[];
begin
    if models is null or models = 0 then
        raise exception 'no models' using errcode = '22023', hint = 'give names of models: select * from hartonomous.model_list()';
    end if;
    given := coalesce(weights, case when models <= 3 then (array[0.4, 0.35, 0.25])[:models] else array_fill(1, array[models]) end);
    if cardinality(given) <> models or exists (select from unnest(given) as w where w is null or not w between 0 and 1e9)
          or (select sum(w) from unnest(given) as w) = 0 then
        raise exception 'weights are % for % models, expected one number from 0 for each, and not all 0', given::text, models using errcode = '22023';
    end if;
    return array(select w.weight / (select sum(o) from unnest(given) as o) from unnest(given) with ordinality as w (weight, position) order by w.position);
end
$$;
comment on function hartonomous._ensemble_weights(int, real[]) is
'Weights that sum to 1; without any 40, 35 and 25 % for three models, in that proportion for fewer, equal ones for more. 22023 when they do not fit.';

create or replace function hartonomous.search_ensemble(
    query text, models text[], weights real[] default null, k int default 10, filter jsonb default '{}', as_of timestamptz default null,
    recall real default 0.95, after_score real default null, after_id bigint default null)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    masked constant boolean := hartonomous._masked(tenant, 'search');
    wanted constant jsonb := coalesce(filter, '{}');
    parts  constant double precision[] := hartonomous._ensemble_weights(cardinality(models), weights);
    targets bigint[] := array[]::bigint[];
    vectors @extschema:vector@.vector[] := array[]::@extschema:vector@.vector[];
    depth  int := k + 16;
    best   record;
    listed record;
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    perform hartonomous._page_check(tenant, masked, after_score, after_id);
    if masked then
        perform hartonomous._filter_mask_check(tenant, filter);
    end if;
    if query is null then
        raise exception 'query is NULL' using errcode = '22004', hint = 'give a text to search for';
    end if;
    if as_of is not null then
        return query select r.* from hartonomous._search_ensemble_at(tenant, query, models, parts, k, wanted, masked, as_of, after_score, after_id) as r;
        return;
    end if;
    for number in 1 .. cardinality(models) loop
        targets := targets || hartonomous._model_id(tenant, models[number], 'embedding');
        vectors := vectors || hartonomous._vector((hartonomous._embed(targets[number], array[query]))[1]);
        perform hartonomous._embedding_mixed_tell(tenant, targets[number]);
    end loop;
    loop  -- the threshold algorithm: what no list has yet cannot score more than the last of every list together
        select l.ids, l.bound, l.exact into listed
        from hartonomous._ensemble_lists(tenant, targets, vectors, parts, depth, wanted, recall) as l;
        select array_agg(s.id order by s.score desc, s.id) as ids, array_agg(s.score order by s.score desc, s.id) as scores into best
        from hartonomous._ensemble_scores(tenant, targets, vectors, parts, listed.ids) as s
        where after_score is null or s.score < after_score or s.score = after_score and s.id > after_id;
        exit when listed.bound is null or best.scores[k] > (listed.bound + 1e-9)::real;  -- what is equally near may have a lower id
        depth := depth * 4;
    end loop;
    return query select r.* from hartonomous._search_rows(tenant, best.ids, best.scores::double precision[], k, wanted, masked, listed.exact, recall, true) as r;
end
$$;
comment on function hartonomous.search_ensemble(text, text[], real[], int, jsonb, timestamptz, real, real, bigint) is
'Artifacts that are nearest to a text by several models together: score is the weighted mean of their cosine similarities, over artifacts that have an embedding by each. weights: one per model; by default 40, 35 and 25 % for three, in that proportion for fewer, equal for more. Equal ones come by id; for the next page give score and id of the last row as after_score and after_id. Columns and errors as search, and 22023 for models or weights that do not fit. ZH031 a model has no weights.';

create or replace function hartonomous._ensemble_lists(
    tenant_id int, targets bigint[], vectors @extschema:vector@.vector[], parts double precision[], depth int, filter jsonb, recall real,
    out ids bigint[], out bound double precision, out exact boolean)
language plpgsql stable parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    seen int;
    list record;
begin
    exact := true;
    bound := 0;
    for number in 1 .. cardinality(targets) loop
        declare
            farthest double precision := null;
            ended    boolean := true;
        begin
            foreach seen in array hartonomous._embedding_tenants(tenant_id, targets[number]) loop
                list := hartonomous._nearest_sampled(tenant_id, seen, targets[number], vectors[number], depth, filter, recall);
                ids := ids || list.ids;
                exact := exact and list.exact;
                if cardinality(list.ids) = depth then
                    ended := false;
                    farthest := least(farthest, list.distances[depth]);
                end if;
            end loop;
            bound := case when ended then null else bound + parts[number] * (1 - farthest) end;
        end;
        exit when bound is null;  -- all that have an embedding by this model are listed
    end loop;
end
$$;
comment on function hartonomous._ensemble_lists(int, bigint[], @extschema:vector@.vector[], double precision[], int, jsonb, real) is
'What the models find nearest, so many each, and the most that anything else can score; NULL when there is nothing else.';

create or replace function hartonomous._ensemble_scores(
    tenant_id int, targets bigint[], vectors @extschema:vector@.vector[], parts double precision[], among bigint[])
returns table (id bigint, score real)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
    select e.artifact_id, sum(m.part * (1 - (e.embedding operator(@extschema:vector@.<=>) m.vector)) order by m.position)::real
    from unnest(targets, vectors, parts) with ordinality as m (model_id, vector, part, position)
    cross join (select distinct a.id from unnest(among) as a (id)) as w
    join hartonomous.atom_embedding as e
      on e.tenant_id in (0, _ensemble_scores.tenant_id) and e.model_id = m.model_id and e.artifact_id = w.id
    group by e.artifact_id having count(*) = cardinality(targets);
end
$$;
comment on function hartonomous._ensemble_scores(int, bigint[], @extschema:vector@.vector[], double precision[], bigint[]) is
'Weighted mean similarity, as it is given out, of those among artifacts that have an embedding by every model.';
