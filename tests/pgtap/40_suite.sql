-- Room 40: searches in a region of places, and by several models.
begin;
\ir setup.psql
\ir model.psql
select plan(55);

set local role ann;
select pg_temp.tiny_bert('one') \g /dev/null
select pg_temp.tiny_bert('two', seed => 'other') \g /dev/null
select pg_temp.tiny_bert('three', seed => 'third') \g /dev/null
select hartonomous.embedding_model_register('outside', 32) \g /dev/null
select hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 120) as i), 'text', array(select 'u/' || i from generate_series(1, 120) as i),
    array(select jsonb_build_object('half', i % 2) from generate_series(1, 120) as i), canonical_texts => array(select format('text %s of %s', i, i % 7) from generate_series(1, 120) as i)) as ids \gset
select hartonomous.embed_artifacts(:'ids'::bigint[], 'one'), hartonomous.embed_artifacts(:'ids'::bigint[], 'two'), hartonomous.embed_artifacts((:'ids'::bigint[])[:100], 'three') \g /dev/null
select hartonomous.artifact_delete((:'ids'::bigint[])[5]) \g /dev/null

-- search_spatial: the truth by the definition
create function pg_temp.spatial_truth(query public.vector, center public.geometry, radius double precision, filter jsonb, k int) returns bigint[] language sql as $$
    select coalesce(array_agg(artifact_id order by distance, artifact_id), '{}') from (
        select e.artifact_id, e.embedding operator(public.<=>) query as distance
        from hartonomous.atom_embedding as e join hartonomous.embedding_place as p using (tenant_id, model_id, artifact_id) join hartonomous.artifact as a using (artifact_id) join hartonomous.artifact_source as o using (artifact_id)
        join hartonomous.model as m using (model_id)
        where m.name = 'one' and a.deleted_at is null and public.st_3ddistance(p.place, center) <= radius and o.metadata @> coalesce(filter -> 'metadata', '{}')
        order by 2, 1 limit k) as t$$;
create function pg_temp.spatial_found(query public.vector, center public.geometry, radius double precision, filter jsonb, k int) returns bigint[] language sql as $$
    select coalesce(array_agg(artifact_id), '{}') from hartonomous.search_spatial(query, center, radius, k, 'one', filter)$$;
create temp table region as  -- as far as the n-th place, so that a box would hold more
    select hartonomous.embed('text 3', 'one') as q, c.center, r.radius, filter::jsonb
    from (select hartonomous.project(hartonomous.embed('text 30', 'one'), 'one') as center) as c
    cross join lateral (
        select distance from (select public.st_3ddistance(p.place, c.center) as distance, row_number() over (order by public.st_3ddistance(p.place, c.center)) as n
                              from hartonomous.embedding_place as p join hartonomous.model as m using (model_id) where m.name = 'one') as d
        where n in (1, 5, 20, 50, 80, 110)) as r (radius)
    cross join unnest(array['{}', '{"metadata": {"half": 1}}']) as filter;
select is(pg_temp.spatial_found(q, center, radius, filter, 200), pg_temp.spatial_truth(q, center, radius, filter, 200), format('within %s, %s', radius, filter)) from region;
select cmp_ok(count(distinct cardinality(pg_temp.spatial_truth(q, center, radius, filter, 1000))), '>', 3::bigint, 'the regions differ') from region;
select is((select distinct verdict from hartonomous.search_spatial(q, center, 2, 5, 'one')), 'exact') from region limit 1;
select is((select distinct verdict from hartonomous.search_spatial(q, center, 2, 500, 'one')), 'short') from region limit 1;
select is_empty($$select * from hartonomous.search_spatial(hartonomous.embed('x', 'one'), 'POINT Z (9 9 9)', 1, model => 'one')$$);
select throws_ok(format('select * from hartonomous.search_spatial(hartonomous.embed(''x'', ''one''), %s, %s, model => ''one'')', center, radius), code) from (values
    ('null', '1', '22004'), ('''POINT Z (0 0 0)''', 'null', '22004'), ('''POINT (0 0)''', '1', '22023'), ('''POINT Z EMPTY''', '1', '22023'),
    ('''LINESTRING Z (0 0 0, 1 1 1)''', '1', '22023'), ('''SRID=4326;POINT Z (0 0 0)''', '1', '22023'), ('''POINT ZM (0 0 0 0)''', '1', '22023'),
    ('''POINT Z (0 0 0)''', '-1', '22023'), ('''POINT Z (0 0 0)''', '''NaN''', '22023'), ('''POINT Z (0 0 0)''', '''Infinity''', '22023'),
    ('public.st_makepoint(''Infinity'', 0, 0)', '1', '22023'), ('''nonsense''', '1', 'XX000')) as bad (center, radius, code);

