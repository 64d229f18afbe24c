create or replace function hartonomous._context_mac(payload text, inner_pad bytea, outer_pad bytea) returns text
language sql stable parallel restricted
-- good in one transaction of one backend of one server start, whoever learns it
return encode(sha256(_context_mac.outer_pad || sha256(_context_mac.inner_pad
           || timestamptz_send(pg_postmaster_start_time()) || timestamptz_send(transaction_timestamp()) || int4send(pg_backend_pid())
           || convert_to(_context_mac.payload, 'UTF8'))), 'hex');
comment on function hartonomous._context_mac(text, bytea, bytea) is
'HMAC-SHA256 (RFC 2104) of a context, bound to this backend and this transaction, under context_secret. Inlined into the query that reads the secret.';

create or replace function hartonomous._context(out tenant_id int, out key_id bigint, out scopes text[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    part text[];
begin
    -- any role may set the setting, nobody but authenticate can sign it: an unsigned one counts as none
    if current_setting('hartonomous_tenant.context', true) <> '' then
        part := string_to_array(current_setting('hartonomous_tenant.context'), ' ');
        if cardinality(part) = 4
           and part[4] = (select hartonomous._context_mac(concat_ws(' ', part[1], part[2], part[3]), s.inner_pad, s.outer_pad)
                          from hartonomous.context_secret as s) then
            tenant_id := part[1]::int;
            key_id := nullif(part[2], '-')::bigint;
            scopes := string_to_array(part[3], ',');
        end if;
    end if;
end
$$;
comment on function hartonomous._context() is
'Tenant, key and scopes that authenticate bound to this transaction; NULL when it did not.';

create or replace function hartonomous._context_bind(tenant_id int, key_id bigint, scopes text[]) returns int
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    payload constant text := concat_ws(' ', tenant_id, coalesce(key_id::text, '-'), array_to_string(scopes, ','));
    found_row record;
begin
    -- one query for both: every transaction of a pooled connection begins here. The secret stays within it: a variable that holds it
    -- would be a constant of the next query's plan, and whoever sets debug_print_plan is shown the plans of what he calls
    select concat_ws(' ', payload, hartonomous._context_mac(payload, s.inner_pad, s.outer_pad)) as signed,
           (select m.tenant_id from hartonomous.tenant_role as m where m.role_name = hartonomous._caller()) as role_tenant
    into found_row from hartonomous.context_secret as s;
    if found_row.role_tenant <> tenant_id
       or current_setting('hartonomous_tenant.context', true) <> '' and (hartonomous._context()).tenant_id <> tenant_id then
        perform hartonomous._refuse('authenticate', hartonomous.current_tenant(), 'ZH002', 'this transaction acts for another tenant already',
            'one transaction, one tenant: commit first, and pool connections of a role that belongs to no tenant');
    end if;
    perform set_config('hartonomous_tenant.context', found_row.signed, true);
    return tenant_id;
end
$$;
comment on function hartonomous._context_bind(int, bigint, text[]) is
'Binds a tenant to the rest of the transaction; ZH002 when another one is bound or the role belongs to another.';
