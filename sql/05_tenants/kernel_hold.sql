create or replace function hartonomous._tenant_hold(tenant_id int) returns boolean
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform from hartonomous.tenant as t where t.tenant_id = _tenant_hold.tenant_id for key share;
    return found;
end
$$;
comment on function hartonomous._tenant_hold(int) is
'Keeps a tenant from being erased until the transaction ends; false when there is none. Whoever writes rows of a tenant calls it before it locks anything else: then it and tenant_erase, which locks the tenant first too, cannot deadlock.';

create or replace function hartonomous._tenant_writable(operation text, tenant_id int) returns void
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    closed boolean;
begin
    select t.closed_at is not null into closed from hartonomous.tenant as t where t.tenant_id = _tenant_writable.tenant_id for key share;
    if closed is null then
        perform hartonomous._refuse(_tenant_writable.operation, _tenant_writable.tenant_id, 'ZH001',
            format('tenant %s was erased', _tenant_writable.tenant_id), 'an administrator called hartonomous.tenant_erase');
    elsif closed then
        perform hartonomous._refuse(_tenant_writable.operation, _tenant_writable.tenant_id, 'ZH001',
            format('tenant %s is closed', _tenant_writable.tenant_id),
            'it is about to be erased; an administrator opens it by hartonomous.tenant_close(tenant_id, false)');
    end if;
end
$$;
comment on function hartonomous._tenant_writable(text, int) is '_tenant_hold for the tenant''s own calls; ZH001 when it is closed or erased.';
