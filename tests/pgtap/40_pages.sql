-- Room 40: page after page of search, search_hybrid and search_ensemble is what one call for all of them finds.
begin;
\ir setup.psql
\ir model.psql
select plan(71);

-- everybody's and own ones, in twos whose texts are alike; some of the own have no embedding, some stand in several places
set local role publisher;
select pg_temp.tiny_bert('one') \g /dev/null
select pg_temp.tiny_bert('two', seed => 'other') \g /dev/null
create function pg_temp.fill(whose text, n int) returns bigint[] language sql as $$
    select hartonomous.ingest_many(array(select convert_to(whose || i, 'UTF8') from generate_series(1, n) as i), 'text', array(select whose || '/' || i from generate_series(1, n) as i),
        array(select jsonb_build_object('half', i / 2 % 2) from generate_series(1, n) as i), canonical_texts => array(select format('%s %s %s', w[1 + i / 2 % 15], w[1 + i / 30], w[1 + i / 2 % 7]) from generate_series(1, n) as i,
            (select '{tea,milk,water,cup,cake,jam,pour,drink,eat,hot,cold,red,blue,book,page}'::text[] as w) as words))$$;
select pg_temp.fill('public', 30) as ids \gset
select hartonomous.embed_artifacts(:'ids'::bigint[], m) from unnest('{one,two}'::text[]) as m \g /dev/null
set local role ann;
select pg_temp.fill('own', 280) as ids \gset
select hartonomous.ingest_text('own ' || i, 'again/' || i % 3) from generate_series(1, 40) as i \g /dev/null
select hartonomous.ingest_document(name, E'# One\n\nmilk, cup, page\n\n# Two\n\nred, red book\n\n# Three\n\nwhat stands in ' || name, 'markdown') from unnest('{a.md,b.md}'::text[]) as name \g /dev/null
select hartonomous.embed_artifacts((select array_agg(i) from unnest(hartonomous.embedding_pending(m, 1000)) as i where i <> all ((:'ids'::bigint[])[241:])), m)
from unnest('{one,two}'::text[]) as m \g /dev/null

create temp table region as select public.st_makeline(public.st_makepoint(min(public.st_x(place)), -2, -2), public.st_makepoint(avg(public.st_x(place)), 2, 2)) as box
    from hartonomous.embedding_place join hartonomous.model as m using (model_id) where m.name = 'one';
create temp table asked as select * from (values
    ('search(''hot milk'', %s, ''one''', 250), ('search(''nothing of these words'', %s, ''one''', 250), ('search(''cup of blue'', %s, ''one'', ''{"metadata": {"half": 1}}''', 100),
    ('search_hybrid(''hot milk'', k => %s, model => ''one''', 300), ('search_hybrid(''red nothing'', k => %s, model => ''one''', 250),
    ('search_hybrid(''tea jam'', k => %s, model => ''one'', filter => ''{"metadata": {"half": 0}}''', 140),
    ('search_hybrid(''cold book'', (select box from region), k => %s, model => ''one''', 101),
    ('search_hybrid(''cup of blue'', k => %s, model => ''one'', weights => ''{"text": 1, "vector": 2}''', 250),
    ('search_hybrid(''tea jam'', k => %s, model => ''one'', weights => ''{"text": 1}''', 300), ('search_hybrid(''x'', k => %s, model => ''one'', weights => ''{"vector": 1}''', 250),
    ('search_ensemble(''hot milk'', ''{one,two}'', k => %s', 250), ('search_ensemble(''a blue cup'', ''{one,two}'', ''{1,3}'', %s, ''{"metadata": {"half": 1}}''', 100)) as asked (call, least);
grant select on asked, region to public;
create function pg_temp.whole(call text, k int default 1000, after text default '') returns text[] language plpgsql as $$
declare
    answered text[];
begin
    execute format('select array_agg(concat_ws(''|'', score, artifact_id, source_uri, snippet) order by n)
                    from hartonomous.%s) with ordinality as s (artifact_id, score, source_uri, snippet, verdict, n)', format(call, k) || after) into answered;
    return answered;
end
$$;
create function pg_temp.pages(call text, k int) returns text[] language plpgsql as $$
declare
    answered text[] := '{}';
    page     text[] := pg_temp.whole(call, k);
begin
    while page is not null and cardinality(answered) < 500 loop
        answered := answered || page;
        page := pg_temp.whole(call, k, format(', after_score => %L, after_id => %L', split_part(page[cardinality(page)], '|', 1), split_part(page[cardinality(page)], '|', 2)));
    end loop;
    return answered;
end
$$;
create temp table answer as select call, least, pg_temp.whole(call) as whole from asked;
select cmp_ok(cardinality(whole), '>=', least, call) from answer;
select is(pg_temp.pages(call, k), whole, format('%s by %s', call, k)) from answer cross join unnest(array[17, 64, 150]) as k;
select ok(bool_and(coalesce(score < before or score = before and id > previous, true)), 'best first, equal ones by id')
from (select score, id, lag(score) over w as before, lag(id) over w as previous
      from answer cross join unnest(whole) with ordinality as r (row, n) cross join lateral (select split_part(r.row, '|', 1)::real as score, split_part(r.row, '|', 2)::bigint as id) as s
      window w as (partition by call order by n)) as s;
select is_empty($$select call from answer where not (select count(distinct split_part(row, '|', 1)) between 8 and count(*) - 1 from unnest(whole) as row)$$, 'each has some whose scores are equal');

-- what another one sees
set local role bob;
select is(pg_temp.pages(call, 7), pg_temp.whole(call), 'everybody''s: ' || call) from asked where call like '%hot milk%';

-- after any place, whatever is there
set local role ann;
select is(pg_temp.whole(call, 5, format(', after_score => %L, after_id => 0', score)), pg_temp.whole(call, 5), format('all after %s: %s', score, call))
from asked cross join unnest('{Infinity,3e38}'::text[]) as score where call like 'search_hybrid(''red nothing%' or call like 'search_ensemble(''hot%';
select is(pg_temp.whole(call, 5, format(', after_score => %L, after_id => 0', score)), null, format('none after %s: %s', score, call))
from asked cross join unnest('{-Infinity,-7,0,1e-40}'::text[]) as score where call like 'search_hybrid(''red nothing%';
select split_part(whole[8], '|', 2) as id, split_part(whole[8], '|', 1) as score, whole[9:12] as rest, call from answer where call like 'search_ensemble(''hot%' \gset
select hartonomous.artifact_delete(:id);
select is(pg_temp.whole(:'call', 4, format(', after_score => %L, after_id => %L', :'score', :'id')), :'rest'::text[], 'after one that was deleted meanwhile');

-- bad input
select throws_ok(format('select * from hartonomous.search%s, %s)', call, after), '22023', message)
from unnest(array['(''x''', '_hybrid(''x''', '_ensemble(''x'', ''{one}''']) as call cross join (values
    ('after_score => 1', 'after_score is 1 and after_id NULL, expected both of the last row of a page, or none'), ('after_id => 1', null), ('after_score => ''NaN'', after_id => 1', null)) as bad (after, message);

select * from finish();
rollback;
