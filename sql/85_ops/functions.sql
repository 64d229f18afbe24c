create or replace function hartonomous._engine_facts(
    out item text, out ok boolean, out found text, out expected text, out hint text) returns setof record
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.ops import checks
return checks.facts()
$$;
comment on function hartonomous._engine_facts() is 'Python, numpy and BLAS as this backend sees them.';

create or replace function hartonomous.server_check()
returns table (item text, ok boolean, found text, expected text, hint text)
language sql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with locks (least) as (  -- what reads all atoms locks each partition and its indexes
        select greatest(64, 4 * count(*)) from pg_inherits as i where i.inhparent = 'hartonomous.atom'::regclass
    ), setting (name, expected, ok, hint) as (
        select v.name, v.expected, v.ok, v.hint from locks cross join lateral (values
            ('track_commit_timestamp', 'on', current_setting('track_commit_timestamp') = 'on',
             'alter system set track_commit_timestamp = on, then restart: as-of queries need commit times'),
            ('max_locks_per_transaction', format('at least %s', locks.least), current_setting('max_locks_per_transaction')::int >= locks.least,
             format('alter system set max_locks_per_transaction = %s, then restart', greatest(256, locks.least))),
            ('maintenance_work_mem', 'at least 256MB', pg_size_bytes(current_setting('maintenance_work_mem')) >= 268435456,
             'alter system set maintenance_work_mem = ''512MB'', then reload: vector index builds need it'),
            ('shared_buffers', 'at least 256MB', pg_size_bytes(current_setting('shared_buffers')) >= 268435456,
             'alter system set shared_buffers to a quarter of the memory, then restart')
        ) as v (name, expected, ok, hint)
    ), preload (name, hint) as (
        values ('pg_stat_statements', 'query statistics'), ('pg_cron', 'background jobs'), ('pg_qualstats', 'index advice')
    ), engine as (
        select e.* from hartonomous._engine_facts() as e
    )
    select s.name, s.ok, current_setting(s.name), s.expected, s.hint from setting as s
    union all
    select 'preload ' || p.name, p.name = any (string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ',')),
           current_setting('shared_preload_libraries'), p.name,
           format('add it to shared_preload_libraries and restart: %s', p.hint)
    from preload as p
    union all
    select e.item, e.ok, e.found, e.expected, e.hint from engine as e
    union all
    select 'key file', k.fault is null or not exists (select from hartonomous.secret), coalesce(k.fault, 'found'), 'a safe file of keys, once there are secrets',
           'secrets need it: hartonomous.secret_put says how to make one, docs/decisions/18-secrets.md how to keep it'
    from (select hartonomous._key_file_fault()) as k (fault)
    union all
    select 'tenant of ' || r.name, hartonomous.current_tenant() is not null, coalesce(hartonomous.current_tenant()::text, 'none'),
           'a tenant', format('none is right for a role of pooled connections, which authenticate with keys; else select hartonomous.tenant_role_add(tenant_id, %L)', r.name)
    from (select hartonomous._caller()) as r (name);
end;
comment on function hartonomous.server_check() is
'What the server has and what it should have, each line with a way to mend it; hartonomous doctor prints it.';
