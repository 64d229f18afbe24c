-- Room 08: system versioning. A test runs in one transaction, so older versions are made by writing the stamp of an older transaction.
begin;
\ir setup.psql
select plan(49);
select xmin::text as older_xid, hartonomous._version_epoch() << 40 | xmin::text::bigint as older, pg_xact_commit_timestamp(xmin) as older_at
from pg_extension where extname = 'hartonomous' \gset

create schema shop;
create table shop.price (item text primary key, amount int not null);
select lives_ok($$select hartonomous.system_versioning_add('shop.price')$$);
select lives_ok($$select hartonomous.system_versioning_add('shop.price')$$, 'again changes nothing');
select has_table('shop', 'price_history', 'the history lies beside the table');
select columns_are('shop', 'price_history', array['item', 'amount', 'sys_begin', 'sys_end']);
select is((select history::text from hartonomous.versioned_table where relation = 'shop.price'::regclass), 'shop.price_history');
select functions_are('shop', array['price__all', 'price__as_of', 'price__between', 'price__as_of_snapshot']);
select is_empty($$select oid::regprocedure from pg_proc where pronamespace = 'shop'::regnamespace and obj_description(oid, 'pg_proc') is null$$,
                'what it makes has comments');
select is_empty($$select p.oid::regprocedure from pg_proc as p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                  where p.pronamespace = 'shop'::regnamespace and a.grantee = 0$$, 'what it makes is not executable by PUBLIC');

-- what follows from other columns may be left out
create table shop.stock (item text primary key, note text, amount int not null, twice int generated always as (2 * amount) stored);
select lives_ok($$select hartonomous.system_versioning_add('shop.stock', array['twice', 'note'])$$);
alter table shop.stock add column shelf int;
select lives_ok($$select hartonomous.system_versioning_add('shop.stock')$$, 'once left out, left out');
select columns_are('shop', 'stock_history', array['item', 'amount', 'sys_begin', 'sys_end', 'shelf']);
alter table shop.stock disable trigger user;
insert into shop.stock (item, note, amount, sys_begin) values ('tea', 'green', 3, :older);
alter table shop.stock enable trigger user;
update shop.stock set amount = 4;
select results_eq(format('select item, note, amount, twice from shop.stock__as_of(%L)', :'older_at'), $$values ('tea', null::text, 3, null::int)$$, 'and NULL in versions that are past');
select results_eq('select note, amount, twice from shop.stock', $$values ('green', 4, 8)$$);
select throws_ok($$select hartonomous.system_versioning_add('shop.stock_history', null)$$, '22004');
select lives_ok($$select hartonomous.system_versioning_add('shop.stock', array['note'])$$, 'once more');
alter table shop.stock add column colour text;
select lives_ok($$select hartonomous.system_versioning_add('shop.stock', array['colour'])$$, 'a column that came later');
update shop.stock set colour = 'red';
select columns_are('shop', 'stock_history', array['item', 'amount', 'sys_begin', 'sys_end', 'shelf'], 'is left out too');
select throws_ok($$select hartonomous.system_versioning_add('shop.stock', array['shelf'])$$, '55000', 'the history of shop.stock has column shelf already');
create table shop.crate (item text);
select throws_ok(format($$select hartonomous.system_versioning_add('shop.%s', array['item', %L])$$, relation, left_out), '22023')
from unnest('{stock,crate}'::text[]) as relation, unnest('{sys_begin,sys_end,nosuch}'::text[]) as left_out;
select hasnt_table('shop', 'crate_history', 'of what is refused nothing is left');
create table shop.box (item text, sys_begin text);
create table shop.box_history (item text, sys_begin text, sys_end bigint);
create trigger kept after update on shop.box referencing old table as old_rows for each statement execute function hartonomous._version_keep('{sys_begin}');
select ok(not hartonomous._version_fits('shop.box', 'shop.box_history'), 'nor does a trigger say otherwise');

-- writing
insert into shop.price values ('tea', 3), ('cake', 5);
select is((select count(*) from shop.price where sys_begin = hartonomous._stamp()), 2::bigint, 'new rows carry the transaction');
update shop.price set amount = 4;
delete from shop.price where item = 'cake';
select is_empty('select * from shop.price_history', 'a version that nobody can have seen leaves no history');
select throws_ok('truncate shop.price', '0A000', 'table shop.price is system-versioned and cannot be truncated');

