-- Room 60: lineage and impact.
begin;
\ir setup.psql
\ir model.psql
select plan(17);

set local role ann;
select pg_temp.tiny_bert('tiny') as m \gset
select model_id as m from hartonomous.model \gset
select hartonomous.ingest_document('tea.md', E'# Tea\n\nPour the water.\n', 'markdown') as page \gset
select artifact_id as passage from hartonomous.artifact where subtype = 'passage' \gset
select hartonomous.embed_artifacts(array[:passage]) \g /dev/null

select results_eq(format('select depth, node_type, node_id, relation, via from hartonomous.lineage(%s, 2) where depth < 2', :passage),
                  format($$select 0, 'artifact', %1$s::bigint, null::text, null::bigint
                           union all select 1, 'artifact', %2$s, 'ComponentOf', %1$s
                           union all select 1, 'inference_request', inference_request_id, 'EmbeddedBy', %1$s from hartonomous.inference_request$$,
                         :passage, :page), 'from a passage to its page and to the request that embedded it');
select set_eq(format($$select node_id from hartonomous.lineage(%s) where node_type = 'model'$$, :passage), array[:m::bigint], 'on to the model');
select set_eq(format($$select detail ->> 'sha256' from hartonomous.lineage(%s) where node_type = 'model_tensor'$$, :passage),
              $$select encode(content_hash, 'hex') from hartonomous.tensor_list('tiny')$$, 'and to the hash of every tensor');
select is((select detail ->> 'sha256' from hartonomous.lineage(:passage) where node_id = :page and node_type = 'artifact'),
          encode(sha256(hartonomous.content(:page)), 'hex'), 'the page with the hash of its bytes');
select is((select detail ->> 'source_uri' from hartonomous.lineage(:page, 0)), 'tea.md', 'depth 0 is the artifact itself');
select is((select max(depth) from hartonomous.lineage(:passage, 1)), 1);
select set_eq(format('select node_id from hartonomous.impact(%s) where depth = 1', :page), array[:passage::bigint], 'downstream of a page lie its passages');

select throws_ok('select * from hartonomous.lineage(-1)', 'ZH010', 'no artifact -1');
select throws_ok('select * from hartonomous.lineage(null)', 'ZH010', null, 'NULL is no artifact');
select throws_ok('select * from hartonomous.impact(-1)', 'ZH010');
select throws_ok(format('select * from hartonomous.lineage(%s, -1)', :page), '22023');
select throws_ok(format('select * from hartonomous.lineage(%s, null)', :page), '22023');
select throws_ok(format('select * from hartonomous.lineage(%s, as_of => now())', :page), '0A000');
select throws_ok(format('select * from hartonomous.impact(%s, as_of => now())', :page), '0A000');
set local role bob;
select throws_ok(format('select * from hartonomous.lineage(%s)', :page), 'ZH010', format('no artifact %s', :page), 'a foreign id is as unknown as a missing one');
select throws_ok(format('select * from hartonomous.impact(%s)', :page), 'ZH010');
set local role rita;
select ok((select count(*) from hartonomous.lineage(:passage)) > 3, 'a reader traces');
reset role;

select * from finish();
rollback;
