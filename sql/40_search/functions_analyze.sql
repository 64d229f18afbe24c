create or replace function hartonomous._between(a @extschema:vector@.vector, b @extschema:vector@.vector, part real) returns @extschema:vector@.vector
language sql immutable parallel safe
return @extschema:vector@.l2_normalize(_between.a) operator(@extschema:vector@.+)
       @extschema:vector@.l2_normalize(_between.b) operator(@extschema:vector@.*)
       array_fill(_between.part, array[@extschema:vector@.vector_dims(_between.b)])::@extschema:vector@.vector;
comment on function hartonomous._between(@extschema:vector@.vector, @extschema:vector@.vector, real) is
'The direction of one vector and a part of that of another: something beside what is stored, as queries are.';

create or replace function hartonomous._sample_ranks(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, self bigint, pivot @extschema:vector@.vector, axes @extschema:vector@.vector[])
returns table (filter_class text, ordinal int, rank int, place_rank int, distance double precision, artifact_id bigint)
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
begin atomic
    with here as materialized (
        select hartonomous._place(_sample_ranks.query, _sample_ranks.axes) as place
    ), scored as materialized (
        select e.artifact_id, e.embedding operator(@extschema:vector@.<=>) _sample_ranks.query as distance,
               @extschema:vector@.hamming_distance(e.bits, @extschema:vector@.binary_quantize(_sample_ranks.query))::int as differing,
               -- within two percent: as near as that is as near
               floor(50 * ln(1e-9 + @extschema:postgis@.st_3ddistance(hartonomous._place(e.embedding, _sample_ranks.axes), h.place)))::int as beside,
               e.embedding operator(@extschema:vector@.<=>) _sample_ranks.pivot as apart
        from hartonomous.atom_embedding as e cross join here as h
        where e.tenant_id = _sample_ranks.tenant_id and e.model_id = _sample_ranks.model_id and e.artifact_id <> _sample_ranks.self
    ), near_pivot as (
        select percentile_disc(0.1) within group (order by s.apart) as apart from scored as s
    ), classes as materialized (  -- ids are permuted: what is left of a division by ten is chance; far: those around something else
        select s.artifact_id, s.distance, s.differing, s.beside, c.filter_class
        from scored as s cross join near_pivot as p
        cross join lateral (values ('none', true), ('half', s.artifact_id % 2 = 0), ('tenth', s.artifact_id % 10 = 0),
                                   ('hundredth', s.artifact_id % 100 = 0), ('far', s.apart <= p.apart)) as c (filter_class, inside)
        where c.inside
    ), best as (
        select b.filter_class, b.artifact_id, b.distance, b.differing, b.beside, b.ordinal
        from (select c.*, row_number() over (partition by c.filter_class order by c.distance, c.artifact_id) as ordinal from classes as c) as b
        where b.ordinal <= 100
    ), within as (  -- how many differ no more: the last place that a candidate can have
        select h.filter_class, h.differing, sum(h.n) over (partition by h.filter_class order by h.differing) as rank
        from (select c.filter_class, c.differing, count(*) as n from classes as c group by 1, 2) as h
    ), around as (
        select h.filter_class, h.beside, sum(h.n) over (partition by h.filter_class order by h.beside) as rank
        from (select c.filter_class, c.beside, count(*) as n from classes as c where c.beside is not null group by 1, 2) as h
    )
    select b.filter_class, b.ordinal::int, w.rank::int, a.rank::int, b.distance, b.artifact_id
    from best as b join within as w on w.filter_class = b.filter_class and w.differing = b.differing
    left join around as a on a.filter_class = b.filter_class and a.beside = b.beside
    order by 1, 2;
end;
comment on function hartonomous._sample_ranks(int, bigint, @extschema:vector@.vector, bigint, @extschema:vector@.vector, @extschema:vector@.vector[]) is
'The 100 nearest to a query by class of filter, the rank that each has among candidates by sign bits and by places along three directions (NULL: none), and its distance; self is left out. Class far: the tenth of the rows around another point.';

create or replace function hartonomous._elapsed_us(began timestamptz) returns double precision
language sql volatile parallel restricted
return extract(epoch from clock_timestamp() - _elapsed_us.began) * 1e6;
comment on function hartonomous._elapsed_us(timestamptz) is 'Microseconds since a time.';

