-- Room 10: Hilbert keys, identity, ingest, content, deletion, isolation.
begin;
\ir setup.psql
select plan(83);

-- Hilbert curve
select is(hartonomous.hilbert_encode(0, 0), 0::bigint, 'the curve begins at the origin');
select is(hartonomous.hilbert_encode(2147483647, 0), 4611686018427387903, 'and ends at the far end of the x axis');
select results_eq('select * from hartonomous.hilbert_decode(4611686018427387903)', 'values (2147483647::bigint, 0::bigint)');
select is_empty($$select h from generate_series(0, 4611686018427387903, 23058430092136939) as h cross join lateral hartonomous.hilbert_decode(h) as p
                  where hartonomous.hilbert_encode(p.x, p.y) <> h$$, 'encode is the inverse of decode');
select is_empty($$select h from generate_series(1234567890123456, 1234567890123656) as h
                  cross join lateral hartonomous.hilbert_decode(h) as p cross join lateral hartonomous.hilbert_decode(h + 1) as q
                  where abs(p.x - q.x) + abs(p.y - q.y) <> 1$$, 'neighbours on the curve are neighbours in the plane');
select is(hartonomous.hilbert_encode(null, 1), null);
select is((hartonomous.hilbert_decode(null)).x, null);
select throws_ok('select hartonomous.hilbert_encode(-1, 0)', '22003');
select throws_ok('select hartonomous.hilbert_encode(0, 2147483648)', '22003');
select throws_ok('select hartonomous.hilbert_decode(-1)', '22003');
select throws_ok('select hartonomous.hilbert_decode(4611686018427387904)', '22003');

set local role rita;
-- identity: x and y place by modality, first bytes and length; z and m are the first eight bytes of SHA-256, a bit dropped of each half
select results_eq(
    $$select x, y, z, m from hartonomous.atom_identity('hello', 'text')$$,
    $$values ((1::bigint << 29) | (x'68656c6c'::bigint >> 3), x'40a00000'::bigint >> 2, x'2cf24dba'::bigint >> 1, x'5fb0a30e'::bigint >> 1)$$,
    'identity of a public text, by hand');
select ok((select i.h_xy = hartonomous.hilbert_encode(i.x, i.y) and i.h_yz = hartonomous.hilbert_encode(i.y, i.z)
                  and i.h_zm = hartonomous.hilbert_encode(i.z, i.m) and i.content_hash = sha256('hello')
           from hartonomous.atom_identity('hello', 'text') as i), 'keys follow from coordinates');
select is_empty($$select m.name from hartonomous.modality as m cross join lateral hartonomous.atom_identity('hello', m.name) as i
                  where i.h_xy >> 58 <> m.modality$$, 'the top four bits of h_xy are the modality');
select results_ne($$select z, m from hartonomous.atom_identity('hello', 'text', 1)$$, $$select z, m from hartonomous.atom_identity('hello', 'text', 2)$$,
                  'private content of two tenants lies at two places');
select is((hartonomous.atom_identity(null)).h_xy, null);
select throws_ok($$select hartonomous.atom_identity('a', 'smell')$$, '22023', 'unknown modality ''smell''');
reset role;

