-- Room 10: artifacts are purged, garbage is collected, atoms are verified.
begin;
\ir setup.psql
select plan(47);
create function pg_temp.collect() returns bigint language plpgsql as $$
declare n bigint; total bigint := 0;
begin
    loop
        n := hartonomous.atom_collect_garbage();
        exit when n = 0;
        total := total + n;
    end loop;
    return total;
end $$;
create function pg_temp.noise(n int) returns bytea language sql as $$select string_agg(sha256(i::text::bytea), '' order by i) from generate_series(1, n / 32) as i$$;

-- purge
set local role ann;
select hartonomous.ingest_text('kept for a while', 'doc:kept') as kept, hartonomous.ingest(pg_temp.noise(200000)) as large \gset
select hartonomous.ingest(pg_temp.noise(300000)) as larger \gset
select throws_ok(format('select hartonomous.artifact_purge(%s)', :kept), '55000', format('artifact %s is not deleted', :kept));
select throws_ok('select hartonomous.artifact_purge(-1)', 'ZH010');
select throws_ok('select hartonomous.artifact_purge(null)', 'ZH010');
select hartonomous.artifact_delete(:kept), hartonomous.artifact_delete(:large);
set local role bob;
select throws_ok(format('select hartonomous.artifact_purge(%s)', :kept), 'ZH010', format('no artifact %s', :kept), 'a foreign one is as unknown as a missing one');
set local role rita;
select throws_ok(format('select hartonomous.artifact_purge(%s)', :kept), '42501', null, 'a reader purges nothing');
set local role ann;
select lives_ok(format('select hartonomous.artifact_purge(%s)', :kept));
select throws_ok(format('select hartonomous.artifact_purge(%s)', :kept), 'ZH010', null, 'what is purged is gone');
select throws_ok(format('select hartonomous.artifact_restore(%s)', :kept), 'ZH010');
reset role;
select is_empty(format('select from hartonomous.artifact where artifact_id = %s', :kept));
select is_empty(format('select from hartonomous.artifact_source where artifact_id = %s', :kept));
select isnt_empty($$select from hartonomous.atom where content_hash = sha256('kept for a while')$$, 'bytes stay until they are collected');
select is(hartonomous.atom_collect_garbage(), 1::bigint, 'then they go');
select is_empty($$select from hartonomous.atom where content_hash = sha256('kept for a while')$$);
select is(hartonomous.atom_collect_garbage(), 0::bigint, 'what is deleted and not purged stays');
set local role ann;
select hartonomous.artifact_purge(:large);
reset role;
select cmp_ok(pg_temp.collect(), '>', 0::bigint);
select is_empty(format('select from hartonomous.atom where content_hash = sha256(%L)', pg_temp.noise(200000)));
set local role ann;
select is(sha256(hartonomous.content(:larger)), sha256(pg_temp.noise(300000)), 'chunks that other content shares stay');
select hartonomous.ingest_document('doc', E'# A\n\nOne passage.\n\n# B\n\nAnother passage.', 'markdown') as doc \gset
select hartonomous.ingest_document('doc2', E'# C\n\nAnother passage.', 'markdown') as doc2 \gset
select hartonomous.artifact_delete(:doc);
select lives_ok(format('select hartonomous.artifact_purge(%s)', :doc));
select set_eq('select canonical_text from hartonomous.artifact where canonical_text is not null', array['Another passage.'],
              'a document goes with its passages, but for those that stand elsewhere');
select is_empty($$select from hartonomous.artifact_source_removed where document_uri = 'doc'$$);
reset role;
select is_empty(format($$select from hartonomous.graph_edge where %s in (from_id, to_id)$$, :doc));
select is_empty(format($$select from hartonomous.graph_node where node_id = %s$$, :doc));
select isnt_empty(format($$select from hartonomous.graph_edge where to_id = %s and relation = 'ComponentOf'$$, :doc2));
select results_eq($$select detail -> 'artifact_ids' @> to_jsonb($$ || :doc || $$) from hartonomous.audit_log where operation = 'artifact_purge' order by at desc, audit_id desc limit 1$$,
                  'values (true)', 'a purge is in the audit log');

