-- Room 45: heads, predictions, evaluation sets, comparison, students.
begin;
\ir setup.psql
\ir model.psql
\ir decoder.psql
select plan(71);
set local role ann;
select pg_temp.tiny_bert('tiny'), pg_temp.tiny_bert('other', seed => 'b') \g /dev/null
select hartonomous.model_deploy('tiny') \g /dev/null
create temp table text_of as
select hartonomous.ingest_text(case when i % 2 = 0 then 'tea milk tea' else 'book desk pen' end || ' ' || chr(96 + i), 'u/' || i) as id,
       case when i % 2 = 0 then 'drink' else 'thing' end as label, i from generate_series(1, 20) as i;
grant select on text_of to public;
select hartonomous.ingest_text('never embedded') as unembedded \gset
select hartonomous.embed_artifacts(array_agg(id)), hartonomous.embed_artifacts(array_agg(id), 'other') from text_of \g /dev/null

-- heads
create function pg_temp.train(name text default 'x', method text default 'logistic', penalty real default 0.001, model text default 'tiny') returns record
language sql as $$select t from (select array_agg(id) as ids, array_agg(label) as labels from text_of) as a,
                  hartonomous.model_train_head(name, a.ids, a.labels, model, method, penalty) as t$$;
select throws_ok($$select pg_temp.train(null)$$, '22023');
select throws_ok($$select pg_temp.train('a b')$$, '22023');
select throws_ok($$select pg_temp.train('tiny')$$, 'ZH021');
select throws_ok($$select pg_temp.train(method => 'tree')$$, '22023');
select throws_ok($$select pg_temp.train(method => null)$$, '22023');
select throws_ok($$select pg_temp.train(penalty => -1)$$, '22023');
select throws_ok($$select pg_temp.train(penalty => 'infinity')$$, '22023');
select throws_ok($$select pg_temp.train(model => 'nosuch')$$, 'ZH020');
select throws_ok($$select hartonomous.model_train_head('x', null, null)$$, '22004');
select throws_ok($$select hartonomous.model_train_head('x', '{1}', '{null}')$$, '22004');
select throws_ok($$select hartonomous.model_train_head('x', '{1,2}', '{a}')$$, '22023');
select throws_ok($$select hartonomous.model_train_head('x', '{null}', '{a}')$$, 'ZH010');
select throws_ok($$select hartonomous.model_train_head('x', '{1099511627776}', '{a}')$$, 'ZH010', 'no artifact 1099511627776');
select throws_ok(format($$select hartonomous.model_train_head('x', '{%s}', '{a}')$$, :unembedded), '22023', null, 'no embedding');
select throws_ok($$select hartonomous.model_train_head('x', '{}', '{}')$$, '22023', null, 'no rows');
select is_empty($$select * from hartonomous.training_row$$, 'nothing half-written');
select is_empty($$select * from hartonomous.model where kind = 'classification'$$);
select lives_ok($$select pg_temp.train('head')$$);
select lives_ok($$select pg_temp.train('squares', 'ridge')$$);
select results_eq($$select name, version, kind, architecture, status, dimensions, share from hartonomous.model_list() where kind = 'classification' order by name$$,
                  $$values ('head', '1', 'classification', 'LinearHead', 'ready', 2, 1::real), ('squares', '1', 'classification', 'LinearHead', 'ready', 2, null)$$,
                  'the first head is deployed');
select results_eq($$select name, shape from hartonomous.tensor_list('head')$$, $$values ('classifier.weight', '{2,32}'::int[]), ('classifier.bias', '{2}')$$);
select is_empty($$select name from hartonomous.tensor_list('head') where sha256(hartonomous.tensor('head', name)) <> content_hash$$);
select results_eq($$select label from hartonomous.predict('tea milk tea b')$$, $$values ('drink'), ('thing')$$);
select is((select round(sum(probability)::numeric, 5) from hartonomous.predict('anything', 'squares')), 1.00000);
select results_eq($$select item, label from hartonomous.predict_many(array['book desk pen', 'tea milk tea'])$$, $$values (1, 'thing'), (2, 'drink')$$);
select is_empty($$select * from hartonomous.predict(null)$$);
select is_empty($$select * from hartonomous.predict_many(null)$$);
select is_empty($$select * from hartonomous.predict_many('{}')$$);
select throws_ok($$select hartonomous.predict_many(array['a', null])$$, '22004', 'text 2 is NULL');
select throws_ok($$select hartonomous.predict('x', 'tiny')$$, 'ZH020', 'no classification model ''tiny''');
select throws_ok($$select hartonomous.embed('x', 'head')$$, 'ZH020');
select throws_ok($$select hartonomous.tokenize('x', 'head')$$, 'ZH030');
select is((select count(*) from hartonomous.inference_request where operation = 'predict'), 3::bigint, 'recorded');
select throws_ok($$select hartonomous.model_retrain('tiny', '{}', '{}')$$, 'ZH020');
select results_eq($$select t.version, t.rows from text_of as o, hartonomous.model_retrain('head', array[o.id], '{drink}') as t where o.i = 1$$,
                  $$values ('2', 20::bigint)$$);
select is((select version from hartonomous.model_list() where name = 'head' and share = 1), '1', 'the version before stays deployed');
select set_eq($$select relation from hartonomous.graph_edge where from_type = 'model' and relation <> 'HasTensor'$$, $$values ('TrainedOn'), ('Continues')$$);
select throws_ok($$select hartonomous.model_drop('tiny')$$, '23503', 'model ''tiny'' has made embeddings that heads are fitted to');

