-- Room 10: documents, their passages and their versions.
begin;
\ir setup.psql
select plan(32);
set local role ann;

create function pg_temp.passages(uri text) returns table (artifact_id bigint, body text) language sql as $$
    select a.artifact_id, a.canonical_text from hartonomous.artifact as a join hartonomous.artifact_source as s using (artifact_id)
    where s.document_uri = uri and a.subtype = 'passage' and a.deleted_at is null order by s.position$$;

select hartonomous.ingest_document('m.md', E'# Tea\n\nPour water.\n\n## Milk\n\nLast.\n', 'markdown', '{"shelf": 3}') as first \gset
create temp table before as select * from pg_temp.passages('m.md');
select ok((select count(*) from before) >= 2, 'a document is split under its headings');
select is(hartonomous.content(:first), E'# Tea\n\nPour water.\n\n## Milk\n\nLast.\n'::bytea, 'the document itself is stored as it came');
select results_eq($$select distinct metadata -> 'title', metadata -> 'shelf' from hartonomous.artifact_source where document_uri = 'm.md'$$,
                  $$values ('"Tea"'::jsonb, '3'::jsonb)$$, 'title and given metadata stand at each occurrence');
select results_eq($$select b.body, s.metadata -> 'heading_path' from hartonomous.artifact_source as s join before as b using (artifact_id) order by b.body$$,
                  $$values ('Last.', '["Tea", "Milk"]'::jsonb), ('Pour water.', '["Tea"]')$$, 'a passage has its heading path');
select hartonomous.ingest_document('p.html', '<h1 id="tea">Tea</h1><p>Pour.</p><h2 id="milk">Milk</h2><p>Last of all.</p>', 'html') \g /dev/null
select set_eq($$select source_uri, metadata ->> 'anchor' from hartonomous.artifact_source where document_uri = 'p.html'$$,
              $$values ('p.html', null), ('p.html#tea', 'tea'), ('p.html#milk', 'milk')$$, 'and its anchor');
select set_eq($$select from_id from hartonomous.graph_edge where relation = 'ComponentOf' and from_type = 'artifact' and to_id = $$ || :first,
              'select artifact_id from before', 'passages are components of the document');

-- the same again
create temp table logged as select count(*) as n from hartonomous.ingestion_log;
select is(hartonomous.ingest_document('m.md', E'# Tea\n\nPour water.\n\n## Milk\n\nLast.\n', 'markdown', '{"shelf": 3}'), :first::bigint);
select is((select count(*) from hartonomous.ingestion_log), (select n from logged), 'the same document again changes nothing');
select results_eq($$select * from pg_temp.passages('m.md')$$, 'select * from before');

-- a new version
select hartonomous.ingest_document('m.md', E'# Tea\n\nPour water.\n\n## Milk\n\nFirst!\n', 'markdown', '{"shelf": 3}') as second \gset
select isnt(:second::bigint, :first::bigint);
select ok((select count(*) from before as b join pg_temp.passages('m.md') as p using (artifact_id)) > 0, 'unchanged passages keep their artifacts');
select ok((select bool_or(a.deleted_at is not null) from before as b join hartonomous.artifact as a using (artifact_id)), 'gone passages retire');
select throws_ok(format('select hartonomous.content(%s)', :first), 'ZH010', null, 'so does the earlier version');
select set_eq(format($$select to_id from hartonomous.graph_edge where relation = 'DerivedFrom' and from_id = %s$$, :second), array[:first::bigint],
              'a version is derived from the one before');
select is(hartonomous.ingest_document('m.md', E'# Tea\n\nPour water.\n\n## Milk\n\nLast.\n', 'markdown', '{"shelf": 3}') <> :second, true,
          'an earlier text again is a version again');

-- metadata that are not given stay, given ones replace them
create function pg_temp.noted(uri text) returns setof jsonb language sql as $$
    select distinct s.metadata - array['heading_path', 'anchor'] from hartonomous.artifact_source as s
    where coalesce(s.document_uri, s.source_uri) = uri$$;
