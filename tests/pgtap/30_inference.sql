-- Room 30: tokens and embeddings from the weights in the tables, and the record of each request.
begin;
\ir setup.psql
\ir model.psql
select plan(63);

set local role ann;
select throws_ok($$select hartonomous.embed('tea')$$, 'ZH020', 'no embedding model is deployed');
select throws_ok($$select hartonomous.tokenize('tea')$$, 'ZH020');
select pg_temp.tiny_bert('tiny') \g /dev/null

-- tokens
select is(hartonomous.tokenize('Pour the TEA!'), array[2, 13, 6, 7, 27, 3], 'special tokens around, case folded');
select is(hartonomous.tokenize('cups of jam', 'tiny'), array[2, 10, 22, 1, 12, 3], 'subwords and unknown words');
select is(hartonomous.tokenize(''), array[2, 3], 'the empty text');
select is(cardinality(hartonomous.tokenize(repeat('tea ', 100))), 32, 'cut to the model''s length');
select is(hartonomous.tokenize(null), null);
select throws_ok($$select hartonomous.tokenize('tea', 'nosuch')$$, 'ZH020');
select throws_ok($$select hartonomous.tokenize(null, 'nosuch')$$, 'ZH020', null, 'an unknown model is an error even for NULL');
select is(hartonomous.detokenize(array[2, 13, 6, 7, 27, 3]), 'pour the tea!');
select is(hartonomous.detokenize('{}'), '');
select is(hartonomous.detokenize(null), null);
select throws_ok('select hartonomous.detokenize(array[30])', '22023');
select throws_ok('select hartonomous.detokenize(array[-1])', '22023');
select throws_ok('select hartonomous.detokenize(array[2, null])', '22004', null, 'NULL is no token');
select throws_ok($$select hartonomous.detokenize(array[2], 'nosuch')$$, 'ZH020');

-- embed
select is(public.vector_dims(hartonomous.embed('hot tea')), 32);
select ok(abs(public.vector_norm(hartonomous.embed('hot tea')) - 1) < 1e-6, 'of unit length');
select is(hartonomous.embed('hot tea'), hartonomous.embed('hot tea', 'tiny@1'), 'the same bits each time');
select ok(hartonomous.embed('hot tea') <> hartonomous.embed('cold milk'));
select is(hartonomous.embed('Hot TEA'), hartonomous.embed('hot tea'));
select is(hartonomous.embed(null), null);
select isnt(hartonomous.embed(''), null, 'the empty text has an embedding');
select throws_ok($$select hartonomous.embed('tea', 'nosuch')$$, 'ZH020');
select throws_ok($$select hartonomous.embed('tea', as_of => now())$$, 'ZH020', null, 'this transaction has not committed');
select is(hartonomous.embed(null, as_of => now()), null);
select is_empty('select * from hartonomous.inference_request', 'embed is not recorded');

-- embed_many
select is(hartonomous.embed_many(array['hot tea', '', 'cold milk', 'hot tea']),
          array[hartonomous.embed('hot tea'), hartonomous.embed(''), hartonomous.embed('cold milk'), hartonomous.embed('hot tea')],
          'in order, and no bit depends on the batch');
select results_eq($$select r.operation, r.model_id = m.model_id, r.state_hash = m.state_hash, r.items, r.tokens, r.role_name, r.tenant_id
                    from hartonomous.inference_request as r, hartonomous.model as m$$,
                  format($$values ('embed_many', true, true, 4, 14::bigint, 'ann'::name, %s)$$, :ann), 'recorded as one request');
select results_eq($$select input_hash from hartonomous.inference_request$$,
                  $$select sha256(sha256('hot tea') || sha256('') || sha256('cold milk') || sha256('hot tea'))$$, 'with what went in');
select is((select count(*) from hartonomous.graph_edge where relation = 'UsedModel'), 1::bigint, 'and its edge to the model');
select is(hartonomous.embed_many(null), null);
select is(hartonomous.embed_many('{}'), '{}');
select throws_ok($$select hartonomous.embed_many(array['tea', null])$$, '22004', 'text 2 is NULL');
select throws_ok($$select hartonomous.embed_many(array['tea'], 'nosuch')$$, 'ZH020');

-- attention
select is(hartonomous.attention('{1,0}', '{{1,0},{0,1}}', '{{4,0},{0,4}}'),
          array[4 * exp(1 / sqrt(2)) / (exp(1 / sqrt(2)) + 1), 4 / (exp(1 / sqrt(2)) + 1)]::real[], 'one query is one row');
