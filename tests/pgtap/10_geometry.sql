-- Room 10: nearest leaves, ways between artifacts, summary of places.
begin;
\ir setup.psql
select plan(60);
create function pg_temp.at(content text, modality text = 'text') returns text language sql
as $$select format('POINT(%s %s)', i.x, i.y) from hartonomous.atom_identity(content::bytea, modality) as i$$;

set local role ann;
select hartonomous.ingest_many(array['aaaa', 'aaca', 'aaza', 'azza', 'zzza']::bytea[], 'text') as ids \gset
select hartonomous.ingest_text(repeat('long ', 1000)) as long, hartonomous.ingest('abba', 'code') as code \gset
set local role bob;
select hartonomous.ingest_text('aaba') as of_bob \gset
set local role publisher;
select hartonomous.ingest_text('aada') as public \gset
reset role;
select (:'ids'::bigint[])[1] as a, (:'ids'::bigint[])[2] as b, (:'ids'::bigint[])[5] as e \gset

-- places
select is_empty('select a.artifact_id, a.x, a.y, p from hartonomous.artifact as a cross join lateral hartonomous.hilbert_decode(a.h_xy) as p where (a.x, a.y) <> (p.x, p.y)',
                'artifacts lie at the place of their root atoms');

-- atom_nearest
create function pg_temp.near(place text, k int = 10, modality text = null) returns text language sql
as $$select string_agg(coalesce(convert_from(a.value, 'UTF8'), '-') || case a.modality when 2 then '/code' else '' end, ' ' order by n.ord)
     from (select row_number() over () as ord, f.* from hartonomous.atom_nearest(place::geometry, k, modality) as f) as n
     join hartonomous.atom as a using (h_xy, h_yz, h_zm)$$;
select hartonomous.tenant_role_add(:ann, session_user) \g /dev/null
select is(pg_temp.near(pg_temp.at('aaaa'), 10, 'text'), 'aaaa aaca aada aaza azza zzza',
          'own and public leaves, nearest first; neither another tenant''s nor a block');
select is(pg_temp.near(pg_temp.at('aaaa'), 3, 'text'), 'aaaa aaca aada', 'k of them');
select is(pg_temp.near(pg_temp.at('aaza'), 2, 'text'), 'aaza aada', 'from another place');
select is(pg_temp.near(pg_temp.at('aaaa'), 10, 'code'), 'abba/code', 'of a modality');
select is(pg_temp.near(pg_temp.at('aaaa'), 10, 'audio'), null, 'of one that has none');
select is(pg_temp.near(pg_temp.at('aaaa')), 'aaaa aaca aada aaza azza zzza abba/code', 'of all');
select is((select distance from hartonomous.atom_nearest(pg_temp.at('aaaa')::geometry, 1)), 0::double precision);
select results_eq(
    format('select distance from hartonomous.atom_nearest(%L, 2)', pg_temp.at('aaaa')),
    $$select abs(a.x - b.x)::double precision from hartonomous.atom_identity('aaaa', 'text') as a,
      (select x from hartonomous.atom_identity('aaaa', 'text') union select x from hartonomous.atom_identity('aaca', 'text')) as b order by 1$$,
    'distance is that in the plane');
