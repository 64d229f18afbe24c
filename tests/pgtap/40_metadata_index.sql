-- Room 40: filters of search on hot metadata fields use their indexes, and find what they found without.
begin;
\ir setup.psql
\ir model.psql
select plan(34);

set local role ann;
select pg_temp.tiny_bert('tiny') \g /dev/null
select count(hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 1500) as i), 'text',
    array(select 'u/' || i from generate_series(1, 1500) as i),
    array(select jsonb_build_object('author', 'author ' || i % 500, 'year', 1900 + i % 300, 'draft', i % 2 = 0, 'tags', array['a', i::text],
                                    'it''s "%I" \ ', i % 7) from generate_series(1, 1500) as i),
    canonical_texts => array(select 'text ' || i from generate_series(1, 1500) as i)));
select hartonomous.ingest_text('text 7', 'second/7', '{"author": "author 400"}'), hartonomous.ingest_text('text float', 'float', '{"author": "author 13", "year": 1907.0}') \g /dev/null
select hartonomous.embed_artifacts(array(select artifact_id from hartonomous.artifact_source where metadata ->> 'author' in ('author 7', 'author 400', 'author 13')));
set local role publisher;
select hartonomous.ingest_text('text public', 'public', '{"author": "author 7", "year": 1907.0}') \g /dev/null
set local role bob;
select hartonomous.ingest_text('text of bob', 'bob', '{"author": "author 7", "year": 1907, "numeral": 1e300}') \g /dev/null
reset role;
analyze hartonomous.artifact_source;

create temp table asked as select filter::jsonb from unnest(array['{"metadata": {"author": "author 7"}}', '{"metadata": {"year": 1907}}', '{"metadata": {"year": 1907.00, "author": "author 7"}}',
    '{"metadata": {"author": "author 400"}, "source_uri_prefix": "second"}', '{"metadata": {"author": "author 400"}, "source_uri_prefix": "u/"}', '{"metadata": {"author": "nobody"}}',
    '{"metadata": {"draft": true}}', '{"metadata": {"tags": ["7"]}}', '{"metadata": {"author": {}}}', '{"metadata": {"author": null}}', '{"metadata": {}}', '{}',
    '{"metadata": {"year": "1907"}}', '{"metadata": {"it''s \"%I\" \\ ": 3}}', '{"modality": "text", "metadata": {"author": "author 13"}}', '{"modality": "image", "metadata": {"author": "author 13"}}']) as filter;
create function pg_temp.answers() returns table (filter jsonb, found jsonb) language sql as $$
    select a.filter, jsonb_build_array(
        (select jsonb_agg(to_jsonb(s)) from hartonomous.search('text 7', 50, filter => a.filter) as s),
        (select jsonb_agg(to_jsonb(s)) from hartonomous.search_vector(hartonomous.embed('text 7'), 50, filter => a.filter) as s))
    from asked as a
$$;
grant select on asked to public;
set local role ann;
create temp table before as select * from pg_temp.answers();
select ok((select count(distinct found) > 6 from before), 'the filters find different things');
select set_eq($$select s.source_uri from hartonomous.search('text', 50, filter => '{"metadata": {"year": 1907}}') as s$$, array['u/7', 'float'], '1907.0 is 1907');

set local role adam;
select lives_ok(format('select hartonomous.metadata_index_add(%L)', field)) from unnest(array['author', 'year', 'draft', 'long', 'it''s "%I" \ ']) as field;
reset role;
select is_empty($$
    select d.objid::regclass, p.oid::regprocedure from pg_depend as d join pg_index as i on i.indexrelid = d.objid
    join pg_proc as p on p.oid = d.refobjid join pg_language as l on l.oid = p.prolang
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_proc'::regclass and l.lanname = 'sql' and p.pronamespace = 'hartonomous'::regnamespace
      and not has_function_privilege('hartonomous_reader', p.oid, 'execute')$$,
    'who reads a table first in a session may inline what its indexes call: else the indexes would be of no use to the functions called after');