select is(hartonomous.attention('{{1,0},{0,1}}', '{{1,0},{0,1}}', '{{4,0},{0,4}}', causal => true),
          array[array[4, 0], array[4 / (exp(1 / sqrt(2)) + 1), 4 * exp(1 / sqrt(2)) / (exp(1 / sqrt(2)) + 1)]]::real[], 'the first query sees one key');
select is((select hartonomous.attention('{1,0,0,1}', array_agg(r.k order by r.k), array_agg(r.v order by r.k), 2)
           from (values ('{1,0,1,0}'::real[], '{1,2}'::real[]), ('{1,0,1,0}', '{3,6}')) as r (k, v)),
          '{2,4}'::real[], 'over rows, each head by itself');
select is(hartonomous.attention(null, '{1}', '{1}'), null);
select is(hartonomous.attention('{1}', '{1}', '{1}', null), null);
select throws_ok($$select hartonomous.attention('{1,2}', '{{1,2,3}}', '{1}')$$, '22023', 'InvalidParameter: q has rows of 2 and k of 3, expected the same');
select throws_ok($$select hartonomous.attention('{1,2}', '{{1,2},{3,4}}', '{1}')$$, '22023', 'InvalidParameter: there are 2 keys and 1 values, expected one for each');
select throws_ok($$select hartonomous.attention('{1,2,3}', '{{1,2,3}}', '{1,2,3}', 2)$$, '22023', 'InvalidParameter: 2 heads do not divide rows of 3 and 3');
select throws_ok($$select hartonomous.attention('{1}', '{1}', '{1}', 0)$$, '22023');
select throws_ok($$select hartonomous.attention('{}', '{1}', '{1}')$$, '22023', 'InvalidParameter: q is empty, expected one row or an array of rows');
select throws_ok($$select hartonomous.attention('{{{1}}}', '{1}', '{1}')$$, '22023', 'InvalidParameter: q has 3 dimensions, expected one row or an array of rows');
select throws_ok($$select hartonomous.attention('{1,null}', '{1,2}', '{1}')$$, '22023', 'InvalidParameter: q holds a NULL');
select throws_ok($$select hartonomous.attention('{1}', '{NaN}', '{1}')$$, '22023', 'InvalidParameter: k holds a value that is not finite');
select throws_ok($$select hartonomous.attention('{{1},{1}}', '{1}', '{1}', causal => true)$$, '22023');

-- readers, other tenants, public models
set local role rita;
select is(hartonomous.attention('{1}', '{1}', '{2}'), '{2}'::real[], 'a reader computes');
select isnt(hartonomous.embed('tea'), null, 'a reader embeds');
select throws_ok($$select hartonomous.embed_many(array['tea'])$$, '42501', null, 'unrecorded only');
set local role bob;
select throws_ok($$select hartonomous.embed('tea', 'tiny')$$, 'ZH020', null, 'another tenant''s model is as unknown as a missing one');
select is_empty('select * from hartonomous.inference_request', 'and its requests are not seen');
reset role;
set local role publisher;
select pg_temp.tiny_bert('tiny', '1', 'other weights') \g /dev/null
set local role bob;
select isnt(hartonomous.embed('tea', 'tiny'), null, 'a public model serves everybody');
select hartonomous.embed('tea', 'tiny')::text as public \gset
set local role ann;
select ok(hartonomous.embed('tea', 'tiny')::text <> :'public', 'a tenant''s own model comes before the public one');
reset role;

-- from bytes to a vector
select is(hartonomous._vector('\x020000000000803f000000c0'), '[1,-2]'::public.vector);
select throws_ok($$select hartonomous._vector('\x')$$, 'ZH040');
select throws_ok($$select hartonomous._vector('\xe8030000')$$, 'ZH040', 'vector image of 4 bytes does not hold 0 components');
select throws_ok($$select hartonomous._vector('\xe80300000000803f')$$, 'ZH040', 'vector image of 8 bytes does not hold 1000 components');
select throws_ok($$select hartonomous._vector('\x010001000000803f')$$, 'ZH040');
select throws_ok($$select hartonomous._vector('\x010000000000c07f')$$, 'ZH040', 'vector is not finite');
select throws_ok($$select hartonomous._vector('\x010000000000807f')$$, 'ZH040', 'vector is not finite');

select * from finish();
rollback;
