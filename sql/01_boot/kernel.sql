-- Roles are cluster-wide, so they are created when missing and stay when the extension goes.
do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('hartonomous_owner',   'nologin'),             -- owns every object; no superuser, no bypass of row security
            ('hartonomous_definer', 'nologin bypassrls'),   -- owns the reviewed SECURITY DEFINER verbs
            ('hartonomous_reader',  'nologin'),
            ('hartonomous_writer',  'nologin'),
            ('hartonomous_worker',  'nologin'),
            ('hartonomous_admin',   'nologin')
        ) as role (name, options)
        where not exists (select from pg_catalog.pg_roles where rolname = role.name)
    loop
        execute pg_catalog.format('create role %I %s', wanted.name, wanted.options);
    end loop;
    grant pg_read_all_settings to hartonomous_definer;  -- server_check reads shared_preload_libraries
end
$$;

comment on schema hartonomous is 'Content, embeddings, model weights, inference, search and provenance in one transactional store.';

create or replace function hartonomous.version() returns text
language sql immutable parallel safe
return '@version@'::text;
comment on function hartonomous.version() is
'Version of the installed extension. Never NULL.';

create or replace function hartonomous._not_yet(feature text) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '% is not available in version @version@', feature
        using errcode = '0A000', hint = 'omit the argument; see CHANGELOG.md for what each version brings';
end
$$;
comment on function hartonomous._not_yet(text) is
'Raises 0A000 for an argument whose feature a later version brings.';

create or replace function hartonomous._dump_rows(relations regclass[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    relation regclass;
begin
    foreach relation in array relations loop
        perform pg_extension_config_dump(relation, '');
    end loop;
end
$$;
comment on function hartonomous._dump_rows(regclass[]) is
'Marks extension tables and sequences whose rows are users'' data, so that pg_dump takes them. Only the install script can call it.';

create or replace function hartonomous._opaque_id(ids regclass, salt int) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    key   constant bytea := int8send((select k.last_value from hartonomous.id_key as k) # salt);
    n     constant bigint := nextval(ids);
    upper int := n >> 20;
    lower int := n & 1048575;
    mixed bytea;
    kept  int;
begin
    for round in 1 .. 4 loop
        kept := lower;
        mixed := sha256(key || int4send(round << 20 | lower));
        lower := upper # ((get_byte(mixed, 0) << 12) | (get_byte(mixed, 1) << 4) | (get_byte(mixed, 2) >> 4));
        upper := kept;
    end loop;
    return upper::bigint << 20 | lower;
end
$$;
comment on function hartonomous._opaque_id(regclass, int) is
'Next id of a sequence under a keyed permutation of 0 .. 2^40 - 1 (Feistel network, Luby and Rackoff 1988): ids never collide, and their gaps tell a tenant nothing of how many others were given.';

create or replace function hartonomous._lock_key(name text) returns bigint
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    return (select ('x' || left(encode(sha256(convert_to(k.last_value || ' ' || _lock_key.name, 'UTF8')), 'hex'), 16))::bit(64)::bigint
            from hartonomous.id_key as k);
end
$$;
comment on function hartonomous._lock_key(text) is
'Key of an advisory lock. Everybody may take any, so nobody may know which one is whose: it depends on the secret behind opaque ids.';

create or replace function hartonomous._opaque_ids(relation regclass, id name) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    ids constant text := format('%s_%s_seq', relation, id);
begin
    execute format('create sequence %s maxvalue 1099511627775 owned by %s.%I', ids, relation, id);
    execute format('alter table %s alter column %I set default hartonomous._opaque_id(%L, %s)', relation, id, ids,
                   ('x' || left(encode(sha256(convert_to(ids, 'UTF8')), 'hex'), 8))::bit(32)::int);  -- the same wherever a dump goes
    perform pg_extension_config_dump(ids, '');
end
$$;
comment on function hartonomous._opaque_ids(regclass, name) is
'Gives an id column of a table of the extension opaque ids. Only the install script can call it.';