select hartonomous.ingest_document('k.md', E'# Tea\n\nPour.\n', 'markdown', '{"author": "Ann"}') as kept \gset
select is(hartonomous.ingest_document('k.md', E'# Tea\n\nPour.\n', 'markdown'), :kept::bigint);
select results_eq($$select pg_temp.noted('k.md')$$, $$values ('{"title": "Tea", "author": "Ann"}'::jsonb)$$, 'they stay when the same comes again');
select hartonomous.ingest_document('k.md', E'# Coffee\n\nPour.\n', 'markdown') \g /dev/null
select results_eq($$select pg_temp.noted('k.md')$$, $$values ('{"title": "Coffee", "author": "Ann"}'::jsonb)$$, 'and with a new version, whose title is its own');
select hartonomous.ingest_document('k.md', E'# Coffee\n\nPour.\n', 'markdown', '{"title": "Cups"}') \g /dev/null
select hartonomous.ingest_document('k.md', E'# Cocoa\n\nPour.\n', 'markdown', null) \g /dev/null
select results_eq($$select pg_temp.noted('k.md')$$, $$values ('{"title": "Cups"}'::jsonb)$$, 'a title that was given stays too');
select hartonomous.ingest_document('k.md', E'# Cocoa\n\nPour.\n', 'markdown', '{}') \g /dev/null
select results_eq($$select pg_temp.noted('k.md')$$, $$values ('{"title": "Cocoa"}'::jsonb)$$, 'an empty object empties them');
select hartonomous.ingest('Alone.', 'text', source_uri => 'k', metadata => '{"n": 1}'),
       hartonomous.ingest_many(array['Alone.', 'Both.']::bytea[], 'text', array['k', 'k2']) \g /dev/null
select hartonomous.ingest_many(array['Alone.', 'Both.']::bytea[], 'text', array['k', 'k2'], array[null, '{"n": 2}']::jsonb[]) \g /dev/null
select results_eq($$select * from pg_temp.noted('k') union all select * from pg_temp.noted('k2')$$, $$values ('{"n": 1}'::jsonb), ('{"n": 2}')$$,
                  'of contents too, each by itself');
select hartonomous.ingest_document('k', 'Alone.') \g /dev/null
select results_eq($$select pg_temp.noted('k') ->> 'n'$$, $$values ('1')$$, 'content that becomes a document has them still');
select hartonomous.ingest('Both.', 'text', source_uri => 'k2', metadata => '{}') \g /dev/null
select results_eq($$select pg_temp.noted('k2')$$, $$values ('{}'::jsonb)$$);
select hartonomous.ingest_text('Both.', 'k2', '{"n": 3}'), hartonomous.ingest_text('Both.', 'k2'),
       hartonomous.ingest_begin('text', 'k2') as up \gset
select hartonomous.ingest_part(:up, 0, 'Both.'), hartonomous.ingest_commit(:up) \g /dev/null
select results_eq($$select pg_temp.noted('k2')$$, $$values ('{"n": 3}'::jsonb)$$, 'of texts and uploads too');

-- a passage of two documents
select hartonomous.ingest_document('a.txt', E'Shared words.\n', 'text'), hartonomous.ingest_document('b.txt', E'Shared words.\n', 'text') \g /dev/null
select is((select count(*) from pg_temp.passages('a.txt') as a join pg_temp.passages('b.txt') as b using (artifact_id)), 1::bigint,
          'a passage of two documents is one artifact');

-- bad input
select throws_ok($$select hartonomous.ingest_document('', 'x')$$, '22023');
select throws_ok($$select hartonomous.ingest_document(null, 'x')$$, '22023');
select throws_ok($$select hartonomous.ingest_document('x', null)$$, '22023');
select throws_ok($$select hartonomous.ingest_document('x', 'x', 'pdf')$$, '22023');
select is_empty($$select * from hartonomous.artifact_source where document_uri = 'x'$$, 'nothing half-written');

-- isolation
set local role bob;
select isnt(hartonomous.ingest_document('m.md', E'# Tea\n\nPour water.\n', 'markdown'), :first::bigint);
select is((select count(distinct document_uri) from hartonomous.artifact_source), 1::bigint, 'the same uri of another tenant is another document');
reset role;

select * from finish();
rollback;
