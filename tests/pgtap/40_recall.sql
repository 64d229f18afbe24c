-- Room 40: the sample of searches, and how recall_watch keeps what they promise.
begin;
\ir setup.psql
select plan(52);

create function pg_temp.point(seed text, dimensions int) returns public.vector language sql immutable as $$
    select (select array_agg(((hashtext('group ' || abs(hashtext(seed)) % 8 || '/' || i) % 1000) + 0.6 * (hashtext(seed || '/' || i) % 1000)) / 1000.0 order by i)
            from generate_series(1, dimensions) as i)::public.vector$$;
create temp table asked as select i, pg_temp.point('query ' || i, 48) as v from generate_series(1, 20) as i;
grant select on asked to public;

set local role ann;
select hartonomous.embedding_model_register('outside', 48) as outside \gset
select hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 1000) as i), 'text',
    metadata => array(select jsonb_build_object('odd', i % 2) from generate_series(1, 1000) as i)) as ids \gset
select hartonomous.embedding_put_many(:'ids'::bigint[], array(select pg_temp.point('row ' || i, 48) from generate_series(1, 1000) as i), 'outside') \g /dev/null
select is_empty('select * from hartonomous.recall_status()', 'nothing is promised before an analysis');
reset role;
-- the cheapest depends on the machine: sign bits are
create or replace function hartonomous._embedding_costs(
    tenant_id int, model_id bigint, query public.vector, rows bigint, out scan_us real, out bits_us real, out fetch_us real, out filter_us real, out list_us real)
language sql volatile parallel unsafe begin atomic select 100, 0.1, 1, 0.01, 100; end;

create function pg_temp.search(filter jsonb default '{}', recall real default 0.9) returns bigint language sql as $$
    select count(distinct a.i) from asked as a cross join lateral hartonomous.search_vector(a.v, 10, 'outside', search.filter, recall => search.recall) as s$$;
create function pg_temp.samples() returns bigint language sql security definer as $$select count(*) from hartonomous.search_sample$$;

-- what is sampled
select is(hartonomous._sample_share(), 0.01::double precision, '1 %, unless it is set');
select is(hartonomous._sample_share(), least(greatest(given, 0), 1), format('set to %s', given))
from unnest(array[0, 0.5, 1, 7, -1]::double precision[]) as given where set_config('hartonomous.search_sample_share', given::text, true) <> '';
set local hartonomous.search_sample_share = 'much';
select is(hartonomous._sample_share(), 0.01::double precision, 'what is no number is passed over');
set local hartonomous.search_sample_share = 1;
set local role ann;
select is(pg_temp.search(), 20::bigint);
select is(pg_temp.samples(), 0::bigint, 'exact answers promise nothing else');
select hartonomous.embedding_model_analyze('outside');
select is(pg_temp.search(), 20::bigint);
select is(pg_temp.samples(), 20::bigint, 'each search by candidates');
select is(pg_temp.search(recall => 1), 20::bigint);
select is(pg_temp.samples(), 20::bigint);
set local hartonomous.search_sample_share = 0;
select is(pg_temp.search(), 20::bigint);
select is(pg_temp.samples(), 20::bigint, 'none of a share of 0');
set local hartonomous.search_sample_share = 1;
reset role;
select results_eq('select distinct tenant_id, model_id, k, filter, recall, us > 0, share, exact from hartonomous.search_sample',
                  format('values (%s, %s::bigint, 10, ''{}''::jsonb, 0.9::real, true, 1::real, null::boolean)', :ann, :outside));
select hartonomous._search_sample(:ann, :outside, v, 10, '{}', 0.9, now(), 1) from asked cross join generate_series(1, 20) \g /dev/null
select is(pg_temp.samples(), 300::bigint, 'the newest 300 are kept');
select lives_ok(format('select hartonomous._search_sample(%s, -1, (select v from asked limit 1), 10, ''{}'', 0.9, now(), 1)', :ann), 'a model that is gone');
select lives_ok('select hartonomous._search_sample(-1, -1, null, 10, null, 0.9, now(), 1)', 'nor does it fail otherwise');
select hartonomous.tenant_close(:ann) \g /dev/null
select lives_ok(format('select hartonomous._search_sample(%s, %s, null, 10, null, 0.9, now(), 1)', :ann, :outside), 'of a closed tenant nothing is written');
select hartonomous.tenant_close(:ann, false) \g /dev/null
delete from hartonomous.search_sample;

-- what is kept
set local role ann;
select pg_temp.search(), pg_temp.search('{"metadata": {"odd": 1}}') \g /dev/null
select throws_ok('select * from hartonomous.recall_watch()', '42501', null, 'for administrators');
select throws_ok('select * from hartonomous.search_sample', '42501', null, 'nobody reads what others of the tenant asked');
reset role;
insert into hartonomous.recall_state (tenant_id, model_id, watched_at, earned_us) values (:ann, :outside, clock_timestamp(), 1e9);
update hartonomous.embedding_statistics set took_ms = 0;
set local role adam;
select is_empty('select * from hartonomous.recall_watch()', 'nothing is done where what is asked is kept');
set local role ann;
select set_eq('select model, filter_class, queries, asked, recall >= 0.9 and lower_bound < recall, exact, newer from hartonomous.recall_status()',
                  $$values ('outside@1', 'none', 20::bigint, 0.9::real, true, false, 0::real), ('outside@1', 'half', 20, 0.9, true, false, 0)$$);
