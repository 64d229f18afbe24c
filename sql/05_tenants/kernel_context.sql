create or replace function hartonomous._context_mac(payload text) returns text
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    pads  constant hartonomous.context_secret := (select s from hartonomous.context_secret as s);
    -- good in one transaction of one backend of one server start, whoever learns it
    bound constant bytea := convert_to(concat_ws(' ', payload, pg_backend_pid(), extract(epoch from pg_postmaster_start_time()),
                                                 extract(epoch from transaction_timestamp())), 'UTF8');
begin
    return encode(sha256(pads.outer_pad || sha256(pads.inner_pad || bound)), 'hex');
end
$$;
comment on function hartonomous._context_mac(text) is
'HMAC-SHA256 (RFC 2104) of a context, bound to this backend and this transaction.';

create or replace function hartonomous._context(out tenant_id int, out key_id bigint, out scopes text[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    setting constant text := current_setting('hartonomous_tenant.context', true);
    part    constant text[] := string_to_array(setting, ' ');
begin
    -- any role may set the setting, nobody but authenticate can sign it: an unsigned one counts as none
    if setting <> '' and cardinality(part) = 4
       and part[4] = hartonomous._context_mac(concat_ws(' ', part[1], part[2], part[3])) then
        tenant_id := part[1]::int;
        key_id := nullif(part[2], '-')::bigint;
        scopes := string_to_array(part[3], ',');
    end if;
end
$$;
comment on function hartonomous._context() is
'Tenant, key and scopes that authenticate bound to this transaction; NULL when it did not.';

create or replace function hartonomous._context_bind(tenant_id int, key_id bigint, scopes text[]) returns int
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    present constant int := hartonomous.current_tenant();
    payload constant text := concat_ws(' ', tenant_id, coalesce(key_id::text, '-'), array_to_string(scopes, ','));
begin
    if present <> tenant_id then
        perform hartonomous._refuse('authenticate', present, 'ZH002', 'this transaction acts for another tenant already',
            'one transaction, one tenant: commit first, and pool connections of a role that belongs to no tenant');
    end if;
    perform set_config('hartonomous_tenant.context', payload || ' ' || hartonomous._context_mac(payload), true);
    return tenant_id;
end
$$;
comment on function hartonomous._context_bind(int, bigint, text[]) is
'Binds a tenant to the rest of the transaction; ZH002 when another one is bound or the role belongs to another.';
