-- Room 20: rank-1 deltas, deployment, shares, archive, rollback.
begin;
\ir setup.psql
\ir model.psql
select plan(46);
set local role ann;
select pg_temp.tiny_bert('tiny'), pg_temp.tiny_bert('tiny', '2', 'b'), pg_temp.tiny_bert('tiny', '3', 'c') \g /dev/null
select pg_temp.tiny_begin('unfinished') \g /dev/null

-- deltas
select shape[1] as h, shape[2] as w from hartonomous.tensor_list('tiny@1') where name = 'encoder.layer.0.output.dense.weight' \gset
create function pg_temp.delta(model text default 'tiny@1', tensor text default 'encoder.layer.0.output.dense.weight', sigma real default 0.5,
                              h int default :h, w int default :w, element real default 1) returns bigint language sql as
$$select hartonomous.tensor_delta_add(model, tensor, array_fill(element, array[h]), array_fill(2::real, array[w]), sigma)$$;
create temp table before as select name, content_hash, hartonomous.tensor('tiny@1', name) as data from hartonomous.tensor_list('tiny@1');
select state_hash as state from hartonomous.model_list() where (name, version) = ('tiny', '1') \gset
select throws_ok($$select pg_temp.delta('nosuch')$$, 'ZH020');
select throws_ok($$select pg_temp.delta('unfinished')$$, 'ZH022');
select throws_ok($$select pg_temp.delta(tensor => 'nosuch')$$, 'ZH023');
select throws_ok($$select pg_temp.delta(tensor => null)$$, 'ZH023');
select throws_ok($$select pg_temp.delta(tensor => 'embeddings.LayerNorm.bias')$$, 'ZH023', null, 'a vector is no matrix');
select throws_ok($$select pg_temp.delta(h => 1)$$, 'ZH023');
select throws_ok(format('select pg_temp.delta(h => %s, w => %s)', :w, :h), 'ZH023', null, 'u has the rows, v the columns');
select throws_ok($$select pg_temp.delta(sigma => null)$$, '22004');
select throws_ok($$select pg_temp.delta(element => null)$$, '22004');
select throws_ok($$select pg_temp.delta(element => 'NaN')$$, 'ZH023');
select throws_ok($$select pg_temp.delta(sigma => 'infinity')$$, 'ZH023');
select throws_ok($$select pg_temp.delta(sigma => 3e38, element => 3e38)$$, 'ZH023', null, 'what overflows');
select throws_ok($$select hartonomous.tensor_delta_add('tiny@1', 'encoder.layer.0.output.dense.weight', '{}', '{}', 1)$$, 'ZH023');
select throws_ok($$select hartonomous.tensor_delta_add('tiny@1', 'encoder.layer.0.output.dense.weight', '{{1}}', '{1}', 1)$$, 'ZH023');
select is(state_hash, :'state', 'what is refused changes nothing') from hartonomous.model_list() where (name, version) = ('tiny', '1');
select pg_temp.delta(sigma => 0.25) as c \gset
select results_eq($$select name from before as b where hartonomous.tensor('tiny@1', name) <> data$$,
                  $$values ('encoder.layer.0.output.dense.weight')$$, 'one tensor is another');
select is_empty($$select name from hartonomous.tensor_list('tiny@1') where sha256(hartonomous.tensor('tiny@1', name)) <> content_hash$$,
                'hashes are those of what is read');
select isnt(state_hash, :'state') from hartonomous.model_list() where (name, version) = ('tiny', '1');
select is(hartonomous.tensor_slice('tiny@1', 'encoder.layer.0.output.dense.weight', 131, 70),
          substr(hartonomous.tensor('tiny@1', 'encoder.layer.0.output.dense.weight'), 132, 70), 'slices are of the sum');
