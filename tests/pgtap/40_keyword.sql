-- Room 40: search by words, the thesaurus, and search by words and meaning together.
begin;
\ir setup.psql
\ir model.psql
select plan(103);

set local role publisher;
select hartonomous.ingest_text('public notes about vacuum', 'public:1') as public \g /dev/null
set local role bob;
select hartonomous.ingest_text('bob keeps a vacuum cleaner and a secretword', 'bob:1') as bobs \gset
set local role ann;
select hartonomous.ingest_text('The vacuum command reclaims storage. Vacuuming often helps.', 'm:1', '{"title": "Maintenance", "kind": "page"}') as vacuum,
       hartonomous.ingest_text('A cat sat; replication replicates data over a network', 'm:2', '{"heading_path": ["Server", "Standby"], "kind": "page"}') as replication,
       hartonomous.ingest_text('machine learning is fun, and so is a learning machine', 'n:1') as learning,
       hartonomous.ingest_text('the cat has a storage of storage for storage', 'n:2') as cat,
       hartonomous.ingest_text('see pg_stat_activity or http://example.org/it''s \ 漢字、かな', 'n:3') as odd,
       hartonomous.ingest_text('cats, dogs and a learning machine', 'n:4') as dogs,
       hartonomous.ingest('\x00ff', 'binary', source_uri => 'm:3', metadata => '{"title": "vacuum picture"}') as picture \gset

-- what a query means
create function pg_temp.found(query text, filter jsonb default '{}') returns text[] language sql as $$
    select coalesce(array_agg(source_uri order by source_uri), '{}') from hartonomous.search_keyword(query, 100, filter => filter)$$;
select is(pg_temp.found(query), expected::text[], query) from (values
    ('vacuum', '{m:1,m:3,public:1}'), ('Vacuumed', '{m:1,m:3,public:1}'), ('the', '{}'), ('', '{}'), ('  ', '{}'), ('-vacuum', '{}'), ('nosuchword', '{}'),
    ('cat network', '{m:2,n:2,n:4}'), ('cat -network', '{n:2,n:4}'), ('cat -"over a network"', '{n:2,n:4}'),
    ('"machine learning"', '{n:1}'), ('"learning machine"', '{n:1,n:4}'), ('"machine fun"', '{}'), ('"learning machine" dogs', '{n:1,n:4}'),
    ('"learning machine" "cats dogs"', '{n:4}'), ('replicati*', '{m:2}'), ('replicatin*', '{}'), ('vac*', '{m:1,m:3,public:1}'), ('clean*', '{}'), ('-cat* vac*', '{m:1,m:3,public:1}'),
    ('*', '{}'), ('pg_stat_act*', '{n:3}'), ('pg_stat_activity', '{n:3}'), ('stat_activity', '{n:3}'), ('activity_stat', '{}'), ('漢字', '{n:3}'), ('漢*', '{n:3}'),
    ('maintenance', '{m:1}'), ('standby', '{m:2}'), ('maint*', '{m:1}'), ('"server standby"', '{m:2}'), ('secretword', '{}'), ('secret*', '{}'),
    ('"vacuum', '{m:1,m:3,public:1}'), ('http://example.org/it''s', '{n:3}'), ('\', '{}'), ($$'$$, '{}'), ('a:* & !b | <->', '{}'), ('cat:* & !', '{m:2,n:2,n:4}')) as asked (query, expected);
select is(pg_temp.found('vacuum cat', filter::jsonb), expected::text[], filter) from (values
    ('{"source_uri_prefix": "m:"}', '{m:1,m:2,m:3}'), ('{"metadata": {"kind": "page"}}', '{m:1,m:2}'), ('{"modality": "binary"}', '{m:3}'), ('{"created_before": "2000-01-01"}', '{}')) as asked (filter, expected);
select results_eq($$select snippet from hartonomous.search_keyword('vacuum', filter => '{"source_uri_prefix": "m:1"}')$$,
                  array['The **vacuum** command reclaims storage. **Vacuuming** often helps.'], 'words found are marked');
