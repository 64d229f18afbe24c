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