create or replace function hartonomous._embedding_costs(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, rows bigint,
    out scan_us real, out bits_us real, out fetch_us real, out filter_us real, out list_us real)
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    known constant bigint[] := array(select e.artifact_id from hartonomous.atom_embedding as e
        where e.tenant_id = _embedding_costs.tenant_id and e.model_id = _embedding_costs.model_id order by e.artifact_id limit 500);
    began timestamptz;
begin
    for round in 1 .. 5 loop  -- the least is what it takes without others' load
        began := clock_timestamp();
        perform hartonomous._nearest_exact(tenant_id, model_id, query, 1, '{}', 1);
        scan_us := least(scan_us, hartonomous._elapsed_us(began) / rows);
        began := clock_timestamp();
        perform hartonomous._nearest_bits(tenant_id, model_id, query, 1, '{}', 1, 1);
        bits_us := least(bits_us, hartonomous._elapsed_us(began) / rows);
        began := clock_timestamp();
        perform hartonomous._nearest_among(tenant_id, model_id, query, 1, known);
        fetch_us := least(fetch_us, hartonomous._elapsed_us(began) / cardinality(known));
        began := clock_timestamp();
        perform hartonomous._filter_live(tenant_id, known, '{"source_uri_prefix": ""}', 500);
        filter_us := least(filter_us, hartonomous._elapsed_us(began) / cardinality(known));
        began := clock_timestamp();
        perform hartonomous._filter_occurrences(tenant_id, '{"metadata": {"": ""}}', 1);
        list_us := least(list_us, hartonomous._elapsed_us(began) / rows);
    end loop;
end
$$;
comment on function hartonomous._embedding_costs(int, bigint, @extschema:vector@.vector, bigint) is
'Microseconds that a row takes on each path, as they are now.';

create or replace function hartonomous._place_cost(tenant_id int, model_id bigint, basis int, query @extschema:vector@.vector) returns real
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    axes  constant @extschema:vector@.vector[] := (select b.axes from hartonomous.embedding_basis as b
        where b.tenant_id = _place_cost.tenant_id and b.model_id = _place_cost.model_id and b.version = basis);
    began timestamptz;
    least_us real;
begin
    for round in 1 .. 5 loop
        began := clock_timestamp();
        perform hartonomous._place_candidates(tenant_id, model_id, basis, hartonomous._place(query, axes), 500);
        least_us := least(least_us, hartonomous._elapsed_us(began) / 500);
    end loop;
    return least_us;
end
$$;
comment on function hartonomous._place_cost(int, bigint, int, @extschema:vector@.vector) is 'Microseconds that a candidate by its place takes.';

create or replace function hartonomous._analysis_queries(tenant_id int, model_id bigint, count int)
returns table (number int, kind text, query @extschema:vector@.vector, self bigint, pivot @extschema:vector@.vector)
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
begin atomic
    with drawn as materialized (
        select d.artifact_id, d.embedding, (row_number() over (order by d.chance))::int as number, count(*) over ()::int as n
        from (select e.artifact_id, e.embedding, hashint8extended(e.artifact_id, extract(epoch from now())::bigint) as chance from hartonomous.atom_embedding as e
              where e.tenant_id = _analysis_queries.tenant_id and e.model_id = _analysis_queries.model_id order by 3 limit _analysis_queries.count) as d
    ), asked as materialized (
        select s.query, (row_number() over (order by s.sampled_at desc))::int as number, count(*) over () as n
        from (select s.query, s.sampled_at from hartonomous.search_sample as s
              where s.tenant_id = _analysis_queries.tenant_id and s.model_id = _analysis_queries.model_id
              order by s.sampled_at desc limit _analysis_queries.count / 2) as s
    )
    select d.number, 'stored', d.embedding, d.artifact_id, o.embedding
    from drawn as d join drawn as o on o.number = d.number % d.n + 1 where d.number % 2 = 1
    union all  -- as queries are that ask for what is not quite stored
    select d.number, 'beside', hartonomous._between(d.embedding, o.embedding, 0.5), d.artifact_id, o.embedding
    from drawn as d join drawn as o on o.number = d.number % d.n + 1 where d.number % 2 = 0
    union all  -- as queries are that are far from all
    select b.number, 'between', b.query, -1, b.query
    from (select d.number, hartonomous._between(d.embedding, o.embedding, 1) as query
          from drawn as d join drawn as o on o.number = d.number + 1 where d.number % 4 = 1) as b
    where @extschema:vector@.vector_norm(b.query) > 0
    union all  -- once there are enough to know their mean
    select 2 * a.number, 'asked', a.query, -1, o.embedding from asked as a join drawn as o on o.number = a.number % o.n + 1 where a.n >= 20;
