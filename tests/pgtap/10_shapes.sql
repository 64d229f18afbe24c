-- Room 10: what decoders find, and who may see it.
begin;
\ir setup.psql
select plan(66);

-- 3 x 2 pixels, and 4 frames of 16 bits at 8 Hz
\set picture '\\x89504e470d0a1a0a0000000d49484452000000030000000208020000001216f14d0000001749444154789c63f8cfc0c000c15c22721a46366e015100335904c0e42498cb0000000049454e44ae426082'
\set sound '\\x524946462c00000057415645666d74201000000001000100080000001000000002001000646174610800000000000040008000c0'
set local role ann;
select hartonomous.ingest(:'picture', 'image') as png, hartonomous.ingest(:'sound', 'audio') as wav, hartonomous.ingest('plain') as plain \gset
select is(hartonomous.content(:png), :'picture'::bytea, 'an image is its bytes');
select results_eq(format('select semantics from hartonomous.artifact where artifact_id in (%s, %s) order by semantics ? %L', :png, :wav, 'audio'),
    $$values ('{"image": {"format": "png", "width": 3, "height": 2, "mode": "RGB"}}'::jsonb),
             ('{"audio": {"format": "wav", "encoding": "pcm_16", "sample_rate": 8, "channels": 1, "frames": 4, "duration": 0.5}}')$$);
select results_eq(format('select kind, ordinal, st_astext(geom), properties from hartonomous.artifact_shapes(%s)', :png),
    $$values ('tile', 0, 'POLYGON((0 0,3 0,3 2,0 2,0 0))', '{"mean": [62.5, 67.5, 72.5], "spread": [89.62, 88.49, 87.64]}'::jsonb)$$);
select results_eq(format('select kind, ordinal, st_astext(geom), properties from hartonomous.artifact_shapes(%s)', :wav),
    $$values ('envelope', 0, 'LINESTRING Z (0 0 0,0.125 0.5 0.5,0.25 1 1,0.375 0.5 0.5,0.5 0.5 0.5)', '{"channel": 0}'::jsonb)$$);
select results_eq(format('select x, y, channels, st_astext(geom) from hartonomous.image_pixels(%s)', :png),
    $$values (0, 0, '{255,0,0}'::real[], 'POINT(0.5 0.5)'), (1, 0, '{0,255,0}', 'POINT(1.5 0.5)'), (2, 0, '{0,0,255}', 'POINT(2.5 0.5)'),
             (0, 1, '{10,20,30}', 'POINT(0.5 1.5)'), (1, 1, '{40,50,60}', 'POINT(1.5 1.5)'), (2, 1, '{70,80,90}', 'POINT(2.5 1.5)')$$);
select results_eq(format('select x, y from hartonomous.image_pixels(%s, st_makeenvelope(1.2, 1, 99, 99))', :png), 'values (1, 1), (2, 1)');
select results_eq(format('select x, y from hartonomous.image_pixels(%s, st_makeenvelope(-9, -9, 0.1, 0.1))', :png), 'values (0, 0)');
select is_empty(format('select x, y from hartonomous.image_pixels(%s, st_makeenvelope(3, 2, 9, 9))', :png), 'an edge is no pixel');
select is_empty(format('select x, y from hartonomous.image_pixels(%s, %L)', :png, 'POINT EMPTY'));
select results_eq(format('select channel, at_time, amplitude, st_astext(geom) from hartonomous.audio_samples(%s)', :wav),
    $$values (0, 0::float8, 0::float8, 'POINT M (0 0 0)'), (0, 0.125, 0.5, 'POINT M (0.125 0.5 1)'), (0, 0.25, -1, 'POINT M (0.25 -1 2)'),
             (0, 0.375, -0.5, 'POINT M (0.375 -0.5 3)')$$);