-- garbage
select throws_ok('select hartonomous.atom_collect_garbage(0)', '22023');
select throws_ok('select hartonomous.atom_collect_garbage(null)', '22023');
select cmp_ok(pg_temp.collect(), '>', 0::bigint);
set local role ann;
select throws_ok('select hartonomous.atom_collect_garbage()', '42501', null, 'for administrators only');
select throws_ok('select * from hartonomous.atom_verify()', '42501');
reset role;
select hartonomous.ingest(pg_temp.noise(20000)) as mine \gset
select hartonomous.artifact_delete(:mine), hartonomous.artifact_purge(:mine);
select cmp_ok(hartonomous.atom_collect_garbage(1), '<=', 1::bigint, 'a batch is the most');

-- verify: each fault is planted and found
select is_empty('select * from hartonomous.atom_verify()', 'all is well');
select is_empty('select * from hartonomous.atom_verify(1)', 'whatever the batch');
select throws_ok('select * from hartonomous.atom_verify(0)', '22023');
select throws_ok('select * from hartonomous.atom_verify(null)', '22023');
create function pg_temp.faults(change text) returns setof text language plpgsql as $$
declare fault text;
begin
    begin
        execute change;
        for fault in select v.fault from hartonomous.atom_verify() as v loop
            return next regexp_replace(fault, '[0-9a-f]{5,}', 'N', 'g');
        end loop;
        raise exception 'undo' using errcode = 'ZZ999';
    exception when sqlstate 'ZZ999' then null;
    end;
end $$;
select hartonomous.ingest('a leaf'::bytea) as leaf, hartonomous.ingest(pg_temp.noise(5000)) as block \gset
create function pg_temp.of(content bytea) returns text language sql as $$select format('(h_xy, h_yz, h_zm) = (%s, %s, %s)', a.h_xy, a.h_yz, a.h_zm) from hartonomous.atom as a where content_hash = sha256(content)$$;
create function pg_temp.large() returns text language sql as $$select pg_temp.of(pg_temp.noise(300000))$$;
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.atom set value = ''b leaf'' where ' || pg_temp.of('a leaf')),
              array['bytes do not hash to N'], 'a damaged leaf');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.atom set block = block || ''x'' where ' || pg_temp.of(pg_temp.noise(5000))),
              array['bytes do not hash to N', 'artifact N has another length than its root'], 'a damaged block');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.atom set h_zm = h_zm + 1 where ' || pg_temp.of('a leaf')),
              array['is missing, referred to 1 times', 'counts 1 references, found 0', 'place is not that of its bytes'], 'a leaf at another place');
select set_eq(format('select pg_temp.faults(%L)', 'delete from hartonomous.atom where ' || pg_temp.of('a leaf')),
              array['is missing, referred to 1 times'], 'a missing root');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.atom set ref_count = 9 where ' || pg_temp.of('a leaf')),
              array['counts 9 references, found 1'], 'a wrong count');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.atom set ends[1] = ends[1] + 1 where ' || pg_temp.large()),
              array['ends are not those of its children'], 'wrong ends');
select set_eq(format('select pg_temp.faults(%L)', 'delete from hartonomous.artifact where artifact_id = ' || :leaf),
              array['counts 1 references, found 0'], 'an artifact that went without a word');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.artifact set content_hash = sha256(''c leaf''), content_length = 7 where artifact_id = ' || :leaf),
              array['artifact N has another SHA-256 and length than its root'], 'an artifact that says another hash and length');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.artifact set x = x + 1, modality = 1 where artifact_id = ' || :block),
              array['artifact N has another modality and point than its root'], 'another modality and point');
select set_eq(format('select pg_temp.faults(%L)', 'update hartonomous.artifact set content_length = content_length - 1 where artifact_id in (' || :larger || ',' || :block || ')'),
              array['artifact N has another length than its root'], 'a length that is not that of a block or composite');
select set_eq(format('select pg_temp.faults(%L)', format('update hartonomous.artifact as a set h_xy = b.h_xy, h_yz = b.h_yz, h_zm = b.h_zm from hartonomous.artifact as b where (a.artifact_id, b.artifact_id) in ((%1$s, %2$s), (%2$s, %1$s))', :leaf, :block)),
              array['artifact N has another SHA-256 and point and length than its root'], 'two that are swapped');
select ok((select array['is missing, referred to 1 times'] <@ array_agg(f) and bool_or(f like 'atom % is missing')
           from pg_temp.faults('delete from hartonomous.atom where block is not null and ' || pg_temp.of(hartonomous.content_slice(:larger, 0,
               (select ends[1]::int from hartonomous.atom where content_hash = sha256(pg_temp.noise(300000)))))) as f),
          'a missing child: of itself and of those above it');
select is_empty('select * from hartonomous.atom_verify()', 'and all is well again');

select * from finish();
rollback;