select is((select snippet from hartonomous.search_keyword('pg_stat_act* 漢*')), 'see **pg_stat_activity** or http://example.org/it''s \ **漢字**、かな');
select is((select snippet from hartonomous.search_keyword('standby')), 'A cat sat; replication replicates data over a network', 'found by its heading');
select is((select distinct verdict from hartonomous.search_keyword('cat', 2)), 'exact');
select is((select distinct verdict from hartonomous.search_keyword('cat', 4)), 'short');

-- order and pages
select is((select array_agg(artifact_id) from hartonomous.search_keyword('storage')), array[:cat, :vacuum]::bigint[], 'what says it more often comes first');
select is((select array_agg(source_uri) from hartonomous.search_keyword('cat network', 1)), '{m:2}', 'what has both words comes first');
select hartonomous.ingest_many(array(select convert_to('tie ' || i, 'UTF8') from generate_series(1, 50) as i), 'text', array(select 't/' || i from generate_series(1, 50) as i),
    canonical_texts => array(select case when i % 2 = 0 then 'even tie' else 'odd ends of a tie' end from generate_series(1, 50) as i)) \g /dev/null
create temp table page as with recursive p as (
    select 1 as n, array_agg(artifact_id) as ids, (array_agg(score))[count(*)] as score, (array_agg(artifact_id))[count(*)] as last from hartonomous.search_keyword('tie even', 7)
    union all
    select n + 1, f.ids, f.score, f.last from p cross join lateral (
        select array_agg(artifact_id) as ids, (array_agg(s.score))[count(*)] as score, (array_agg(artifact_id))[count(*)] as last
        from hartonomous.search_keyword('tie even', 7, after_score => p.score, after_id => p.last) as s) as f where p.ids is not null)
    select * from p where ids is not null;
select is((select array_agg(i order by n, ord) from page, unnest(ids) with ordinality as u (i, ord)), (select array_agg(artifact_id) from hartonomous.search_keyword('tie even', 1000)), 'pages make the whole');
select is((select count(*) from page), 8::bigint);
select ok((select bool_and((score, -artifact_id) <= (before, -previous)) from (select *, lag(score) over () as before, lag(artifact_id) over () as previous
           from hartonomous.search_keyword('tie even', 1000)) as s where before is not null), 'equal ones come by id');

-- thesaurus and stop list
select hartonomous.synonym_put('ML', '{machine learning}'), hartonomous.synonym_put('big data', '{replicates}'), hartonomous.synonym_put('cats') \g /dev/null
select is(pg_temp.found(query), expected::text[], query) from (values
    ('ml', '{n:1}'), ('some ML, please', '{n:1}'), ('"ml"', '{}'), ('big data', '{m:2}'), ('big', '{}'), ('cat', '{}'), ('cats vacuum', '{m:1,m:3,public:1}'), ('"cat"', '{m:2,n:2,n:4}'),
    ('-cat learning', '{n:1}')) as asked (query, expected);
