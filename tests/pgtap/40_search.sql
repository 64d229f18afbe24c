-- Room 40: embeddings of artifacts, projection, search.
begin;
\ir setup.psql
\ir model.psql
select plan(65);

set local role ann;
select throws_ok($$select * from hartonomous.search('tea')$$, 'ZH020', 'no embedding model is deployed');
select pg_temp.tiny_bert('tiny') \g /dev/null
select hartonomous.ingest_text('hot tea', 'shelf:1', '{"kind": "drink"}') as tea, hartonomous.ingest_text('cold milk', 'shelf:2', '{"kind": "drink"}') as milk,
       hartonomous.ingest_text('a blue book', 'desk:1', '{"pages": 3}') as book, hartonomous.ingest('\x89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082', 'image') as picture \gset

-- embed_artifacts
select hartonomous.ingest_text('') as empty, hartonomous.ingest_text(E' \n') as blank \gset
select is(hartonomous.embedding_pending(), array(select unnest(array[:tea, :milk, :book]::bigint[]) order by 1), 'what has a text and no embedding');
select is(hartonomous.embedding_pending(batch => 2), array(select unnest(array[:tea, :milk, :book]::bigint[]) order by 1 limit 2));
select set_eq($$select unnest(hartonomous.embedding_pending(worker => w, workers => 3)) from generate_series(0, 2) as w$$,
              array[:tea, :milk, :book]::bigint[], 'workers share the work');
select throws_ok($$select hartonomous.embedding_pending(worker => 1)$$, '22023');
select throws_ok($$select hartonomous.embedding_pending(workers => 0)$$, '22023');
select throws_ok($$select hartonomous.embedding_pending('nosuch')$$, 'ZH020');
select is(hartonomous.embed_artifacts(array[:tea, :milk, :book]::bigint[]), 3::bigint);
select is(hartonomous.embed_artifacts(array[:tea, :milk, :book, :picture]::bigint[]), 0::bigint, 'once is enough; what has no text is passed over');
select is(hartonomous.embed_artifacts(array[:empty, :blank]::bigint[]), 0::bigint, 'nor is an empty text embedded');
select is(hartonomous.embed_artifacts(null), 0::bigint);
select is(hartonomous.embedding_pending(), '{}');
select is((select count(*) from hartonomous.inference_request where operation = 'embed_artifacts'), 1::bigint, 'one request, none for nothing');
select throws_ok(format('select hartonomous.embed_artifacts(array[%s, -1])', :tea), 'ZH010', 'no artifact -1');
select throws_ok('select hartonomous.embed_artifacts(array[null]::bigint[])', 'ZH010');
select throws_ok(format('select hartonomous.embed_artifacts(array[%s], ''nosuch'')', :tea), 'ZH020');
select is((select embedding from hartonomous.atom_embedding where artifact_id = :tea), hartonomous.embed('hot tea'), 'the stored vector is that of embed');
select ok((select bool_and(abs(public.st_x(place)) <= 1 and public.st_3ddistance(place, hartonomous.project(embedding)) < 1e-12) from hartonomous.atom_embedding join hartonomous.embedding_place using (tenant_id, model_id, artifact_id)),
          'the stored place is that of project');
select set_eq($$select from_id from hartonomous.graph_edge where relation = 'EmbeddedBy'$$, array[:tea, :milk, :book]::bigint[]);

-- project
select is(hartonomous.project(null), null);
select is(public.st_zmflag(hartonomous.project(hartonomous.embed('tea'))), 2::smallint, 'a point in three dimensions');
select throws_ok($$select hartonomous.project('[1,2]')$$, 'ZH040', 'expected 32 dimensions, not 2');
select throws_ok($$select hartonomous.project(array_fill(0::real, array[32])::public.vector)$$, 'ZH040');

-- search
select results_eq($$select artifact_id, round(score::numeric, 5), source_uri, snippet, verdict from hartonomous.search('Hot TEA', 1)$$,
                  format($$values (%s::bigint, 1.00000, 'shelf:1', 'hot tea', 'exact')$$, :tea), 'the same text is nearest');
select is((select count(*) from hartonomous.search('tea')), 3::bigint);
select is((select distinct verdict from hartonomous.search('tea')), 'short', 'fewer than k exist');
select ok((select bool_and(score >= next) is not false from (select score, lead(score) over () as next from hartonomous.search('tea')) as s), 'best first');
select results_eq($$select artifact_id, round(score::numeric, 5), verdict from hartonomous.search_vector(hartonomous.embed('cold milk'), 1)$$,
                  format($$values (%s::bigint, 1.00000, 'exact')$$, :milk), 'by a vector');
