-- Room 05: API keys, the signed context they bind to a transaction, scopes.
begin;
\ir setup.psql
select plan(47);

-- creation: shown once, stored as a hash
select hartonomous.api_key_create(:ann, 'nightly') as ann_key, hartonomous.api_key_create(:bob, 'reader', '{read}') as bob_key \gset
select matches(:'ann_key'::text, '^hk_[0-9]+_[0-9a-f]{40}$');
select isnt(:'ann_key'::text, :'bob_key'::text);
select is((select secret_hash from hartonomous.api_key where label = 'nightly'),
          sha256(convert_to(split_part(:'ann_key', '_', 3), 'UTF8')), 'only a hash is stored');
select is((select scopes from hartonomous.api_key_list(:ann)), '{read,write}'::text[]);
select throws_ok('select hartonomous.api_key_create(2147483647)', '22023', 'tenant 2147483647 does not exist');
select throws_ok('select hartonomous.api_key_create(0)', '22023', null, 'tenant 0 has roles, no keys');
select throws_ok(format('select hartonomous.api_key_create(%s, scopes => ''{admin}'')', :ann), '22023');
select throws_ok(format('select hartonomous.api_key_create(%s, scopes => ''{}'')', :ann), '22023');
select throws_ok(format('select hartonomous.api_key_create(%s, expires_at => now() - interval ''1 s'')', :ann), '22023');

-- a pool's role belongs to no tenant until it authenticates
set local role nobody_at_all;
select is(hartonomous.current_tenant(), null);
select throws_ok('select secret_hash from hartonomous.api_key', '42501', null, 'keys are not readable');
select throws_ok('select inner_pad from hartonomous.context_secret', '42501', null, 'nor is the secret');
select throws_ok($$select hartonomous._context_mac('1 1 read', '', '')$$, '42501', null, 'nobody can have a context signed');
select throws_ok($$select hartonomous._context_bind(1, 1, '{read}')$$, '42501');
select throws_ok(format('select hartonomous.api_key_create(%s)', :ann), '42501', null, 'only administrators make keys');

savepoint before;
select is(hartonomous.authenticate(:'bob_key'), :bob);
select is(hartonomous.current_tenant(), :bob);
select is((select count(*) from hartonomous.tenant), 2::bigint, 'row security follows the key: its own tenant and the public one');
select throws_ok($$select hartonomous.ingest_text('x')$$, 'ZH002', 'this key has the scopes read, but ingest needs write');
select lives_ok('select * from hartonomous.model_list()', 'reading is in its scope');
select throws_ok(format('select hartonomous.authenticate(%L)', :'ann_key'), 'ZH002', 'this transaction acts for another tenant already');
select is(hartonomous.authenticate(:'bob_key'), :bob, 'the same tenant again is fine');
select current_setting('hartonomous_tenant.context') as bob_context \gset

-- what a caller may do to the setting gains nothing
select set_config('hartonomous_tenant.context', regexp_replace(:'bob_context', '^[0-9]+', :'ann'), true) \g /dev/null
select is(hartonomous.current_tenant(), null, 'another tenant''s number under the same signature');
select set_config('hartonomous_tenant.context', regexp_replace(:'bob_context', ' read ', ' read,write '), true) \g /dev/null
select is(hartonomous.current_tenant(), null, 'wider scopes under the same signature');
select set_config('hartonomous_tenant.context', :'bob_context' || ' ', true) \g /dev/null
select is(hartonomous.current_tenant(), null, 'one more part');
select set_config('hartonomous_tenant.context', 'x', true) \g /dev/null
select is(hartonomous.current_tenant(), null, 'no context at all');
select set_config('hartonomous_tenant.context', repeat(' ', 1000000), true) \g /dev/null
select is(hartonomous.current_tenant(), null, 'a huge one');
select set_config('hartonomous_tenant.context', :'bob_context', true) \g /dev/null
select is(hartonomous.current_tenant(), :bob, 'its own is its own');
rollback to before;
select is(hartonomous.current_tenant(), null, 'a rolled back authentication is none');

-- a role of a tenant stays in it
set local role bob;
select throws_ok(format('select hartonomous.authenticate(%L)', :'ann_key'), 'ZH002');
reset role;

-- one answer for whatever is wrong
set local role nobody_at_all;
select throws_ok('select hartonomous.authenticate(null)', 'ZH003', 'key is not valid');
select throws_ok($$select hartonomous.authenticate('')$$, 'ZH003', 'key is not valid');
select throws_ok($$select hartonomous.authenticate('hk_999999_0000000000000000000000000000000000000000')$$, 'ZH003', 'key is not valid');
select throws_ok(format('select hartonomous.authenticate(%L)', overlay(:'ann_key' placing '0000' from length(:'ann_key') - 3)), 'ZH003',
                 'key is not valid');
select throws_ok(format('select hartonomous.authenticate(%L)', wrong), 'ZH003', 'key is not valid', 'not as it was given out: ' || left(wrong, 8))
from (values (:'ann_key' || '0'), (replace(:'ann_key', 'hk_', 'hk_0')), (replace(:'ann_key', 'hk_', 'hk')), (upper(:'ann_key')),
             (replace(:'ann_key', 'hk_', 'hk_x')), ('hk__' || split_part(:'ann_key', '_', 3)),
             (repeat('9', 1000) || :'ann_key'), ('hk_' || repeat('9', 1000000) || '_' || split_part(:'ann_key', '_', 3))) as w (wrong);
reset role;

-- rotation and revocation
select hartonomous.api_key_rotate(split_part(:'ann_key', '_', 2)::bigint, '0') as next_key \gset
set local role nobody_at_all;
select throws_ok(format('select hartonomous.authenticate(%L)', :'ann_key'), 'ZH003', null, 'without grace the old key ends at once');
select is(hartonomous.authenticate(:'next_key'), :ann, 'its successor works');
reset role;
select hartonomous.api_key_revoke(split_part(:'next_key', '_', 2)::bigint);
select set_config('hartonomous_tenant.context', '', true) \g /dev/null
select throws_ok(format('select hartonomous.authenticate(%L)', :'next_key'), 'ZH003', null, 'a revoked key ends at once');
select throws_ok('select hartonomous.api_key_revoke(999999)', '22023', 'no key with id 999999');
select throws_ok(format('select hartonomous.api_key_rotate(%s)', split_part(:'next_key', '_', 2)), '22023', null, 'a revoked key has no successor');

select * from finish();
rollback;
