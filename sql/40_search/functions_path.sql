-- Paths to the nearest embeddings of one tenant. Generic plans: a custom one would be made anew for each query vector. Sequential scans
-- are off because they read, and take time for, the rows of all tenants.
create or replace function hartonomous._nearest_among(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, among bigint[], out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    select array_agg(n.artifact_id order by n.distance, n.artifact_id), array_agg(n.distance order by n.distance, n.artifact_id)
    into ids, distances
    from (
        select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) _nearest_among.query as distance
        from hartonomous.atom_embedding as e  -- looked up in their order: two thirds of the time of a join
        where e.tenant_id = _nearest_among.tenant_id and e.model_id = _nearest_among.model_id and e.artifact_id = any (_nearest_among.among)
        order by 2, 1 limit _nearest_among.k
    ) as n;
end
$$;
comment on function hartonomous._nearest_among(int, bigint, @extschema:vector@.vector, int, bigint[]) is
'The k nearest among given artifacts of a tenant, and their cosine distances.';

create or replace function hartonomous._nearest_kept(
    ids bigint[], distances double precision[], live bigint[], out kept bigint[], out kept_distances double precision[])
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    kept := live;
    if live = ids[:cardinality(live)] then
        kept_distances := distances[:cardinality(live)];
    else
        kept_distances := array(select n.distance from unnest(ids, distances) with ordinality as n (id, distance, position)
                                where n.id = any (live) order by n.position);
    end if;
end
$$;
comment on function hartonomous._nearest_kept(bigint[], double precision[], bigint[]) is
'Of what was found those that are live, in the same order, with their distances.';

create or replace function hartonomous._nearest_live(tenant_id int, ids bigint[], filter jsonb, most int) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    gone bigint[];
begin
    if filter <> '{}' then
        return hartonomous._filter_live(tenant_id, ids, filter, most);
    end if;
    -- few are deleted, and their index is small: a quarter of the time of looking up what is not
    gone := array(select a.artifact_id from hartonomous.artifact as a
                  where a.tenant_id = _nearest_live.tenant_id and a.artifact_id = any (ids) and a.deleted_at is not null);
    if gone <> '{}' then
        ids := array(select w.id from unnest(ids) with ordinality as w (id, position)
                     where not exists (select from unnest(gone) as g (id) where g.id = w.id) order by w.position);
    end if;
    return coalesce(ids[:most], '{}');
end
$$;
comment on function hartonomous._nearest_live(int, bigint[], jsonb, int) is
'_filter_live of artifacts that have embeddings of the tenant, which are its own.';

create or replace function hartonomous._nearest_listed(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, most int, given bigint[],
    out ids bigint[], out distances double precision[], out listed boolean)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    -- whether an artifact was deleted is asked of the nearest alone
    late  constant boolean := filter <> '{}' and filter - array['source_uri_prefix', 'metadata'] = '{}';
    among constant bigint[] := coalesce(given, case when late then hartonomous._filter_occurrences(tenant_id, filter, most)
                                                    else hartonomous._filter_ids(tenant_id, filter, most) end);
    take  int := case when late then k + 16 else k end;
    live  bigint[];
begin
    listed := among is not null;
    while listed loop
        select n.ids, n.distances into ids, distances from hartonomous._nearest_among(tenant_id, model_id, query, take, among) as n;
        exit when not late or ids is null;
        live := hartonomous._nearest_live(tenant_id, ids, '{}', k);
        if cardinality(live) = k or cardinality(ids) < take then
            select n.kept, n.kept_distances into ids, distances from hartonomous._nearest_kept(ids, distances, live) as n;
            exit;
        end if;
        take := 8 * take;
    end loop;
end
$$;
comment on function hartonomous._nearest_listed(int, bigint, @extschema:vector@.vector, int, jsonb, int, bigint[]) is
'The k nearest live artifacts of a tenant that satisfy a filter: what satisfies it is listed first, where it is not given (see _filter_share), and those are compared. listed is false, and nothing was compared, when there are more than most.';

create or replace function hartonomous._nearest_exact(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, share double precision,
    out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_indexscan = off
set jit = off as $$  -- by bitmap, pages are read in their order
#variable_conflict use_column
declare
    take constant bigint := ceil((k + 16) * 1.5 / share);
    live bigint[];
begin
    -- the nearest are checked first: to look up every artifact takes longer than to compare every vector
    select array_agg(n.artifact_id order by n.distance, n.artifact_id), array_agg(n.distance order by n.distance, n.artifact_id)
    into ids, distances
    from (
        select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) _nearest_exact.query as distance
        from hartonomous.atom_embedding as e
        where e.tenant_id = _nearest_exact.tenant_id and e.model_id = _nearest_exact.model_id
        order by 2, 1 limit take
    ) as n;
    live := hartonomous._nearest_live(tenant_id, ids, filter, k);
    if cardinality(live) < k and cardinality(ids) = take then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_listed(tenant_id, model_id, query, k, filter, 2147483646, null) as n;
    elsif ids is not null then
        select n.kept, n.kept_distances into ids, distances from hartonomous._nearest_kept(ids, distances, live) as n;
    end if;
