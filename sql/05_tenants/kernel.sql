create or replace function hartonomous._caller() returns name
language sql stable parallel restricted
-- inside a SECURITY DEFINER function current_user is the definer: the caller is the effective role or the session's user
return coalesce(nullif(current_setting('role'), 'none'), session_user)::name;
comment on function hartonomous._caller() is 'Role that called the outermost function.';

create or replace function hartonomous._role_tenant() returns int
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    return (select m.tenant_id from hartonomous.tenant_role as m where m.role_name = hartonomous._caller());
end
$$;
comment on function hartonomous._role_tenant() is 'Tenant that the calling role is mapped to, NULL when it is to none.';

create or replace function hartonomous.current_tenant() returns int
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
begin
    -- row security asks with every statement, and to ask for a context where none is bound takes as long as the rest
    return case when current_setting('hartonomous_tenant.context', true) <> ''
                then coalesce((hartonomous._context()).tenant_id, hartonomous._role_tenant())
                else hartonomous._role_tenant() end;
end
$$;
comment on function hartonomous.current_tenant() is
'Tenant that authenticate bound to this transaction, else the one the calling role is mapped to; NULL when there is none. No setting can forge it.';

create or replace function hartonomous._permit(operation text, units bigint default 1) returns int
language plpgsql volatile parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    context constant record := hartonomous._context();
    tenant  constant int := coalesce(context.tenant_id, hartonomous._role_tenant());
    needed  text;
    governed boolean;
    checked regprocedure;
begin
    select (select o.scope from hartonomous.operation as o where o.operation = _permit.operation),
           exists (select from hartonomous.access_policy as p where p.tenant_id = tenant or p.tenant_id is null)
    into needed, governed;
    if tenant is null then
        perform hartonomous._refuse(_permit.operation, null, 'ZH001', format('role %s belongs to no tenant', hartonomous._caller()),
            'authenticate with an API key in this transaction, or have the role mapped by hartonomous.tenant_role_add');
    elsif context.tenant_id is not null and (needed = any (context.scopes)) is not true then
        perform hartonomous._refuse(_permit.operation, tenant, 'ZH002', format(
            'this key has the scopes %s, but %s needs %s', array_to_string(context.scopes, ', '), _permit.operation, needed),
            'create a key with that scope by hartonomous.api_key_create');
    elsif governed and hartonomous._policy_verdict(tenant, _permit.operation, coalesce(units, 0)) = 'deny' then
        perform hartonomous._refuse(_permit.operation, tenant, 'ZH002', format('an access policy denies %s', _permit.operation),
            'an administrator lists policies with hartonomous.access_policy_list');
    end if;
    if needed = 'write' and current_setting('transaction_read_only') = 'off' then
        perform hartonomous._tenant_writable(_permit.operation, tenant);
    end if;
    for checked in
        select procedure from hartonomous.permit_check as c
        where c.operation in (_permit.operation, '*') order by position
    loop
        execute format('select %s($1, $2, $3)', checked::regproc) using _permit.operation, tenant, units;
    end loop;
    return tenant;
end
$$;
comment on function hartonomous._permit(text, bigint) is
'Tenant that the caller may act for, after its key''s scopes, the access policies and every check registered for the operation (throttles, quotas) have passed; ZH001 without tenant, ZH002 denied. units: items the call will process.';

create or replace function hartonomous._permit_read(operation text, units bigint default 1) returns int
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
begin
    return hartonomous._permit(operation, units);
end
$$;
comment on function hartonomous._permit_read(text, bigint) is '_permit for STABLE verbs.';
