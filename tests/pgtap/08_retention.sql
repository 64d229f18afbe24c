-- Room 08: how long histories are kept. A test runs in one transaction, so older versions are made by writing the stamps of an older one.
begin;
\ir setup.psql
select plan(48);
select xmin::text as older_xid, hartonomous._version_epoch() << 40 | xmin::text::bigint as older, pg_xact_commit_timestamp(xmin) as older_at,
       (hartonomous._version_epoch() # 1) << 40 | 5 as foreign_stamp
from pg_extension where extname = 'hartonomous' \gset

create schema shop;
create table shop.price (item text primary key, amount int not null);
select hartonomous.system_versioning_add('shop.price') \g /dev/null
create function pg_temp.price_setting() returns setof record stable language sql as
$$select keep, kept_since from hartonomous.versioned_table where relation = 'shop.price'::regclass$$;
create function pg_temp.kept_since() returns timestamptz stable language sql as
$$select kept_since from hartonomous.versioned_table where relation = 'shop.price'::regclass$$;

-- the setting
select is_empty('select * from hartonomous.version_retention', 'all is kept for ever');
select results_eq('select * from pg_temp.price_setting() as (keep interval, since timestamptz)', 'values (null::interval, null::timestamptz)');
select throws_ok($$select hartonomous.system_versioning_retain('shop.price_history', '1 day')$$, '55000', 'table shop.price_history is not system-versioned');
select throws_ok($$select hartonomous.system_versioning_retain('hartonomous.tenant', '1 day')$$, '55000');
select throws_ok($$select hartonomous.system_versioning_retain(null, '1 day')$$, '55000', 'table NULL is not system-versioned');
select throws_ok($$select hartonomous.system_versioning_retain('nosuch', '1 day')$$, '42P01');
select throws_ok(format('select hartonomous.system_versioning_retain(%L, %L)', 'shop.price', bad), '22023')
from unnest(array['-1 second', '1 month -40 days', '1001 years', 'infinity', '-infinity']) as bad;
select throws_ok($$select hartonomous.system_versioning_retain('shop.price', '-1 day')$$, '22023', 'keep is -1 days, expected from 0 to 1000 years');
set local role ann;
select throws_ok($$select hartonomous.system_versioning_retain('shop.price', '1 day')$$, '42501', null, 'administrators set it');
select throws_ok('select hartonomous.history_prune()', '42501', null, 'and prune');
select throws_ok('select hartonomous.model_collect_garbage()', '42501');
set local role adam;
select lives_ok($$select hartonomous.system_versioning_retain('hartonomous.model', '1 day')$$, 'as an administrator');
reset role;
select throws_ok(format('select hartonomous.history_prune(%s)', bad), '22023', format('batch is %s, expected at least 1', bad))
from unnest(array['0', '-1', 'NULL']) as bad;
select throws_ok(format('select hartonomous.model_collect_garbage(%s)', bad), '22023') from unnest(array['NULL', '''-1 s''', 'batch => 0', 'batch => null']) as bad;

-- pruning: versions that ended at older_at, now and at a time that a restore did not bring
insert into shop.price values ('tea', 4), ('cake', 6);
prepare fill as insert into shop.price_history values
    ('tea', 1, :older, :older), ('tea', 2, :older, :older), ('tea', 3, :older, hartonomous._stamp()), ('jam', 3, :foreign_stamp, :foreign_stamp);
execute fill;
select is(hartonomous.history_prune(), 0::bigint, 'what has no setting is kept');
select isnt_empty('select * from shop.price_history');
select hartonomous.system_versioning_retain('shop.price', now() - :'older_at' + interval '1 hour') \g /dev/null
select is(hartonomous.history_prune(), 1::bigint, 'of a time that is not known it is older than any');
select set_eq('select amount from shop.price_history where item = ''tea''', array[1, 2, 3], 'what is younger stays');
select is(pg_temp.kept_since(), :'older_at'::timestamptz - interval '1 hour', 'the view says since when the history is whole');
select lives_ok(format('select * from shop.price__as_of(%L)', pg_temp.kept_since()), 'as of the time itself');
select throws_ok(format('select * from shop.price__as_of(%L::timestamptz - interval ''1 us'')', pg_temp.kept_since()), 'ZH008',
                 format('the history of shop.price is kept since %s, asked for %s', pg_temp.kept_since(), pg_temp.kept_since() - interval '1 us'));
select lives_ok(format('select * from shop.price__as_of_snapshot(%L)', format('%s:%1$s:', :older_xid)), 'no transaction of this server is missing');

select hartonomous.system_versioning_retain('shop.price', '0') \g /dev/null
select results_eq('select hartonomous.history_prune(1) from generate_series(1, 3)', 'values (1::bigint), (1), (0)', 'a batch at a time');
select results_eq('select item, amount from shop.price_history', $$values ('tea', 3)$$, 'what a transaction replaces that has not ended stays');
select is(pg_temp.kept_since(), now());
select throws_ok(format('select * from shop.price__between(%L, now())', :'older_at'), 'ZH008');
select lives_ok($$select * from shop.price__between(now(), 'infinity')$$);
select throws_ok(format('select * from shop.price__as_of_snapshot(%L)', format('%s:%1$s:', :older_xid)), 'ZH008',
                 format('the history of shop.price is kept since %s, snapshot %s:%2$s: is older', now(), :older_xid));
select throws_ok(format('select * from shop.price__as_of_snapshot(%L)', format('%s:%s:%1$s', :older_xid, :older_xid + 1)), 'ZH008', null,
                 'it had begun, and had not ended');
select lives_ok(format('select * from shop.price__as_of_snapshot(%L)', format('%s:%1$s:', :older_xid + 1)), 'a snapshot that saw it end');
select lives_ok('select * from shop.price__as_of_snapshot(pg_current_snapshot())');
select is_empty('select * from shop.price__as_of(null)', 'NULL is no time');
select lives_ok('select * from shop.price__all()', 'what is kept can be listed');
select throws_ok('select * from shop.price__as_of(''-infinity'')', 'ZH008');
select hartonomous.system_versioning_retain('shop.price', null) \g /dev/null
execute fill;
select is(hartonomous.history_prune(), 0::bigint, 'NULL: for ever, from now on');
select results_eq('select * from pg_temp.price_setting() as (keep interval, since timestamptz)', 'values (null::interval, now())', 'what is gone stays gone');

-- commit times
select hartonomous.transaction_time_resolve() \g /dev/null
insert into hartonomous.transaction_time values (:older - 1, now()), (:foreign_stamp, now()), (:foreign_stamp + 1, now());
select is(hartonomous.history_prune(), 1::bigint);
select set_eq('select stamp from hartonomous.transaction_time', array[:older, :foreign_stamp, :foreign_stamp + 1]::bigint[],
              'commit times of transactions of this installation that bound no version go');
drop schema shop cascade;
select hartonomous.history_prune() \g /dev/null
select results_eq('select relation from hartonomous.version_retention', $$values ('hartonomous.model'::regclass)$$, 'the setting of a table that is gone goes');

select * from finish();
rollback;
