create or replace function hartonomous._wilson_lower(hits bigint, n bigint) returns double precision
language sql immutable parallel safe
return case when _wilson_lower.n > 0 then
    (_wilson_lower.hits + 1.92 - 1.96 * sqrt(_wilson_lower.hits::double precision * (_wilson_lower.n - _wilson_lower.hits) / _wilson_lower.n + 0.96))
    / (_wilson_lower.n + 3.84) end;
comment on function hartonomous._wilson_lower(bigint, bigint) is
'Lower end of the 95 % interval of a proportion (Wilson 1927): hits of n.';

create or replace function hartonomous._audit_filter(filter_class text, tenant_id int, model_id bigint, pivot @extschema:vector@.vector) returns jsonb
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    return case filter_class
        when 'none' then '{}'::jsonb
        when 'half' then '{"_modulus": 2}'::jsonb
        when 'tenth' then '{"_modulus": 10}'::jsonb
        when 'hundredth' then '{"_modulus": 100}'::jsonb
        when 'far' then jsonb_build_object('_among', to_jsonb((hartonomous._nearest_exact(tenant_id, model_id, pivot, 1000, '{}', 1)).ids)) end;
end
$$;
comment on function hartonomous._audit_filter(text, int, bigint, @extschema:vector@.vector) is
'A filter of a class, by keys that _filter_check lets nobody else give: ids that a number divides, or those of the 1000 rows around another point.';

create or replace function hartonomous.recall_audit(model text default null, sample int default 100)
returns table (path text, filter_class text, recall real, lower_bound real, p50_ms real)
language plpgsql volatile parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant  constant int := hartonomous._permit('search', sample);
    target  constant bigint := hartonomous._model_id(tenant, model, 'embedding');
    vectors @extschema:vector@.vector[];
    query   @extschema:vector@.vector;
    class   text;
    filter  jsonb;
    began   timestamptz;
    given   record;
    right_ids bigint[];
    paths   text[] := array[]::text[];
    classes text[] := array[]::text[];
    hits    int[] := array[]::int[];
    sizes   int[] := array[]::int[];
    times   double precision[] := array[]::double precision[];
begin
    if sample is null or sample not between 1 and 10000 then
        raise exception 'sample is %, expected 1 to 10000', coalesce(sample::text, 'NULL') using errcode = '22023';
    end if;
    select array_agg(e.embedding) into vectors
    from (select e.embedding from hartonomous.atom_embedding as e where e.tenant_id = tenant and e.model_id = target
          order by random() limit recall_audit.sample) as e;
    for number in 1 .. coalesce(cardinality(vectors), 0) loop
        -- beside what is stored, as queries are; what is stored would find itself
        query := hartonomous._between(vectors[number], vectors[number % cardinality(vectors) + 1], 0.3);
        continue when @extschema:vector@.vector_norm(query) = 0;
        foreach class in array array['none', 'half', 'tenth', 'hundredth', 'far'] loop
            filter := hartonomous._audit_filter(class, tenant, target, vectors[number % cardinality(vectors) + 1]);
            began := clock_timestamp();
            given := hartonomous._nearest(tenant, target, query, 10, filter, 0.95);
            times := times || hartonomous._elapsed_us(began) / 1000;
            right_ids := (hartonomous._nearest(tenant, target, query, 10, filter, 1)).ids;
            paths := paths || given.path;
            classes := classes || class;
            sizes := sizes || coalesce(cardinality(right_ids), 0);
            hits := hits || (select count(*)::int from unnest(given.ids) as g (id) where g.id = any (right_ids));
        end loop;
    end loop;
    return query
    select a.path, a.filter_class, (sum(a.hits)::double precision / nullif(sum(a.size), 0))::real, hartonomous._wilson_lower(sum(a.hits), sum(a.size))::real,
           (percentile_cont(0.5) within group (order by a.ms))::real
    from unnest(paths, classes, hits, sizes, times) as a (path, filter_class, hits, size, ms)
    group by 1, 2 order by array_position(array['none', 'half', 'tenth', 'hundredth', 'far'], a.filter_class), 1;
end
$$;
comment on function hartonomous.recall_audit(text, int) is
'Searches for a sample of points beside the own tenant''s embeddings, at an asked recall of 0.95, and compares what is found with all: by path taken and class of filter (none, a random half, tenth or hundredth, far: 1000 rows around another point) the recall of the 10 nearest, the lower end of its 95 % interval (Wilson) and the median of milliseconds. NULL model: the deployed default. Errors: ZH020 no such model, 22023 sample not 1 to 10000.';
