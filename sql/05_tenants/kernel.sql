create or replace function hartonomous.current_tenant() returns int
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
begin
    -- inside a SECURITY DEFINER function current_user is the definer: the caller is the effective role or the session's user
    return (select m.tenant_id
            from hartonomous.tenant_role as m
            where m.role_name = coalesce(nullif(current_setting('role'), 'none'), session_user)::name);
end
$$;
comment on function hartonomous.current_tenant() is
'Tenant of the calling role, NULL when the role is mapped to none. Derived from tenant_role; no setting can forge it.';

create or replace function hartonomous._permit(operation text, units bigint default 1) returns int
language plpgsql volatile parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant  int := hartonomous.current_tenant();
    checked regprocedure;
begin
    if tenant is null then
        raise exception 'role % belongs to no tenant', coalesce(nullif(current_setting('role'), 'none'), session_user)
            using errcode = 'ZH001',
                  hint = 'an administrator maps a role with hartonomous.tenant_role_add(tenant_id, role_name)';
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
'Tenant that the caller may act for, after every check registered for the operation (policies, throttles, quotas) has passed; ZH001 without tenant. units: items the call will process.';

create or replace function hartonomous._permit_read(operation text) returns int
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
begin
    return hartonomous._permit(operation, 1);
end
$$;
comment on function hartonomous._permit_read(text) is '_permit for STABLE verbs, one unit.';
