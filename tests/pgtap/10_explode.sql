-- Room 10: blocks of an artifact become composites of leaves.
begin;
\ir setup.psql
select plan(25);
create function pg_temp.noise(n int) returns bytea language sql as $$select substr(string_agg(sha256(i::text::bytea), '' order by i), 1, n) from generate_series(1, n / 32 + 1) as i$$;
create function pg_temp.leaves() returns bigint language sql as $$select count(*) from hartonomous.atom where value is not null$$;

set local role ann;
select hartonomous.ingest(pg_temp.noise(1000)) as block, hartonomous.ingest(pg_temp.noise(300000)) as large, hartonomous.ingest('a leaf') as leaf,
       hartonomous.ingest('') as empty,
       hartonomous.ingest_text(repeat(E'the first line of a verse, and then\n', 4) || repeat(chr(228), 100)) as verse \gset
set local role publisher;
select hartonomous.ingest(pg_temp.noise(2000)) as public \gset
set local role ann;
select is(hartonomous.atom_explode(:block), 16::bigint, '1,000 bytes are 16 leaves');
reset role;
select results_eq($$select count(*) filter (where octet_length(value) = 64), count(*) filter (where octet_length(value) = 40) from hartonomous.atom where value is not null and created_at = now() and octet_length(value) > 10$$,
                  'values (15::bigint, 1::bigint)', 'of 64 bytes, and what is left');
select results_eq($$select value is null, block is null, st_numgeometries(geom), cardinality(ends), ends[16], version from hartonomous.atom where content_hash = sha256(pg_temp.noise(1000))$$,
                  'values (true, true, 16, 16, 1000::bigint, 2::bigint)', 'the block is a composite now');
select results_eq($$select (p.d).path[1], substr(pg_temp.noise(1000), ((p.d).path[1] - 1) * 64 + 1, 64)
                    from (select st_dump(geom) as d from hartonomous.atom where content_hash = sha256(pg_temp.noise(1000))) as p order by 1$$,
                  $$select (p.d).path[1], l.value
                    from (select st_dump(geom) as d from hartonomous.atom where content_hash = sha256(pg_temp.noise(1000))) as p
                    join hartonomous.atom as l on l.value is not null and st_equals(st_geometryn(l.geom, 1), (p.d).geom)
                      and st_z(st_geometryn(l.geom, 1)) = st_z((p.d).geom) order by 1$$,
                  'its geometry is the places of the leaves, in order');
set local role ann;
select is(hartonomous.content(:block), pg_temp.noise(1000));
select is(hartonomous.content_slice(:block, 60, 10), substr(pg_temp.noise(1000), 61, 10), 'a slice over the edge of two leaves');
select cmp_ok(hartonomous.atom_explode(:large), '>=', 4688::bigint, 'a tree of blocks');
select is(sha256(hartonomous.content(:large)), sha256(pg_temp.noise(300000)));
select is(hartonomous.content_slice(:large, 123456, 789), substr(pg_temp.noise(300000), 123457, 789));
select is(hartonomous.atom_explode(:leaf), 1::bigint, 'a leaf is one');
select is(hartonomous.atom_explode(:empty), 1::bigint, 'so is no content');
select is(hartonomous.atom_explode(:verse), 8::bigint, 'lines, then 200 bytes of a word that is cut between its characters');
reset role;
select isnt_empty($$select from hartonomous.atom where value = E'the first line of a verse, and then\n'$$, 'a line is a leaf');
select is_empty($$select from hartonomous.atom where value is not null and modality = 1 and get_byte(value, 0) & 192 = 128$$);
select is_empty('select * from hartonomous.atom_verify()', 'all is well');
select pg_temp.leaves() as leaves, (select md5(string_agg(a::text, '' order by h_xy, h_yz, h_zm)) from hartonomous.atom as a) as atoms,
       (select count(*) from hartonomous.atom_reference_change) as changes \gset
set local role ann;
select hartonomous.atom_explode(:block), hartonomous.atom_explode(:large), hartonomous.atom_explode(:verse);
reset role;
select is((select md5(string_agg(a::text, '' order by h_xy, h_yz, h_zm)) from hartonomous.atom as a) || (select count(*) from hartonomous.atom_reference_change), :'atoms' || :'changes',
          'a second call changes nothing');

-- whose it is
set local role bob;
select throws_ok(format('select hartonomous.atom_explode(%s)', :block), 'ZH010', format('no artifact %s', :block), 'a foreign one is as unknown as a missing one');
select throws_ok('select hartonomous.atom_explode(-1)', 'ZH010');
select throws_ok('select hartonomous.atom_explode(null)', 'ZH010');
select throws_ok(format('select hartonomous.atom_explode(%s)', :public), 'ZH002');
set local role rita;
select throws_ok(format('select hartonomous.atom_explode(%s)', :block), '42501', null, 'a reader changes nothing');

-- and away
set local role ann;
select hartonomous.artifact_delete(a), hartonomous.artifact_purge(a) from unnest(array[:block, :large, :verse]) as a;
reset role;
do $$ begin while hartonomous.atom_collect_garbage() > 0 loop end loop; end $$;
select is(pg_temp.leaves(), 2::bigint, 'leaves go with what they were part of');
select is_empty('select * from hartonomous.atom_verify()');
set local role ann;
select hartonomous.ingest(pg_temp.noise(300000)) as again \gset
select is(sha256(hartonomous.content(:again)), sha256(pg_temp.noise(300000)), 'and are stored anew');
reset role;
select is_empty('select * from hartonomous.atom_verify()');

select * from finish();
rollback;
