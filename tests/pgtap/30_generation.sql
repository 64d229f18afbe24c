-- Room 30: text from a decoder whose weights are rows, in one piece, several at once, and as a stream.
begin;
\ir setup.psql
\ir decoder.psql
select plan(44);

set local role ann;
select throws_ok($$select hartonomous.generate('tea')$$, 'ZH020', 'no generation model is deployed');
select pg_temp.tiny_decoder('tiny') \g /dev/null
select throws_ok($$select hartonomous.embed('tea', 'tiny')$$, 'ZH020', 'no embedding model ''tiny''');
select is((select (kind, dimensions, max_tokens, deployed_at is not null)::text from hartonomous.model_list()), '(generation,,96,t)', 'deployed as the first of its kind');
select is(hartonomous.detokenize(hartonomous.tokenize('the data!', 'tiny'), 'tiny'), 'the data!');

-- generate
select isnt(hartonomous.generate('the data'), '', 'there is text');
select is(hartonomous.generate('the data'), hartonomous.generate('the data', 'tiny@1', 64, 0, 0, 1, null, null, 1, '{}'), 'the same each time');
select ok(starts_with(hartonomous.generate('the data'), hartonomous.generate('the data', max_tokens => 5)));
select is(hartonomous.generate(null), null);
select isnt(hartonomous.generate(''), null, 'the empty prompt begins with the first token');
select is(hartonomous.generate('a', temperature => 1, seed => 5), hartonomous.generate('a', temperature => 1, seed => 5), 'a seed draws the same');
select isnt(hartonomous.generate('a', temperature => 1, seed => 5), hartonomous.generate('a', temperature => 1, seed => 6));
select is(hartonomous.generate('the data', stop => array[substr(hartonomous.generate('the data'), 7, 2)]),
          split_part(hartonomous.generate('the data'), substr(hartonomous.generate('the data'), 7, 2), 1), 'ends before a stop text');
select throws_ok($$select hartonomous.generate('a', 'nosuch')$$, 'ZH020');
select throws_ok($$select hartonomous.generate('a', as_of => now())$$, 'ZH020', null, 'this transaction has not committed');
select is(hartonomous.generate(null, as_of => now()), null);
select throws_ok($$select hartonomous.generate('a', max_tokens => 0)$$, '22023');
select throws_ok($$select hartonomous.generate('a', max_tokens => 96)$$, '22023');
select throws_ok($$select hartonomous.generate('a', temperature => -0.5)$$, '22023');
select throws_ok($$select hartonomous.generate('a', temperature => 'NaN')$$, '22023');
select throws_ok($$select hartonomous.generate('a', temperature => 'infinity')$$, '22023');
select throws_ok($$select hartonomous.generate('a', top_k => -1)$$, '22023');
select throws_ok($$select hartonomous.generate('a', top_p => 0)$$, '22023');
select throws_ok($$select hartonomous.generate('a', top_p => 1.1)$$, '22023');
select throws_ok($$select hartonomous.generate('a', repetition_penalty => 0)$$, '22023');
select throws_ok($$select hartonomous.generate('a', temperature => null)$$, '22023');
select throws_ok($$select hartonomous.generate('a', stop => array[''])$$, '22023');
select throws_ok($$select hartonomous.generate('a', stop => array['a', null])$$, '22023');
select throws_ok($$select hartonomous.generate(repeat('word ', 1000000))$$, '22023');
set local hartonomous.inference_memory = '1kB';
select throws_ok($$select hartonomous.generate('a')$$, 'ZH033');
reset hartonomous.inference_memory;

-- the record
reset role;
delete from hartonomous.inference_request;
set local role ann;
select hartonomous.generate('the data', max_tokens => 6, temperature => 0.5) as drawn \gset
select results_eq($$select r.operation, r.model_id = m.model_id, r.state_hash = m.state_hash, r.items, r.tokens between 2 + 1 and 2 + 6, r.input_hash,
                           r.parameters ->> 'finish' in ('["length"]', '["end"]')  -- what a new seed draws may end at once
                    from hartonomous.inference_request as r, hartonomous.model as m$$,
                  $$values ('generate', true, true, 1, true, sha256(sha256('the data')), true)$$, 'recorded');
select is((select r.output_hash from hartonomous.inference_request as r), sha256(sha256(convert_to(:'drawn', 'UTF8'))), 'with what came out');
select is(hartonomous.generate('the data', max_tokens => 6, temperature => 0.5, seed => (select (r.parameters ->> 'seed')::bigint from hartonomous.inference_request as r)),
          :'drawn', 'and the seed that draws it again');

-- generate_many
select is(hartonomous.generate_many(array['a', '', 'the data', 'a'], temperature => 1, seed => 3),
          array[hartonomous.generate('a', temperature => 1, seed => 3), hartonomous.generate('', temperature => 1, seed => 3),
                hartonomous.generate('the data', temperature => 1, seed => 3), hartonomous.generate('a', temperature => 1, seed => 3)],
          'in order, each as it is alone');
select is(hartonomous.generate_many(null), null);
select is(hartonomous.generate_many('{}'), '{}');
select throws_ok($$select hartonomous.generate_many(array['a', null])$$, '22004', 'prompt 2 is NULL');

-- generate_stream
select is((select string_agg(p, '' order by n) from (select row_number() over () as n, p from (select hartonomous.generate_stream('the data') as p) as s) as o),
          hartonomous.generate('the data'), 'the pieces are the text');
select is((select string_agg(p, '') from hartonomous.generate_stream('the data') as p), hartonomous.generate('the data'), 'elsewhere, too');
select is_empty('select hartonomous.generate_stream(null)');
select throws_ok($$select hartonomous.generate_stream('a', top_p => 0)$$, '22023');
reset role;
delete from hartonomous.inference_request;
set local role ann;
declare pieces cursor for select hartonomous.generate_stream('the data', max_tokens => 10);
move 2 in pieces;
select results_eq($$select operation, tokens, parameters ->> 'finish' from hartonomous.inference_request$$, $$values ('generate_stream', 2::bigint, '[null]')$$,
                  'recorded before it ends');
move all in pieces;
select results_eq($$select tokens, parameters ->> 'finish' from hartonomous.inference_request$$, $$values (12::bigint, '["length"]')$$, 'and completed');

-- readers, other tenants
set local role rita;
select throws_ok($$select hartonomous.generate('a')$$, '42501', null, 'readers do not write');
set local role bob;
select throws_ok($$select hartonomous.generate('a', 'tiny')$$, 'ZH020', null, 'another tenant''s model is as unknown as a missing one');

select * from finish();
rollback;