select is(hartonomous.tensor_slice('tiny@1', 'encoder.layer.0.output.dense.weight', 1000000000, 70), ''::bytea);
select is((select coefficient from hartonomous.tensor_atom_coefficient where coefficient_id = :c), 0.25::real);
select pg_temp.delta(sigma => -0.25) \g /dev/null
select is(state_hash, :'state', 'the delta taken back gives the state there was')
from hartonomous.model_list() where (name, version) = ('tiny', '1');

-- deployment
create function pg_temp.deployed() returns text language sql as
$$select string_agg(format('%s@%s %s', name, version, share), ', ' order by version) from hartonomous.model_list() where share is not null$$;
select is(pg_temp.deployed(), 'tiny@1 1', 'the first model is deployed');
select throws_ok($$select hartonomous.model_rollback()$$, 'ZH020', null, 'nothing was deployed before');
select throws_ok($$select hartonomous.model_rollback(null)$$, 'ZH020');
select throws_ok($$select hartonomous.model_deploy('tiny@2', 0)$$, '22023');
select throws_ok($$select hartonomous.model_deploy('tiny@2', 1.5)$$, '22023');
select throws_ok($$select hartonomous.model_deploy('tiny@2', 'NaN')$$, '22023');
select throws_ok($$select hartonomous.model_deploy('tiny@1', 0.5)$$, '22023', null, 'the deployed model is no candidate');
select lives_ok($$select hartonomous.model_deploy('tiny@2', 0.25)$$);
select is(pg_temp.deployed(), 'tiny@1 0.75, tiny@2 0.25');
reset role;
select results_eq($$select m.version, count(*) between 150 and 350 from generate_series(1, 1000) as i
                    join hartonomous.model as m on m.model_id = hartonomous._model_route((select tenant_id from hartonomous.tenant where name = 'ann and co'), null, 'embedding', 'request ' || i)
                    group by 1 order by 1 desc limit 1$$, $$values ('2', true)$$, 'the candidate gets its share');
select is_empty($$select i from generate_series(1, 100) as i, (select tenant_id from hartonomous.tenant where name = 'ann and co') as t
                  where hartonomous._model_route(t.tenant_id, null, 'embedding', 'r' || i) <> hartonomous._model_route(t.tenant_id, null, 'embedding', 'r' || i)
                     or hartonomous._model_route(t.tenant_id, 'tiny@1', 'embedding', 'r' || i) <> hartonomous._model_id(t.tenant_id, 'tiny@1')$$,
                'equal requests get the same model, and who names one gets that');
set local role ann;
select is(hartonomous.model_files(null) ->> 'version', '1', 'what is no request keeps to the deployed model');
select throws_ok($$select hartonomous.model_archive('tiny@2')$$, '55000', null, 'a candidate is not archived');
select throws_ok($$select hartonomous.model_archive('unfinished')$$, 'ZH022');
select throws_ok($$select hartonomous.model_archive(null)$$, 'ZH020');
select lives_ok($$select hartonomous.model_drop('tiny@1')$$, 'the deployed model can be dropped');
select is(pg_temp.deployed(), 'tiny@2 1', 'and the candidate goes on');
select lives_ok($$select hartonomous.model_archive('tiny@3')$$);
select throws_ok($$select hartonomous.embed('a', 'tiny@3')$$, 'ZH020', 'model ''tiny@3'' is archived');
select isnt(hartonomous.tensor('tiny@3', 'embeddings.LayerNorm.bias'), null, 'an archived model is read');
select lives_ok($$select hartonomous.model_deploy('tiny@3')$$, 'and comes back when it is deployed');
select is(pg_temp.deployed(), 'tiny@3 1');
set local role bob;
select throws_ok($$select hartonomous.model_archive('tiny@2')$$, 'ZH020', 'your tenant has no model ''tiny@2''');
select throws_ok($$select pg_temp.delta('tiny@2')$$, 'ZH020', 'your tenant has no model ''tiny@2''');
reset role;
select * from finish();
rollback;
