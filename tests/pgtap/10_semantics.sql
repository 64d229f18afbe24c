-- Room 10: language, sentiment and entities of texts.
begin;
\ir setup.psql
select plan(32);

set local role ann;
select hartonomous.ingest_text('Ada Lovelace was delighted with London on 5 June 1833.') as english,
       hartonomous.ingest_text('Der Zug nach Berlin fährt heute leider nicht, sagte Anna Schmidt.') as german,
       hartonomous.ingest_text('12345') as digits, hartonomous.ingest('\x00') as bytes,
       hartonomous.ingest_text('deleted') as deleted \gset
select hartonomous.artifact_delete(:deleted);
create temp table mine as select unnest(array[:english, :german, :digits]::bigint[]) as id;

select is(hartonomous.semantics_pending(), array(select id from mine order by 1), 'what has a text');
select is(hartonomous.semantics_pending(batch => 2), array(select id from mine order by 1 limit 2));
select set_eq($$select unnest(hartonomous.semantics_pending(null, w, 3)) from generate_series(0, 2) as w$$, 'select id from mine', 'workers share the work');
select throws_ok($$select hartonomous.semantics_pending(worker => 1)$$, '22023');
select throws_ok($$select hartonomous.semantics_pending(workers => 0)$$, '22023');
select throws_ok($$select hartonomous.semantics_pending(0)$$, '22023', 'batch is 0, expected at least 1');

reset role;
update hartonomous.artifact set semantics = '{"format": "as decoded", "entities": "of before"}' where artifact_id = :english;
set local role ann;
select is(hartonomous.semantics_extract(array[:english, :german, :digits, :bytes, :deleted]::bigint[]), 3::bigint);
select is(hartonomous.semantics_extract(array[:english, :german, :digits, :bytes, :deleted]::bigint[]), 0::bigint, 'once is enough');
select is(hartonomous.semantics_pending(), '{}');
select is(hartonomous.semantics_extract('{}'), 0::bigint);
select is(hartonomous.semantics_extract(null), 0::bigint);
select is((select semantics - 'sentiment' - 'language_probability' from hartonomous.artifact where artifact_id = :english),
          '{"format": "as decoded", "language": "en", "extractor": "1", "entities": [
            {"type": "person", "text": "Ada Lovelace", "start": 0, "end": 12}, {"type": "place", "text": "London", "start": 32, "end": 38},
            {"type": "date", "text": "5 June 1833", "start": 42, "end": 53}]}'::jsonb, 'added to what was there, in the place of what was extracted before');
select ok((select (semantics ->> 'sentiment')::float between 0.3 and 1 and (semantics ->> 'language_probability')::float between 0.5 and 1
           from hartonomous.artifact where artifact_id = :english));
select is((select array_agg(e ->> 'text' order by e ->> 'text') from hartonomous.artifact as a cross join lateral jsonb_array_elements(a.semantics -> 'entities') as e
           where artifact_id = :german), array['Anna Schmidt', 'Berlin']);
select ok((select semantics ->> 'language' = 'de' and not semantics ? 'sentiment' from hartonomous.artifact where artifact_id = :german), 'sentiment is judged in English only');
select is((select semantics from hartonomous.artifact where artifact_id = :digits), '{"entities": [], "extractor": "1"}');
select is((select semantics from hartonomous.artifact where artifact_id = :bytes), '{}', 'what has no text is passed over');
select is((select semantics ->> 'language' from hartonomous.artifact_show(array[:german])), 'de', 'shown with the artifact');

-- it is done again when the text comes later, or the extractor is another one
select hartonomous.ingest('bytes first') as later \gset
select is(hartonomous.semantics_pending(), '{}');
select is(hartonomous.ingest_text('bytes first'), :later::bigint);
select is(hartonomous.semantics_pending(), array[:later]::bigint[]);
select is(hartonomous.semantics_extract(array[:later]), 1::bigint);
reset role;
update hartonomous.artifact set semantics = semantics || '{"extractor": "0"}' where artifact_id = :later;
set local role ann;
select is(hartonomous.semantics_pending(), array[:later]::bigint[], 'what another extractor read is pending');

-- tenants
set local role bob;
select is(hartonomous.semantics_pending(), '{}');
select throws_ok(format('select hartonomous.semantics_extract(array[%s])', :later), 'ZH010', format('no artifact %s', :later), 'another tenant''s is like a missing one');
select throws_ok('select hartonomous.semantics_extract(array[-1])', 'ZH010', 'no artifact -1');
select throws_ok('select hartonomous.semantics_extract(array[null]::bigint[])', 'ZH010');
set local role publisher;
select hartonomous.ingest_text('Marie Curie lived in Paris.') as public \gset
set local role bob;
select throws_ok(format('select hartonomous.semantics_extract(array[%s])', :public), 'ZH010', null, 'public artifacts are read by those who publish');
set local role publisher;
select is(hartonomous.semantics_extract(array[:public]), 1::bigint);
set local role bob;
select is((select semantics ->> 'language' from hartonomous.artifact where artifact_id = :public), 'en', 'for everybody');
set local role rita;
select throws_ok('select hartonomous.semantics_extract(null)', '42501', null, 'readers extract nothing');
set local role nobody_at_all;
select throws_ok('select hartonomous.semantics_pending()', 'ZH001');

select * from finish();
rollback;
