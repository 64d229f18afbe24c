-- Room 20: loading, reading, deploying and dropping models.
begin;
\ir setup.psql
\ir model.psql
select plan(62);
set local role ann;

-- begin
select throws_ok($$select hartonomous.model_begin('m', 'MambaForCausalLM', '{}')$$, 'ZH024', null, 'an architecture that no engine runs');
select throws_ok($$select hartonomous.model_begin('m', null, '{}')$$, '22004');
select throws_ok($$select hartonomous.model_begin('m', 'BertModel', '{}')$$, 'ZH025', null, 'a configuration without its config.json');
select throws_ok($$select hartonomous.model_begin('m', 'BertModel', null)$$, '22004');
select throws_ok($$select hartonomous.model_begin('m', 'BertModel', '{"config": {"hidden_size": 8}}')$$, 'ZH025');
select throws_ok($$select hartonomous.model_begin('a@b', 'BertModel', '{}')$$, '22023');
select throws_ok($$select hartonomous.model_begin('', 'BertModel', '{}')$$, '22023');
select throws_ok($$select hartonomous.model_begin(null, 'BertModel', '{}')$$, '22023');
select is_empty('select * from hartonomous.model', 'nothing half-written');
select pg_temp.tiny_begin('tiny') as m \gset
select is(pg_temp.tiny_begin('tiny'), :m::bigint, 'an unfinished model is continued');
select throws_ok($$select hartonomous.model_begin('tiny', 'BertModel', files -> 'config', '{}') from pg_temp.tiny_file$$, 'ZH021', null,
                 'but not with another configuration');

-- put
create function pg_temp.put(tensor text, start bigint, data bytea, dtype text default 'F32', shape int[] default '{2,3}') returns void language sql as
$$select hartonomous.tensor_put((select model_id from hartonomous.model where name = 'tiny'), tensor, dtype, shape, start, data)$$;
select lives_ok($$select pg_temp.put('x.1.weight', 8, '\x0102030405060708')$$, 'parts come in any order');
select lives_ok($$select pg_temp.put('x.1.weight', 8, '\x0102030405060708')$$, 'and again');
select throws_ok($$select pg_temp.put('x.1.weight', 8, '\x0102030405060709')$$, 'ZH023', null, 'but not with other bytes');
select throws_ok($$select pg_temp.put('x.1.weight', 4, '\x0102030405060708')$$, 'ZH023', null, 'nor overlapping');
select throws_ok($$select pg_temp.put('x.1.weight', 20, '\x0102030405060708')$$, 'ZH023', null, 'nor beyond the end');
select throws_ok($$select pg_temp.put('x.1.weight', -1, '\x01')$$, 'ZH023');
select throws_ok($$select pg_temp.put('x.1.weight', 0, '\x01', 'F16')$$, 'ZH023', null, 'nor as another dtype');
select throws_ok($$select pg_temp.put('x.1.weight', 0, '\x01', 'F32', '{3,2}')$$, 'ZH023', null, 'nor in another shape');
select throws_ok($$select pg_temp.put('y', 0, '\x01', 'F33')$$, 'ZH023', 'unknown dtype ''F33''');
select throws_ok($$select pg_temp.put('y', 0, '\x01', 'F32', '{-1}')$$, 'ZH023');
select throws_ok($$select pg_temp.put('y', 0, '\x01', 'F32', '{2147483647,2147483647}')$$, 'ZH023', null, 'nor absurdly large');
select throws_ok($$select pg_temp.put('y', null, '\x01')$$, '22004');
select throws_ok($$select pg_temp.put('y', 0, null)$$, '22004');
select throws_ok($$select pg_temp.put(null, 0, '\x01')$$, '22004');
select throws_ok($$select hartonomous.tensor_put(-1, 'y', 'F32', '{1}', 0, '\x00000000')$$, 'ZH020', 'no model with id -1');
select results_eq(format('select * from hartonomous.tensor_missing(%s)', :m), $$values ('x.1.weight', 8::bigint)$$);
select throws_ok(format('select hartonomous.model_commit(%s)', :m), 'ZH022', 'tensor "x.1.weight" has 8 of 24 bytes');
select throws_ok('select hartonomous.tensor_slice(''tiny'', ''x.1.weight'', 0, 1)', 'ZH020', null, 'an unfinished model is not read');
select throws_ok($$select hartonomous.model_deploy('tiny')$$, 'ZH022');
select lives_ok($$select pg_temp.put('x.1.weight', 0, '\x0000000000000000'), pg_temp.put('x.1.weight', 16, '\x0000000000000000')$$);
select throws_ok(format('select hartonomous.model_commit(%s)', :m), 'ZH023', null, 'a tensor that the architecture does not have');
select lives_ok($$select hartonomous.model_drop('tiny')$$, 'an unfinished model can be dropped');
select is_empty('select * from hartonomous.tensor_atom', 'with its weights');
select throws_ok($$select hartonomous.model_commit(hartonomous.model_begin('tiny', 'BertModel', files -> 'config', files -> 'tokenizer'))
                   from pg_temp.tiny_file$$, 'ZH023', null, 'a model without its tensors');

