create or replace function hartonomous._filter_class(filter jsonb, share double precision) returns text
language sql immutable parallel safe
return case when _filter_class.filter = '{}' then 'none' when _filter_class.share >= 0.3 then 'half'
            when _filter_class.share >= 0.03 then 'tenth' else 'hundredth' end;
comment on function hartonomous._filter_class(jsonb, double precision) is
'Class of a filter by the share of rows that satisfy it, as embedding_curve has them; its class far is for queries far from what does.';

create or replace function hartonomous._search_options(
    tenant_id int, model_id bigint, k int, filter jsonb, recall real, share double precision, rows bigint)
returns table (path text, candidates int, ms double precision, far double precision, rejected text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
    with s as (
        select coalesce(m.scan_us, 1) as scan_us, coalesce(m.fetch_us, 3) as fetch_us, coalesce(m.filter_us, 5) as filter_us, coalesce(m.list_us, 0.5) as list_us, m.bits_us,
               case when m.rows is null then 'not analyzed: hartonomous.embedding_model_analyze'
                    when _search_options.recall >= 1 then 'recall 1 is exact'
                    when m.model_state <> hartonomous._model_state(_search_options.model_id) then 'analyzed with other weights of the model'
                    when _search_options.rows > 2 * m.rows + 1000
                    then format('about %s rows, but %s when analyzed', _search_options.rows, m.rows)
                    when hartonomous._filter_class(_search_options.filter, _search_options.share) = any (m.exact_classes)
                    then 'fewer were found than was asked: hartonomous.recall_status' end as unfit
        from (select) as always
        left join hartonomous.embedding_statistics as m on m.tenant_id = _search_options.tenant_id and m.model_id = _search_options.model_id
    ), class as (
        select hartonomous._filter_class(_search_options.filter, _search_options.share) as name
    ), enough as (  -- the fewest candidates that keep the recall, with margin
        select distinct on (c.path, c.filter_class) c.path, c.filter_class, c.candidates, c.ms, c.far
        from hartonomous.embedding_curve as c
        where c.tenant_id = _search_options.tenant_id and c.model_id = _search_options.model_id
          and c.k = case when _search_options.k <= 10 then 10 when _search_options.k <= 100 then 100 end
          and c.lower_bound >= 0.8 * _search_options.recall + 0.2 and c.worst >= _search_options.recall - 0.2
        order by c.path, c.filter_class, c.candidates
    ), measured as (  -- nobody knows beforehand whether a filter is correlated against the query
        select e.path, max(e.candidates) as candidates, max(e.ms) as ms, max(e.far) as far
        from enough as e cross join class as c
        where e.path = 'index' or e.filter_class = c.name or e.filter_class = 'far' and c.name <> 'none'
        group by e.path having count(*) = case when e.path = 'index' or _search_options.filter = '{}' then 1 else 2 end
    )
    select 'exact', null::int,  -- twice: those that are checked in vain are all looked up
           (_search_options.rows * s.scan_us + least(_search_options.rows, (_search_options.k + 16) * 3 / _search_options.share) * s.filter_us) / 1000,
           null::double precision, null::text
    from s
    union all
    select 'among', null, _search_options.rows * (s.list_us + _search_options.share * s.fetch_us) / 1000, null,
           case when _search_options.filter = '{}' then 'no filter' end
    from s
    union all
    select 'bits', m.candidates,
           (_search_options.rows * s.bits_us + 1.3 * (m.candidates + 8) / _search_options.share * s.filter_us + m.candidates * s.fetch_us) / 1000,
           m.far, coalesce(s.unfit, case when m.path is null then 'never met that recall when analyzed' end)
    from s left join measured as m on m.path = 'bits'
    union all
    select 'index', m.candidates, (m.ms + (_search_options.k + 16) * 1.5 * s.filter_us / 1000) / _search_options.share, m.far,
           coalesce(s.unfit, case when not hartonomous._embedding_index_usable(_search_options.tenant_id, _search_options.model_id) then 'no index'
                                  when m.path is null then 'never met that recall when analyzed'
                                  when (m.candidates + 8) / _search_options.share > 1000 then 'would need more than 1000 candidates' end)
    from s left join measured as m on m.path = 'index';
end
$$;
comment on function hartonomous._search_options(int, bigint, int, jsonb, real, double precision, bigint) is
'Every path to a tenant''s nearest embeddings with its expected milliseconds, the candidates it takes to meet a recall, the distance beyond which a query is unlike those measured, and why it cannot be taken.';

create or replace function hartonomous._search_plan(
    tenant_id int, model_id bigint, k int, filter jsonb, recall real,
    out path text, out candidates int, out far double precision, out far_candidates int, out share double precision, out rows bigint)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    select f.share, f.rows into share, rows from hartonomous._filter_share(tenant_id, model_id, filter) as f;
    if rows = 0 then
        path := 'exact';
        return;
    end if;
    select o.path, o.candidates, o.far into path, candidates, far
    from hartonomous._search_options(tenant_id, model_id, k, filter, recall, share, rows) as o
    where o.rejected is null order by o.ms, o.path limit 1;
    if path in ('bits', 'index') then
        select min(c.candidates) into far_candidates from hartonomous.embedding_curve as c
        where c.tenant_id = _search_plan.tenant_id and c.model_id = _search_plan.model_id and c.path = 'bits' and c.filter_class = 'far'
          and c.k = case when _search_plan.k <= 10 then 10 else 100 end
          and c.lower_bound >= 0.8 * _search_plan.recall + 0.2 and c.worst >= _search_plan.recall - 0.2;
    end if;
end
$$;
comment on function hartonomous._search_plan(int, bigint, int, jsonb, real) is
'The cheapest path that meets a recall, and what bits would take for a query that is unlike those measured (NULL: compare all).';

create or replace function hartonomous._nearest(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, recall real,
    out ids bigint[], out distances double precision[], out exact boolean, out path text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    plan constant record := hartonomous._search_plan(tenant_id, model_id, k, filter, recall);
    most constant int := least(greatest(2000, 4 * plan.rows * plan.share), 1000000);
    among bigint[];
begin
    exact := false;
    path := plan.path;
    if plan.path = 'index' then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_index(tenant_id, model_id, query, k, filter, plan.candidates, plan.share) as n;
    elsif plan.path = 'bits' then
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_bits(tenant_id, model_id, query, k, filter, plan.candidates, plan.share) as n;
    end if;
    if distances[k] <= plan.far or plan.path = 'bits' and distances[k] is not null and plan.candidates >= plan.far_candidates then
        return;
    elsif distances[k] is not null and plan.far_candidates is not null then  -- unlike the queries that were measured
        select n.ids, n.distances into ids, distances
        from hartonomous._nearest_bits(tenant_id, model_id, query, k, filter, plan.far_candidates, plan.share) as n;
        path := 'bits';
        if distances[k] is not null then
            return;
        end if;
    end if;
    exact := true;
    if filter <> '{}' and plan.path <> 'exact' then
        among := hartonomous._filter_ids(tenant_id, filter, most);
    end if;
    path := case when among is null then 'exact' else 'among' end;
    if among is not null then
        select n.ids, n.distances into ids, distances from hartonomous._nearest_among(tenant_id, model_id, query, k, among) as n;
    else
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
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
    wanted constant jsonb := coalesce(filter, '{}');
    seen   int;
    plan   record;
    parts  jsonb := jsonb_build_array();
begin
    perform hartonomous._search_vector_check(tenant, target, query, k, filter, as_of, recall);
    foreach seen in array hartonomous._embedding_tenants(tenant, target) loop
        plan := hartonomous._search_plan(seen, target, k, wanted, recall);
        parts := parts || jsonb_build_object('of', case seen when 0 then 'everybody' else 'own tenant' end,
            'rows', plan.rows, 'other_weights', hartonomous._embedding_mixed(seen, target), 'matching', round((plan.rows * plan.share)::numeric), 'filter_class', hartonomous._filter_class(wanted, plan.share),
            'path', plan.path, 'candidates', plan.candidates, 'candidates_far', plan.far_candidates, 'options', (
                select jsonb_agg(jsonb_build_object('path', o.path, 'candidates', o.candidates, 'ms', round(o.ms::numeric, 3), 'rejected',
                                     coalesce(o.rejected, case when o.path <> plan.path then 'takes longer' end)) order by o.ms, o.path)
                from hartonomous._search_options(seen, target, k, wanted, recall, plan.share, plan.rows) as o));
    end loop;
    return jsonb_build_object('k', k, 'recall', recall, 'filter', wanted, 'parts', parts);
end
$$;
comment on function hartonomous.search_explain(@extschema:vector@.vector, int, text, jsonb, timestamptz, real) is
'How search_vector would answer: for the own tenant''s embeddings and for those of everybody about how many rows there are and match the filter, whether some were embedded by other weights than the model has now (other_weights), the path taken, its candidates (candidates_far: for a query unlike those measured, NULL compares all), and every option with its expected milliseconds and why it is not taken. exact compares all, among looks up what satisfies the filter, bits and index compare candidates by sign bits or by an HNSW index. Errors as search_vector.';
