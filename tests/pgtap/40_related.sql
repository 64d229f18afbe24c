-- Room 40: what belongs together, what texts are about, what is there twice.
begin;
\ir setup.psql
\ir model.psql
select plan(38);

set local role publisher;
select hartonomous.ingest_text('a public note on volcanic lava and ash', 'public:1') \g /dev/null
set local role ann;
select pg_temp.tiny_bert('one') \g /dev/null
select hartonomous.ingest_document('doc:1', E'# Lava\n\nVolcanic lava flows slowly. Lava is molten rock.\n\n## Ash\n\nQuite another passage speaks of nothing alike.\n', 'markdown', '{"kind": "doc"}') as doc \gset
select artifact_id as lava from hartonomous.artifact_source where document_uri = 'doc:1' and position = 0 \gset
select artifact_id as other from hartonomous.artifact_source where document_uri = 'doc:1' and position = 1 \gset
select hartonomous.ingest_text('volcanic lava again, as lava goes', 'u:1', '{"kind": "note"}') as words, hartonomous.ingest_text('Volcanic lava flows slowly.  Lava is molten rock!', 'u:2') as alike,
       hartonomous.ingest_text('cats and dogs', 'u:3') as cats, hartonomous.ingest('\x00ff', 'binary') as bytes \gset
select hartonomous.ingest_many(array(select convert_to('filler ' || i, 'UTF8') from generate_series(1, 60) as i), 'text', canonical_texts => array(select format('the filler number %s of all', i) from generate_series(1, 60) as i)) \g /dev/null

-- by words and the graph alone, then by meaning too
select is((select array_agg(artifact_id order by artifact_id) from hartonomous.related(:lava)), (select array_agg(i order by i) from unnest(array[:words, :alike, :other, :doc, (select artifact_id from hartonomous.artifact where canonical_text like 'a public%')]::bigint[]) as i),
          'without embeddings: what has its words, its document and the passages beside it');
select is((select string_agg(distinct verdict, ' ') from hartonomous.related(:lava)), 'short');
select hartonomous.embed_artifacts(hartonomous.embedding_pending(batch => null)) \g /dev/null
select is((select count(*) from hartonomous.related(:lava, 1000)), 66::bigint, 'with them: all');
select results_eq(format('select artifact_id from hartonomous.related(%s, 20)', :cats), format($$select v.artifact_id from hartonomous.atom_embedding as e, hartonomous.search_vector(e.embedding, 21, recall => 1) as v
    where e.artifact_id = %s and v.artifact_id <> %1$s$$, :cats), 'what shares no word and no edge, by meaning alone');
select is((select count(*) from hartonomous.related(:lava, 1000) where artifact_id = :lava), 0::bigint, 'not itself');
select is((select count(*) from hartonomous.related(:doc, 1000) where artifact_id in (:doc, :lava, :other)), 0::bigint, 'nor a document''s own passages');
select is((select count(*) from hartonomous.related(:doc, 1000)), 64::bigint, 'a document is related by its passages');
select results_eq(format($$select artifact_id from hartonomous.related(%s, filter => '{"metadata": {"kind": "note"}}')$$, :lava), array[:words]::bigint[]);
select ok((select bool_and(score >= next) from (select score, lead(score) over () as next from hartonomous.related(:lava, 1000)) as s where next is not null), 'best first');
select is((select string_agg(distinct verdict, ' ') from hartonomous.related(:lava, 5)), 'exact');
select ok((select count(*) >= 0 from hartonomous.related(:bytes)), 'what has no text has what is related by the graph, which is nothing');
select throws_ok(format('select * from hartonomous.related(%s)', call), code) from (values ('null', 'ZH010'), ('-1', 'ZH010'), (:cats || ', 0', '22023'), (:cats || ', model => ''nosuch''', 'ZH020'), (:cats || ', as_of => now()', '0A000'), (:cats || ', filter => ''{"colour": 1}''', 'ZH041')) as bad (call, code);

-- key_phrases
select hartonomous.ingest_text('Random access memory is fast. The random access memory of a machine, such as pg_stat_activity, is lost; random access memory.') as memory \gset
select is((select phrase from hartonomous.key_phrases(:memory, 1)), 'random access memory');
select is((select score from hartonomous.key_phrases(:memory, 1)), 1::real);
select set_has(format('select phrase from hartonomous.key_phrases(%s, 100)', :memory), $$values ('pg_stat_activity'), ('machine'), ('fast'), ('lost')$$, 'runs between common words and punctuation');
select is((select count(*) from hartonomous.key_phrases(:memory, 100) where phrase ~ '\m(the|is|a|of|such)\M|[.;,]'), 0::bigint, 'and none of these');
select is((select count(*) from hartonomous.key_phrases(:memory, 2)), 2::bigint);
select ok('volcanic lava flows slowly' in (select phrase from hartonomous.key_phrases(:doc, 100)), 'of a document those of its passages');
create temp table rare as select hartonomous.ingest_text('the filler and the zebra') as id;
select cmp_ok((select score from hartonomous.key_phrases(f.id, 10) where phrase = 'zebra'), '>', (select score from hartonomous.key_phrases(f.id, 10) where phrase = 'filler'), 'what is rare among the tenant''s texts tells more')
from rare as f;
select is_empty(format('select * from hartonomous.key_phrases(%s)', :bytes));
create temp table odd as select hartonomous.ingest_text(body) as id from unnest(array['the of a', '!!', repeat('word ', 50000), repeat('a-b_c ', 20000)]) as body;
select lives_ok(format('select * from hartonomous.key_phrases(%s)', id)) from odd;
select throws_ok(format('select * from hartonomous.key_phrases(%s)', call), code) from (values ('null', 'ZH010'), ('-1', 'ZH010'), (:cats || ', 0', '22023'), (:cats || ', null', '22023')) as bad (call, code);

-- duplicates: the truth by the definition
select hartonomous.ingest('\x01', canonical_text => 'cats and dogs') as again \gset
select hartonomous.ingest('\x02', canonical_text => 'said twice'), hartonomous.ingest('\x03', canonical_text => 'said twice') \g /dev/null
select hartonomous.embed_artifacts(array[:again]) \g /dev/null
create function pg_temp.pairs(threshold float8) returns table (a bigint, b bigint) language sql as $$
    select x.artifact_id, y.artifact_id from hartonomous.atom_embedding as x join hartonomous.atom_embedding as y on x.artifact_id < y.artifact_id
    where 1 - (x.embedding operator(public.<=>) y.embedding) >= threshold
    union select x.artifact_id, y.artifact_id from hartonomous.artifact as x join hartonomous.artifact as y on x.artifact_id < y.artifact_id and x.canonical_text = y.canonical_text$$;
select set_eq(format('select a, b from hartonomous.duplicates(%s)', t), format('select * from pg_temp.pairs(%s)', t), format('as near as %s', t)) from unnest(array[0.5, 0.8, 0.99999]) as t;
select set_has('select least(a, b), greatest(a, b) from hartonomous.duplicates(1)', format('select least(%s, %s), greatest(%1$s, %2$s)', :cats, :again), 'the same text under other bytes');

-- nobody else's
set local role bob;
select pg_temp.tiny_bert('one') \g /dev/null
select is_empty('select * from hartonomous.duplicates(0.5)');
select * from finish();
rollback;
