create or replace function hartonomous._key_file() returns text
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    -- any role may set the setting in its session: what counts is the server's configuration
    select f.setting from pg_file_settings as f where f.name = 'hartonomous.key_file' and f.error is null order by f.seqno desc limit 1;
end;
comment on function hartonomous._key_file() is 'File of keys that the configuration of the server names; NULL when it names none.';

create or replace function hartonomous._secret_key(file text, wanted int, out version int, out key text)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.security import key_file
return key_file.key(file, wanted)
$$;
comment on function hartonomous._secret_key(text, int) is 'A key of the file, the newest for NULL. ZH005 when there is none or the file is not safe.';

create or replace function hartonomous._key_file_fault() returns text
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.security import key_file
return key_file.fault(plpy)
$$;
comment on function hartonomous._key_file_fault() is 'Why secrets are not available; NULL when they are.';

create or replace function hartonomous._secret_frame(tenant_id int, name text) returns bytea
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    return convert_to(jsonb_build_array(_secret_frame.tenant_id, _secret_frame.name)::text, 'UTF8') || '\x00';
end
$$;
comment on function hartonomous._secret_frame(int, text) is 'What stands before a secret in its plaintext, so that it opens in its own row only.';

-- In these two each value stays a parameter of a simple expression. In a query's plan it would be a constant, which
-- debug_print_plan, that anybody may set, prints.
create or replace function hartonomous._secret_seal(tenant_id int, name text, value text, wanted int, out key_version int, out ciphertext bytea)
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
    held  record;
    plain bytea;
begin
    held := hartonomous._secret_key(hartonomous._key_file(), wanted);
    plain := hartonomous._secret_frame(tenant_id, name) || convert_to(value, 'UTF8');
    key_version := held.version;
    -- the key is as long as the cipher's: stretching it would only cost time
    ciphertext := @extschema:pgcrypto@.pgp_sym_encrypt_bytea(plain, held.key, 'cipher-algo=aes256, compress-algo=0, s2k-mode=1');
end
$$;
comment on function hartonomous._secret_seal(int, text, text, int) is 'Encrypts a secret under a key of the file, the newest for NULL.';

create or replace function hartonomous._secret_open(tenant_id int, name text, ciphertext bytea, key_version int) returns text
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
    frame constant bytea := hartonomous._secret_frame(tenant_id, name);
    held  record;
    plain bytea;
begin
    held := hartonomous._secret_key(hartonomous._key_file(), key_version);
    begin
        plain := @extschema:pgcrypto@.pgp_sym_decrypt_bytea(ciphertext, held.key);
    exception when external_routine_invocation_exception then
        plain := null;
    end;
    if substr(plain, 1, length(frame)) is distinct from frame then
        raise exception 'secret "%" does not open: it was damaged or belongs to another row, or version % of the key was replaced', name, key_version
            using errcode = 'ZH005', hint = 'restore the row or the key file from a backup, or put the secret anew with hartonomous.secret_put';
    end if;
    return convert_from(substr(plain, length(frame) + 1), 'UTF8');
end
$$;
comment on function hartonomous._secret_open(int, text, bytea, int) is 'Decrypts a secret; ZH005 when it is not the one of this row.';

