-- Room 85: what the server has and lacks.
begin;
\ir setup.psql
select plan(8);

select is(hartonomous.version(), (select extversion from pg_extension where extname = 'hartonomous'), 'the version is the installed one');
select is_empty($$select item from hartonomous.server_check() where item is null or ok is null or found is null or expected is null$$,
                'every line is complete');
select is_empty($$select item from hartonomous.server_check() group by item having count(*) > 1$$, 'each item once');
select is_empty($$select item, found, expected from hartonomous.server_check() where not ok$$, 'this server has all it should');
select is_empty($$select item from hartonomous.server_check() where not ok and coalesce(hint, '') = ''$$, 'what is missing says how to mend it');
set local role rita;
select ok((select count(*) from hartonomous.server_check()) >= 10, 'every reader may ask');
set local role nobody_at_all;
select results_eq($$select ok, found from hartonomous.server_check() where item like 'tenant of %'$$, $$values (false, 'none')$$,
                  'a role of no tenant is told so');
select is((select item from hartonomous.server_check() where item like 'tenant of %'), 'tenant of nobody_at_all', 'by its name');
reset role;

select * from finish();
rollback;
