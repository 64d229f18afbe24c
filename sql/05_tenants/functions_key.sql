create or replace function hartonomous._scopes_check(scopes text[]) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if scopes is null or not scopes <@ '{read,write}' or scopes = '{}' or array_position(scopes, null) is not null then
        raise exception 'scopes are %, expected some of read, write', coalesce(scopes::text, 'NULL') using errcode = '22023';
    end if;
end
$$;
comment on function hartonomous._scopes_check(text[]) is '22023 unless scopes are some of read, write.';

create or replace function hartonomous._api_key_put(
    tenant_id int, label text, scopes text[], expires_at timestamptz) returns text
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    secret constant text := left(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), 40);
    made   bigint;
begin
    if not (_api_key_put.tenant_id > 0 and hartonomous._tenant_hold(_api_key_put.tenant_id)) is true then
        raise exception 'tenant % does not exist', coalesce(_api_key_put.tenant_id::text, 'NULL')
            using errcode = '22023', hint = 'create it with hartonomous.tenant_create(name)';
    end if;
    perform hartonomous._scopes_check(scopes);
    if expires_at <= clock_timestamp() then
        raise exception 'expiry % is in the past', expires_at using errcode = '22023';
    end if;
    insert into hartonomous.api_key (tenant_id, label, scopes, secret_hash, expires_at)
    values (_api_key_put.tenant_id, coalesce(_api_key_put.label, ''), _api_key_put.scopes,
            sha256(convert_to(secret, 'UTF8')), _api_key_put.expires_at)
    returning key_id into made;
    perform hartonomous._audit('api_key_create', _api_key_put.tenant_id, jsonb_build_object(
        'key_id', made, 'label', _api_key_put.label, 'scopes', _api_key_put.scopes, 'expires_at', _api_key_put.expires_at));
    return format('hk_%s_%s', made, secret);
end
$$;
comment on function hartonomous._api_key_put(int, text, text[], timestamptz) is 'Makes a key; the secret is in the result and nowhere else.';

create or replace function hartonomous.api_key_create(
    tenant_id int, label text default '', scopes text[] default '{read,write}', expires_at timestamptz default null) returns text
language sql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select hartonomous._api_key_put(api_key_create.tenant_id, api_key_create.label, api_key_create.scopes, api_key_create.expires_at);
end;
comment on function hartonomous.api_key_create(int, text, text[], timestamptz) is
'Makes an API key of a tenant and returns it, hk_<key_id>_<160 random bits>: this once, only its SHA-256 is stored. Errors: 22023 no such tenant, unknown scope or expiry in the past.';

create or replace function hartonomous.api_key_list(tenant_id int)
returns table (key_id bigint, label text, scopes text[], created_at timestamptz, expires_at timestamptz, last_used_at timestamptz,
               revoked_at timestamptz)
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select k.key_id, k.label, k.scopes, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
    from hartonomous.api_key as k where k.tenant_id = api_key_list.tenant_id order by k.key_id;
end;
comment on function hartonomous.api_key_list(int) is
'Keys of a tenant, revoked and expired ones too; last_used_at is kept to the minute.';

create or replace function hartonomous.api_key_rotate(key_id bigint, grace interval default '1 day') returns text
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    old hartonomous.api_key;
begin
    if grace is null or grace < '0' then
        raise exception 'grace is %, expected an interval of 0 or more', coalesce(grace::text, 'NULL') using errcode = '22023';
    end if;
    perform hartonomous._tenant_hold((select k.tenant_id from hartonomous.api_key as k where k.key_id = api_key_rotate.key_id));
    update hartonomous.api_key as k set expires_at = least(k.expires_at, clock_timestamp() + grace)
    where k.key_id = api_key_rotate.key_id and k.revoked_at is null and not k.expires_at <= clock_timestamp() is true
    returning k.* into old;
    if not found then
        raise exception 'no usable key with id %', coalesce(api_key_rotate.key_id::text, 'NULL') using errcode = '22023',
            hint = 'hartonomous.api_key_list(tenant_id) shows them; a revoked or expired one is replaced by api_key_create';
    end if;
    perform hartonomous._audit('api_key_rotate', old.tenant_id, jsonb_build_object('key_id', old.key_id, 'expires_at', old.expires_at));
    return hartonomous._api_key_put(old.tenant_id, old.label, old.scopes, null);