-- commit
select is(pg_temp.tiny_bert('tiny'), (select sum(shape[1] * coalesce(shape[2], 1)) from pg_temp.tiny_tensors()), 'model_commit returns the parameters');
select model_id as m from hartonomous.model where name = 'tiny' \gset
select is(hartonomous.model_commit(:m), (select parameters from hartonomous.model), 'again changes nothing');
select throws_ok('select pg_temp.tiny_begin(''tiny'')', 'ZH021', 'model tiny@1 exists already');
select throws_ok(format($$select hartonomous.tensor_put(%s, 'y', 'F32', '{1}', 0, '\x00000000')$$, :m), 'ZH021');
select results_eq('select name, version, kind, architecture, status, dimensions, max_tokens, deployed_at is not null, tenant_id from hartonomous.model_list()',
                  format($$values ('tiny', '1', 'embedding', 'BertModel', 'ready', 32, 32, true, %s)$$, :ann), 'the first model of a kind is deployed');

-- read
select results_eq($$select name, dtype, shape from hartonomous.tensor_list('tiny') order by name$$,
                  $$select name, 'F32', shape from pg_temp.tiny_tensors() order by name$$);
select is_empty($$select name from hartonomous.tensor_list('tiny') where sha256(hartonomous.tensor('tiny', name)) is distinct from content_hash$$,
                'tensors come back as they were put');
select is(hartonomous.tensor('tiny@1', 'embeddings.LayerNorm.bias'), pg_temp.weights('embeddings.LayerNorm.bias', 32));
select is(hartonomous.tensor_slice('tiny', 'embeddings.LayerNorm.bias', 120, 100), substr(pg_temp.weights('embeddings.LayerNorm.bias', 32), 121),
          'a slice ends with the tensor');
select is(hartonomous.tensor_slice('tiny', 'embeddings.LayerNorm.bias', 9223372036854775807, 100), ''::bytea);
select throws_ok($$select hartonomous.tensor_slice('tiny', 'embeddings.LayerNorm.bias', -1, 1)$$, '22011');
select throws_ok($$select hartonomous.tensor('tiny', 'nosuch')$$, 'ZH023');
select throws_ok($$select hartonomous.tensor('nosuch', 'x')$$, 'ZH020');
select throws_ok($$select hartonomous.tensor('tiny@2', 'x')$$, 'ZH020');
select throws_ok($$select hartonomous.tensor('tiny', 'embeddings.LayerNorm.bias', as_of => now())$$, 'ZH020', null, 'this transaction has not committed');
select throws_ok($$select hartonomous.tensor_slice('tiny', 'embeddings.LayerNorm.bias', 0, 1, as_of => '2001-01-01')$$, 'ZH020');
select is(hartonomous.model_files('tiny') -> 'config', (select files -> 'config' from pg_temp.tiny_file), 'files come back as they were given');

-- versions, storage, isolation, dropping
select pg_temp.tiny_bert('tiny', '2') \g /dev/null
select results_eq($$select shared_bytes = stored_bytes, raw_bytes > 0 from hartonomous.model_storage('tiny@2')$$, 'values (true, true)',
                  'equal tensors of two models are stored once');
select is(hartonomous.model_files('tiny') ->> 'version', '1', 'a name means the deployed version');
select lives_ok($$select hartonomous.model_deploy('tiny@2')$$);
select is(hartonomous.model_files(null) ->> 'version', '2', 'NULL means the deployed default');
select throws_ok($$select hartonomous.model_drop('tiny')$$, '22023', null, 'which of two versions must be said');
set local role bob;
select is_empty('select * from hartonomous.model_list()', 'another tenant sees no model');
select throws_ok(format('select hartonomous.model_commit(%s)', :m), 'ZH020', format('no model with id %s', :m));
select throws_ok($$select hartonomous.model_drop('tiny@1')$$, 'ZH020', 'your tenant has no model ''tiny@1''');
set local role ann;
select lives_ok($$select hartonomous.model_drop('tiny@1')$$);
select is_empty($$select name from hartonomous.tensor_list('tiny') where sha256(hartonomous.tensor('tiny', name)) is distinct from content_hash$$,
                'what models share stays');
reset role;

select * from finish();
rollback;
