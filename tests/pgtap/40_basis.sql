-- Room 40: bases of places, their change, and searches by places.
begin;
\ir setup.psql
select plan(65);

-- vectors of a world with three directions and a little of a fourth
create function pg_temp.point(seed text, dimensions int, world text) returns public.vector language sql immutable as $$
    select (select array_agg(6 * (hashtext(world || ' base ' || i) % 1000) / 1000.0
                             + z.a * (hashtext(world || ' a ' || i) % 1000) / 1000.0 + z.b * (hashtext(world || ' b ' || i) % 1000) / 1000.0
                             + z.c * (hashtext(world || ' c ' || i) % 1000) / 1000.0 + z.d * (hashtext(world || ' d ' || i) % 1000) / 1000000.0 order by i)
            from generate_series(1, dimensions) as i)::public.vector
    from (select (hashtext(seed || 'a') % 1000) / 1000.0 as a, (hashtext(seed || 'b') % 1000) / 1000.0 as b,
                 (hashtext(seed || 'c') % 1000) / 1000.0 as c, (hashtext(seed || 'd') % 1000) / 1000.0 as d) as z$$;
create temp table asked as select i, pg_temp.point('query ' || i, 48, 'one') as v from generate_series(1, 20) as i;
grant select on asked to public;

-- the first directions of a model are random
set local role ann;
select hartonomous.embedding_model_register('flat', 48) as flat \gset
select hartonomous.project(v, 'flat') as before from asked where i = 1 \gset
select hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 3000) as i), 'text',
    array(select format('u/%s/%s', i % 50, i) from generate_series(1, 3000) as i)) as ids \gset
select hartonomous.embedding_put_many((:'ids'::bigint[])[:2900], array(select pg_temp.point('row ' || i, 48, 'one') from generate_series(1, 2900) as i), 'flat') \g /dev/null
select is(count(*), 1::bigint) from hartonomous.embedding_basis;
select results_eq('select tenant_id, model_id, version, current, made, variance from hartonomous.embedding_basis',
                  format('values (%s, %s::bigint, 1, true, ''random'', null::real)', :ann, :flat));