select results_eq(format('select at_time from hartonomous.audio_samples(%s, 0.125, 0.375)', :wav), 'values (0.125::float8), (0.25)');
select results_eq(format('select at_time from hartonomous.audio_samples(%s, 0.3)', :wav), 'values (0.375::float8)');
select is_empty(format('select * from hartonomous.audio_samples(%s, 0.5)', :wav));
select is_empty(format('select * from hartonomous.audio_samples(%s, 0.2, 0.1)', :wav));
select results_eq('select artifact_id, count(*) from hartonomous.audio_sample group by artifact_id', format('values (%s::bigint, 4::bigint)', :wav));
select is_empty(format('select * from hartonomous.artifact_shapes(%s)', :plain), 'bytes have no shapes');
select is_empty(format('select * from hartonomous.artifact_shapes(%s, %L)', :png, 'node'));
select is(count(*), 1::bigint, 'a place chooses') from hartonomous.artifact_shapes(:png, within => 'POINT(1 1)');
select is_empty(format('select * from hartonomous.artifact_shapes(%s, within => %L)', :png, 'POINT(9 9)'));
select throws_ok(format('select * from hartonomous.artifact_shapes(%s, within => %L)', :png, 'SRID=4326;POINT(1 1)'), '22023', 'within has the SRID 4326, expected 0');
select throws_ok(format('select * from hartonomous.image_pixels(%s, %L)', :png, 'SRID=4326;POINT(1 1)'), '22023', 'box has the SRID 4326, expected 0');
select results_eq(format('select * from hartonomous.artifact_overlap(%s, %s)', :png, :wav), $$values ('tile', 0, 'envelope', 0, 0::float8)$$);
select is_empty(format('select * from hartonomous.artifact_overlap(%s, %s, kind_a => %L)', :png, :wav, 'envelope'));
select is_empty('select * from hartonomous.artifact_shapes(null) union all select * from hartonomous.artifact_shapes(null, within => null)');
select is_empty('select * from hartonomous.image_pixels(null)');
select is_empty('select * from hartonomous.audio_samples(null)');
select is_empty(format('select * from hartonomous.artifact_overlap(%s, null)', :png));

-- the other modalities
select hartonomous.ingest(convert_to(E't,v\n0,1\n10,3\n', 'UTF8'), 'sensor') as series,
       hartonomous.ingest(convert_to('{"nodes": [{"id": "a", "x": 0, "y": 0}, {"id": "b", "x": 3, "y": 4}], "links": [{"source": "a", "target": "b"}]}', 'UTF8'), 'graph') as graph,
       hartonomous.ingest(convert_to(E'def f():\n  pass\n', 'UTF8'), 'code') as code \gset
select results_eq(format('select kind, ordinal, st_astext(geom), properties from hartonomous.artifact_shapes(%s)', :series),
    $$values ('series', 0, 'LINESTRING M (0 1 0,10 3 10)', '{"series": "v"}'::jsonb)$$);
select results_eq(format('select series, at_time, value, st_astext(geom) from hartonomous.sensor_samples(%s)', :series),
    $$values ('v', 0::float8, 1::float8, 'POINT M (0 1 0)'), ('v', 10, 3, 'POINT M (10 3 10)')$$);
select results_eq(format('select at_time from hartonomous.sensor_samples(%s, %L, 1, 11)', :series, 'v'), 'values (10::float8)');
select is_empty(format('select * from hartonomous.sensor_samples(%s, %L)', :series, 'w'));
select is_empty(format('select * from hartonomous.sensor_samples(%s, to_time => 0)', :series));
select is_empty('select * from hartonomous.sensor_samples(null)');
select results_eq(format('select kind, ordinal, st_astext(geom), properties from hartonomous.artifact_shapes(%s)', :graph),
    $$values ('edge', 0, 'LINESTRING(0 0,3 4)', '{"source": "a", "target": "b"}'::jsonb), ('node', 0, 'POINT(0 0)', '{"id": "a", "x": 0, "y": 0}'),
             ('node', 1, 'POINT(3 4)', '{"id": "b", "x": 3, "y": 4}')$$);
select results_eq(format('select kind, ordinal, st_astext(geom), properties from hartonomous.artifact_shapes(%s)', :code),
    $$values ('function', 0, 'POLYGON((0 0,8 0,8 2,0 2,0 0))', '{"name": "f", "line": 1}'::jsonb)$$);
