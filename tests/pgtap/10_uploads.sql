-- Room 10: uploads in parts.
begin;
\ir setup.psql
select plan(57);

set local role ann;
select hartonomous.ingest_begin('binary', 'up:1', '{"k": 1}') as up \gset
select is(hartonomous.ingest_begin('binary', 'up:1', '{"k": 1}'), :up::bigint, 'an unfinished upload is continued');
select isnt(hartonomous.ingest_begin('binary', 'up:1', '{"k": 2}'), :up::bigint, 'with the same metadata only');
select isnt(hartonomous.ingest_begin('text', 'up:1', '{"k": 1}'), :up::bigint, 'and modality');
select isnt(hartonomous.ingest_begin('binary'), hartonomous.ingest_begin('binary'), 'one without uri is always another');
select results_eq(format('select * from hartonomous.ingest_missing(%s)', :up), 'values (0::bigint, null::bigint)');
select results_eq(format('select * from hartonomous.ingest_missing(%s, 0)', :up), 'select 0::bigint, 0::bigint where false', 'of nothing nothing is missing');
select lives_ok(format('select hartonomous.ingest_part(%s, 6, %L)', :up, 'world'::bytea), 'parts come in any order');
select results_eq(format('select * from hartonomous.ingest_missing(%s, 20)', :up), 'values (0::bigint, 6::bigint), (11, 9)');
select results_eq(format('select * from hartonomous.ingest_missing(%s, 11)', :up), 'values (0::bigint, 6::bigint)');
select results_eq(format('select * from hartonomous.ingest_missing(%s)', :up), 'values (0::bigint, 6::bigint), (11, null)');
select throws_ok(format('select hartonomous.ingest_commit(%s)', :up), 'ZH014', format('bytes 0 to 6 are missing of upload %s', :up));
select lives_ok(format('select hartonomous.ingest_part(%s, 6, %L)', :up, 'world'::bytea), 'the same part again is fine');
select throws_ok(format('select hartonomous.ingest_part(%s, 6, %L)', :up, 'World'::bytea), 'ZH014', 'bytes 6 to 11 overlap a part already put, 6 to 11');
select throws_ok(format('select hartonomous.ingest_part(%s, 0, %L)', :up, 'hello w'::bytea), 'ZH014', 'bytes 0 to 7 overlap a part already put, 6 to 11');
select throws_ok(format('select hartonomous.ingest_part(%s, 10, %L)', :up, 'dx'::bytea), 'ZH014', 'bytes 10 to 12 overlap a part already put, 6 to 11');
select throws_ok(format('select hartonomous.ingest_part(%s, 8, %L)', :up, 'r'::bytea), 'ZH014', 'bytes 8 to 9 overlap a part already put, 6 to 11');
select lives_ok(format('select hartonomous.ingest_part(%s, 7, %L)', :up, ''::bytea), 'no bytes are no part');
select lives_ok(format('select hartonomous.ingest_part(%s, 0, %L)', :up, 'hello '::bytea));
select throws_ok(format('select hartonomous.ingest_commit(%s, sha256(%L))', :up, 'other'), 'ZH014', null, 'another hash than the expected');
select throws_ok(format($$select hartonomous.ingest_commit(%s, 'short')$$, :up), '22023', 'sha256 has 5 bytes, expected 32');
select hartonomous.ingest_commit(:up, sha256('hello world')) as hello \gset
select is(hartonomous.ingest('hello world'::bytea), :hello::bigint, 'the same bytes are the same artifact');
select is(hartonomous.content(:hello), 'hello world'::bytea);
select is(hartonomous.ingest_commit(:up), :hello::bigint, 'asked again it tells the artifact');
select is_empty(format('select * from hartonomous.ingest_missing(%s)', :up), 'of a finished upload nothing is missing');
select throws_ok(format('select hartonomous.ingest_part(%s, 11, %L)', :up, '!'::bytea), 'ZH014', format('upload %s is finished', :up));
select results_eq(format($$select source_uri, metadata from hartonomous.artifact_show(array[%s]) where source_uri = 'up:1'$$, :hello),
                  $$values ('up:1', '{"k": 1}'::jsonb)$$);