end
$$;
comment on function hartonomous._nearest_exact(int, bigint, @extschema:vector@.vector, int, jsonb, double precision) is
'The k nearest live artifacts of a tenant that satisfy a filter, of which about share of all do: every vector is compared.';

create or replace function hartonomous._take(candidates int, share double precision) returns bigint
language sql immutable parallel safe
return ceil((_take.candidates + 8) * 1.3 / _take.share)::bigint;
comment on function hartonomous._take(int, double precision) is 'How many are looked at so that so many candidates satisfy a filter, of which about share of all do.';

create or replace function hartonomous._nearest_passed(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, candidates int, ranked bigint[],
    out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    live constant bigint[] := hartonomous._nearest_live(tenant_id, ranked, filter, candidates);
begin
    if cardinality(live) = candidates then
        select n.ids, n.distances into ids, distances from hartonomous._nearest_among(tenant_id, model_id, query, k, live) as n;
    end if;
end
$$;
comment on function hartonomous._nearest_passed(int, bigint, @extschema:vector@.vector, int, jsonb, int, bigint[]) is
'The k nearest of the first so many candidates, among what is ranked, that are live and satisfy a filter. NULL when fewer do.';

create or replace function hartonomous._nearest_bits(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, candidates int, share double precision,
    out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
set jit = off as $$
#variable_conflict use_column
declare
    signs constant bit varying := @extschema:vector@.binary_quantize(query);
    take  constant bigint := hartonomous._take(candidates, share);
    ranked bigint[];
begin
    select array_agg(c.artifact_id order by c.differing, c.artifact_id) into ranked
    from (
        select e.artifact_id, @extschema:vector@.hamming_distance(e.bits, signs) as differing
        from hartonomous.atom_embedding as e
        where e.tenant_id = _nearest_bits.tenant_id and e.model_id = _nearest_bits.model_id
        order by 2, 1 limit take
    ) as c;
    select n.ids, n.distances into ids, distances
    from hartonomous._nearest_passed(tenant_id, model_id, query, k, filter, candidates, ranked) as n;
end
$$;
comment on function hartonomous._nearest_bits(int, bigint, @extschema:vector@.vector, int, jsonb, int, double precision) is
'The k nearest of so many candidates, live artifacts of a tenant that satisfy a filter, of which about share of all do: those whose sign bits differ least from the query''s. NULL when fewer candidates were found.';

create or replace function hartonomous._index_candidates(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, candidates int, most int, out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set hnsw.ef_search = 40 set hnsw.iterative_scan = off set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    dimensions constant int := @extschema:vector@.vector_dims(query);
    type constant text := hartonomous._embedding_index_type(tenant_id, model_id);
begin
    if type is null then  -- it was removed, or made anew by somebody whom this snapshot does not see
        return;
    end if;
    perform set_config('hnsw.ef_search', candidates::text, true);
    -- an index of one tenant's rows by one model is found by a query that names them
    execute format(
        'select array_agg(n.artifact_id order by n.distance, n.artifact_id), array_agg(n.distance order by n.distance, n.artifact_id)'
        ' from (select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) $1 as distance from hartonomous.atom_embedding as e'
        ' where e.tenant_id = %s and e.model_id = %s order by %s limit %s) as n',
        tenant_id, model_id, (hartonomous._embedding_index_form(dimensions, type)).ordering, case when type = 'vector' then least(candidates, most) else candidates end)
    into ids, distances using query;
end
$$;
comment on function hartonomous._index_candidates(int, bigint, @extschema:vector@.vector, int, int) is
'Of at most 1000 candidates by the HNSW index of a tenant''s embeddings the first, nearest first; all of them where the index''s order is not that of the distances.';

create or replace function hartonomous._nearest_index(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, candidates int, share double precision,
    out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    take int := least(1000, ceil((candidates + 8) / share));
    most int := case when filter = '{}' then least(take, k + 4) else least(take, ceil((k + 16) * 1.5 / share)) end;
    live bigint[];
    last int;
    reached boolean;
begin
    loop
        select n.ids, n.distances into ids, distances from hartonomous._index_candidates(tenant_id, model_id, query, take, most) as n;
        live := hartonomous._nearest_live(tenant_id, ids, filter, k);
        last := array_position(ids, live[k]);
        -- where fewer pass than elsewhere the last ones lie at the end of the candidates, of which more is missing
        reached := last is not null and (filter = '{}' or 2 * last <= take);
        if filter <> '{}' and not reached and most = take and take < 1000 then
            take := least(1000, 4 * take);
        -- of those as near as the last that was taken others may have lower ids
        elsif most = take or reached and distances[last] < distances[cardinality(ids)] then
            exit;
        end if;
        most := take;
    end loop;
    if reached then
        select n.kept, n.kept_distances into ids, distances from hartonomous._nearest_kept(ids, distances, live) as n;
    else
        ids := null;
        distances := null;
    end if;
end
$$;
comment on function hartonomous._nearest_index(int, bigint, @extschema:vector@.vector, int, jsonb, int, double precision) is
'The k nearest, among so many candidates for each that satisfies a filter, by the HNSW index of a tenant''s embeddings; among more, up to 1000, where these do not reach far enough beyond the k-th. NULL when fewer than k do.';