select is(hartonomous.project(v, 'flat'), :'before', 'as project said before there were any') from asked where i = 1;
select ok(bool_and(abs(public.inner_product(axes[i], axes[j]) - (i = j)::int) < 1e-5), 'orthonormal')
from hartonomous.embedding_basis cross join generate_series(1, 3) as i cross join generate_series(1, 3) as j;
select is(hartonomous.search_explain(v, model => 'flat') #>> '{parts,0,basis}', '1') from asked where i = 1;
create function pg_temp.consistent() returns bigint language sql as $$
    select count(*) from hartonomous.atom_embedding as e join hartonomous.embedding_basis as b using (tenant_id, model_id)
    left join hartonomous.embedding_place as p on (p.tenant_id, p.model_id, p.artifact_id, p.basis) = (e.tenant_id, e.model_id, e.artifact_id, b.version)
    where b.current and (p.place is null or public.st_3ddistance(p.place, hartonomous.project(e.embedding, 'flat')) > 1e-12)$$;
select is(pg_temp.consistent(), 0::bigint, 'each has its place');
select cmp_ok((select count(distinct (bucket_x, bucket_y, bucket_z)) from hartonomous.embedding_place), '>', 1::bigint);
select ok(bool_and(public.st_3ddistance(place, coarse) <= 0.11 and bucket_x = floor((public.st_x(place) + 1) * 8)), 'cells') from hartonomous.embedding_place;

-- a change of basis in batches: until it is done, all stays as it was
select throws_ok(format('select hartonomous.embedding_basis_refresh(%s)', call), code) from (values
    ('''nosuch''', 'ZH020'), ('''flat'', 0', '22023'), ('''flat'', null', '22023'), ('''flat'', 10000001', '22023'), ('''flat'', -1', '22023')) as bad (call, code);
select hartonomous.project(v, 'flat') as before from asked where i = 2 \gset
create function pg_temp.around(center public.geometry, radius double precision) returns bigint[] language sql as $$
    select array_agg(artifact_id order by artifact_id) from hartonomous.search_spatial((select v from asked where i = 2), center, radius, 10000, 'flat')$$;
create temp table region as select distance as radius, pg_temp.around(:'before', distance) as found
    from (select public.st_3ddistance(place, :'before') as distance from hartonomous.embedding_place order by 1 limit 1 offset 300) as d;
grant select on region to public;
select is(cardinality(found), 301) from region;
select is(hartonomous.embedding_basis_refresh('flat', 1000), 1900::bigint, 'the rest');
select results_eq('select version, current, made, sample, variance > 0.9 from hartonomous.embedding_basis order by 1',
                  $$values (1, true, 'random', null::int, null::boolean), (2, false, 'data', 2900, true)$$);
select is(pg_temp.around(:'before', radius), found, 'regions are of the present basis') from region;
select is(hartonomous.project(v, 'flat'), :'before') from asked where i = 2;
-- what comes and goes meanwhile
select hartonomous.embedding_put_many((:'ids'::bigint[])[2901:], array(select pg_temp.point('row ' || i, 48, 'one') from generate_series(2901, 3000) as i), 'flat') \g /dev/null
select hartonomous.embedding_put_many((:'ids'::bigint[])[:50], array(select pg_temp.point('moved ' || i, 48, 'one') from generate_series(1, 50) as i), 'flat') \g /dev/null
select is(count(*), 200::bigint, 'what is stored meanwhile has both') from hartonomous.embedding_place where artifact_id = any ((:'ids'::bigint[])[2901:]);
select is(pg_temp.consistent(), 0::bigint);
reset role;
delete from hartonomous.atom_embedding where artifact_id = (:'ids'::bigint[])[100];
select is_empty(format('select from hartonomous.embedding_place where artifact_id = %s', (:'ids'::bigint[])[100]), 'places go with embeddings');
-- as a transaction would leave them that did not see the basis to come
delete from hartonomous.embedding_place where basis = 2 and artifact_id = (:'ids'::bigint[])[2950];
update hartonomous.embedding_place set place = 'POINT Z (0 0 0)' where basis = 2 and artifact_id = (:'ids'::bigint[])[2951];
insert into hartonomous.embedding_place values (:ann, :flat, 1, 2, 'POINT Z (0 0 0)');
set local role ann;
create function pg_temp.refresh() returns bigint[] language plpgsql as $$
declare
    rest bigint[];
begin
    for step in 1 .. 10 loop
        rest := rest || hartonomous.embedding_basis_refresh('flat', 700);
        exit when rest[step] = 0;
    end loop;
    return rest;
end
$$;
select ok(rest[1] between 1100 and 1400 and rest[2] = rest[1] - 700 and rest[cardinality(rest)] = 0, rest::text) from pg_temp.refresh() as rest;
select results_eq('select version, current, made from hartonomous.embedding_basis', $$values (2, true, 'data')$$);
select is(count(*), 2999::bigint, 'one place each') from hartonomous.embedding_place;
select is(pg_temp.consistent(), 0::bigint, 'by the new basis, and none is left without');
select is(hartonomous.search_explain(v, model => 'flat') #>> '{parts,0,basis}', '2') from asked where i = 1;
select isnt(hartonomous.project(v, 'flat'), :'before') from asked where i = 2;
select is(hartonomous.embedding_basis_refresh('flat'), 0::bigint, 'nothing is left to gain');
select results_eq('select version, current, made from hartonomous.embedding_basis', $$values (2, true, 'data')$$);
select is(cardinality(pg_temp.around(hartonomous.project(v, 'flat'), 2)), 2999) from asked where i = 2;

-- others' rows do not count, and are not seen
set local role bob;
select is_empty('select * from hartonomous.embedding_basis');
select is_empty('select * from hartonomous.embedding_place');
select throws_ok($$select hartonomous.embedding_basis_refresh('flat')$$, 'ZH020');

-- the path by places; so many rows that 1 % of them are enough, however their number is estimated
set local role ann;
select hartonomous.ingest_many(array(select convert_to('more ' || i, 'UTF8') from generate_series(1, 1100) as i), 'text') as more_ids \gset
select hartonomous.embedding_put_many(:'more_ids'::bigint[], array(select pg_temp.point('more ' || i, 48, 'one') from generate_series(1, 1100) as i), 'flat') \g /dev/null
select hartonomous.embedding_model_analyze('flat') \g /dev/null
select is((select basis from hartonomous.embedding_statistics), 2);
select cmp_ok((select min(candidates) from hartonomous.embedding_curve where path = 'place' and filter_class = 'none' and k = 10 and recall = 1), '<', 200, 'few candidates hold all');
reset role;
update hartonomous.embedding_statistics set scan_us = 100, bits_us = 100, fetch_us = 0.1, filter_us = 0.01, list_us = 100, place_us = 0.1;
update hartonomous.embedding_curve set lower_bound = 1, worst = 1 where path = 'place' and candidates = 13;  -- what is met by about so many, whatever was drawn
set local role ann;
create function pg_temp.option(what text, recall real, filter jsonb default '{}') returns text language sql as $$
    select o ->> what from asked as a, jsonb_array_elements(hartonomous.search_explain(a.v, model => 'flat', recall => option.recall, filter => option.filter) #> '{parts,0,options}') as o
    where a.i = 1 and o ->> 'path' = 'place'$$;
select is(pg_temp.option('rejected', 0.9), null, 'taken');
select is(hartonomous.search_explain(v, model => 'flat', recall => 0.9) #>> '{parts,0,path}', 'place') from asked where i = 1;
select is((select o ->> 'rejected' from jsonb_array_elements(hartonomous.search_explain(v, 100, 'flat', recall => 0.9) #> '{parts,0,options}') as o where o ->> 'path' = 'place'),
          'would need more than 1 % of the rows', 'the gate') from asked where i = 1;
select is(pg_temp.option('rejected', 0.9, '{"source_uri_prefix": "u/1"}'), 'would need more than 1 % of the rows', 'under a filter more are needed');
create function pg_temp.found(query public.vector, recall real) returns bigint[] language sql as $$
    select array_agg(artifact_id) from hartonomous.search_vector(query, 10, 'flat', recall => found.recall)$$;
select set_eq(format('select verdict from hartonomous.search_vector(%L, 10, ''flat'', recall => 0.9)', v), array['recall>=0.9']) from asked where i = 3;
select cmp_ok(avg((select count(*) from unnest(pg_temp.found(v, 0.9)) as f (id) where f.id = any (pg_temp.found(v, 1))) / 10.0), '>=', 0.9, 'the recall is kept') from asked;
select ok(bool_or(path = 'place' and recall >= 0.85), 'recall_audit sees the path') from hartonomous.recall_audit('flat', 20) where filter_class = 'none';
select (pg_temp.found(v, 1))[1] as gone from asked where i = 4 \gset
select hartonomous.artifact_delete(:gone);
select ok(cardinality(pg_temp.found(v, 0.9)) = 10 and :gone <> all (pg_temp.found(v, 0.9)), 'a deleted one is not found, k are') from asked where i = 4;
reset role;
update hartonomous.embedding_statistics set basis = 1;
set local role ann;
select is(pg_temp.option('rejected', 0.9), 'analyzed with places by another basis');
reset role;
update hartonomous.embedding_statistics set basis = null;
set local role ann;
select is(pg_temp.option('rejected', 0.9), 'three dimensions hold too little');

-- drift: another world takes the place of this one
select hartonomous.embedding_model_analyze('flat') \g /dev/null
reset role;
select is(hartonomous._basis_drift(:ann, :flat), null);
select cmp_ok(variance_now, '>', 0.9::real) from hartonomous.embedding_basis;
set local role ann;
select hartonomous.embedding_put_many((:'ids'::bigint[])[101:2600] || :'more_ids'::bigint[], array(select pg_temp.point('row ' || i, 48, 'two') from generate_series(101, 3700) as i), 'flat') \g /dev/null
reset role;
-- a few are newer than the analysis: many would do alone
update hartonomous.atom_embedding set created_at = case when artifact_id = any ((:'ids'::bigint[])[101:400]) then 'infinity' else '-infinity' end::timestamptz;
update hartonomous.embedding_statistics set took_ms = 0;
set local role adam;
select results_eq('select tenant_id, model, action, reason ~ ''^places hold \d+ % of the variance, and held (99|100) % when'' from hartonomous.recall_watch()',
                  format('values (%s, ''flat@1'', ''analyze'', true)', :ann));
set local role ann;
select results_eq('select version, current, made, variance > 0.5 from hartonomous.embedding_basis', $$values (3, true, 'data', true)$$);
select is(pg_temp.consistent(), 0::bigint);
select is((select count(*) from hartonomous.recall_action where reason like 'places hold%'), 1::bigint);
set local role adam;
select is_empty('select * from hartonomous.recall_watch()', 'once');
-- a change that was begun and left is gone on with
reset role;
update hartonomous.embedding_basis set made = 'random';
set local role ann;
select is(hartonomous.embedding_basis_refresh('flat', 10), 4089::bigint);
set local role adam;
select count(*) from hartonomous.recall_watch() \g /dev/null
set local role ann;
select results_eq('select version, current from hartonomous.embedding_basis', $$values (4, true)$$);
select is(pg_temp.consistent(), 0::bigint);

-- what everybody sees, along other directions than the own
set local role publisher;
select hartonomous.embedding_model_register('public', 48) as public \gset
select hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 200) as i), 'text') as public_ids \gset
select hartonomous.embedding_put_many(:'public_ids'::bigint[], array(select pg_temp.point('row ' || i, 48, 'two') from generate_series(1, 200) as i), 'public') \g /dev/null
set local role ann;
create function pg_temp.right(radius double precision) returns boolean language sql as $$
    select array_agg(s.artifact_id order by s.artifact_id) = (
        select array_agg(e.artifact_id order by e.artifact_id) from hartonomous.atom_embedding as e
        where e.model_id = (select max(m.model_id) from hartonomous.model as m where m.name = 'public')
          and public.st_3ddistance(hartonomous.project(e.embedding, 'public'), hartonomous.project(a.v, 'public')) <= radius)
    from asked as a cross join lateral hartonomous.search_spatial(a.v, hartonomous.project(a.v, 'public'), radius, 1000, 'public') as s where a.i = 1 group by a.v$$;
select ok(pg_temp.right(1.5), 'without own embeddings, by everybody''s basis');
select hartonomous.embedding_put_many((:'ids'::bigint[])[200:400], array(select pg_temp.point('row ' || i, 48, 'one') from generate_series(200, 400) as i), 'public') \g /dev/null
select set_eq(format('select tenant_id, made from hartonomous.embedding_basis where model_id = %s', :public), format('values (0, ''random''), (%s, ''copied'')', :ann));
select is(count(distinct axes), 1::bigint) from hartonomous.embedding_basis where model_id = :public;
select ok(pg_temp.right(1.5), 'the first are along everybody''s directions');
select is(hartonomous.embedding_basis_refresh('public'), 0::bigint);
select is(count(distinct axes), 2::bigint, 'own directions') from hartonomous.embedding_basis where model_id = :public;
select ok(pg_temp.right(radius), format('within %s', radius)) from unnest(array[0.3, 1, 1.5]) as radius;
set local role publisher;
select is((select made from hartonomous.embedding_basis where model_id = :public), 'random', 'what a tenant has changes nothing for others');
select * from finish();
rollback;