-- evaluation sets
select throws_ok($$select hartonomous.evaluation_put(null, 'text', '{a}')$$, '22023');
select throws_ok($$select hartonomous.evaluation_put('e', null, '{a}')$$, '22023');
select throws_ok($$select hartonomous.evaluation_put('e', 'text', null)$$, '22023');
select throws_ok($$select hartonomous.evaluation_put('e', 'retrieval', '{a}', '{null}')$$, '22004');
select throws_ok($$select hartonomous.evaluation_put('e', 'retrieval', '{a,b}', '{c}')$$, '22023');
select throws_ok($$select hartonomous.evaluation_put('e', 'text', '{a}', '{b}')$$, '22023');
select is(hartonomous.evaluation_put('drinks', 'retrieval', '{tea milk,tea milk,book}', '{u/2,u/4,u/1}'), 3::bigint);
select is(hartonomous.evaluation_put('labels', 'classification', '{old}', '{drink}'), 1::bigint);
select is(hartonomous.evaluation_put('labels', 'classification', '{tea milk tea,book desk pen,unknown}', '{drink,thing,neither}'), 3::bigint, 'put again replaces');
select results_eq('select name, kind, items from hartonomous.evaluation_list()', $$values ('drinks', 'retrieval', 3::bigint), ('labels', 'classification', 3)$$);
select is(hartonomous.model_validate('tiny', 'other', 'drinks') - 'a' - 'b' - 'metrics',
          '{"evaluation": "drinks", "kind": "retrieval", "k": 5, "items": 2, "artifacts": 20, "resamples": 1000, "seed": 0}');
select is(hartonomous.model_validate(null, 'tiny', 'drinks') #>> '{metrics,hit@5,difference}', '0.0', 'a model equals itself');
select is((hartonomous.model_validate('head@1', 'head@2', 'labels') #>> '{metrics,accuracy,a}')::numeric(3, 2), 0.67, 'an unknown label is wrong');
select throws_ok($$select hartonomous.model_validate('tiny', 'head', 'drinks')$$, 'ZH020', 'no embedding model ''head''');
select throws_ok($$select hartonomous.model_validate('tiny', 'tiny', 'nosuch')$$, 'ZH045');
select throws_ok($$select hartonomous.model_validate('tiny', 'tiny', 'drinks', k => 0)$$, '22023');
select throws_ok($$select hartonomous.model_validate('tiny', 'tiny', 'drinks', resamples => 1)$$, '22023');
select throws_ok($$select hartonomous.model_validate('tiny', 'tiny', 'drinks', seed => -1)$$, '22023');

select hartonomous.evaluation_put('partly', 'retrieval', '{tea,book}', '{u/2,u/nowhere}') \g /dev/null
select throws_ok($$select hartonomous.model_validate('tiny', 'other', 'partly')$$, '22023', 'InvalidParameter: evaluation set expects 1 of 2 sources that no artifact has, such as u/nowhere');
select hartonomous.evaluation_put('partly', 'retrieval', '{tea,never}', '{u/2,never/1}'), hartonomous.ingest_text('never embedded either', 'never/1') as gone \gset
select lives_ok($$select hartonomous.model_validate('tiny', 'other', 'partly')$$, 'what is there and not embedded counts as not found');
select hartonomous.artifact_delete(:gone);
select throws_ok($$select hartonomous.model_validate('tiny', 'other', 'partly')$$, '22023', null, 'a deleted artifact is no source');

-- texts
select pg_temp.tiny_decoder('poet'), pg_temp.tiny_decoder('poet', '2', 'b') \g /dev/null
select is(hartonomous.evaluation_put('texts', 'text', '{the data,a}'), 2::bigint);
select results_eq($$select k, v -> 'difference' from jsonb_each(hartonomous.model_validate('poet@1', 'poet@1', 'texts') -> 'metrics') as m (k, v) order by k$$,
                  $$values ('bits_per_byte', '0.0'::jsonb), ('perplexity', '0.0')$$, 'a decoder equals itself');
select ok((hartonomous.model_validate('poet@1', 'poet@2', 'texts') #>> '{metrics,perplexity,b}')::float8 > 1);
select throws_ok($$select hartonomous.model_validate('tiny', 'poet', 'texts')$$, 'ZH020', 'no generation model ''tiny''');

-- students
select results_eq($$select raw_bytes > stored_bytes, quality ->> 'energy' from hartonomous.model_student('tiny', 'small', 0.5)$$, $$values (true, '0.5')$$);
select throws_ok($$select hartonomous.model_student('tiny', 'small', 0.5)$$, 'ZH021');
select throws_ok($$select hartonomous.model_student('tiny', 'smaller', 'NaN')$$, '22023');
select throws_ok($$select hartonomous.model_student('head@1', 'smaller', 0.5)$$, '22023', 'model head@1 is a head, expected one that reads texts');
select hartonomous.embedding_model_register('outside', 4) \g /dev/null
select throws_ok($$select hartonomous.model_student('outside', 'smaller', 0.5)$$, 'ZH031');

-- another tenant
set local role bob;
select throws_ok(format($$select hartonomous.model_train_head('x', array[(select id from text_of limit 1)], '{a}', 'tiny')$$), 'ZH020');
select throws_ok($$select hartonomous.evaluation_drop('drinks')$$, 'ZH045', 'your tenant has no evaluation set ''drinks''');
select is_empty('select * from hartonomous.evaluation_list()');
reset role;
select * from finish();
rollback;
