create or replace function hartonomous._audit_entry_faults() returns table (audit_id bigint, seal_id bigint, fault text)
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    with known as (
        select (select range_agg(s.entries) from hartonomous.audit_seal as s) as sealed,
               (select range_agg((l.detail ->> 'entries')::int8multirange) from hartonomous.audit_log as l
                where l.operation = 'audit_pseudonymise' and pg_input_is_valid(l.detail ->> 'entries', 'int8multirange')) as emptied
    ), entry as (
        select l.audit_id, l.salt, l.hash = hartonomous._audit_hash(l) as whole, l.commitment = hartonomous._audit_commitment(l) as told,
               num_nonnulls(l.tenant_id, l.key_id, l.role_name, l.session_name, l.client_addr, l.backend_pid, l.application_name, l.detail) as kept
        from hartonomous.audit_log as l
    )
    select e.audit_id, null::bigint, f.fault
    from entry as e cross join known as k
    cross join lateral (values
        (e.whole, 'entry was changed'),
        (e.told or e.salt is null and e.kept = 0, 'who, where or detail of the entry was changed'),
        (e.salt is not null or e.audit_id <@ k.emptied, 'entry was emptied, but not by erasing a tenant'),
        (e.audit_id <@ k.sealed or exists (select from hartonomous.audit_unsealed as u where u.audit_id = e.audit_id),
         'entry is in no seal, nor waits for one')
    ) as f (holds, fault)
    where f.holds is not true
    union all
    select u.audit_id, null, 'entry is gone, it was not sealed yet' from hartonomous.audit_unsealed as u
    where not exists (select from hartonomous.audit_log as l where l.audit_id = u.audit_id);
end;
comment on function hartonomous._audit_entry_faults() is 'Entries of the audit log that are not what they were, or out of place.';

create or replace function hartonomous._audit_seal_faults() returns table (audit_id bigint, seal_id bigint, fault text)
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    with chain as (
        select s.*, coalesce(lag(s.seal_id) over before, 0) + 1 as expected_id, coalesce(lag(s.hash) over before, '') as expected_previous
        from hartonomous.audit_seal as s window before as (order by s.seal_id)
    ), found as (
        select s.seal_id, s.entries, coalesce(range_agg(int8range(l.audit_id, l.audit_id, '[]')) filter (where l.audit_id is not null), '{}') as present,
               s.digest = sha256(coalesce(string_agg(l.hash, '' order by l.audit_id), '')) as whole
        from hartonomous.audit_seal as s cross join lateral unnest(s.entries) as r (ids)
        left join hartonomous.audit_log as l on l.audit_id >= lower(r.ids) and l.audit_id < upper(r.ids)
        group by s.seal_id
    )
    select null::bigint, c.seal_id, f.fault
    from chain as c cross join lateral (values
        (c.hash = hartonomous._audit_seal_hash(c.seal_id, c.at, c.entries, c.digest, c.previous), 'seal was changed'),
        (c.seal_id = c.expected_id and c.previous = c.expected_previous, 'seal does not follow the one before')
    ) as f (holds, fault)
    where f.holds is not true
    union all
    select null, f.seal_id, 'entries of the seal are not what was sealed' from found as f where f.whole is not true
    union all
    select id, f.seal_id, 'entry is gone'
    from found as f cross join lateral unnest(f.entries - f.present) as r (ids)
    cross join lateral generate_series(lower(r.ids), upper(r.ids) - 1) as id;
end;
comment on function hartonomous._audit_seal_faults() is 'Seals that do not hold, and entries that they miss.';

create or replace function hartonomous._audit_guard_faults() returns table (audit_id bigint, seal_id bigint, fault text)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select null::bigint, null::bigint, format('trigger %s of %s is missing or disabled', w.name, w.relation)
    from (values ('audit_log', 'audit_stamp'), ('audit_log', 'audit_guard'), ('audit_log', 'audit_guard_update'),
                 ('audit_log', 'audit_guard_truncate'), ('audit_seal', 'audit_guard'), ('audit_seal', 'audit_guard_truncate')
    ) as w (relation, name)
    where not exists (select from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
                      where c.relnamespace = to_regnamespace('hartonomous') and c.relname = w.relation and t.tgname = w.name
                        and t.tgenabled = 'A');
end;
comment on function hartonomous._audit_guard_faults() is 'Triggers that should keep the audit log from being changed, and do not.';

create or replace function hartonomous.audit_verify(head text default null) returns table (audit_id bigint, seal_id bigint, fault text)
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select f.audit_id, f.seal_id, f.fault from hartonomous._audit_entry_faults() as f
    union all
    select f.audit_id, f.seal_id, f.fault from hartonomous._audit_seal_faults() as f
    union all
    select f.audit_id, f.seal_id, f.fault from hartonomous._audit_guard_faults() as f
    union all
    select null, null, 'no seal has this head: the log was cut off or rewritten'
    where audit_verify.head is not null
      and not exists (select from hartonomous.audit_seal as s where encode(s.hash, 'hex') = lower(audit_verify.head));
end;
comment on function hartonomous.audit_verify(text) is
'What is wrong with the audit log: entries that were changed, emptied, added aside or are gone, seals that do not hold, triggers that do not guard; no rows when all is well. head: a head that audit_seal returned earlier and that was kept elsewhere; without one, nothing tells of entries that went together with all seals from theirs on, or of a chain that a superuser made anew.';

create or replace function hartonomous.audit_list(since timestamptz default null, tenant_id int default null, k int default 1000)
returns table (audit_id bigint, at timestamptz, tenant_id int, operation text, result text, sqlstate text, role_name name, session_name name,
               key_id bigint, client_addr inet, backend_pid int, application_name text, detail jsonb)
language sql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select hartonomous.audit_collect();
    select newest.* from (
        select l.audit_id, l.at, l.tenant_id, l.operation, l.result, l.sqlstate, l.role_name, l.session_name, l.key_id, l.client_addr,
               l.backend_pid, l.application_name, l.detail
        from hartonomous.audit_log as l
        where (audit_list.since is null or l.at >= audit_list.since) and (audit_list.tenant_id is null or l.tenant_id = audit_list.tenant_id)
        order by l.at desc, l.audit_id desc limit greatest(audit_list.k, 0)) as newest
    order by newest.at, newest.audit_id;
end;
comment on function hartonomous.audit_list(timestamptz, int, int) is
'The newest k entries of the audit log in order of time, what was just refused included; of all tenants for NULL.';