-- ingest and content
set local role ann;
select hartonomous.ingest_text('The quick brown fox', 'doc:fox', '{"k": 1}') as fox, hartonomous.ingest('\x00ff00') as nul, hartonomous.ingest('') as empty \gset
select hartonomous.ingest(convert_to(repeat('0123456789abcdef', 20000), 'UTF8')) as big \gset
select is(hartonomous.ingest_text('The quick brown fox'), :fox::bigint, 'the same bytes give the same artifact');
select is(hartonomous.ingest('The quick brown fox'::bytea), :fox::bigint, 'as bytes too');
select isnt(hartonomous.ingest_text('The quick brown fox '), :fox::bigint, 'nothing is normalised');
select is(hartonomous.content(:fox), 'The quick brown fox'::bytea);
select is(hartonomous.content(:nul), '\x00ff00'::bytea);
select is(hartonomous.content(:empty), ''::bytea);
select is(sha256(hartonomous.content(:big)), sha256(convert_to(repeat('0123456789abcdef', 20000), 'UTF8')), 'a composite comes back whole');
select is(hartonomous.content(null), null);
select throws_ok('select hartonomous.content(-1)', 'ZH010', 'no artifact -1');
select is(hartonomous.content_slice(:fox, 4, 5), 'quick'::bytea);
select is(hartonomous.content_slice(:fox, 16, 100), 'fox'::bytea, 'fewer at the end');
select is(hartonomous.content_slice(:fox, 100, 5), ''::bytea);
select is(hartonomous.content_slice(:fox, 9223372036854775807, 5), ''::bytea);
select is(hartonomous.content_slice(:big, 65530, 12), 'abcdef012345'::bytea, 'over the edge of two chunks');
select is(hartonomous.content_slice(null, 0, 1), null);
select throws_ok(format('select hartonomous.content_slice(%s, -1, 1)', :fox), '22011');
select throws_ok(format('select hartonomous.content_slice(%s, 0, -1)', :fox), '22011');
select throws_ok('select hartonomous.ingest(null)', '22004');
select throws_ok('select hartonomous.ingest_text(null)', '22004');
select throws_ok($$select hartonomous.ingest('a', null)$$, '22023');
select throws_ok($$select hartonomous.ingest('a', 'smell')$$, '22023');
select ok((select id[1] = :fox and id[2] = id[3] and id[4] = :empty and cardinality(id) = 4
           from hartonomous.ingest_many(array['The quick brown fox', 'twice', 'twice', '']::bytea[], 'text') as id),
          'ids come in order, one for equal contents');
select is(hartonomous.ingest_many('{}', 'text'), '{}', 'nothing in, nothing out');
select throws_ok($$select hartonomous.ingest_many(null, 'text')$$, '22004');
select throws_ok($$select hartonomous.ingest_many(array['a', null]::bytea[], 'text')$$, '22004');
select throws_ok($$select hartonomous.ingest_many(array['a', 'b']::bytea[], 'text', array['uri'])$$, '22023');
select throws_ok(format('select hartonomous.ingest_many(%s)', arguments), '22023', 'found an array of 2 dimensions, expected a list')
from (values ($$array[['a', 'b'], ['c', 'd']]::bytea[], 'text'$$),
             ($$array['a', 'b']::bytea[], 'text', array[['one', 'two']]$$),
             ($$array['a', 'b']::bytea[], 'text', metadata => array[['{}', '{}']]::jsonb[]$$),
             ($$array['a', 'b']::bytea[], 'text', canonical_texts => array[['A', 'B']]$$)) as bad (arguments);
select throws_ok($$select hartonomous.content(hartonomous.ingest('in one statement'))$$, 'ZH010', null,
                 'an artifact is seen from the next statement on');
select throws_ok($$select hartonomous.ingest_many(array['before', 'a', null]::bytea[], 'text')$$, '22004');
select is_empty($$select * from hartonomous.artifact where content_hash = sha256('before')$$, 'all or nothing');
select results_eq(format('select source_uri, metadata from hartonomous.artifact_show(array[%s, -1])', :fox),
                  format($$values ('doc:fox', '{"k": 1}'::jsonb), ('urn:sha256:%s', '{}')$$, encode(sha256('The quick brown fox'), 'hex')),
                  'occurrences of an artifact; ids unknown are passed over');

-- references count references, not calls
reset role;
select hartonomous._atom_reference_fold();
create function pg_temp.refs(bytea) returns bigint language sql as $$select sum(ref_count)::bigint from hartonomous.atom where content_hash = sha256($1)$$;
select is(pg_temp.refs('The quick brown fox'), 1::bigint, 'ingesting again adds no reference');
select is(pg_temp.refs(convert_to(left(repeat('0123456789abcdef', 20000), 65536), 'UTF8')), 4::bigint, 'a chunk is referred to by each place in its composite');

-- changes come in rows of 64
set local role ann;
create temp table many as select array_agg(convert_to(format('leaf %s of many', i), 'UTF8')) as contents from generate_series(1, 65) as i;
select count(hartonomous.artifact_delete(a)) from many cross join unnest(hartonomous.ingest_many(contents, 'text')) as a \g /dev/null
reset role;
select hartonomous._atom_reference_fold() \g /dev/null
set local role ann;
select hartonomous.ingest_many(contents, 'text') from many \g /dev/null
reset role;
select set_eq('select cardinality(change) from hartonomous.atom_reference_change', array[64, 1]);

