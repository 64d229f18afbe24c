-- Room 40: how a word may go on.
begin;
\ir setup.psql
select plan(31);

set local role publisher;
select hartonomous.ingest_text('vacancy for everybody') \g /dev/null
set local role bob;
select hartonomous.ingest_text('vacuole vacuously') \g /dev/null
set local role ann;
select hartonomous.ingest_text('Vacuum full reclaims; vacuuming is good') as one, hartonomous.ingest_text('a vacuum cleaner') as two, hartonomous.ingest_text('replication slots, 12345') as slots \gset
create function pg_temp.suggested(prefix text, k int default 10) returns text[] language sql as $$select coalesce(array_agg(suggestion), '{}') from hartonomous.search_suggest(prefix, k)$$;
select is(pg_temp.suggested(prefix), expected::text[], prefix) from (values
    ('vacu', '{vacuum,vacuuming,vacancy}'), ('VACUU', '{vacuum,vacuuming,vacancy}'), ('vac', '{vacuum,vacancy,vacuuming}'), ('full vac', '{"full vacuum","full vacuuming","full vacancy"}'), ('see: cleaner, vac', '{"see: cleaner, vacuum","see: cleaner, vacancy","see: cleaner, vacuuming"}'),
    ('vacum', '{vacuum,vacuuming,vacancy}'), ('vaccum', '{vacuum}'), ('replicaton', '{replication}'), ('replicatoin slo', '{"replicatoin slots"}'), ('12', '{12345}'),
    ('', '{}'), ('  ', '{}'), ('!?', '{}'), ('zzzz', '{}'), ($$'$$, '{}'), ('\', '{}')) as asked (prefix, expected);
select is(pg_temp.suggested('vac', 1), '{vacuum}');
select is((select count(*) from hartonomous.search_word where word = 'vacuum'), 1::bigint, 'a word is kept once');
select ok((select bool_and(score between 0 and 1) from hartonomous.search_suggest('vac')));

-- what is gone is not suggested, nor kept
select hartonomous.artifact_delete(:slots) \g /dev/null
select is(pg_temp.suggested('replicaton'), '{}', 'what is deleted is not suggested');
select hartonomous.artifact_restore(:slots) \g /dev/null
select is(pg_temp.suggested('replicaton'), '{replication}', 'what is restored is');
select hartonomous.artifact_delete(:slots), hartonomous.artifact_delete(:two) \g /dev/null
select hartonomous.artifact_purge(:slots), hartonomous.artifact_purge(:two) \g /dev/null
select results_eq($$select word from hartonomous.search_word where word in ('replication', 'cleaner', 'vacuum', 'good') order by 1$$, array['good', 'vacuum'], 'what stands in no text is forgotten');
select hartonomous.ingest_text('replication slots') as slots \gset
select is(pg_temp.suggested('replicaton'), '{replication}', 'and learned again');
select hartonomous.ingest('later gets its text') as later \gset
select is(pg_temp.suggested('latre'), '{}');
select hartonomous.ingest_text('later gets its text') \g /dev/null
select is(pg_temp.suggested('latre'), '{later}', 'a text that comes later counts');

-- nobody else's, bad input
set local role bob;
select is(pg_temp.suggested('vacu'), '{vacuole,vacuously,vacancy}');
select is(pg_temp.suggested('vacum'), '{vacuole,vacuously,vacancy}');
select throws_ok(format('select * from hartonomous.search_suggest(%s)', call), code) from (values ('null', '22004'), ('''x'', 0', '22023'), ('''x'', 101', '22023')) as bad (call, code);
select lives_ok($$select hartonomous.search_suggest(repeat('x', 3000000))$$);

select * from finish();
rollback;
