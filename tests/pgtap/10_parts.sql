-- Room 10: from places to bytes and back, and deleted artifacts.
begin;
\ir setup.psql
select plan(39);
create function pg_temp.noise(n int, salt text default '') returns bytea language sql as
$$select substr(string_agg(sha256((salt || i)::bytea), '' order by i), 1, n) from generate_series(1, n / 32 + 1) as i$$;
create function pg_temp.around(content bytea, modality text) returns text language sql
as $$select format('POINT(%s %s)', i.x, i.y) from hartonomous.atom_identity(content, modality) as i$$;

set local role ann;
select hartonomous.ingest('a leaf', 'text') as leaf, hartonomous.ingest(pg_temp.noise(1000)) as block, hartonomous.ingest(pg_temp.noise(300000)) as large,
       hartonomous.ingest('') as empty \gset
set local role publisher;
select hartonomous.ingest('public leaf', 'text') as public \gset
set local role bob;
select hartonomous.ingest('of bob', 'text') as of_bob \gset

-- bytes at a place
set local role ann;
select results_eq($$select value, artifact_id from hartonomous.atom_nearest(pg_temp.around('a leaf', 'text')::geometry, 1, 'text')$$,
                  format($$values ('a leaf'::bytea, %s::bigint)$$, :leaf), 'a leaf tells its bytes and its artifact');
select set_eq($$select value, artifact_id from hartonomous.atom_nearest('POINT(0 0)', 10, 'text')$$,
              format($$values ('a leaf'::bytea, %s::bigint), ('public leaf', %s)$$, :leaf, :public), 'public ones do, another tenant''s are not found');
select is(hartonomous.atom_explode(:block), 16::bigint);
select hartonomous.ingest(substr(pg_temp.noise(1000), 65, 64), 'code') \g /dev/null
select set_eq($$select value, artifact_id from hartonomous.atom_nearest('POINT(0 0)', 100, 'binary') where value <> ''$$,
              $$select substr(pg_temp.noise(1000), at, 64), null::bigint from generate_series(1, 1000, 64) as at$$, 'parts are of no artifact alone');

-- parts of an artifact
select results_eq(format('select start, length from hartonomous.atom_parts(%s)', :leaf), 'values (0::bigint, 6::bigint)', 'a leaf is its only part');
select results_eq(format('select start, length from hartonomous.atom_parts(%s)', :empty), 'values (0::bigint, 0::bigint)');
select results_eq(format('select start, length from hartonomous.atom_parts(%s)', :block),
                  'select at::bigint, least(64, 1000 - at)::bigint from generate_series(0, 999, 64) as at', 'leaves in the order of their bytes');
select results_eq(format('select hartonomous.content_slice(%s, start, length::int) from hartonomous.atom_parts(%1$s)', :block),
                  format('select n.value from hartonomous.atom_parts(%s) as p join hartonomous.atom_nearest(''POINT(0 0)'', 100) as n using (h_xy, h_yz, h_zm) order by p.start', :block),
                  'keys and bytes are those that atom_nearest gives');
select is_empty(format($$select from hartonomous.atom_parts(%s) where hartonomous.hilbert_encode(st_x(place)::bigint, st_y(place)::bigint) <> h_xy
                         or hartonomous.hilbert_encode(st_y(place)::bigint, st_z(place)::bigint) <> h_yz
                         or hartonomous.hilbert_encode(st_z(place)::bigint, st_m(place)::bigint) <> h_zm or st_zmflag(place) <> 3$$, :block), 'places are those of the keys');
select results_eq(format('select start, length from hartonomous.atom_parts(%s, 63, 65)', :block), 'values (0::bigint, 64::bigint), (64, 64)', 'those that hold some bytes');
select results_eq(format('select start from hartonomous.atom_parts(%s, 64, 128)', :block), 'values (64::bigint)');
select results_eq(format('select start from hartonomous.atom_parts(%s, 960)', :block), 'values (960::bigint)');
select is_empty(format('select from hartonomous.atom_parts(%s, 1000)', :block), 'none at the end');
select is_empty(format('select from hartonomous.atom_parts(%s, 9223372036854775807)', :block));
select is_empty(format('select from hartonomous.atom_parts(%s, 64, 64)', :block), 'no bytes are in no part');
select is_empty(format('select from hartonomous.atom_parts(%s, 100, 100)', :block), 'nor within one');
select is_empty(format('select from hartonomous.atom_parts(%s, 3)', :empty), 'nor beyond the end of nothing');
select is((select string_agg(hartonomous.content_slice(:large, p.start, p.length::int), '' order by p.start) from hartonomous.atom_parts(:large) as p),
          pg_temp.noise(300000), 'blocks below composites make up the content');