end
$$;
comment on function hartonomous.api_key_rotate(bigint, interval) is
'Makes a successor of a key, with its label and scopes and without expiry, and returns it; the old key works on for the grace. Errors: 22023 no usable key, negative grace.';

create or replace function hartonomous.api_key_revoke(key_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    owner int;
begin
    perform hartonomous._tenant_hold((select k.tenant_id from hartonomous.api_key as k where k.key_id = api_key_revoke.key_id));
    update hartonomous.api_key as k set revoked_at = coalesce(k.revoked_at, clock_timestamp()) where k.key_id = api_key_revoke.key_id
    returning k.tenant_id into owner;
    if not found then
        raise exception 'no key with id %', coalesce(api_key_revoke.key_id::text, 'NULL') using errcode = '22023',
            hint = 'hartonomous.api_key_list(tenant_id) shows them';
    end if;
    perform hartonomous._audit('api_key_revoke', owner, jsonb_build_object('key_id', api_key_revoke.key_id));
end
$$;
comment on function hartonomous.api_key_revoke(bigint) is
'Ends a key at once; repeating the call changes nothing. Transactions that authenticated before go on. 22023 no such key.';

create or replace function hartonomous._api_key_used(key_id bigint) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    -- whoever holds the row notes the use; nobody waits for it, nor for tenant_erase
    update hartonomous.api_key as k set last_used_at = clock_timestamp()
    where k.key_id = (select l.key_id from hartonomous.api_key as l join hartonomous.tenant as t on t.tenant_id = l.tenant_id
                      where l.key_id = _api_key_used.key_id for key share of t skip locked for no key update of l skip locked);
end;
comment on function hartonomous._api_key_used(bigint) is 'Notes the use of a key, unless another transaction is doing so.';

create or replace function hartonomous.authenticate(api_key text) returns int
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    id     constant bigint := case when authenticate.api_key ~ '^hk_[0-9]+_' then left(split_part(authenticate.api_key, '_', 2), 18)::bigint end;
    secret constant text := right(authenticate.api_key, 40);
    hash   constant bytea := sha256(convert_to(secret, 'UTF8'));
    held   hartonomous.api_key;
begin
    select k.* into held from hartonomous.api_key as k where k.key_id = id;
    -- one answer for whatever is wrong: it must not tell which keys exist
    if (held.secret_hash = hash and authenticate.api_key = concat('hk_', held.key_id, '_', secret) and held.revoked_at is null
        and (held.expires_at is null or held.expires_at > clock_timestamp())) is not true then
        if hartonomous._audit_refusal('authenticate', held.tenant_id, 'ZH003', jsonb_build_object('key_id', id, 'reason', case
            when held.key_id is null then 'no such key' when held.revoked_at is not null then 'revoked'
            when held.expires_at <= clock_timestamp() then 'expired' else 'wrong secret' end)) then
            null;  -- no PERFORM: the session may have the plan of a query printed, with the reason in it
        end if;
        raise exception 'key is not valid' using errcode = 'ZH003',
            hint = 'it may be mistyped, expired or revoked; an administrator makes keys with hartonomous.api_key_create';
    end if;
    if held.last_used_at > clock_timestamp() - interval '1 minute' is not true
       and not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' then
        perform hartonomous._api_key_used(held.key_id);
    end if;
    return hartonomous._context_bind(held.tenant_id, held.key_id, held.scopes);
end
$$;
comment on function hartonomous.authenticate(text) is
'Binds the tenant of an API key to the rest of the transaction and returns it. Give the key as a parameter: statements that fail stand in the server''s log. Works on a replica. Errors: ZH003 the key is not valid, ZH002 the transaction acts for another tenant already.';
