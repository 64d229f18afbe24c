create or replace function hartonomous._wilson_upper(hits bigint, n bigint) returns double precision
language sql immutable parallel safe
return 1 - hartonomous._wilson_lower(_wilson_upper.n - _wilson_upper.hits, _wilson_upper.n);
comment on function hartonomous._wilson_upper(bigint, bigint) is 'Upper end of the 95 % interval of a proportion (Wilson 1927): hits of n.';

create or replace function hartonomous._embedding_newer(tenant_id int, model_id bigint, since timestamptz) returns double precision
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    -- ids are permuted: those that follow any one are a random sample
    first constant bigint := floor(random() * (1::bigint << 39));
begin
    return (select avg((n.created_at > _embedding_newer.since)::int)
            from (select e.created_at from hartonomous.atom_embedding as e
                  where e.tenant_id = _embedding_newer.tenant_id and e.model_id = _embedding_newer.model_id and e.artifact_id >= first
                  order by e.artifact_id limit 256) as n);
end
$$;
comment on function hartonomous._embedding_newer(int, bigint, timestamptz) is
'About the share of a tenant''s embeddings that were stored or replaced since a time, from a sample of 256.';

create or replace function hartonomous._recall_replay(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, recall real,
    out filter_class text, out exact boolean, out hits int, out size int)
language plpgsql stable parallel restricted  -- stable: both searches see the same rows
set search_path = pg_catalog, pg_temp as $$
declare
    given constant record := hartonomous._nearest(tenant_id, model_id, query, k, filter, recall);
    truth double precision[] := given.distances;
begin
    filter_class := hartonomous._filter_class(filter, (hartonomous._filter_share(tenant_id, model_id, filter)).share);
    exact := given.exact;
    if not exact then
        truth := (hartonomous._nearest(tenant_id, model_id, query, k, filter, 1)).distances;
    end if;
    size := coalesce(cardinality(truth), 0);
    hits := (select count(*) from unnest(given.distances) as g (distance) where g.distance <= truth[size]);
end
$$;
comment on function hartonomous._recall_replay(int, bigint, @extschema:vector@.vector, int, jsonb, real) is
'Searches again, by the path that is taken now and exactly: how many of the true nearest (size) are found, or others as near (hits).';

create or replace function hartonomous._recall_measure(
    tenant_id int, model_id bigint, classes text[], most int, budget_us double precision) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    began constant timestamptz := clock_timestamp();
    item  record;
    found record;
begin
    update hartonomous.search_sample as s set replayed_at = null
    where s.tenant_id = _recall_measure.tenant_id and s.model_id = _recall_measure.model_id and s.filter_class = any (classes);
    for item in
        select s.* from hartonomous.search_sample as s
        where s.tenant_id = _recall_measure.tenant_id and s.model_id = _recall_measure.model_id and s.replayed_at is null
          and (classes is null or s.filter_class = any (classes))
        order by s.sampled_at desc limit _recall_measure.most for update skip locked
    loop
        exit when hartonomous._elapsed_us(began) >= budget_us;
        found := hartonomous._recall_replay(tenant_id, model_id, item.query, item.k, item.filter, item.recall);
        update hartonomous.search_sample as s
        set replayed_at = clock_timestamp(), filter_class = found.filter_class, exact = found.exact, hits = found.hits, size = found.size
        where s.search_sample_id = item.search_sample_id;
    end loop;
    update hartonomous.recall_state as r set spent_us = r.spent_us + hartonomous._elapsed_us(began)
    where r.tenant_id = _recall_measure.tenant_id and r.model_id = _recall_measure.model_id;
end
$$;
comment on function hartonomous._recall_measure(int, bigint, text[], int, double precision) is
'Asks sampled searches again, the newest first, until so many microseconds have passed: those of classes of filter, whose earlier answers no longer count, or (NULL) all that were not asked again yet.';

