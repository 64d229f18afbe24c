create or replace function hartonomous._filter_class(filter jsonb, share double precision) returns text
language sql immutable parallel safe
return case when _filter_class.filter = '{}' then 'none' when _filter_class.share >= 0.3 then 'half'
            when _filter_class.share >= 0.03 then 'tenth' else 'hundredth' end;
comment on function hartonomous._filter_class(jsonb, double precision) is
'Class of a filter by the share of rows that satisfy it, as embedding_curve has them; its class far is for queries far from what does.';

create or replace function hartonomous._search_options(
    tenant_id int, model_id bigint, k int, filter jsonb, recall real, share double precision, rows bigint,
    out paths text[], out candidates int[], out ms double precision[], out far double precision[], out rejected text[],
    out far_candidates int, out index_candidates int, out index_far double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
declare
    class   constant text := hartonomous._filter_class(filter, share);
    -- the fewest candidates that keep the recall, with margin
    least_bound constant real := 0.8 * recall + 0.2;
    least_worst constant real := recall - 0.2;
    measured_k  constant int := case when k <= 10 then 10 when k <= 100 then 100 end;
    reach       constant double precision := (1.3 * k + 5) / share;  -- how many are nearer than the k-th that passes
    m       record;
    -- the least steps of bits, the index and places that keep the recall: under filters of the class, and far from what was measured
    least_candidates int[];
    least_far double precision[];
    least_ms  real[];
    unfit   text;
    bits    int;
    index   int;
    place   int;
    beside  bigint;
begin
    select s.rows, s.scan_us, s.bits_us, s.fetch_us, s.filter_us, s.list_us, s.exact_classes, s.basis, s.place_us, b.current as basis_current,
           hartonomous._state_id(o.state_hash) <> s.model_state as other_weights,
           hartonomous._embedding_index(s.tenant_id, s.model_id) as index_now, s.index
    into m
    from hartonomous.embedding_statistics as s
    join hartonomous.model as o on o.model_id = s.model_id
    left join hartonomous.embedding_basis as b on b.tenant_id = s.tenant_id and b.model_id = s.model_id and b.version = s.basis
    where s.tenant_id = _search_options.tenant_id and s.model_id = _search_options.model_id;
    select array_agg(f.candidates order by w.n), array_agg(f.far order by w.n), array_agg(f.ms order by w.n)
    into least_candidates, least_far, least_ms
    from unnest(array['bits', 'bits', 'index', 'index', 'place', 'place', 'index'], array[class, 'far', 'none', 'far', class, 'far', 'none'],
                array[measured_k, measured_k, measured_k, measured_k, measured_k, measured_k, case when filter <> '{}' and reach <= 100 then 100 end])
         with ordinality as w (path, filter_class, k, n)
    left join lateral (
        select c.candidates, c.far, c.ms from hartonomous.embedding_curve as c
        where c.tenant_id = _search_options.tenant_id and c.model_id = _search_options.model_id and c.path = w.path and c.filter_class = w.filter_class
          and c.k = w.k and c.lower_bound >= least_bound and c.worst >= least_worst and (m.basis_current or w.path <> 'place')
        order by c.candidates limit 1) as f on true;
    unfit := case when m.rows is null then 'not analyzed: hartonomous.embedding_model_analyze'
                  when recall >= 1 then 'recall 1 is exact'
                  when m.other_weights then 'analyzed with other weights of the model'
                  when rows > 2 * m.rows + 1000 then format('about %s rows, but %s when analyzed', rows, m.rows)
                  when class = any (m.exact_classes) then 'fewer were found than was asked: hartonomous.recall_status' end;
    -- nobody knows beforehand whether a filter is correlated against the query
    bits := case when filter = '{}' or least_candidates[1] > least_candidates[2] then least_candidates[1] when least_candidates[1] is not null then least_candidates[2] end;
    place := case when filter = '{}' or least_candidates[5] > least_candidates[6] then least_candidates[5] when least_candidates[5] is not null then least_candidates[6] end;
    index := least_candidates[3];
    if filter <> '{}' and (index is not null or least_candidates[7] is not null) then
        -- the k nearest that pass are among so many of all: what finds these finds them, where they are in the first half
        index := greatest(least(index, ceil((least_candidates[7] + 8) * share) - 8), ceil(2 * reach * share) - 8);
    end if;
    beside := hartonomous._take(place, share);
    far_candidates := least_candidates[2];
    paths := array['exact', 'among', 'bits', 'index', 'place'];
    candidates := array[null, null, bits, index, place];
    if filter = '{}' then
        far := array[null, null, least_far[1], least_far[3], least_far[5]];
        index_far := least_far[4];
    else  -- how far the k-th is under filters of a class was measured for bits
        far := array[null, null, greatest(least_far[1], least_far[2]), greatest(least_far[3], least_far[1]), greatest(least_far[5], least_far[6])];
        index_far := greatest(least_far[4], least_far[1]);
    end if;
    index_candidates := case when index_far > far[4] and (least_candidates[4] + 8) / share <= 1000 then least_candidates[4] end;
    ms := array[  -- of exact those that are checked in vain are all looked up
        (rows * coalesce(m.scan_us, 1) + least(rows, (k + 16) * 3 / share) * coalesce(m.filter_us, 5)) / 1000,
        rows * (case when filter <> '{}' and hartonomous._filter_indexed(filter) then share * coalesce(m.fetch_us, 3) else coalesce(m.list_us, 0.5) end
                + share * coalesce(m.fetch_us, 3)) / 1000,
        (rows * m.bits_us + 1.3 * (bits + 8) / share * m.filter_us + bits * m.fetch_us) / 1000,
        coalesce(least_ms[3] / (least_candidates[3] + 8), least_ms[7] / (least_candidates[7] + 8)) * (index + 8) / share + (k + 16) * 1.5 * m.filter_us / 1000 / share,
        (beside * (m.place_us + m.filter_us) + place * m.fetch_us) / 1000];
    rejected := array[
        null,
        case when filter = '{}' then 'no filter' end,
        coalesce(unfit, case when bits is null then 'never met that recall when analyzed' end),
        coalesce(unfit, case when m.index_now is null then 'no index'
                             when m.index_now is distinct from m.index then 'another index than when analyzed'
                             when index is null then 'never met that recall when analyzed'
                             when (index + 8) / share > 1000 then 'would need more than 1000 candidates' end),
        coalesce(unfit, case when m.basis is null then 'three dimensions hold too little'
                             when m.basis_current is not true then 'analyzed with places by another basis'
                             when place is null then 'never met that recall when analyzed'
                             when 100 * beside > rows then 'would need more than 1 % of the rows' end)];
end
$$;
comment on function hartonomous._search_options(int, bigint, int, jsonb, real, double precision, bigint) is
'Every path to a tenant''s nearest embeddings with the candidates it takes to meet a recall, its expected milliseconds, the distance beyond which a query is unlike those measured, and why it cannot be taken; far_candidates: what bits would take for a query that is unlike those measured (NULL: compare all); index_candidates: what the index would take before, up to a distance of index_far.';

create or replace function hartonomous._search_plan(
    tenant_id int, model_id bigint, k int, filter jsonb, recall real,
    out path text, out candidates int, out far double precision, out far_candidates int, out index_candidates int, out index_far double precision,
    out share double precision, out rows bigint, out listed bigint[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    o record;
    ms double precision;
begin
    o := hartonomous._filter_share(tenant_id, model_id, filter);
    share := o.share;
    rows := o.rows;
    listed := o.listed;
    if rows = 0 or listed is not null then  -- to compare what is listed takes less than any other path
        path := case when rows = 0 then 'exact' else 'among' end;
        return;
    end if;
    o := hartonomous._search_options(tenant_id, model_id, k, filter, recall, share, rows);
    for i in 1 .. cardinality(o.paths) loop
        if o.rejected[i] is null and (ms is null or o.ms[i] < ms) then
            path := o.paths[i];
            candidates := o.candidates[i];
            far := o.far[i];
            ms := o.ms[i];
        end if;
    end loop;
    if path in ('bits', 'index', 'place') then
        far_candidates := o.far_candidates;
    end if;
    if path = 'index' and o.index_candidates > candidates then
        index_candidates := o.index_candidates;
        index_far := o.index_far;
    end if;
end
$$;
comment on function hartonomous._search_plan(int, bigint, int, jsonb, real) is
'The cheapest path that meets a recall, and what the index and then bits would take for a query that is unlike those measured (see _search_options).';

create or replace function hartonomous._nearest(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, recall real,
    out ids bigint[], out distances double precision[], out exact boolean, out path text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    plan constant record := hartonomous._search_plan(tenant_id, model_id, k, filter, recall);
    most constant int := least(greatest(2000, 4 * plan.rows * plan.share), 1000000);
    listed boolean := false;
    far    double precision := plan.far;
begin
    path := plan.path;
    exact := plan.rows = 0;
    if exact then
        return;
    elsif plan.path = 'index' then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_index(tenant_id, model_id, query, k, filter, plan.candidates, plan.share) as n;
    elsif plan.path = 'place' then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_place(tenant_id, model_id, query, k, filter, plan.candidates, plan.share) as n;
    elsif plan.path = 'bits' then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_bits(tenant_id, model_id, query, k, filter, plan.candidates, plan.share) as n;
    end if;
    if distances[k] > far and plan.index_candidates is not null then  -- unlike the queries that were measured
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_index(tenant_id, model_id, query, k, filter, plan.index_candidates, plan.share) as n;
        far := plan.index_far;
    end if;
    if distances[k] <= far or plan.path = 'bits' and distances[k] is not null and plan.candidates >= plan.far_candidates then
        return;
    elsif distances[k] is not null and plan.far_candidates is not null then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_bits(tenant_id, model_id, query, k, filter, plan.far_candidates, plan.share) as n;
        path := 'bits';
        if distances[k] is not null then
            return;
        end if;
    end if;
    exact := true;
    if filter <> '{}' and plan.path <> 'exact' then
        select n.ids, n.distances, n.listed into ids, distances, listed
        from hartonomous._nearest_listed(tenant_id, model_id, query, k, filter, most, plan.listed) as n;
    end if;
    path := case when listed then 'among' else 'exact' end;
    if not listed then
        select n.ids, n.distances into ids, distances from hartonomous._nearest_exact(tenant_id, model_id, query, k, filter, plan.share) as n;
    end if;
end
$$;
comment on function hartonomous._nearest(int, bigint, @extschema:vector@.vector, int, jsonb, real) is
'The k nearest live artifacts of one tenant that satisfy a filter, by the cheapest path that meets a recall, and by an exact one when that falls short.';

create or replace function hartonomous.search_explain(
    query @extschema:vector@.vector, k int default 10, model text default null, filter jsonb default '{}',
    as_of timestamptz default null, recall real default 0.95) returns jsonb
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := case when as_of is null then hartonomous._model_id(tenant, model, 'embedding') end;
    wanted constant jsonb := coalesce(filter, '{}');
    seen   int;
    plan   record;
    parts  jsonb := jsonb_build_array();
begin
    perform hartonomous._search_vector_check(tenant, target, query, k, filter, as_of, recall);
    if as_of is not null then
        return hartonomous._search_explain_at(tenant, query, k, model, wanted, as_of, recall);
    end if;
    foreach seen in array hartonomous._embedding_tenants(tenant, target) loop
        plan := hartonomous._search_plan(seen, target, k, wanted, recall);
        parts := parts || jsonb_build_object('of', case seen when 0 then 'everybody' else 'own tenant' end,
            'rows', plan.rows, 'other_weights', coalesce(seen = any (hartonomous._embedding_mixed(tenant, target)), false), 'matching', round((plan.rows * plan.share)::numeric), 'filter_class', hartonomous._filter_class(wanted, plan.share),
            'path', plan.path, 'basis', hartonomous._basis_version(seen, target), 'candidates', plan.candidates, 'candidates_far', coalesce(plan.index_candidates, plan.far_candidates), 'options', (
                select jsonb_agg(jsonb_build_object('path', o.path, 'candidates', o.candidates, 'ms', round(o.ms::numeric, 3), 'rejected',
                                     coalesce(o.rejected, case when o.path <> plan.path then 'takes longer' end)) order by o.ms, o.path)
                from hartonomous._search_options(seen, target, k, wanted, recall, plan.share, plan.rows) as n
                cross join lateral unnest(n.paths, n.candidates, n.ms, n.rejected) as o (path, candidates, ms, rejected)));
    end loop;
    return jsonb_build_object('k', k, 'recall', recall, 'filter', wanted, 'parts', parts);
end
$$;
comment on function hartonomous.search_explain(@extschema:vector@.vector, int, text, jsonb, timestamptz, real) is
'How search_vector would answer: for the own tenant''s embeddings and for those of everybody about how many rows there are and match the filter, whether some were embedded by other weights than the model has now (other_weights), the path taken, its candidates (candidates_far: for a query unlike those measured, NULL compares all), and every option with its expected milliseconds and why it is not taken. exact compares all, among looks up what satisfies the filter, bits, place and index compare candidates by sign bits, by places in three dimensions or by an HNSW index; basis: the version of hartonomous.embedding_basis by which places are. Errors as search_vector.';
