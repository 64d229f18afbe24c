-- Room 05: the audit log: what is recorded, by whom it is read, that it is only appended to.
begin;
\ir setup.psql
select plan(27);

-- calls that succeed, in their transaction
select hartonomous.api_key_create(:ann, 'nightly') as ann_key \gset
select hartonomous.api_key_rotate(split_part(:'ann_key', '_', 2)::bigint) as next_key \gset
select hartonomous.api_key_revoke(split_part(:'next_key', '_', 2)::bigint);
select results_eq(
    format('select operation from hartonomous.audit_log where tenant_id = %s order by audit_id', :ann),
    array['tenant_create', 'tenant_role_add', 'tenant_role_add', 'tenant_role_add', 'tenant_role_add', 'api_key_create', 'api_key_rotate',
          'api_key_create', 'api_key_revoke']);
select results_eq(format('select distinct result, sqlstate, role_name, session_name, backend_pid from hartonomous.audit_log where tenant_id = %s', :ann),
                  'select ''ok'', null::text, session_user, session_user, pg_backend_pid()');
select is_empty(format('select from hartonomous.audit_log as l where strpos(l::text, %L) > 0', split_part(:'ann_key', '_', 3)), 'no secret of a key');

-- refusals, outside of the transaction that they abort
select count(*) as before from hartonomous.audit_log where result = 'refused' \gset
set local role nobody_at_all;
select throws_ok($$select hartonomous.ingest_text('x')$$, 'ZH001', 'role nobody_at_all belongs to no tenant');
select throws_ok(format('select hartonomous.authenticate(%L)', :'next_key'), 'ZH003', 'key is not valid');
select throws_ok('select hartonomous.authenticate(null)', 'ZH003', 'key is not valid');
reset role;
select hartonomous.api_key_create(:bob, 'reader', '{read}') as bob_key \gset
savepoint as_bob;
set local role nobody_at_all;
select hartonomous.authenticate(:'bob_key') \g /dev/null
select throws_ok($$select hartonomous.ingest_text('x')$$, 'ZH002');
select throws_ok(format('select hartonomous.authenticate(%L)', :'ann_key'), 'ZH002');
rollback to as_bob;
select cmp_ok(hartonomous.audit_collect(), '>=', 5::bigint);
select set_has(
    'select operation, sqlstate, role_name, tenant_id, detail from hartonomous.audit_log where result = ''refused''',
    format($$values ('ingest', 'ZH001', 'nobody_at_all'::name, null, '{"message": "role nobody_at_all belongs to no tenant"}'::jsonb),
                    ('authenticate', 'ZH003', 'nobody_at_all', %1$s, '{"key_id": %3$s, "reason": "revoked"}'),
                    ('authenticate', 'ZH003', 'nobody_at_all', null, '{"key_id": null, "reason": "no such key"}'),
                    ('ingest', 'ZH002', 'nobody_at_all', %2$s, '{"message": "this key has the scopes read, but ingest needs write"}'),
                    ('authenticate', 'ZH002', 'nobody_at_all', %2$s, '{"message": "this transaction acts for another tenant already"}')$$,
           :ann, :bob, split_part(:'next_key', '_', 2)));
select is((select key_id from hartonomous.audit_log where operation = 'ingest' and sqlstate = 'ZH002' order by audit_id desc limit 1),
          split_part(:'bob_key', '_', 2)::bigint, 'the key that acted');

-- administrators read it, nobody changes it
set local role adam;
select cmp_ok((select count(distinct tenant_id) from hartonomous.audit_log), '>=', 2::bigint, 'an administrator reads all tenants''');
select throws_ok('insert into hartonomous.audit_log (operation, result) values (''x'', ''ok'')', '42501');
set local role ann;
select throws_ok('select from hartonomous.audit_log', '42501');
select throws_ok('select from hartonomous.audit_seal', '42501');
select throws_ok('select hartonomous.audit_collect()', '42501');
select throws_ok($$select hartonomous._audit('x', 1)$$, '42501');
reset role;
select throws_ok('update hartonomous.audit_log set operation = ''x''', '42501', 'audit_log is append-only, update is refused');
select throws_ok('delete from hartonomous.audit_log', '42501', 'audit_log is append-only, delete is refused');
select throws_ok('truncate hartonomous.audit_log', '42501', 'audit_log is append-only, truncate is refused');
select throws_ok('update hartonomous.audit_log set detail = null', '42501', null, 'who is taken away goes with the salt, or not at all');

select cmp_ok((select entries from hartonomous.audit_seal()), '>', 0::bigint);
select is_empty('select * from hartonomous.audit_verify()');
select is_empty(format('select * from hartonomous.audit_verify(%L)', (select head from hartonomous.audit_seal())));
select results_eq($$select fault from hartonomous.audit_verify('00')$$, array['no seal has this head: the log was cut off or rewritten']);

-- shown to administrators, what was just refused included
select results_eq(format('select operation from hartonomous.audit_list(now(), %s, 2)', :ann), array['api_key_revoke', 'authenticate'], 'the newest, oldest first');
select is_empty($$select * from hartonomous.audit_list('infinity')$$);
select * from finish();
rollback;
