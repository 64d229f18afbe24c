create or replace function hartonomous._audit_stamp() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    if new.hash is null then  -- an entry that is restored has its own
        new.salt := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        new.commitment := hartonomous._audit_commitment(new);
        new.hash := hartonomous._audit_hash(new);
    end if;
    return new;
end
$$;
comment on function hartonomous._audit_stamp() is 'Trigger: hashes a new entry of the audit log.';

create or replace function hartonomous._audit_guard() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '% is append-only, % is refused', tg_table_name, lower(tg_op) using errcode = '42501';
end
$$;
comment on function hartonomous._audit_guard() is
'Trigger: keeps entries and seals of the audit log from being changed, by its owner too; 42501.';

create or replace function hartonomous._audit_pseudonymise(tenant_id int) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    touched int8multirange;
    entries bigint;
begin
    perform hartonomous.audit_collect();
    with gone as (
        update hartonomous.audit_log as l
        set tenant_id = null, key_id = null, role_name = null, session_name = null, client_addr = null, backend_pid = null,
            application_name = null, detail = null, salt = null
        where l.tenant_id = _audit_pseudonymise.tenant_id
        returning l.audit_id
    )
    select range_agg(int8range(g.audit_id, g.audit_id, '[]')), count(*) into touched, entries from gone as g;
    if entries > 0 then
        -- audit_verify holds this against entries that were emptied otherwise
        perform hartonomous._audit('audit_pseudonymise', null, jsonb_build_object('entries', touched::text));
    end if;
    return entries;
end
$$;
comment on function hartonomous._audit_pseudonymise(int) is
'Takes what tells of somebody from the entries of a tenant, its number and the salt included, and returns how many there were; audit_verify passes as before.';