select results_eq('select term, synonyms from hartonomous.synonym_list()', $$values ('big data', '{replicates}'::text[]), ('cat', '{}'), ('ml', '{machine learning}')$$);
set local role publisher;
select hartonomous.synonym_put('cats', '{dog}'), hartonomous.synonym_put('kitten', '{cat}') \g /dev/null
set local role ann;
select is(pg_temp.found('kitten'), '{m:2,n:2,n:4}', 'what tenant 0 says counts for all');
select is(pg_temp.found('cats'), '{}', 'but not against what the tenant says');
select hartonomous.synonym_drop('Cat') \g /dev/null
select is(pg_temp.found('cats'), '{m:2,n:2,n:4}');
select throws_ok($$select hartonomous.synonym_drop('cats')$$, '22023');
select throws_ok(format('select hartonomous.synonym_put(%s)', call), code) from (values ('null', '22004'), ('''x'', null', '22004'), ('''x'', array[null]', '22004'), ('''the''', '22023'),
    ('''''', '22023'), ('''b c d e f g''', '22023'), ('''x'', array[''the'']', '22023')) as bad (call, code);
set local role rita;
select throws_ok($$select hartonomous.synonym_put('x', '{y}')$$, '42501');
set local role bob;
select is_empty('select * from hartonomous.synonym_list()');
select is(pg_temp.found('ml'), '{}', 'another tenant''s thesaurus does not count');
select is(pg_temp.found('vacuum'), '{bob:1,public:1}', 'another tenant finds its own');

-- bad input
set local role ann;
select throws_ok(format('select * from hartonomous.search_keyword(%s)', call), code) from (values
    ('null', '22004'), ('''x'', 0', '22023'), ('''x'', -1', '22023'), ('''x'', 10000000', '22023'), ('''x'', null', '22023'), ('''x'', filter => ''{"colour": 1}''', 'ZH041'), ('''x'', as_of => ''soon''', '22007'),
    ('''x'', after_score => 1', '22023'), ('''x'', after_id => 1', '22023'), ('''x'', after_score => ''NaN'', after_id => 1', '22023'), ('''x'', recall => 2', '22023')) as bad (call, code);
select lives_ok($$select * from hartonomous.search_keyword(repeat('x', 3000000))$$);
select lives_ok($$select * from hartonomous.search_keyword(repeat('ab cd* "e f" ', 1000))$$);

-- what is stored
select ok((select bool_and(lexeme like tenant_id || ':%' or lexeme like tenant_id || '=%') from hartonomous.artifact, unnest(lexemes)), 'every key is led by its tenant');
select lives_ok(format('select hartonomous.ingest_text(%s)', content)) from unnest(array[
    $$(select string_agg(chr(19968 + i % 20000) || chr(131072 + i), ' ') from generate_series(1, 40000) as i)$$, $$repeat('x', 300000)$$, $$repeat('y''z/q ', 30000)$$, $$'http://x/' || repeat('a''b', 900)$$]) as content;
reset role;
create function pg_temp.parsed() returns bigint language sql as
$$select coalesce(pg_stat_get_xact_function_calls('hartonomous._word_vector(int,text)'::regprocedure), 0)$$;
create function pg_temp.words(id bigint) returns tsvector language sql as $$select lexemes from hartonomous.artifact where artifact_id = id$$;
set local track_functions = 'pl';
select pg_temp.parsed() as parsed \gset
update hartonomous.artifact set semantics = '{}', updated_at = now(), deleted_at = null where artifact_id = :dogs;
select is(pg_temp.parsed(), :parsed::bigint, 'to change something else of an artifact parses no text');
update hartonomous.artifact set lexemes = '''x''' where artifact_id = :dogs;
select is(pg_temp.words(:dogs), hartonomous._word_vector(:ann, 'cats, dogs and a learning machine'), 'words are those of the text, whatever they are set to');
update hartonomous.artifact set canonical_text = 'two cats' where artifact_id = :dogs;
select is(pg_temp.words(:dogs), hartonomous._word_vector(:ann, 'two cats'), 'and of the text as it is now');
select ok(pg_temp.parsed() > :parsed, 'which is parsed then');
set local track_functions = 'none';
update hartonomous.artifact set canonical_text = 'cats, dogs and a learning machine' where artifact_id = :dogs;
select ok(bool_and(lexemes is not distinct from hartonomous._word_vector(tenant_id, canonical_text)), 'as of every artifact') from hartonomous.artifact;
set local role ann;
select hartonomous.artifact_delete(:vacuum) \g /dev/null
select is(pg_temp.found('vacuum'), '{m:3,public:1}', 'what is deleted is not found');
select hartonomous.artifact_restore(:vacuum) \g /dev/null
select is(pg_temp.found('vacuum maintenance'), '{m:1,m:3,public:1}', 'what is restored is');

select * from finish();
rollback;