-- search_ensemble
create function pg_temp.ensemble_truth(query text, models text[], weights float8[], filter jsonb, k int) returns bigint[] language sql as $$
    select array_agg(artifact_id order by score desc, artifact_id) from (
        select e.artifact_id, sum(w.weight * (1 - (e.embedding operator(public.<=>) hartonomous.embed(query, w.name))) order by w.position) / (select sum(x) from unnest(weights) as x) as score
        from unnest(models, weights) with ordinality as w (name, weight, position) join hartonomous.model as m on m.name = w.name join hartonomous.atom_embedding as e using (model_id)
        join hartonomous.artifact as a using (artifact_id) join hartonomous.artifact_source as o using (artifact_id)
        where a.deleted_at is null and o.metadata @> coalesce(filter -> 'metadata', '{}')
        group by 1 having count(*) = cardinality(models) order by 2 desc, 1 limit k) as t$$;
create function pg_temp.ensemble_found(query text, models text[], weights real[], filter jsonb, k int) returns bigint[] language sql as $$
    select array_agg(artifact_id) from hartonomous.search_ensemble(query, models, weights, k, filter)$$;
select is(pg_temp.ensemble_found('text 30 of 2', models::text[], null, '{}', k), pg_temp.ensemble_truth('text 30 of 2', models::text[], weights::float8[], '{}', k), format('%s: %s', models, k))
from (values ('{one}', '{1}'), ('{one,two}', '{0.4,0.35}'), ('{one,two,three}', '{0.4,0.35,0.25}'), ('{one,one,two,three}', '{1,1,1,1}')) as asked (models, weights)
cross join unnest(array[1, 10, 200]) as k;
select is((select array_agg(pg_temp.ensemble_found(format('a %s of %s', i, i % 5), '{one,two,three}', null, '{}', 1) order by i) from generate_series(1, 60) as i),
          (select array_agg(pg_temp.ensemble_truth(format('a %s of %s', i, i % 5), '{one,two,three}', '{0.4,0.35,0.25}', '{}', 1) order by i) from generate_series(1, 60) as i), 'sixty queries, on whose best the models do not agree');
select is(pg_temp.ensemble_found('text 9', '{one,two}', '{1,9}', '{"metadata": {"half": 1}}', 10), pg_temp.ensemble_truth('text 9', '{one,two}', '{1,9}', '{"metadata": {"half": 1}}', 10));
select is(pg_temp.ensemble_found('text 9', '{one,two}', '{0,1}', '{}', 10), pg_temp.ensemble_found('text 9', '{two}', null, '{}', 10), 'no weight, no say');
select isnt(pg_temp.ensemble_found('text 9', '{one}', null, '{}', 10), pg_temp.ensemble_found('text 9', '{two}', null, '{}', 10), 'the models differ');
select is((select round(score::numeric, 4) from hartonomous.search_ensemble('text 9 of 2', '{one,two,three}', k => 1)), 1.0000, 'the same text');
select throws_ok(format('select * from hartonomous.search_ensemble(%s)', call), code) from (values
    ('null, array[''one'']', '22004'), ('''x'', ''{}''', '22023'), ('''x'', null', '22023'), ('''x'', array[''nosuch'']', 'ZH020'), ('''x'', array[''outside'']', 'ZH031'),
    ('''x'', array[''one''], ''{1,1}''', '22023'), ('''x'', array[''one''], ''{-1}''', '22023'), ('''x'', array[''one''], ''{0}''', '22023'), ('''x'', array[''one''], ''{NaN}''', '22023'),
    ('''x'', array[''one''], k => 0', '22023')) as bad (call, code);

select * from finish();
rollback;