select isnt(hartonomous.ingest_begin('binary', 'up:1', '{"k": 1}'), :up::bigint, 'what is finished is not continued');
select hartonomous.ingest_commit(hartonomous.ingest_begin('binary', 'up:empty')) as none \gset
select is(hartonomous.content(:none), ''::bytea, 'no parts are empty content');

-- bad input
select throws_ok('select hartonomous.ingest_begin(null)', '22023');
select throws_ok($$select hartonomous.ingest_begin('smell')$$, '22023');
select throws_ok($$select hartonomous.ingest_begin('binary', 'u', '[]')$$, '22023');
select throws_ok($$select hartonomous.ingest_part(-1, 0, 'a')$$, 'ZH015', 'no upload -1');
select throws_ok($$select hartonomous.ingest_part(null, 0, 'a')$$, 'ZH015', 'no upload NULL');
select throws_ok('select hartonomous.ingest_commit(-1)', 'ZH015');
select throws_ok('select hartonomous.ingest_missing(-1)', 'ZH015');
select throws_ok('select hartonomous.ingest_abort(-1)', 'ZH015');
select hartonomous.ingest_begin('binary', 'up:2') as two \gset
select throws_ok(format($$select hartonomous.ingest_part(%s, -1, 'a')$$, :two), '22003');
select throws_ok(format($$select hartonomous.ingest_part(%s, 9223372036854775807, 'ab')$$, :two), '22003');
select throws_ok(format($$select hartonomous.ingest_part(%s, null, 'a')$$, :two), '22004');
select throws_ok(format($$select hartonomous.ingest_part(%s, 0, null)$$, :two), '22004');
select hartonomous.ingest_part(:two, 0, 'private');
select throws_ok(format($$select hartonomous.ingest_part(%s, %s, 'ab')$$, :two, (1::bigint << 45) - 1), '22003',
                 'a part of 2 bytes cannot begin at byte 35184372088831', 'no table holds so many');
select hartonomous.ingest_begin('binary', 'up:far') as far \gset
select lives_ok(format($$select hartonomous.ingest_part(%s, %s, 'ab')$$, :far, (1::bigint << 45) - 2), 'but the last ones');
select results_eq(format('select * from hartonomous.ingest_missing(%s, 10)', :far), 'values (0::bigint, 10::bigint)', 'what is missing ends where the content does');
select results_eq(format('select * from hartonomous.ingest_missing(%s, %s)', :far, 1::bigint << 45), 'values (0::bigint, 35184372088830)');
select is_empty(format('select * from hartonomous.ingest_missing(%s, 0)', :far));
select throws_ok(format('select hartonomous.ingest_missing(%s, -5)', :far), '22003', 'size is -5, expected 0 to 35184372088832');
select throws_ok(format('select hartonomous.ingest_missing(%s, %s)', :far, (1::bigint << 45) + 1), '22003');
select hartonomous.ingest_begin('binary', 'up:mid') as mid \gset
select hartonomous.ingest_part(:mid, 4, 'abcd');
select results_eq(format('select * from hartonomous.ingest_missing(%s, 6)', :mid), 'values (0::bigint, 4::bigint)', 'a part may reach beyond it');
select results_eq(format('select * from hartonomous.ingest_missing(%s, 3)', :mid), 'values (0::bigint, 3::bigint)');
set local role bob;
select throws_ok(format('select hartonomous.ingest_commit(%s)', :two), 'ZH015', format('no upload %s', :two), 'a foreign upload is as unknown as a missing one');
select is_empty('select * from hartonomous.upload_part');
set local role rita;
select throws_ok($$select hartonomous.ingest_begin('binary')$$, '42501', null, 'a reader begins no upload');

-- given up, expired
set local role ann;
select hartonomous.ingest_abort(:two);
select throws_ok(format('select hartonomous.ingest_commit(%s)', :two), 'ZH015');
reset role;
select is(hartonomous.upload_expire(), 0::bigint, 'nothing is old');
update hartonomous.upload set created_at = now() - interval '8 days' where source_uri = 'up:1' and artifact_id is null;
select is(hartonomous.upload_expire(), 3::bigint, 'abandoned uploads go');
select results_eq($$select count(*) from hartonomous.ingestion_log where source_uri = 'up:1' and error = 'upload was abandoned'$$, 'values (3::bigint)');
select throws_ok($$select hartonomous.upload_expire('-1 day')$$, '22023');

select * from finish();
rollback;
