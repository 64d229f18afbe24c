create or replace function hartonomous.tenant_create(name text) returns int
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    created int;
begin
    if coalesce(trim(tenant_create.name), '') = '' then
        raise exception 'tenant name is empty' using errcode = '22023', hint = 'give a name such as ''acme''';
    elsif tenant_create.name ~ '^[0-9]+$' then
        raise exception 'tenant name "%" is a number', tenant_create.name using errcode = '22023',
            hint = 'tokens name a tenant by its name or its id: these must not be mistaken for each other';
    end if;
    insert into hartonomous.tenant (name) values (tenant_create.name) returning tenant_id into created;
    perform hartonomous._audit('tenant_create', created, jsonb_build_object('name', tenant_create.name));
    return created;
exception when unique_violation then
    raise exception 'tenant "%" exists already', tenant_create.name
        using errcode = '23505', hint = 'choose another name, or map a role to it with hartonomous.tenant_role_add';
end
$$;
comment on function hartonomous.tenant_create(text) is
'Creates a tenant and returns its id. Errors: 22023 empty name or a number, 23505 name taken.';

create or replace function hartonomous.tenant_role_add(tenant_id int, role_name name) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    before int;
begin
    if not exists (select from pg_roles where rolname = tenant_role_add.role_name) then
        raise exception 'role "%" does not exist', tenant_role_add.role_name
            using errcode = '42704', hint = format('create role %I login', tenant_role_add.role_name);
    end if;
    if not hartonomous._tenant_hold(tenant_role_add.tenant_id) then
        raise exception 'tenant % does not exist', tenant_role_add.tenant_id
            using errcode = '22023', hint = 'create it with hartonomous.tenant_create(name)';
    end if;
    select m.tenant_id into before from hartonomous.tenant_role as m where m.role_name = tenant_role_add.role_name for update;
    insert into hartonomous.tenant_role (role_name, tenant_id)
    values (tenant_role_add.role_name, tenant_role_add.tenant_id)
    on conflict (role_name) do update set tenant_id = excluded.tenant_id
    where tenant_role.tenant_id <> excluded.tenant_id;
    perform hartonomous._audit('tenant_role_add', tenant_role_add.tenant_id, jsonb_build_object('role_name', tenant_role_add.role_name));
    if before <> tenant_role_add.tenant_id then
        perform hartonomous._audit('tenant_role_add', before, jsonb_build_object('role_name', tenant_role_add.role_name, 'lost', true));
    end if;
end
$$;
comment on function hartonomous.tenant_role_add(int, name) is
'Makes a database role act for a tenant; moves it when it acted for another. Membership goes by the role''s name: remap it, or remove it by tenant_role_remove, before a name is given to somebody else. hartonomous_admin administers all tenants of the installation. What the role may do comes from membership in hartonomous_reader, _writer, _worker or _admin. Errors: 42704 no such role, 22023 no such tenant.';

create or replace function hartonomous.tenant_role_remove(role_name name) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant int;
begin
    select m.tenant_id into tenant from hartonomous.tenant_role as m where m.role_name = tenant_role_remove.role_name;
    perform hartonomous._tenant_hold(tenant);  -- before any other lock, as tenant_erase does
    delete from hartonomous.tenant_role as m where m.role_name = tenant_role_remove.role_name;
    if not found then
        raise exception 'role % acts for no tenant', coalesce(quote_literal(tenant_role_remove.role_name), 'NULL')
            using errcode = '22023', hint = 'select * from hartonomous.tenant_role';
    end if;
    perform hartonomous._audit('tenant_role_remove', tenant, jsonb_build_object('role_name', tenant_role_remove.role_name));
end
$$;
comment on function hartonomous.tenant_role_remove(name) is
'Ends a database role''s acting for a tenant, from its next call on. 22023 the role acts for none.';

create or replace function hartonomous.tenant_close(tenant_id int, closed boolean default true) returns boolean
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    wanted constant boolean := tenant_close.closed is not false;
    was    boolean;
begin
    select t.closed_at is not null into was from hartonomous.tenant as t
    where t.tenant_id = tenant_close.tenant_id and t.tenant_id > 0 for no key update;
    if was is null then
        raise exception 'tenant % does not exist', coalesce(tenant_close.tenant_id::text, 'NULL')
            using errcode = '22023', hint = 'select * from hartonomous.tenant; tenant 0 is public and stays open';
    end if;
    if was <> wanted then
        update hartonomous.tenant as t set closed_at = case when wanted then now() end where t.tenant_id = tenant_close.tenant_id;
        perform hartonomous._audit('tenant_close', tenant_close.tenant_id, jsonb_build_object('closed', wanted));
    end if;
    return was <> wanted;
end
$$;
comment on function hartonomous.tenant_close(int, boolean) is
'Refuses all further writing calls of a tenant (ZH001), or with closed => false permits them again; true when that changed anything. Commit it before tenant_erase where the tenant is busy: otherwise erasing waits until no transaction of the tenant is open. 22023 no such tenant.';