-- bytes that are there stay what they are
set local role ann;
select hartonomous.ingest('no image'::bytea) as stays \gset
select is(hartonomous.ingest('no image'::bytea, 'image'), :stays::bigint, 'the same bytes under another modality are the same artifact');
select results_eq(format('select modality from hartonomous.artifact_show(array[%s])', :stays), array['binary']);
select hartonomous.artifact_delete(:stays) \g /dev/null
select throws_ok($$select hartonomous.ingest('no image'::bytea, 'image')$$, 'ZH012', null, 'after their deletion they are new');

-- isolation
set local role bob;
select throws_ok(format('select hartonomous.content(%s)', :fox), 'ZH010', format('no artifact %s', :fox), 'a foreign id is as unknown as a missing one');
select throws_ok(format('select hartonomous.artifact_delete(%s)', :fox), 'ZH010', format('no artifact %s', :fox));
select throws_ok(format('select hartonomous.artifact_restore(%s)', :fox), 'ZH010', format('no artifact %s', :fox));
select is_empty(format('select * from hartonomous.artifact_show(array[%s])', :fox));
select isnt(hartonomous.ingest_text('The quick brown fox'), :fox::bigint, 'equal bytes of two tenants are two artifacts');
select is((select count(*) from hartonomous.artifact), 1::bigint, 'direct reads show the tenant''s rows');
reset role;
select is(pg_temp.refs('The quick brown fox'), 2::bigint, 'and two atoms');
set local role rita;
select is(hartonomous.content(:fox), 'The quick brown fox'::bytea, 'a reader reads');
select throws_ok($$select hartonomous.ingest_text('a')$$, '42501', null, 'and does not write');
reset role;
set local role publisher;
select hartonomous.ingest_text('for everybody') as public \gset
set local role bob;
select is(hartonomous.content(:public), 'for everybody'::bytea, 'everybody reads what is public');
select throws_ok(format('select hartonomous.artifact_delete(%s)', :public), 'ZH002');

-- deletion
set local role ann;
select lives_ok(format('select hartonomous.artifact_delete(%s)', :fox));
select throws_ok(format('select hartonomous.content(%s)', :fox), 'ZH010');
select throws_ok(format('select hartonomous.artifact_delete(%s)', :fox), 'ZH010', null, 'what is deleted is not there to delete');
select lives_ok(format('select hartonomous.artifact_restore(%s)', :fox));
select lives_ok(format('select hartonomous.artifact_restore(%s)', :fox), 'restoring a live artifact changes nothing');
select is(hartonomous.content(:fox), 'The quick brown fox'::bytea);
select hartonomous.artifact_delete(:fox);
select isnt(hartonomous.ingest_text('The quick brown fox'), :fox::bigint, 'ingested again after its deletion it is a new artifact');
select throws_ok(format('select hartonomous.artifact_restore(%s)', :fox), '23505');
reset role;

-- more than a value holds: the length alone is looked at
select hartonomous.ingest_text(E'one\ntwo') as long \gset
update hartonomous.artifact set content_length = 1073741819 where artifact_id = :long;
select is(hartonomous.content(:long), E'one\ntwo'::bytea, 'the most that a value holds');
update hartonomous.artifact set content_length = 1073741820 where artifact_id = :long;
select throws_ok(format('select hartonomous.content(%s)', :long), '54000', 'content has 1073741820 bytes, a value has at most 1073741819');
select throws_ok(format('select hartonomous.text_lines(%s)', :long), '54000');
select throws_ok(format('select hartonomous.content_slice(%s, 0, 2147483647)', :long), '54000', null, 'and more than there is does not help');
select is(hartonomous.content_slice(:long, 1, 2147483647), E'ne\ntwo'::bytea, 'what is left counts');
select is(hartonomous.content_slice(:long, 4, 3), 'two'::bytea);
select is(hartonomous.content_slice(:long, 1073741821, 2147483647), ''::bytea);

select * from finish();
rollback;