select set_eq('select filter from asked where hartonomous._filter_indexed(filter)', $$select filter from asked
    where filter - array['source_uri_prefix', 'metadata'] = '{}' and not coalesce(filter -> 'metadata', '{}') ? 'tags' and filter #> '{metadata,author}' is distinct from 'null'
      and filter #> '{metadata,author}' is distinct from '{}'$$, 'an index serves all that they name');
set local role adam;
select lives_ok($$select hartonomous.metadata_index_add('author')$$, 'again changes nothing');
select results_eq('select field, built, bytes > 0 from hartonomous.metadata_index_list()',
                  $$values ('author', true, true), ('draft', true, true), ('it''s "%I" \ ', true, true), ('long', true, true), ('year', true, true)$$);
reset role;
select is((select count(*) from pg_index where indrelid = 'hartonomous.artifact_source'::regclass and indexrelid::regclass::text like '%_field_%'), 5::bigint);
select is_empty($$select c.oid::regclass from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum = 2
                  where c.relname like 'artifact\_source\_field\_%' and a.attstattarget is distinct from 0$$, 'no sample of values for EXPLAIN to spell out');
select is_empty($$select c.oid::regclass from pg_class as c where c.relname like 'artifact\_source\_field\_%' and c.relowner <> 'hartonomous_owner'::regrole$$);
analyze hartonomous.artifact_source;
select is_empty($$select s.* from pg_stats as s where s.tablename like 'artifact\_source\_field\_%' and s.attname <> 'tenant_id' and s.attname <> 'artifact_id'$$);

-- the same is found, by the index
create function pg_temp.scans(field text) returns bigint language sql as
$$select pg_stat_get_xact_numscans(('hartonomous.' || hartonomous._metadata_index_name(field))::regclass)$$;
set local role ann;
select set_eq('select * from pg_temp.answers()', 'table before', 'with indexes the same is found as without');
reset role;
select pg_temp.scans('author') as scans \gset
set local role ann;
select count(*) from hartonomous.search('text', filter => '{"metadata": {"author": "author 13"}}') \g /dev/null
reset role;
select cmp_ok(pg_temp.scans('author'), '>', :scans::bigint, 'search uses the index, as a tenant');
select pg_temp.scans('author') as scans \gset
set local role ann;
select count(*) from hartonomous.search_vector(hartonomous.embed('text'), filter => '{"metadata": {"author": "author 13"}}') \g /dev/null
reset role;
select cmp_ok(pg_temp.scans('author'), '>', :scans::bigint, 'and so does search_vector');
select pg_temp.scans('year') as scans \gset
set local role ann;
select count(*) from generate_series(1, 9) as i cross join lateral hartonomous.search('text', i, filter => '{"metadata": {"year": 1907}}') \g /dev/null
reset role;
select cmp_ok(pg_temp.scans('year'), '>', :scans::bigint + 5, 'when its plan is a generic one too');
select is(hartonomous._filter_candidates(:ann, '{"metadata": {"tags": ["7"]}}'), null, 'other filters read as before');
select is(hartonomous._filter_candidates(:ann, '{}'), null);
select is(cardinality(hartonomous._filter_candidates(:ann, '{"metadata": {"author": "author 7"}}')), 4, 'of the tenant and of everybody');

-- whatever is ingested, an index does not stand in its way
set local role ann;
select lives_ok($$select hartonomous.ingest_text('odd', 'odd', jsonb_build_object('author', repeat('ä', 100000), 'year', (repeat('9', 20000))::numeric, 'long', array[1], 'draft', null))$$);
select lives_ok($$select hartonomous.ingest_text('odder', 'odder', '{"author": {"first": "a"}, "year": "soon"}')$$);

-- who, how many, what names
select throws_ok($$select hartonomous.metadata_index_add('author')$$, '42501', null, 'tenants add none');
select throws_ok($$select hartonomous._metadata_index_build('author', false)$$, '42501');
set local role adam;
select throws_ok($$select hartonomous._metadata_index_build('author', false)$$, '42501', null, 'nor does an administrator, past the check');
select throws_ok($$select hartonomous.metadata_index_add('')$$, '22023');
select throws_ok($$select hartonomous.metadata_index_add(null)$$, '22023');
select throws_ok($$select hartonomous.metadata_index_add(repeat('ä', 101))$$, '22023', 'metadata field has 202 bytes, expected 1 to 200');
select lives_ok($$select hartonomous.metadata_index_add('field ' || i) from generate_series(6, 16) as i$$);
select throws_ok($$select hartonomous.metadata_index_add('one more')$$, '55000', '16 metadata fields are indexed, expected at most 16');
select lives_ok($$select hartonomous.metadata_index_drop(field) from hartonomous.metadata_index_list()$$);
select throws_ok($$select hartonomous.metadata_index_drop('author')$$, '22023', 'metadata field ''author'' is not indexed');

select * from finish();
rollback;
