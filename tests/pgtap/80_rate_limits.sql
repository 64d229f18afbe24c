-- Room 80: rate limits and the throttle that enforces them.
begin;
\ir setup.psql
select plan(30);

-- limits are put, replaced, listed, dropped
select hartonomous.rate_limit_put(:ann, 3, '1 hour', 'content') as content_limit \gset
select is(hartonomous.rate_limit_put(:ann, 2, '1 hour', 'content'), :content_limit::bigint, 'one of the same kind is replaced');
select results_eq('select tenant_id, operation, per_key, units, per, burst from hartonomous.rate_limit_list()',
                  format($$values (%s, 'content', false, 2::bigint, '1 hour'::interval, 2::bigint)$$, :ann));
select isnt(hartonomous.rate_limit_put(:ann, 100, '1 day', 'content'), :content_limit::bigint, 'another interval is another limit');
select hartonomous.rate_limit_put(null, 5, '1 hour', 'search', per_key => true, burst => 1) as search_limit \gset
select is(hartonomous.rate_limit_put(null, 6, '1 hour', 'search', per_key => true, burst => 1), :search_limit::bigint, 'also for each tenant');
select is((select count(*) from hartonomous.rate_limit_list(:bob)), 1::bigint, 'a limit of each tenant is listed for each');
select is((select count(*) from hartonomous.rate_limit_list(:ann)), 3::bigint);
select throws_ok('select hartonomous.rate_limit_put(2147483647, 1, ''1 s'')', '22023', 'tenant 2147483647 does not exist');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''1 s'', ''nope'')', '22023', 'operation ''nope'' does not exist');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''1 s'', ''table_read'')', '22023', 'reading tables directly cannot be limited');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''1 s'', null)', '22023', 'operation NULL does not exist');
select throws_ok('select hartonomous.rate_limit_put(null, 0, ''1 s'')', '22023', 'units are 0 and burst is 0, expected at least 1 of each');
select throws_ok('select hartonomous.rate_limit_put(null, null, ''1 s'')', '22023');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''1 s'', burst => -1)', '22023');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''0'')', '22023', 'interval is 00:00:00, expected more than 0 and at most 1 year');
select throws_ok('select hartonomous.rate_limit_put(null, 1, null)', '22023');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''infinity'')', '22023');
select throws_ok('select hartonomous.rate_limit_put(null, 9223372036854775807, ''1 s'')', '22023',
                 'a burst of 9223372036854775807 units is regained in more than a year');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''1 s'', per_key => null)', '22004');
select throws_ok('select hartonomous.rate_limit_drop(null)', '22023', 'no rate limit with id NULL');

-- the throttle
set local role ann;
select throws_ok('select hartonomous.artifact_show(''{1,2,3}'')', '22023',
                 'this call processes 3 units, but a rate limit for content admits at most 2 at once');
select is_empty('select hartonomous.artifact_show(''{1,2}'')', 'two units');
select throws_ok('select hartonomous.content(null)', 'ZH004', 'rate limit of 2 units per 01:00:00 for content is reached');
do $$
declare
    found text;
begin
    perform hartonomous.content(null);
exception when sqlstate 'ZH004' then
    get stacked diagnostics found = pg_exception_detail;
    perform set_config('test.detail', found, true);
end
$$;
select matches(current_setting('test.detail'), '^retry after \d+\.\d{3} s$', 'the detail says for how long to wait');
select lives_ok('select hartonomous.ingest_text(''x'')', 'another operation is not limited');
select is((select count(*) from hartonomous.rate_limit), 2::bigint, 'a tenant reads the limits that name it');
select throws_ok('select hartonomous.rate_limit_list()', '42501');
select throws_ok('select hartonomous.rate_limit_put(null, 1, ''1 s'')', '42501');
set local role bob;
select is((select count(*) from hartonomous.rate_limit), 0::bigint, 'and no other');
select lives_ok('select hartonomous.content(null) from generate_series(1, 5)', 'the limit of one tenant is not another''s');
reset role;
select hartonomous.rate_limit_drop(:content_limit);
select throws_ok(format('select hartonomous.rate_limit_drop(%s)', :content_limit), '22023');

select * from finish();
rollback;