select set_eq($$select artifact_id from hartonomous.search('tea', filter => '{"source_uri_prefix": "shelf:"}')$$, array[:tea, :milk]::bigint[]);
select set_eq($$select artifact_id from hartonomous.search('tea', filter => '{"metadata": {"kind": "drink"}}')$$, array[:tea, :milk]::bigint[]);
select set_eq($$select artifact_id from hartonomous.search('tea', filter => '{"metadata": {"kind": "drink"}, "source_uri_prefix": "shelf:2"}')$$, array[:milk]::bigint[]);
select set_eq($$select artifact_id from hartonomous.search('tea', filter => '{"modality": "text"}')$$, array[:tea, :milk, :book]::bigint[]);
select is_empty($$select * from hartonomous.search('tea', filter => '{"modality": "image"}')$$);
select is_empty($$select * from hartonomous.search('tea', filter => '{"subtype": "passage"}')$$);
select is((select count(*) from hartonomous.search('tea', filter => '{"created_before": "2000-01-01"}')), 0::bigint);
select is((select count(*) from hartonomous.search('tea', filter => '{"created_after": "2000-01-01"}')), 3::bigint);
select is((select count(*) from hartonomous.search('tea', filter => null)), 3::bigint, 'no filter');
select hartonomous.ingest_text('hot tea', 'desk:2') \g /dev/null
select is((select source_uri from hartonomous.search('hot tea', 1, filter => '{"source_uri_prefix": "shelf:"}')), 'shelf:1', 'the occurrence that matches the filter');
select is((select source_uri from hartonomous.search('hot tea', 1)), 'desk:2', 'else the first');

-- bad input
select throws_ok($$select * from hartonomous.search(null)$$, '22004');
select throws_ok($$select * from hartonomous.search_vector(null)$$, '22004');
select throws_ok($$select * from hartonomous.search('tea', 0)$$, '22023');
select throws_ok($$select * from hartonomous.search('tea', 10001)$$, '22023');
select throws_ok($$select * from hartonomous.search('tea', null)$$, '22023');
select throws_ok($$select * from hartonomous.search('tea', recall => 1.5)$$, '22023');
select throws_ok($$select * from hartonomous.search('tea', recall => null)$$, '22023');
select throws_ok($$select * from hartonomous.search('tea', model => 'nosuch')$$, 'ZH020');
select throws_ok($$select * from hartonomous.search('tea', as_of => '-infinity')$$, 'ZH020');
select throws_ok($$select * from hartonomous.search_vector(hartonomous.embed('tea'), as_of => '-infinity')$$, 'ZH020');
select throws_ok($$select * from hartonomous.search_vector('[1,2]')$$, 'ZH040', 'expected 32 dimensions, not 2');
select throws_ok($$select * from hartonomous.search_vector(array_fill(0::real, array[32])::public.vector)$$, 'ZH040');
select throws_ok(format('select * from hartonomous.search(''tea'', filter => %L)', filter), 'ZH041', null, format('filter %s', filter))
from unnest(array['[]', '"text"', 'null', '{"colour": "red"}', '{"modality": 1}', '{"metadata": "x"}', '{"created_after": "soon"}']) as filter;
select throws_ok($$select * from hartonomous.search('tea', filter => '{"modality": "smell"}')$$, '22023');

-- what goes, what others see
select hartonomous.artifact_delete(:tea);
select set_eq($$select artifact_id from hartonomous.search('tea')$$, array[:milk, :book]::bigint[], 'a deleted artifact is not found');
set local role bob;
select throws_ok($$select * from hartonomous.search('tea')$$, 'ZH020');
select pg_temp.tiny_bert('tiny') \g /dev/null
select is_empty($$select * from hartonomous.search('tea')$$, 'another tenant finds nothing');
select is(hartonomous.embedding_pending(), '{}');
select throws_ok(format('select hartonomous.embed_artifacts(array[%s])', :milk), 'ZH010', format('no artifact %s', :milk));
set local role rita;
select throws_ok(format('select hartonomous.embed_artifacts(array[%s])', :milk), '42501');
reset role;

select * from finish();
rollback;