end;
comment on function hartonomous._analysis_queries(int, bigint, int) is
'What an analysis asks, of each kind in an order of its own: stored vectors and points beside others, so many together; points between two, a quarter as many; what was searched for of late, half as many at most. self: what is left out of the answer (-1: nothing); pivot: another stored vector.';

create or replace function hartonomous._nearest_within(
    tenant_id int, model_id bigint, queries @extschema:vector@.vector[], selves bigint[], bounds double precision[])
returns table (number bigint, ids bigint[], distances double precision[])
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_indexscan = off set jit = off set work_mem = '64MB'
begin atomic
    -- one reading of the rows for all queries, in place of one for each
    select n.number, (array_agg(n.artifact_id order by n.distance, n.artifact_id))[:100], (array_agg(n.distance order by n.distance, n.artifact_id))[:100]
    from (select s.artifact_id, @extschema:vector@.subvector(s.embedding, 1, @extschema:vector@.vector_dims(s.embedding)) as embedding  -- read once where it is stored apart
          from hartonomous.atom_embedding as s
          where s.tenant_id = _nearest_within.tenant_id and s.model_id = _nearest_within.model_id offset 0) as e
    cross join lateral (
        select q.number, e.artifact_id, e.embedding operator(@extschema:vector@.<=>) q.query as distance
        from unnest(_nearest_within.queries, _nearest_within.selves, _nearest_within.bounds) with ordinality as q (query, self, bound, number)
        where e.embedding operator(@extschema:vector@.<=>) q.query <= q.bound and e.artifact_id <> q.self offset 0) as n
    group by n.number;
end;
comment on function hartonomous._nearest_within(int, bigint, @extschema:vector@.vector[], bigint[], double precision[]) is
'For each query, by its number, the 100 nearest rows of a tenant but itself, none of which is farther than its bound.';

create or replace function hartonomous._index_hits(
    tenant_id int, model_id bigint, class text, kinds text[], queries @extschema:vector@.vector[], selves bigint[],
    out hits hartonomous.embedding_hit[], out steps int[], out elapsed double precision[])
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    bounds double precision[];
    part   record;
    first  int[];
    passed bigint[];
    most   int;
    began  timestamptz;
    query  @extschema:vector@.vector;
begin
    hits := '{}';
    foreach query in array queries loop
        bounds := bounds || coalesce((hartonomous._index_candidates(tenant_id, model_id, query, 200, 101)).distances[101],
                                     (hartonomous._nearest_exact(tenant_id, model_id, query, 101, '{}', 1)).distances[101]);
    end loop;
    for part in select n.number, n.ids, n.distances from hartonomous._nearest_within(tenant_id, model_id, queries, selves, bounds) as n order by n.number loop
        query := queries[part.number];
        first := array_fill(2147483647, array[cardinality(part.ids)]);
        foreach most in array array[10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 990] loop
            began := clock_timestamp();
            passed := (hartonomous._index_candidates(tenant_id, model_id, query, most + 8, 110)).ids;
            steps := steps || most;
            elapsed := elapsed || hartonomous._elapsed_us(began) / 1000;
            first := array(select case when n.id = any (passed) then least(n.first, most) else n.first end
                           from unnest(part.ids, first) with ordinality as n (id, first, ordinal) order by n.ordinal);
            exit when 2147483647 <> all (first);
        end loop;
        hits := hits || array(select row('index', class, kinds[part.number], part.number, n.ordinal, n.first, n.distance)::hartonomous.embedding_hit
                              from unnest(first, part.distances) with ordinality as n (first, distance, ordinal));
    end loop;
end
$$;
comment on function hartonomous._index_hits(int, bigint, text, text[], @extschema:vector@.vector[], bigint[]) is
'For each of the 100 nearest to each query, the fewest candidates with which the HNSW index of a tenant''s embeddings finds it; and the milliseconds that each look with so many candidates took.';

create or replace function hartonomous._analysis_lock(tenant_id int, model_id bigint) returns bigint
language sql stable parallel safe
return hartonomous._lock_key(format('analyze %s %s', _analysis_lock.tenant_id, _analysis_lock.model_id));
comment on function hartonomous._analysis_lock(int, bigint) is
'Key of the advisory lock that who measures a tenant''s embeddings by a model, or changes their basis, holds to the end of the transaction.';

