-- Room 40: search by words and meaning together.
begin;
\ir setup.psql
\ir model.psql
select plan(67);

set local role publisher;
select pg_temp.tiny_bert('public') \g /dev/null
select hartonomous.ingest_text('text 7 of everybody', 'public:1') as public \gset
select hartonomous.embed_artifacts(array[:public], 'public') \g /dev/null
set local role ann;
select pg_temp.tiny_bert('one') \g /dev/null
select hartonomous.embedding_model_register('outside', 32) \g /dev/null
select hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 200) as i), 'text', array(select 'u/' || i from generate_series(1, 200) as i),
    array(select jsonb_build_object('half', i % 2) from generate_series(1, 200) as i), canonical_texts => array(select format('text %s of %s', i, i % 7) from generate_series(1, 200) as i)) as ids \gset
select hartonomous.embed_artifacts((:'ids'::bigint[])[:150], 'one') \g /dev/null
select hartonomous.artifact_delete((:'ids'::bigint[])[7]) \g /dev/null

create function pg_temp.hybrid(query text, region public.geometry default null, weights jsonb default null, k int default 10, filter jsonb default '{}') returns table (id bigint, score real) language sql as $$
    select artifact_id, h.score from hartonomous.search_hybrid(query, region, weights, k, 'one', filter) as h$$;
-- by the definition, from the two searches
create function pg_temp.fused(query text, k int, filter jsonb) returns table (id bigint, score real) language sql as $$
    select artifact_id, coalesce(sum(1 / (60::float8 + place)) filter (where place <= 100), 1 / (60::float8 + min(place)))::real from (
        select artifact_id, place from hartonomous.search_keyword(query, 1000, filter => filter) with ordinality as w (artifact_id, score, uri, snippet, verdict, place)
        union all select artifact_id, place from hartonomous.search_vector(hartonomous.embed(query, 'one'), 1000, 'one', filter, recall => 1) with ordinality as v (artifact_id, score, uri, snippet, verdict, place)) as r
    group by 1 order by 2 desc, 1 limit k$$;
create function pg_temp.weighed(query text, words float8, vector float8) returns table (id bigint, score float8) language sql as $$
    select artifact_id, (words * coalesce(w.score / max(w.score) over (), 0) + vector * coalesce(v.score, 0)) / (words + vector)
    from hartonomous.search_keyword(query, 1000) as w full join hartonomous.search_vector(hartonomous.embed(query, 'one'), 1000, 'one', recall => 1) as v using (artifact_id)$$;
select results_eq(format('select * from pg_temp.hybrid(%L, k => %s, filter => %L)', query, k, filter), format('select * from pg_temp.fused(%L, %s, %L)', query, k, filter), concat_ws(' ', query, k, filter))
from unnest(array['text 9 of 2', '9', 'nothing of these words', 'text']) as query cross join unnest(array[1, 10, 60, 1000]) as k cross join unnest(array['{}', '{"metadata": {"half": 1}}']) as filter;
select ok((select bool_and(coalesce(abs(h.score - t.score), 1) < 1e-6) and count(*) > 150 from pg_temp.hybrid('9 of 2', weights => format('{"text": %s, "vector": %s}', words, vector)::jsonb, k => 1000) as h
           full join pg_temp.weighed('9 of 2', words, vector) as t using (id)), format('%s and %s', words, vector)) from (values (1, 2), (0.5, 0), (0, 3)) as w (words, vector);
select cmp_ok((select count(*) from pg_temp.hybrid('9', weights => '{"vector": 1}', k => 30) as a join pg_temp.hybrid('9', weights => '{"text": 1}', k => 30) as b using (id)), '<', 30::bigint, 'the weights tell');
select is((select count(*) from pg_temp.hybrid('text', k => 1000)), 200::bigint, 'what has no embedding is found by its words, what tenant 0 has too');
select is((select count(*) from pg_temp.hybrid('nothing of these words', k => 1000)), 149::bigint, 'and what has none of the words by its embedding');
select is((select count(*) from hartonomous.search_hybrid('nothing', k => 1000, model => 'public')), 1::bigint, 'embeddings by a model of tenant 0 are its own');
select is((select string_agg(distinct verdict, ' ') from hartonomous.search_hybrid('text', k => 1000, model => 'one')), 'short');
select is((select string_agg(distinct verdict, ' ') from hartonomous.search_hybrid('text', k => 9, model => 'one')), 'exact');
select is((select snippet from hartonomous.search_hybrid('text 9 of 2', k => 1, model => 'one', weights => '{"text": 1}')), '**text** **9** of **2**');

-- in a region
create temp table region as select public.st_makeline(public.st_makepoint(min(public.st_x(place)), -2, -2), public.st_makepoint(avg(public.st_x(place)), 2, 2)) as box
    from hartonomous.embedding_place join hartonomous.model as m using (model_id) where m.name = 'one';
select set_eq($$select id from region, pg_temp.hybrid('text 9', box, k => 1000)$$,
    $$select e.artifact_id from region, hartonomous.embedding_place as e join hartonomous.model as m using (model_id) join hartonomous.artifact as a using (artifact_id)
      where m.name = 'one' and a.deleted_at is null and e.place operator(public.&&&) box$$, 'what lies there, and no more');
select ok(n between 20 and 130, 'some do') from (select count(*) as n from region, pg_temp.hybrid('text 9', box, k => 1000)) as r;
select is_empty($$select * from pg_temp.hybrid('text 9', 'LINESTRING Z (5 5 5, 6 6 6)')$$, 'an empty place has nothing');
select throws_ok(format('select * from hartonomous.search_hybrid(%s, model => ''one'')', call), code) from (values
    ('null', '22004'), ('''x'', k => 0', '22023'), ('''x'', k => -3', '22023'), ('''x'', k => 10000000', '22023'), ('''x'', ''POINT (0 0)''', '22023'), ('''x'', ''POINT Z EMPTY''', '22023'),
    ('''x'', ''SRID=4326;POINT Z (0 0 0)''', '22023'), ('''x'', public.st_makepoint(''NaN'', 0, 0)', '22023'), ('''x'', public.st_makepoint(''Infinity'', 0, 0)', '22023'), ('''x'', ''nonsense''', 'XX000'),
    ('''x'', weights => ''[]''', '22023'), ('''x'', weights => ''{"colour": 1}''', '22023'), ('''x'', weights => ''{"text": -1}''', '22023'), ('''x'', weights => ''{"text": "1"}''', '22023'),
    ('''x'', weights => ''{"text": 0}''', '22023'), ('''x'', weights => ''{"text": 1e999}''', '22023'), ('''x'', weights => ''{}''', '22023'), ('''x'', filter => ''{"colour": 1}''', 'ZH041'), ('''x'', as_of => ''-infinity''', 'ZH020')) as bad (call, code);
select throws_ok($$select * from hartonomous.search_hybrid('x', model => 'outside')$$, 'ZH031');
select throws_ok($$select * from hartonomous.search_hybrid('x', model => 'nosuch')$$, 'ZH020');

-- nobody else's
set local role bob;
select pg_temp.tiny_bert('one') \g /dev/null
select is((select array_agg(source_uri) from hartonomous.search_hybrid('text 9 of 2', k => 1000, model => 'one')), '{public:1}', 'another tenant finds what is public');

select * from finish();
rollback;