create or replace function hartonomous._recall_window(tenant_id int, model_id bigint, most int)
returns table (filter_class text, queries bigint, exact bigint, asked double precision, hits bigint, size bigint)
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select w.filter_class, count(*), count(*) filter (where w.exact), sum(w.recall * w.size) filter (where not w.exact) / nullif(sum(w.size) filter (where not w.exact), 0),
           sum(w.hits) filter (where not w.exact), sum(w.size) filter (where not w.exact)
    from (select s.filter_class, s.exact, s.recall, s.hits, s.size, row_number() over (partition by s.filter_class order by s.sampled_at desc) as place
          from hartonomous.search_sample as s
          join hartonomous.embedding_statistics as m on m.tenant_id = s.tenant_id and m.model_id = s.model_id
          where s.tenant_id = _recall_window.tenant_id and s.model_id = _recall_window.model_id and s.replayed_at >= m.analyzed_at) as w
    where w.place <= _recall_window.most
    group by w.filter_class;
end;
comment on function hartonomous._recall_window(int, bigint, int) is
'Of the last, so many, sampled searches by class of filter that were asked again since the analysis: how many, how many of them are exact now, and of the others the asked recall, the hits and the true nearest.';

create or replace function hartonomous._recall_below(tenant_id int, model_id bigint) returns text[]
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    -- few tell soon of a great loss, many of a small one
    select coalesce(array_agg(distinct w.filter_class), '{}')
    from (values (30), (100)) as size (most)
    cross join lateral hartonomous._recall_window(_recall_below.tenant_id, _recall_below.model_id, size.most) as w
    where hartonomous._wilson_upper(w.hits, w.size) < w.asked;
end;
comment on function hartonomous._recall_below(int, bigint) is
'Classes of filter of whose sampled searches fewer were found than was asked, by the upper end of the recall''s 95 % interval.';

create or replace function hartonomous._recall_by_class(tenant_id int, model_id bigint) returns jsonb
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(jsonb_object_agg(w.filter_class, coalesce(w.hits::double precision / nullif(w.size, 0), 1)), '{}')
    from hartonomous._recall_window(_recall_by_class.tenant_id, _recall_by_class.model_id, 30) as w;
end;
comment on function hartonomous._recall_by_class(int, bigint) is 'Recall of the last 30 sampled searches by class of filter, 1 where all are exact.';