create or replace function hartonomous._embedding_analyze(tenant int, target bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    began   constant timestamptz := clock_timestamp();
    total   constant bigint := (select count(*) from hartonomous.atom_embedding as e where e.tenant_id = tenant and e.model_id = target);
    -- so many that the mean is known to a few percent, and no more than a minute's work
    sample  constant int := least(100, total, greatest(40, 5000000 / greatest(total, 1)));
    -- an index finds next to nothing of some queries, and how many these are decides: one in a hundred has to show
    of_index constant int := least(400, total);
    index_now constant oid := hartonomous._embedding_index(tenant, target);
    costs   record;
    place_us real;
    part    record;
    q       record;
    basis   hartonomous.embedding_basis;
    first   @extschema:vector@.vector;
    hits    hartonomous.embedding_hit[] := array[]::hartonomous.embedding_hit[];
    steps   int[];
    elapsed double precision[];
begin
    perform pg_advisory_xact_lock(hartonomous._analysis_lock(tenant, target));
    delete from hartonomous.embedding_statistics as s where s.tenant_id = tenant and s.model_id = target;
    if total < 1000 then  -- comparing all takes no longer
        return;
    end if;
    perform hartonomous._basis_prepare(tenant, target);
    select b.* into basis
    from (select n.* from hartonomous.embedding_basis as n where n.tenant_id = tenant and n.model_id = target order by n.version desc limit 1) as b
    where b.variance >= 0.5;
    select a.query into first from hartonomous._analysis_queries(tenant, target, 1) as a where a.kind = 'stored';
    costs := hartonomous._embedding_costs(tenant, target, first, total);
    if basis.version is not null then
        place_us := hartonomous._place_cost(tenant, target, basis.version, first);
    end if;
    insert into hartonomous.embedding_statistics (tenant_id, model_id, model_state, rows, queries, scan_us, bits_us, fetch_us, filter_us, list_us, basis, place_us, index)
    values (tenant, target, hartonomous._model_state(target), total, sample, costs.scan_us, costs.bits_us, costs.fetch_us, costs.filter_us, costs.list_us, basis.version, place_us, index_now);
    for q in select a.* from hartonomous._analysis_queries(tenant, target, sample) as a where a.kind <> 'between' loop
        select array_agg(row('bits', r.filter_class, q.kind, q.number, r.ordinal, r.rank, r.distance)::hartonomous.embedding_hit)
               || coalesce(array_agg(row('place', r.filter_class, q.kind, q.number, r.ordinal, r.place_rank, r.distance)::hartonomous.embedding_hit) filter (where r.place_rank is not null), '{}') as hits
        into part from hartonomous._sample_ranks(tenant, target, q.query, q.self, q.pivot, basis.axes) as r;
        hits := hits || part.hits;
    end loop;
    if index_now is not null then
        for q in
            select case when a.kind = 'between' then 'far' else 'none' end as class, array_agg(case when a.kind = 'asked' and a.asked >= 100 then 'asked' else 'drawn' end) as kinds,
                   array_agg(a.query) as queries, array_agg(a.self) as selves
            from (select a.*, count(*) filter (where a.kind = 'asked') over () as asked from hartonomous._analysis_queries(tenant, target, of_index) as a) as a group by 1
        loop
            part := hartonomous._index_hits(tenant, target, q.class, q.kinds, q.queries, q.selves);
            hits := hits || part.hits;
            steps := steps || part.steps;
            elapsed := elapsed || part.elapsed;
        end loop;
    end if;
    perform hartonomous._embedding_curve_put(tenant, target, hits);
    update hartonomous.embedding_curve as c set ms = t.ms
    from (select t.step, percentile_cont(0.5) within group (order by t.ms) as ms from unnest(steps, elapsed) as t (step, ms) group by 1) as t
    where c.tenant_id = tenant and c.model_id = target and c.path = 'index' and t.step = c.candidates;
    update hartonomous.embedding_statistics as s set took_ms = hartonomous._elapsed_us(began) / 1000 where s.tenant_id = tenant and s.model_id = target;
end
$$;
comment on function hartonomous._embedding_analyze(int, bigint) is
'embedding_model_analyze of a tenant''s embeddings by a model; one at a time. A basis that it made is still to become the current one: those who store embeddings wait from then on.';

create or replace function hartonomous.embedding_model_analyze(model text default null) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit('embedding_analyze');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
begin
    perform hartonomous._embedding_analyze(tenant, target);
    perform hartonomous._basis_finish(tenant, target, true);
end
$$;
comment on function hartonomous.embedding_model_analyze(text) is
'Measures, over a sample of the own tenant''s embeddings by a model (tenant 0: those that everybody sees) and of what it lately searched for, what recall each path of search_vector has for how many candidates and by class of filter, and what it costs; chooses the three directions of places anew where they hold too little (embedding_basis_refresh). Until then, and after the number of embeddings has doubled or the model''s weights have changed, searches compare all. Fewer than 1000 embeddings need no such measure. Takes seconds for 10,000, a minute for 200,000, and another with an index. NULL: the deployed default. Error: ZH020 no such model.';

create or replace function hartonomous._embedding_curve_put(tenant_id int, model_id bigint, hits hartonomous.embedding_hit[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    with hit as materialized (
        select h.path, h.filter_class, h.kind, h.query, h.ordinal, h.rank, h.distance from unnest(_embedding_curve_put.hits) as h
    ), grid as (
        select g.path, g.k, array_agg(g.candidates order by g.candidates) as steps
        from (select p.path, k.k, c.candidates
              from (values ('bits'), ('place')) as p (path) cross join (values (10), (100)) as k (k)
              cross join lateral (select distinct round(k.k * 2 ^ (i / 3.0))::int as candidates from generate_series(0, 36) as i) as c
              union all
              select 'index', k.k, c.candidates
              from (values (10), (100)) as k (k) join (select distinct h.rank from hit as h where h.path = 'index') as c (candidates) on c.candidates between k.k and 990) as g
        group by 1, 2
    ), wanted as (  -- the first step with which a hit is found
        select h.path, h.filter_class, h.kind, h.query, g.k, width_bucket(h.rank - 1, g.steps) + 1 as step, h.distance
        from hit as h join grid as g on g.path = h.path and h.ordinal <= g.k
    ), asked as (
        select w.path, w.filter_class, w.kind, w.query, w.k, count(*) as hits, max(w.distance) as distance from wanted as w group by 1, 2, 3, 4, 5
    ), found as (
        select w.path, w.filter_class, w.kind, w.query, w.k, w.step, count(*) as hits from wanted as w group by 1, 2, 3, 4, 5, 6
    ), per_query as (
        select a.path, a.filter_class, a.kind, a.k, s.candidates, a.distance,
               coalesce(sum(f.hits) over (partition by a.path, a.filter_class, a.kind, a.query, a.k order by s.step), 0)::double precision / a.hits as recall
        from asked as a join grid as g on g.path = a.path and g.k = a.k cross join lateral unnest(g.steps) with ordinality as s (candidates, step)
        left join found as f on f.path = a.path and f.filter_class = a.filter_class and f.kind = a.kind and f.query = a.query and f.k = a.k and f.step = s.step
    ), of_kind as (
        select q.path, q.filter_class, q.k, q.candidates, avg(q.recall) as recall,
               avg(q.recall) - 1.96 * coalesce(stddev_samp(q.recall), 0) / sqrt(count(*)) as lower_bound,
               percentile_disc(0.01) within group (order by q.recall) as worst,
               percentile_disc(0.99) within group (order by q.distance) as far
        from per_query as q group by 1, 2, 3, 4, q.kind
    ), curve as (  -- the worst of queries that are stored, of those beside them, and of those that were asked
        select o.path, o.filter_class, o.k, o.candidates, min(o.recall) as recall, min(o.lower_bound) as lower_bound, min(o.worst) as worst, max(o.far) as far
        from of_kind as o group by 1, 2, 3, 4
    )
    insert into hartonomous.embedding_curve (tenant_id, model_id, path, filter_class, k, candidates, recall, lower_bound, worst, far)
    select _embedding_curve_put.tenant_id, _embedding_curve_put.model_id, c.path, c.filter_class, c.k, c.candidates, c.recall, c.lower_bound, c.worst, c.far
    from curve as c
    -- what lies beyond the first that finds all is as good
    where c.candidates <= coalesce((select min(f.candidates) from curve as f where f.path = c.path and f.filter_class = c.filter_class
                                    and f.k = c.k and f.recall = 1), c.candidates);
end;
comment on function hartonomous._embedding_curve_put(int, bigint, hartonomous.embedding_hit[]) is
'Stores the curves of paths from the nearest of a sample of queries.';
