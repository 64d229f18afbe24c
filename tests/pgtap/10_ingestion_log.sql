-- Room 10: the ingestion log says what each call created, shared and skipped, and what failed.
begin;
\ir setup.psql
select plan(17);

create temp view last as
select artifacts_created as created, artifacts_shared as shared, artifacts_skipped as skipped, retired, source_uri, error,
       count(*) over () as rows
from hartonomous.ingestion_log order by ingestion_log.started_at desc, ingestion_log.ingestion_log_id limit 1;
grant select on last to public;
create function pg_temp.logged(statement text) returns text language plpgsql as $$
declare before bigint := (select coalesce(max(rows), 0) from last);
begin
    delete from hartonomous.ingestion_log;
    execute statement;
    return (select format('%s created, %s shared, %s skipped, %s retired of %s', created, shared, skipped, retired, coalesce(source_uri, 'many')) from last);
end
$$;
-- a superuser's calls count as ann's tenant
select is(pg_temp.logged($$select hartonomous.ingest_many(array['a', 'b', 'a']::bytea[], 'text', array['u/1', 'u/2', 'u/1'])$$),
          '2 created, 0 shared, 1 skipped, 0 retired of many', 'the same twice in one call is there once');
select is(pg_temp.logged($$select hartonomous.ingest_many(array['a', 'b', 'c', 'd']::bytea[], 'text', array['u/1', 'u/3', 'u/4', 'u/4'])$$),
          '2 created, 1 shared, 1 skipped, 0 retired of many', 'new, at another place, as before');
select is(pg_temp.logged($$select hartonomous.ingest_text('a', 'u/1', '{"k": 1}')$$), '0 created, 1 shared, 0 skipped, 0 retired of u/1', 'other metadata');
select is(pg_temp.logged($$select hartonomous.ingest_text('a', 'u/1', '{"k": 1}')$$), null, 'a call that changes nothing has no row');
select is(pg_temp.logged($$select hartonomous.ingest_document('d', E'# One\n\nText of one.\n\n# Two\n\nText of two.', 'markdown')$$),
          '3 created, 0 shared, 0 skipped, 0 retired of d', 'a document and its passages');
select is(pg_temp.logged($$select hartonomous.ingest_document('d', E'# One\n\nText of one.\n\n# Two\n\nText of three.', 'markdown')$$),
          '2 created, 0 shared, 1 skipped, 2 retired of d', 'a new version of it');
select is(pg_temp.logged($$select hartonomous.ingest_commit(hartonomous.ingest_begin('binary', 'up'))$$), '1 created, 0 shared, 0 skipped, 0 retired of up', 'an upload');
select ok((select bool_and(l.duration >= '0' and l.error is null) from hartonomous.ingestion_log as l), 'how long they took');
select is(pg_temp.logged($$select hartonomous.ingest_many('{}', 'text')$$), null);

-- failures, told of afterwards
set local role ann;
select throws_ok($$select hartonomous.ingest_document('bad', 'x', 'latin')$$, '22023');
select lives_ok($$select hartonomous.ingestion_log_error('bad', 'unknown format', '2 seconds')$$);
select results_eq($$select source_uri, error, duration, artifacts_created, started_at = now() - duration from hartonomous.ingestion_log where error is not null$$,
                  $$values ('bad', 'unknown format', '2 seconds'::interval, 0::bigint, true)$$);
select hartonomous.ingestion_log_error(repeat('u', 3000), repeat('e', 3000));
select results_eq($$select length(source_uri), length(error), duration from hartonomous.ingestion_log where error like 'ee%'$$, 'values (2000, 2000, null::interval)');
select throws_ok($$select hartonomous.ingestion_log_error('bad', null)$$, '22004');
set local role bob;
select is_empty('select * from (select source_uri from hartonomous.ingestion_log) as l', 'a log is its tenant''s own');
set local role rita;
select throws_ok($$select hartonomous.ingestion_log_error('bad', 'of a reader')$$, '42501');
set local role nobody_at_all;
select throws_ok($$select hartonomous.ingestion_log_error('bad', 'of nobody')$$, 'ZH001');

select * from finish();
rollback;