create or replace function hartonomous._recall_act(tenant_id int, model_id bigint, action text, reason text, classes text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    before constant jsonb := hartonomous._recall_by_class(tenant_id, model_id);
    after  jsonb;
begin
    if action = 'analyze' then
        perform hartonomous._embedding_analyze(tenant_id, model_id);
    else
        update hartonomous.embedding_statistics as m set exact_classes = m.exact_classes || classes
        where m.tenant_id = _recall_act.tenant_id and m.model_id = _recall_act.model_id;
    end if;
    perform hartonomous._recall_measure(tenant_id, model_id, classes, 60, 'infinity');
    after := hartonomous._recall_by_class(tenant_id, model_id);
    insert into hartonomous.recall_action (tenant_id, model_id, filter_class, action, reason, recall_before, recall_after)
    select _recall_act.tenant_id, _recall_act.model_id, c.filter_class, _recall_act.action, _recall_act.reason,
           (before ->> c.filter_class)::real, (after ->> c.filter_class)::real
    from unnest(case when classes = '{}' then array[null] else classes end) as c (filter_class);
end
$$;
comment on function hartonomous._recall_act(int, bigint, text, text, text[]) is
'Measures the paths of a tenant''s searches by a model anew (analyze), or has all compared for classes of filter (exact), asks the sampled searches again, and records it.';

create or replace function hartonomous._recall_watch(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    few     constant text := 'fewer were found than was asked';
    early   constant text := few || ', and it is too early to measure anew';
    -- sign bits may never find as much
    indexed constant boolean := hartonomous._embedding_index_type(tenant_id, model_id) in ('vector', 'halfvec');
    at      constant timestamptz := clock_timestamp();
    budget  double precision;
    newer   double precision;
    below   text[];
    rested  boolean;
    waiting boolean;
    unmeasured boolean;
    drift   text;
begin
    insert into hartonomous.recall_state as r (tenant_id, model_id, watched_at) values (_recall_watch.tenant_id, _recall_watch.model_id, at)
    on conflict (tenant_id, model_id) do update
    set watched_at = excluded.watched_at, earned_us = r.earned_us + 0.01 * (
        select coalesce(sum(s.us / s.share), 0) from hartonomous.search_sample as s
        where s.tenant_id = r.tenant_id and s.model_id = r.model_id and s.sampled_at > r.watched_at and s.sampled_at <= excluded.watched_at)
    returning r.earned_us - r.spent_us into budget;
    perform hartonomous._recall_measure(tenant_id, model_id, null, 100, least(budget, 5e6));
    -- what an analysis takes is a tenth of the time at most; one that had to wait is made up for
    select hartonomous._embedding_newer(tenant_id, model_id, m.analyzed_at), clock_timestamp() - m.analyzed_at >= m.took_ms / 100 * interval '1 second',
           exists (select from hartonomous.recall_action as a where a.tenant_id = m.tenant_id and a.model_id = m.model_id
                   and a.reason = early and a.acted_at >= m.analyzed_at),
           hartonomous._embedding_index(tenant_id, model_id) <> coalesce(m.index, 0)
    into newer, rested, waiting, unmeasured from hartonomous.embedding_statistics as m
    where m.tenant_id = _recall_watch.tenant_id and m.model_id = _recall_watch.model_id;
    below := hartonomous._recall_below(tenant_id, model_id);
    -- an analysis of the tenant's own has this lock before it touches a basis
    if newer > 0 and pg_try_advisory_xact_lock(hartonomous._analysis_lock(tenant_id, model_id)) then
        drift := hartonomous._basis_drift(tenant_id, model_id);
    end if;
    if rested and newer >= 0.25 then
        perform hartonomous._recall_act(tenant_id, model_id, 'analyze', format('%s %% of the embeddings are newer than the analysis', round(100 * newer)),
                                        array(select jsonb_object_keys(hartonomous._recall_by_class(tenant_id, model_id))));
    elsif rested and unmeasured then
        perform hartonomous._recall_act(tenant_id, model_id, 'analyze', 'the HNSW index is not the one that was measured',
                                        array(select jsonb_object_keys(hartonomous._recall_by_class(tenant_id, model_id))));
    elsif rested and (below <> '{}' or waiting) then
        perform hartonomous._recall_act(tenant_id, model_id, 'analyze', few, array(select jsonb_object_keys(hartonomous._recall_by_class(tenant_id, model_id))));
    elsif rested and drift is not null then
        perform hartonomous._recall_act(tenant_id, model_id, 'analyze', drift, array(select jsonb_object_keys(hartonomous._recall_by_class(tenant_id, model_id))));
    else
        rested := false;  -- from here on: whether it was measured anew
    end if;
    if rested and indexed and not exists (
          select from hartonomous.embedding_curve as c where c.tenant_id = _recall_watch.tenant_id and c.model_id = _recall_watch.model_id
          and c.path = 'index' and c.filter_class = 'none' and c.k = 10 and c.lower_bound >= 0.95) then
        insert into hartonomous.recall_action (tenant_id, model_id, action, reason)
        values (_recall_watch.tenant_id, _recall_watch.model_id, 'rebuild', 'the HNSW index finds less than 0.95 with any number of candidates');
    end if;
    below := hartonomous._recall_below(tenant_id, model_id);
    if below <> '{}' then
        perform hartonomous._recall_act(tenant_id, model_id, 'exact', case when rested then few else early end, below);
    end if;
    delete from hartonomous.recall_action as a where a.recall_action_id in (
        select o.recall_action_id from hartonomous.recall_action as o
        where o.tenant_id = _recall_watch.tenant_id and o.model_id = _recall_watch.model_id order by o.acted_at desc offset 100);
    perform hartonomous._basis_continue(tenant_id, model_id);  -- last: those who store embeddings wait from then on
end
$$;
comment on function hartonomous._recall_watch(int, bigint) is
'recall_watch for one tenant and model: asks sampled searches again within the budget, and acts where their recall is below what was asked or a quarter of the embeddings is newer than the analysis.';

create or replace function hartonomous.recall_watch()
returns table (tenant_id int, model text, filter_class text, action text, reason text, recall_before real, recall_after real)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    began constant timestamptz := clock_timestamp();
    item  record;
begin
    if current_setting('transaction_read_only') = 'on' or not pg_try_advisory_xact_lock(hartonomous._lock_key('recall_watch')) then
        return;
    end if;
    for item in
        select s.tenant_id, s.model_id from hartonomous.embedding_statistics as s
        left join hartonomous.recall_state as r on r.tenant_id = s.tenant_id and r.model_id = s.model_id
        order by r.watched_at nulls first, s.tenant_id, s.model_id
    loop
        -- where places changed, those who store embeddings wait for the end of this
        exit when clock_timestamp() > began + interval '20 seconds'
            or exists (select from hartonomous.embedding_basis as b where b.current_at >= began and b.version > 1);
        perform from hartonomous.tenant as t where t.tenant_id = item.tenant_id and t.closed_at is null for key share skip locked;
        continue when not found;
        begin
            perform hartonomous._recall_watch(item.tenant_id, item.model_id);
        exception when others then
            raise warning 'recall of tenant %, model % was not looked after: %', item.tenant_id, item.model_id, sqlerrm;
        end;
    end loop;
    return query
    select a.tenant_id, m.name || '@' || m.version, a.filter_class, a.action, a.reason, a.recall_before, a.recall_after
    from hartonomous.recall_action as a join hartonomous.model as m on m.model_id = a.model_id
    where a.acted_at >= began order by a.acted_at, a.filter_class;
end
$$;
comment on function hartonomous.recall_watch() is
'Keeps the recall that searches by vectors promise: asks a sample of them again, exactly, in at most 1 % of the time that searches take, and where by class of filter less was found than was asked, where a quarter of the embeddings is newer than the analysis, or where places hold less than 80 % of the variance that they held, measures the paths anew as embedding_model_analyze does; where that does not help, all is compared for that class until the next analysis. Returns what it did (hartonomous.recall_action keeps it): recall of the sampled searches before and after. For a job every minute, 20 seconds and the last analysis at most; nothing while another runs, and on a replica. For administrators.';

create or replace function hartonomous.recall_status()
returns table (model text, filter_class text, queries bigint, asked real, recall real, lower_bound real, exact boolean, newer real, analyzed_at timestamptz)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
begin
    return query
    select m.name || '@' || m.version, w.filter_class, coalesce(w.queries, 0), w.asked::real, (w.hits::double precision / nullif(w.size, 0))::real,
           hartonomous._wilson_lower(w.hits, w.size)::real, w.filter_class = any (s.exact_classes),
           hartonomous._embedding_newer(tenant, s.model_id, s.analyzed_at)::real, s.analyzed_at
    from hartonomous.embedding_statistics as s join hartonomous.model as m on m.model_id = s.model_id
    left join lateral hartonomous._recall_window(tenant, s.model_id, 100) as w on true
    where s.tenant_id = tenant
    order by 1, 2;
end
$$;
comment on function hartonomous.recall_status() is
'How the promised recall is kept, by model and class of filter (none, half, tenth, hundredth, by the share that satisfies it), over the last 100 sampled searches of the own tenant that recall_watch has asked again since the analysis: how many, their asked recall, what share of the true nearest the candidates found and the lower end of its 95 % interval (Wilson), both NULL where all were exact; exact: all is compared until the next analysis, because less was found than was asked; newer: about the share of embeddings that is newer than the analysis. No class: nothing was sampled.';
