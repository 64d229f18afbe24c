-- Room 05: tenants, roles, who is calling, permits, row security.
begin;
\ir setup.psql
select plan(40);

-- tenant_create
select throws_ok($$select hartonomous.tenant_create('2')$$, '22023', 'tenant name "2" is a number');
select throws_ok($$select hartonomous.tenant_create('')$$, '22023', 'tenant name is empty');
select throws_ok($$select hartonomous.tenant_create(null)$$, '22023', 'tenant name is empty');
select throws_ok($$select hartonomous.tenant_create('bob ltd')$$, '23505', 'tenant "bob ltd" exists already');
select is((select name from hartonomous.tenant where tenant_id = 0), 'public', 'tenant 0 is public');

-- tenant_role_add
select throws_ok(format('select hartonomous.tenant_role_add(%s, %L)', :ann, 'nosuchrole'), '42704', 'role "nosuchrole" does not exist');
select throws_ok($$select hartonomous.tenant_role_add(2147483647, 'ann')$$, '22023', 'tenant 2147483647 does not exist');
select throws_ok($$select hartonomous.tenant_role_add(null, 'ann')$$, '22023');
select lives_ok(format('select hartonomous.tenant_role_add(%s, %L)', :ann, 'ann'), 'mapping a role again changes nothing');
select is((select count(*) from hartonomous.tenant_role where role_name = 'ann'), 1::bigint, 'a role acts for one tenant');

-- current_tenant: the effective role counts, else the session's user
select is(hartonomous.current_tenant(), :ann, 'the session user''s tenant');
set local role bob;
select is(hartonomous.current_tenant(), :bob, 'set role changes the tenant');
reset role;
set local session authorization bob;
select is(hartonomous.current_tenant(), :bob, 'session authorization changes the tenant');
reset session authorization;
set local role nobody_at_all;
select is(hartonomous.current_tenant(), null, 'no tenant without a row in tenant_role');
select throws_ok($$select hartonomous.ingest_text('a')$$, 'ZH001', 'role nobody_at_all belongs to no tenant');
select throws_ok($$select * from hartonomous.model_list()$$, 'ZH001', null, 'reading needs a tenant too');
set local "hartonomous.tenant" = '1';
set local "hartonomous.tenant_id" = '1';
select is(hartonomous.current_tenant(), null, 'no setting forges a tenant');
reset role;

-- nested definers: the caller stays the caller
create function pg_temp.by_owner() returns int language sql security definer set search_path = pg_catalog, pg_temp
return hartonomous.current_tenant();
grant execute on function pg_temp.by_owner() to public;
create function pg_temp.by_block() returns int language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (select hartonomous.current_tenant());
end
$$;
create function pg_temp.by_python() returns int language plpython3u security definer as $$
return plpy.execute("select hartonomous.current_tenant() as t")[0]["t"]
$$;
create temp table touched (tenant int);
grant all on touched to public;
create function pg_temp.by_trigger() returns trigger language plpgsql security definer as $$
begin
    new.tenant := hartonomous.current_tenant();
    return new;
end
$$;
create trigger t before insert on touched for each row execute function pg_temp.by_trigger();
set local role bob;
select is(pg_temp.by_owner(), :bob, 'inside a SQL definer');
select is(pg_temp.by_block(), :bob, 'inside a PL/pgSQL definer');
select is(pg_temp.by_python(), :bob, 'inside a PL/Python definer');
insert into touched values (-1);
select is((select tenant from touched), :bob, 'inside a trigger');

-- what ordinary roles may not do
select throws_ok($$select hartonomous.tenant_create('mine')$$, '42501');
select throws_ok($$select hartonomous.tenant_role_add(0, 'bob')$$, '42501');
select throws_ok($$insert into hartonomous.tenant_role values ('bob', 0)$$, '42501');
select throws_ok($$update hartonomous.tenant_role set tenant_id = 0$$, '42501');
select throws_ok($$select * from hartonomous.permit_check$$, '42501');
select throws_ok($$select hartonomous._permit('ingest')$$, '42501');
select set_eq('select tenant_id from hartonomous.tenant', array[0, :bob], 'a tenant sees itself and the public tenant');
select set_eq('select distinct tenant_id from hartonomous.tenant_role', array[0, :bob], 'a tenant sees its own roles and those that publish');
reset role;
set local role adam;
select ok(hartonomous.tenant_create('by adam') > :bob, 'an administrator creates tenants');
select throws_ok($$delete from hartonomous.tenant$$, '42501', null, 'an administrator changes tables through the verbs only');
reset role;

-- permits: registered checks are called in order and refuse by raising
create table checked (position int generated always as identity, operation text, tenant int, units bigint);
create function public.note_permit(operation text, tenant_id int, units bigint) returns void language sql security definer
as $$insert into public.checked (operation, tenant, units) values (operation, tenant_id, units)$$;
create function public.refuse_permit(operation text, tenant_id int, units bigint) returns void language plpgsql
as $$begin raise exception 'closed' using errcode = 'ZH002'; end$$;
insert into hartonomous.permit_check values ('*', 1, 'public.note_permit(text, int, bigint)'), ('ingest', 2, 'public.note_permit(text, int, bigint)');
set local role ann;
select lives_ok($$select hartonomous.ingest_many(array['a', 'b', 'c']::bytea[], 'text')$$);
reset role;
select results_eq('select operation, tenant, units from checked order by position',
                  format($$values ('ingest', %s, 3::bigint), ('ingest', %1$s, 3)$$, :ann), 'checks for * and for the operation, with units');
insert into hartonomous.permit_check values ('content', 9, 'public.refuse_permit(text, int, bigint)');
set local role ann;
select throws_ok($$select hartonomous.content(1)$$, 'ZH002', 'closed', 'a check refuses');
select lives_ok($$select hartonomous.ingest_text('d')$$, 'and no other operation');
reset role;

-- forced row security binds the owner of the tables too
set local role hartonomous_owner;
select is((select count(*) from hartonomous.tenant where tenant_id <> 0), 0::bigint, 'the owner sees no tenant''s rows');
reset role;
select ok((select count(*) from hartonomous.tenant) >= 3, 'row security is not in the way of a superuser');

-- a role that acts for nobody any more; administrators see all tenants
set local role adam;
select isnt_empty(format('select * from hartonomous.tenant where tenant_id = %s', :bob), 'an administrator sees tenants that are not his');
select hartonomous.tenant_role_remove('bob') \g /dev/null
select throws_ok('select hartonomous.tenant_role_remove(''bob'')', '22023', 'role ''bob'' acts for no tenant');
set local role bob;
select is(hartonomous.current_tenant(), null);
reset role;

select * from finish();
rollback;