select is(pg_temp.near(format('GEOMETRYCOLLECTION ZM (%s 5 6))', replace(pg_temp.at('aaaa'), ')', '')), 1), 'aaaa', 'the geometry of a leaf is a place');
select is(pg_temp.near('POINT(-1e9 -1e9)', 1, 'code'), 'abba/code', 'a place outside of the plane is a place');
select is(pg_temp.near('POINT(1.5 2.25)', 1, 'code'), 'abba/code');
select is_empty($$select from hartonomous.atom_nearest('POINT(0 0)', 10000) offset 7$$);
select throws_ok('select hartonomous.atom_nearest(null)', '22023', 'place is NULL, expected one point');
select throws_ok($$select hartonomous.atom_nearest('POINT EMPTY')$$, '22023', 'place is empty, expected one point');
select throws_ok($$select hartonomous.atom_nearest('GEOMETRYCOLLECTION EMPTY')$$, '22023', 'place is empty, expected one point');
select throws_ok($$select hartonomous.atom_nearest('LINESTRING(0 0, 1 1)')$$, '22023', 'place is a linestring of 2 points, expected one point');
select throws_ok($$select hartonomous.atom_nearest('POLYGON((0 0, 1 1, 1 0, 0 0))')$$, '22023');
select throws_ok($$select hartonomous.atom_nearest('SRID=4326;POINT(0 0)')$$, '22023', 'place has the SRID 4326, expected 0');
select throws_ok($$select hartonomous.atom_nearest(st_makepoint('NaN', 0))$$, '22023');
select throws_ok($$select hartonomous.atom_nearest(st_makepoint(0, 'Infinity'))$$, '22023', 'place is (0, Infinity), expected finite coordinates');
select throws_ok($$select hartonomous.atom_nearest('POINT(0 0)', 0)$$, '22023', 'k is 0, expected 1 to 10000');
select throws_ok($$select hartonomous.atom_nearest('POINT(0 0)', -1)$$, '22023');
select throws_ok($$select hartonomous.atom_nearest('POINT(0 0)', 10001)$$, '22023');
select throws_ok($$select hartonomous.atom_nearest('POINT(0 0)', null)$$, '22023', 'k is NULL, expected 1 to 10000');
select throws_ok($$select hartonomous.atom_nearest('POINT(0 0)', 1, 'smell')$$, '22023', 'unknown modality ''smell''');
set local role nobody_at_all;
select throws_ok($$select hartonomous.atom_nearest('POINT(0 0)')$$, 'ZH001');
set local role bob;
select is((select count(*) from hartonomous.atom_nearest('POINT(0 0)')), 2::bigint, 'bob has one and the public one');
set local role publisher;
select is((select count(*) from hartonomous.atom_nearest('POINT(0 0)')), 1::bigint, 'public ones count once for their publisher');
set local role rita;
select is((select count(*) from hartonomous.atom_nearest('POINT(0 0)')), 7::bigint, 'readers may');

-- atom_path
select results_eq(format('select step, artifact_id, cost from hartonomous.atom_path(%s, %s)', :a, :b),
                  format($$values (0, %s::bigint, 0::double precision), (1, %s, %s)$$, :a, :b, (select x from hartonomous.artifact where artifact_id = :b) - (select x from hartonomous.artifact where artifact_id = :a)));
select results_eq(format('select step, artifact_id, cost from hartonomous.atom_path(%s, %1$s, 0)', :a), format('values (0, %s::bigint, 0::double precision)', :a), 'to itself');
select is_empty(format('select from hartonomous.atom_path(%s, %s, 0)', :a, :b), 'elsewhere without a hop');
select is((select array_agg(artifact_id order by step) from hartonomous.atom_path(:a, :public, neighbours => 1)), array[:a, :b, :public]::bigint[],
          'from each to its nearest neighbour, own or public');
select is_empty(format('select from hartonomous.atom_path(%s, %s, 10, neighbours => 1)', :a, :e), 'there is no way on from two that are nearest to each other');
select is_empty(format($$select from hartonomous.atom_path(%s, %s, 10, 'graph')$$, :a, :b), 'no edge, no way');
reset role;
select hartonomous._graph_edge_put(:ann, 'artifact', array[:e, :e]::bigint[], 'DerivedFrom', 'artifact', array[:a, :long]::bigint[]),
       hartonomous._graph_edge_put(:ann, 'artifact', array[:b]::bigint[], 'DerivedFrom', 'artifact', array[:long]::bigint[]),
       hartonomous._graph_edge_put(:bob, 'artifact', array[:a]::bigint[], 'DerivedFrom', 'artifact', array[:b]::bigint[]),
       hartonomous._graph_edge_put(:ann, 'artifact', array[:of_bob]::bigint[], 'DerivedFrom', 'artifact', array[:a]::bigint[]) \g /dev/null