reset role;
select cmp_ok((select spent_us from hartonomous.recall_state), '<', 1e9::double precision);
update hartonomous.embedding_curve set lower_bound = 1, worst = 1;
update hartonomous.search_sample set replayed_at = null;
set local role adam;
create temp table acted as select * from hartonomous.recall_watch();
select results_eq('select distinct tenant_id, model, action, reason from acted', format('values (%s, ''outside@1'', ''analyze'', ''fewer were found than was asked'')', :ann));
select ok(bool_or(filter_class = 'none' and recall_before < 0.9) and bool_and(recall_after >= 0.9), 'a curve that lies is found and mended') from acted;
select is_empty('select * from hartonomous.recall_watch()', 'once');
select set_eq('select tenant_id, filter_class, action, recall_before, recall_after from hartonomous.recall_action', 'select tenant_id, filter_class, action, recall_before, recall_after from acted', 'it is recorded');
set local role rita;
select isnt_empty('select filter_class, action, reason, recall_before, recall_after from hartonomous.recall_action', 'for the tenant');
set local role bob;
select is_empty('select filter_class from hartonomous.recall_action', 'not for others');
select is_empty('select * from hartonomous.recall_status()');

-- too soon for another analysis
reset role;
update hartonomous.embedding_curve set lower_bound = 1, worst = 1;
update hartonomous.search_sample set replayed_at = null;
update hartonomous.embedding_statistics set took_ms = 1e6;
set local role adam;
truncate acted;
insert into acted select * from hartonomous.recall_watch();
select results_eq($$select action, reason, recall_after from acted where filter_class = 'none'$$, $$values ('exact', 'fewer were found than was asked, and it is too early to measure anew', 1::real)$$, 'all is compared instead');
set local role ann;
select ok(exact and recall is null and asked is null, 'as the tenant is told') from hartonomous.recall_status() where filter_class = 'none';
select set_eq(format('select verdict from hartonomous.search_vector(%L, 10, ''outside'', recall => 0.9)', v), array['exact']) from asked where i = 1;
select matches(hartonomous.search_explain(v, model => 'outside')::text, 'fewer were found than was asked: hartonomous.recall_status') from asked where i = 1;
reset role;
select is_empty('select * from hartonomous.recall_watch()', 'while it must wait');
update hartonomous.embedding_statistics set took_ms = 0;
select set_eq('select action from hartonomous.recall_watch()', array['analyze'], 'what had to wait is made up for');
update hartonomous.embedding_statistics set exact_classes = '{none}';
select is_empty('select * from hartonomous.recall_watch()', 'once');
set local role ann;
select hartonomous.embedding_model_analyze('outside') \g /dev/null
select set_eq(format('select verdict from hartonomous.search_vector(%L, 10, ''outside'', recall => 0.9)', v), array['recall>=0.9'], 'until the next analysis') from asked where i = 1;

-- drift
reset role;
update hartonomous.embedding_statistics set took_ms = 0;
update hartonomous.atom_embedding set created_at = 'infinity' where artifact_id % 5 = 0;
select cmp_ok(abs(hartonomous._embedding_newer(:ann, :outside, now()) - 0.2), '<', 0.12::double precision, 'about a fifth');
select is(hartonomous._embedding_newer(:ann, :outside, 'infinity'), 0::double precision);
select is(hartonomous._embedding_newer(:bob, :outside, now()), null, 'of nothing');
update hartonomous.atom_embedding set created_at = 'infinity' where artifact_id % 5 < 3;
set local role adam;
select ok(bool_and(action = 'analyze' and reason ~ '^\d\d % of the embeddings are newer') and count(*) > 0) from hartonomous.recall_watch();

-- an index that nobody measured
reset role;
update hartonomous.atom_embedding set created_at = '-infinity';
update hartonomous.embedding_statistics set took_ms = 0;
set local role adam;
select lives_ok(format('select hartonomous.embedding_index_add(%s, ''outside'')', :ann));
select is((select array_agg(distinct reason) from hartonomous.recall_watch()), array['the HNSW index is not the one that was measured']);
reset role;
update hartonomous.embedding_statistics set took_ms = 0;
set local role adam;
select is_empty($$select * from hartonomous.recall_watch() where action = 'analyze'$$, 'it is now');

-- an index that finds too little
reset role;
update hartonomous.atom_embedding set created_at = 'infinity' where artifact_id % 5 < 3;
create or replace function hartonomous._index_candidates(
    tenant_id int, model_id bigint, query public.vector, candidates int, most int, out ids bigint[], out distances double precision[])
language sql stable parallel restricted begin atomic select '{}'::bigint[], '{}'::double precision[]; end;
update hartonomous.embedding_statistics set took_ms = 0;
set local role adam;
select set_eq('select action, reason from hartonomous.recall_watch() where action <> ''analyze''',
              $$values ('rebuild', 'the HNSW index finds less than 0.95 with any number of candidates')$$);
reset role;
insert into hartonomous.recall_action (tenant_id, model_id, action, reason) select :ann, :outside, 'exact', '' from generate_series(1, 150);
select hartonomous._recall_watch(:ann, :outside) \g /dev/null
select is((select count(*) from hartonomous.recall_action), 100::bigint, 'the newest 100 are kept');

-- not by who may write nothing
set local transaction_read_only = on;
set local role ann;
select is(pg_temp.search(), 20::bigint, 'a search goes on');
set local role adam;
select is_empty('select * from hartonomous.recall_watch()');

select * from finish();
rollback;