-- versions of an older transaction
alter table shop.price disable trigger user;
delete from shop.price;
insert into shop.price values ('tea', 3, :older), ('cake', 5, :older), ('jam', 7, :older);
alter table shop.price enable trigger user;
update shop.price set amount = amount + 1 where item in ('tea', 'jam');
insert into shop.price values ('tea', 9) on conflict (item) do update set amount = excluded.amount;
merge into shop.price as p using (values ('cake')) as gone (item) on p.item = gone.item when matched then delete;
update shop.price set item = 'marmalade' where item = 'jam';
select results_eq('select item, amount, sys_begin, sys_end from shop.price_history order by item',
                  format($$values ('cake', 5, %1$s::bigint, hartonomous._stamp()), ('jam', 7, %1$s, hartonomous._stamp()),
                                  ('tea', 3, %1$s, hartonomous._stamp())$$, :older),
                  'update, key update, on conflict and merge keep each replaced version once');
select results_eq('select item, amount from shop.price order by item', $$values ('marmalade', 8), ('tea', 9)$$);

-- reading
select results_eq(format('select item, amount, valid_from, valid_to from shop.price__as_of(%L) order by item', :'older_at'),
                  format($$values ('cake', 5, %1$L::timestamptz, 'infinity'::timestamptz), ('jam', 7, %1$L, 'infinity'), ('tea', 3, %1$L, 'infinity')$$, :'older_at'),
                  'as of the older transaction: versions are valid until a transaction that has committed ends them');
select is_empty(format('select * from shop.price__as_of(%L::timestamptz - interval ''1 us'')', :'older_at'), 'as of the moment before');
select results_eq(format('select item, amount from shop.price__as_of_snapshot(pg_snapshot(%L)) order by item',
                         format('%s:%1$s:', :older_xid + 1)),
                  $$values ('cake', 5), ('jam', 7), ('tea', 3)$$, 'in a snapshot after it');
select is_empty(format('select * from shop.price__as_of_snapshot(pg_snapshot(%L))', format('%s:%1$s:', :older_xid)), 'in a snapshot before it');
select set_eq(format('select item from shop.price__between(%L, now())', :'older_at'), array['cake', 'jam', 'tea']);
select set_eq('select item from shop.price__all()', array['cake', 'jam', 'tea'], 'all committed versions');
select is_empty('select * from shop.price__as_of(null)', 'NULL is no time');

-- constraints that the table loses
alter table shop.stock alter column amount drop not null;
select hartonomous.system_versioning_add('shop.stock');
alter table shop.stock disable trigger user;
insert into shop.stock (item, amount, sys_begin) values ('salt', null, :older);
alter table shop.stock enable trigger user;
select lives_ok($$update shop.stock set amount = 1 where item = 'salt'$$, 'a table may hold what it once could not');
select results_eq(format('select item, amount from shop.stock__as_of(%L) where item = %L', :'older_at', 'salt'), $$values ('salt', null::int)$$, 'and so may its history');

-- times that outlive what the server remembers
select is(hartonomous._commit_time(hartonomous._stamp()), null, 'a transaction that runs has no commit time');
select is(hartonomous._commit_time(:older), :'older_at'::timestamptz);
select ok(hartonomous.transaction_time_resolve() > 0, 'transaction_time_resolve stores commit times');
set local track_functions = 'pl';
select is(hartonomous.transaction_time_resolve(), 0::bigint, 'each once');
select is(coalesce(pg_stat_get_xact_function_calls('hartonomous._commit_time(bigint)'::regprocedure), 0),
          2::bigint, 'and asks for the time of no other than the one that runs, once for each table');
set local track_functions = 'none';

-- a restore brings stamps of another installation, whose transaction ids mean nothing here
select (hartonomous._version_epoch() # 1) << 40 | 5 as foreign_stamp \gset
select is(hartonomous._stamp_own(:foreign_stamp), null);
select is(hartonomous._stamp_own(hartonomous._stamp()), pg_current_xact_id());
select ok(hartonomous._stamp_visible(:foreign_stamp, pg_snapshot('1:1:')), 'what was restored is in every snapshot');
select is(hartonomous._commit_time(:foreign_stamp), '-infinity', 'and older than any time');

select * from finish();
rollback;