select results_eq(format('select line, body, st_astext(geom) from hartonomous.text_lines(%s)', :code),
    $$values (0, 'def f():', 'LINESTRING(0 0,8 0)'), (1, '  pass', 'LINESTRING(0 1,6 1)'), (2, '', 'LINESTRING(0 2,0 2)')$$);
select is_empty('select * from hartonomous.text_lines(null)');
select throws_ok(format('select * from hartonomous.text_lines(%s)', :wav), '22023', format('artifact %s is of modality audio, expected text or code', :wav));
select throws_ok('select * from hartonomous.text_lines(-1)', 'ZH010', 'no artifact -1');
select throws_ok(format('select * from hartonomous.sensor_samples(%s)', :wav), '22023');
select throws_ok(format('select * from hartonomous.sensor_samples(%s, null, %L)', :series, 'NaN'), '22023');
select throws_ok('select * from hartonomous.sensor_samples(-1)', 'ZH010', 'no artifact -1');
select throws_ok(format('select hartonomous.ingest(%L, %L)', 'prose', m), 'ZH012', null, m || ': prose is refused')
from unnest(array['video', 'sensor', 'graph', 'tensor']) as m;

-- bad input
select throws_ok($$select hartonomous.ingest('', 'image')$$, 'ZH012', null, 'no bytes are no image');
select throws_ok($$select hartonomous.ingest('', 'audio')$$, 'ZH012');
select throws_ok(format('select hartonomous.ingest(substr(%L::bytea, 1, 60), %L)', :'picture', 'image'), 'ZH012');
select throws_ok(format('select hartonomous.ingest(substr(%L::bytea, 1, 50), %L)', :'sound', 'audio'), 'ZH012', null, 'a header that lies about length');
select is_empty(format('select from hartonomous.artifact where content_hash = sha256(substr(%L::bytea, 1, 60))', :'picture'), 'and nothing is stored');
select throws_ok('select * from hartonomous.artifact_shapes(-1)', 'ZH010', 'no artifact -1');
select throws_ok(format('select * from hartonomous.image_pixels(%s)', :wav), '22023', format('artifact %s is of modality audio, expected image', :wav));
select throws_ok(format('select * from hartonomous.audio_samples(%s)', :plain), '22023');
select throws_ok(format('select * from hartonomous.audio_samples(%s, %L)', :wav, 'NaN'), '22023');
select throws_ok(format('select * from hartonomous.artifact_overlap(%s, %s, -1)', :png, :wav), '22023');
select throws_ok(format('select * from hartonomous.artifact_overlap(%s, %s, %L)', :png, :wav, 'NaN'), '22023');
select throws_ok(format('select * from hartonomous.artifact_overlap(%s, -1)', :png), 'ZH010', 'no artifact -1');

-- isolation
set local role bob;
select throws_ok(format('select * from hartonomous.artifact_shapes(%s)', :png), 'ZH010', format('no artifact %s', :png), 'a foreign id is as unknown as a missing one');
select throws_ok(format('select * from hartonomous.image_pixels(%s)', :png), 'ZH010', format('no artifact %s', :png));
select throws_ok(format('select * from hartonomous.audio_samples(%s)', :wav), 'ZH010', format('no artifact %s', :wav));
select throws_ok(format('select * from hartonomous.sensor_samples(%s)', :series), 'ZH010', format('no artifact %s', :series));
select is_empty('select * from hartonomous.artifact_shape');
set local role ann;
select is((select count(*) from hartonomous.artifact_shape), 7::bigint, 'direct reads show the tenant''s rows');
select hartonomous.artifact_delete(:png);
select throws_ok(format('select * from hartonomous.artifact_shapes(%s)', :png), 'ZH010');
select hartonomous.artifact_purge(:png);
select is((select count(*) from hartonomous.artifact_shape), 6::bigint, 'shapes go with their artifact');
reset role;

select * from finish();
rollback;