set local role rita;
select is((select array_agg(artifact_id order by step) from hartonomous.atom_path(:a, :b, edges => 'graph')), array[:a, :e, :long, :b]::bigint[],
          'along edges of the graph in either direction, not along another tenant''s');
select is_empty(format($$select from hartonomous.atom_path(%s, %s, 2, 'graph')$$, :a, :b), 'not by more hops than asked for');
select throws_ok(format('select hartonomous.atom_path(%s, %s)', :a, :of_bob), 'ZH010', format('no artifact %s', :of_bob), 'another tenant''s is as unknown');
select throws_ok(format('select hartonomous.atom_path(%s, %s)', :of_bob, :a), 'ZH010', format('no artifact %s', :of_bob));
select throws_ok(format('select hartonomous.atom_path(%s, -5)', :a), 'ZH010', 'no artifact -5', 'as a missing one');
select throws_ok(format('select hartonomous.atom_path(%s, null)', :a), 'ZH010');
select throws_ok(format('select hartonomous.atom_path(null, %s)', :a), 'ZH010');
select throws_ok(format('select hartonomous.atom_path(%s, %s, -1)', :a, :b), '22023', 'max_hops is -1, expected at least 0');
select throws_ok(format('select hartonomous.atom_path(%s, %s, null)', :a, :b), '22023', 'max_hops is NULL, expected at least 0');
select throws_ok(format($$select hartonomous.atom_path(%s, %s, 5, 'straight')$$, :a, :b), '22023', 'edges are ''straight'', expected nearest or graph');
select throws_ok(format('select hartonomous.atom_path(%s, %s, 5, null)', :a, :b), '22023');
select throws_ok(format('select hartonomous.atom_path(%s, %s, neighbours => 0)', :a, :b), '22023', 'neighbours is 0, expected 1 to 100');
select throws_ok(format('select hartonomous.atom_path(%s, %s, neighbours => 101)', :a, :b), '22023');
select throws_ok(format('select hartonomous.atom_path(%s, %s, neighbours => null)', :a, :b), '22023');
select isnt_empty(format('select from hartonomous.atom_path(%s, %s, 2147483647)', :a, :b));
set local role ann;
select hartonomous.artifact_delete(:b);
select throws_ok(format('select hartonomous.atom_path(%s, %s)', :a, :b), 'ZH010', format('no artifact %s', :b), 'what is deleted is no end');
select is((select array_agg(artifact_id order by step) from hartonomous.atom_path(:a, :public, neighbours => 1)), array[:a, :public]::bigint[], 'and not on the way');
select is_empty(format($$select from hartonomous.atom_path(%s, %s, edges => 'graph')$$, :a, :code));
reset role;

-- summary
select is_empty($$select from hartonomous.spatial_summary() where not public$$, 'what was stored since is not in it');
select hartonomous.spatial_summary_refresh();
set local role rita;
select results_eq('select modality, public, atom_count, total_refs, avg_complexity from hartonomous.spatial_summary()',
                  $$values ('text', false, 6::bigint, 6::bigint, 1::double precision), ('code', false, 1, 1, 1), ('text', true, 1, null, 1)$$,
                  'own atoms and public ones, of these no references');
select ok((select st_covers(s.bbox, st_makepoint(a.x, a.y)) from hartonomous.spatial_summary() as s, hartonomous.artifact as a
           where s.modality = 'text' and not s.public and a.artifact_id = :e), 'the box holds them');
set local role publisher;
select results_eq('select public, total_refs from hartonomous.spatial_summary()', 'values (true, 1::bigint)', 'the publisher sees references');
set local role ann;
select throws_ok('select * from hartonomous.atom_spatial_summary', '42501', null, 'nobody reads it directly');
select throws_ok('select hartonomous.spatial_summary_refresh()', '42501', null, 'nor do tenants refresh it');

select * from finish();
rollback;