create or replace function hartonomous.secret_put(name text, value text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('secret');
    made   record;
begin
    if tenant = 0 then
        raise exception 'tenant 0 is public and keeps no secrets' using errcode = '22023', hint = 'act for another tenant';
    elsif coalesce(secret_put.name, '') = '' or octet_length(secret_put.name) > 200 then
        raise exception 'name of a secret has % bytes, expected 1 to 200', coalesce(octet_length(secret_put.name)::text, 'NULL') using errcode = '22023';
    elsif secret_put.value is null or octet_length(secret_put.value) > 65536 then
        raise exception 'secret has % bytes, expected at most 65536', coalesce(octet_length(secret_put.value)::text, 'NULL') using errcode = '22023',
            hint = 'to remove a secret call hartonomous.secret_drop(name)';
    end if;
    made := hartonomous._secret_seal(tenant, secret_put.name, secret_put.value, null);
    insert into hartonomous.secret as s (tenant_id, name, ciphertext, key_version)
    values (tenant, secret_put.name, made.ciphertext, made.key_version)
    on conflict (tenant_id, name) do update set ciphertext = excluded.ciphertext, key_version = excluded.key_version, updated_at = now();
    perform hartonomous._audit('secret_put', tenant, jsonb_build_object('name', secret_put.name, 'key_version', made.key_version));
end
$$;
comment on function hartonomous.secret_put(text, text) is
'Stores a secret such as a provider''s key, encrypted (OpenPGP, AES-256) under the newest key of the server''s key file, or replaces it. Give the value as a parameter: the text of a statement may be logged. Errors: ZH005 no usable key file, 22023 tenant 0, empty or long name, value over 64 KiB.';

create or replace function hartonomous.secret_get(name text) returns text
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('secret');
    held   hartonomous.secret;
begin
    if hartonomous._masked(tenant, 'secret') then
        perform hartonomous._mask_refuse(tenant, 'secret', 'secrets');
    end if;
    select s.* into held from hartonomous.secret as s where s.tenant_id = tenant and s.name = secret_get.name;
    if not found then
        raise exception 'no secret named %', coalesce(quote_literal(secret_get.name), 'NULL') using errcode = '22023',
            hint = 'hartonomous.secret_list() shows them';
    end if;
    perform hartonomous._audit('secret_get', tenant, jsonb_build_object('name', secret_get.name));
    return hartonomous._secret_open(held.tenant_id, held.name, held.ciphertext, held.key_version);
end
$$;
comment on function hartonomous.secret_get(text) is
'A secret of the caller''s tenant, for keys with write scope; each call is in the audit log. Errors: 22023 no such secret, ZH005 no usable key file, an unknown key version or a damaged or exchanged row, ZH002 masked.';

create or replace function hartonomous.secret_list()
returns table (name text, key_version int, created_at timestamptz, updated_at timestamptz)
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select s.name, s.key_version, s.created_at, s.updated_at
    from hartonomous._permit_read('secret') as p (tenant) join hartonomous.secret as s on s.tenant_id = p.tenant order by s.name;
end;
comment on function hartonomous.secret_list() is 'Names of the secrets of the caller''s tenant, and the version of the key each is encrypted under.';

create or replace function hartonomous.secret_drop(name text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('secret');
begin
    delete from hartonomous.secret as s where s.tenant_id = tenant and s.name = secret_drop.name;
    if not found then
        raise exception 'no secret named %', coalesce(quote_literal(secret_drop.name), 'NULL') using errcode = '22023',
            hint = 'hartonomous.secret_list() shows them';
    end if;
    perform hartonomous._audit('secret_drop', tenant, jsonb_build_object('name', secret_drop.name));
end
$$;
comment on function hartonomous.secret_drop(text) is 'Removes a secret. 22023 no such secret.';

create or replace function hartonomous.secret_rotate(batch int default 1000) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    newest constant int := (hartonomous._secret_key(hartonomous._key_file(), null)).version;
    held   hartonomous.secret;
    made   record;
    done   bigint := 0;
begin
    if (secret_rotate.batch > 0) is not true then
        raise exception 'batch is %, expected at least 1', coalesce(secret_rotate.batch::text, 'NULL') using errcode = '22023';
    end if;
    for held in
        select s.* from hartonomous.secret as s where s.key_version <> newest order by s.tenant_id, s.name limit secret_rotate.batch
        for no key update
    loop
        made := hartonomous._secret_seal(held.tenant_id, held.name, hartonomous._secret_open(held.tenant_id, held.name, held.ciphertext,
                                                                                           held.key_version), newest);
        update hartonomous.secret as s set ciphertext = made.ciphertext, key_version = made.key_version
        where s.tenant_id = held.tenant_id and s.name = held.name;
        done := done + 1;
    end loop;
    if done > 0 then
        perform hartonomous._audit('secret_rotate', null, jsonb_build_object('secrets', done, 'key_version', newest));
    end if;
    return done;
end
$$;
comment on function hartonomous.secret_rotate(int) is
'Encrypts up to so many secrets of all tenants anew that are not under the newest key of the key file, and returns how many: repeat it until that is 0, then older keys may leave the file. Errors: ZH005 no usable key file, or a secret that does not open, 22023 batch below 1.';