select ok((select count(*) > 10 and min(length) > 64 from hartonomous.atom_parts(:large)), 'and are not leaves');
select is((select array_agg(p.start) from hartonomous.atom_parts(:large, 100000, 200000) as p),
          (select array_agg(p.start) from hartonomous.atom_parts(:large) as p where p.start < 200000 and p.start + p.length > 100000), 'a range below composites');
select is((select count(*) from hartonomous.atom_parts(:public)), 1::bigint, 'of public artifacts too');
select throws_ok(format('select hartonomous.atom_parts(%s)', :of_bob), 'ZH010', format('no artifact %s', :of_bob), 'a foreign id is as unknown as a missing one');
select throws_ok('select hartonomous.atom_parts(-1)', 'ZH010', 'no artifact -1');
select throws_ok(format('select hartonomous.atom_parts(%s, -1)', :leaf), '22023', 'bytes -1 to <NULL> are no range');
select throws_ok(format('select hartonomous.atom_parts(%s, 5, 4)', :leaf), '22023', 'bytes 5 to 4 are no range');
select is_empty('select from hartonomous.atom_parts(null)');
select is_empty(format('select from hartonomous.atom_parts(%s, null)', :leaf));

-- deleted artifacts
select hartonomous.ingest('kept', source_uri => 'box:kept'), hartonomous.ingest('gone', source_uri => 'box:gone') as gone,
       hartonomous.ingest_document('page:1', E'# One\n\nThe first passage.\n\n# Two\n\nThe second one.', 'markdown') as page,
       hartonomous.ingest_text('no uri') as nowhere \gset
select is_empty('select from hartonomous.artifact_deleted()');
select hartonomous.artifact_delete(:gone), hartonomous.artifact_delete(:page), hartonomous.artifact_delete(:nowhere) \g /dev/null
select set_eq('select artifact_id, modality, subtype, source_uri, content_length, deleted_at = now() from hartonomous.artifact_deleted()',
              format($$values (%s::bigint, 'binary', null, 'box:gone', 4::bigint, true), (%s, 'text', 'markdown', 'page:1', 49, true),
                              (%s, 'text', null, 'urn:sha256:%s', 6, true)$$, :gone, :page, :nowhere, encode(sha256('no uri'), 'hex')),
              'a document stands for its passages');
select results_eq($$select artifact_id from hartonomous.artifact_deleted('box:')$$, format('values (%s::bigint)', :gone), 'by a prefix');
select is((select count(*) from hartonomous.artifact_deleted(k => 1)), 1::bigint);
select throws_ok('select hartonomous.artifact_deleted(k => 0)', '22023', 'k is 0, expected at least 1');
select throws_ok('select hartonomous.artifact_deleted(k => null)', '22023', 'k is NULL, expected at least 1');
select hartonomous.artifact_restore(:page), hartonomous.artifact_purge(:gone) \g /dev/null
select results_eq('select artifact_id from hartonomous.artifact_deleted()', format('values (%s::bigint)', :nowhere), 'what is back or gone for good is not listed');
select hartonomous.ingest_document('page:1', E'# One\n\nThe first passage.\n\n# Two\n\nAnother one.', 'markdown') as newer \gset
select set_eq($$select artifact_id from hartonomous.artifact_deleted('page:')$$, array[:page]::bigint[], 'an earlier version of a document is listed, its gone passage is not');
set local role publisher;
select hartonomous.artifact_delete(:public) \g /dev/null
set local role bob;
select is_empty('select from hartonomous.artifact_deleted()', 'another tenant''s, and public ones, are not listed');
set local role rita;
select is((select count(*) from hartonomous.artifact_deleted()), 2::bigint, 'readers may look');
set local role nobody_at_all;
select throws_ok('select hartonomous.artifact_deleted()', 'ZH001');
select throws_ok(format('select hartonomous.atom_parts(%s)', :leaf), 'ZH001');
select * from finish();
rollback;
