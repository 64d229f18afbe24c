-- Room 80: secrets: encrypted at rest, for their tenant and for keys with write scope.
begin;
\ir setup.psql
select plan(27);

set local role ann;
select lives_ok($$select hartonomous.secret_put('provider', 'sk-ann')$$);
select lives_ok($$select hartonomous.secret_put('other', 'ünï')$$);
select is(hartonomous.secret_get('provider'), 'sk-ann');
select is(hartonomous.secret_get('other'), 'ünï');
select lives_ok($$select hartonomous.secret_put('provider', '')$$);
select is(hartonomous.secret_get('provider'), '', 'replaced');
select results_eq('select name, key_version > 0 from hartonomous.secret_list()', $$values ('other', true), ('provider', true)$$);
select results_eq('select name from hartonomous.secret order by 1', array['other', 'provider']);
select throws_ok('select ciphertext from hartonomous.secret', '42501');

set local role bob;
select throws_ok($$select hartonomous.secret_get('provider')$$, '22023', 'no secret named ''provider''');
select throws_ok($$select hartonomous.secret_drop('provider')$$, '22023', 'no secret named ''provider''');
select lives_ok($$select hartonomous.secret_put('provider', 'sk-bob')$$);
select is(hartonomous.secret_get('provider'), 'sk-bob', 'a name is free in each tenant');
set local role ann;
select is(hartonomous.secret_get('provider'), '');

select throws_ok('select hartonomous.secret_get(null)', '22023', 'no secret named NULL');
select throws_ok($$select hartonomous.secret_put('', 'x')$$, '22023', 'name of a secret has 0 bytes, expected 1 to 200');
select throws_ok($$select hartonomous.secret_put(null, 'x')$$, '22023');
select throws_ok($$select hartonomous.secret_put(repeat('x', 201), 'x')$$, '22023');
select throws_ok($$select hartonomous.secret_put('x', null)$$, '22023');
select throws_ok($$select hartonomous.secret_put('x', repeat('x', 65537))$$, '22023', 'secret has 65537 bytes, expected at most 65536');
set local role publisher;
select throws_ok($$select hartonomous.secret_put('x', 'y')$$, '22023', 'tenant 0 is public and keeps no secrets');
set local role rita;
select throws_ok($$select hartonomous.secret_get('provider')$$, '42501', null, 'a reader reads none');
reset role;

-- a key needs the scope
select hartonomous.api_key_create(:ann, 'reader', '{read}') as read_key \gset
savepoint as_key;
set local role nobody_at_all;
select hartonomous.authenticate(:'read_key') \g /dev/null
select throws_ok($$select hartonomous.secret_get('provider')$$, 'ZH002', 'this key has the scopes read, but secret needs write');
rollback to as_key;

select is(hartonomous.secret_rotate(), 0::bigint, 'all are under the newest key');
select throws_ok('select hartonomous.secret_rotate(0)', '22023', 'batch is 0, expected at least 1');
set local role ann;
select lives_ok($$select hartonomous.secret_drop('provider')$$);
reset role;
select results_eq(format($$select operation, detail ->> 'name' from hartonomous.audit_log where tenant_id = %s and operation like 'secret%%' order by audit_id$$, :ann),
    $$values ('secret_put', 'provider'), ('secret_put', 'other'), ('secret_get', 'provider'), ('secret_get', 'other'), ('secret_put', 'provider'),
             ('secret_get', 'provider'), ('secret_get', 'provider'), ('secret_drop', 'provider')$$, 'each is in the audit log');
select * from finish();
rollback;
