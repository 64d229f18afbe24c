-- Room 10: which contents have a text that is embedded and searched.
begin;
\ir setup.psql
select plan(31);

create function pg_temp.text_of(artifact_id bigint) returns text language sql as $$
    select a.canonical_text from hartonomous.artifact as a where a.artifact_id = text_of.artifact_id
$$;

set local role ann;
select is(pg_temp.text_of(hartonomous.ingest(convert_to('grüner Tee', 'UTF8'), 'text')), 'grüner Tee', 'a text is its own text');
select is(pg_temp.text_of(hartonomous.ingest('def tea(): pass', 'code')), 'def tea(): pass', 'so is code');
select is(pg_temp.text_of(hartonomous.ingest('plain bytes')), null, 'bytes have none');
select is(pg_temp.text_of(hartonomous.ingest('\xefbbbf746561', 'text')), 'tea', 'without the mark that some editors put first');
select is(pg_temp.text_of(hartonomous.ingest('\x74e9', 'text')), null, 'nor has what is no UTF-8');
select is(pg_temp.text_of(hartonomous.ingest('\x740065', 'text')), null, 'nor what a text cannot hold');
select is(pg_temp.text_of(hartonomous.ingest('said', 'text', canonical_text => 'meant')), 'meant', 'a given text is taken');
select is(pg_temp.text_of(hartonomous.ingest('unsaid', 'text', canonical_text => '')), null, 'an empty one is none');
select is(pg_temp.text_of(hartonomous.ingest('unsaid', 'text')), null, 'and stays none when the same content comes again');
select is(pg_temp.text_of(hartonomous.ingest('unsaid', 'code')), null, 'as something else, too');
select hartonomous.ingest_begin('text', 'up:unsaid') as up \gset
select hartonomous.ingest_part(:up, 0, 'unsaid') \g /dev/null
select is(pg_temp.text_of(hartonomous.ingest_commit(:up)), null, 'in parts, too');
select results_eq($$select pg_temp.text_of(id) from unnest(hartonomous.ingest_many(array['unsaid', 'five']::bytea[], 'text')) as i (id)$$,
                  $$values (null), ('five')$$, 'among others, too');
select is(pg_temp.text_of(hartonomous.ingest('unsaid', 'text', canonical_text => 'said now')), 'said now', 'until somebody gives one');
select is(pg_temp.text_of((hartonomous.ingest_many(array['twice', 'twice']::bytea[], 'text', canonical_texts => array['', null]))[1]), null,
          'within one call, too');
select is(pg_temp.text_of(hartonomous.ingest_document('doc:page', E'# Page\n\nA passage of it.', 'markdown')), null, 'a page has none, its passages do');
select is(pg_temp.text_of(hartonomous.ingest(E'# Page\n\nA passage of it.', 'text')), null, 'it stays so');
select is(octet_length(pg_temp.text_of(hartonomous.ingest(convert_to(repeat('x', 65536), 'UTF8'), 'text'))), 65536, 'up to 64 KiB');
select is(pg_temp.text_of(hartonomous.ingest(convert_to(repeat('x', 65537), 'UTF8'), 'text')), null, 'more is not stored twice');
select is(octet_length(pg_temp.text_of(hartonomous.ingest_text(repeat('y', 65537)))), 65537, 'unless it is asked for');
select results_eq($$select pg_temp.text_of(id) from unnest(hartonomous.ingest_many(array['one', '\xff', 'three', 'four']::bytea[], 'text',
                           canonical_texts => array[null, null, '3', '']::text[])) with ordinality as i (id, ord) order by ord$$,
                  $$values ('one'), (null), ('3'), (null)$$, 'each of many by itself');
select is(pg_temp.text_of(hartonomous.ingest('plain bytes', 'text')), 'plain bytes', 'who says later that it is text gives it one');
select hartonomous.ingest_begin('text', 'up:text') as up \gset
select hartonomous.ingest_part(:up, 0, 'in parts') \g /dev/null
select is(pg_temp.text_of(hartonomous.ingest_commit(:up)), 'in parts', 'uploads too');
select hartonomous.ingest_begin('text', 'up:long') as up \gset
select hartonomous.ingest_part(:up, 0, convert_to(repeat('z', 65537), 'UTF8')) \g /dev/null
select is(pg_temp.text_of(hartonomous.ingest_commit(:up)), null);

-- nothing to see
select is(pg_temp.text_of(hartonomous.ingest_text(t)), null, format('%s has no text', to_json(t)))
from unnest(array['', ' ', E' \t\r\n', U&'\00A0\2003\3000', U&'\FEFF\200B', E'\x01\x7f']) as t;
select is(pg_temp.text_of(hartonomous.ingest_text(' . ')), ' . ', 'a point can be seen');
select is((select count(*) from hartonomous.artifact where content_hash = sha256('')), 1::bigint, 'the content is there all the same');

select * from finish();
rollback;
