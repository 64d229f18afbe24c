create or replace function hartonomous._audit_commitment(entry hartonomous.audit_log) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select sha256(entry.salt || convert_to(jsonb_build_array(
        entry.tenant_id, entry.role_name, entry.session_name, entry.key_id, entry.client_addr, entry.backend_pid, entry.application_name,
        entry.detail)::text, 'UTF8'));
end;
comment on function hartonomous._audit_commitment(hartonomous.audit_log) is 'Salted hash of what tells of somebody in an entry.';

create or replace function hartonomous._audit_hash(entry hartonomous.audit_log) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select sha256(entry.commitment || convert_to(jsonb_build_array(
        entry.audit_id, entry.entry_id, extract(epoch from entry.at), entry.operation, entry.result, entry.sqlstate)::text, 'UTF8'));
end;
comment on function hartonomous._audit_hash(hartonomous.audit_log) is 'Hash of an entry, which holds before and after it is pseudonymised.';

create or replace function hartonomous._audit_entry(operation text, tenant_id int, result text, code text, detail jsonb) returns jsonb
language plpgsql volatile parallel restricted  -- as SQL it would be planned anew for each entry
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return jsonb_build_object(
        'entry_id', gen_random_uuid(), 'at', clock_timestamp(), 'tenant_id', _audit_entry.tenant_id, 'operation', _audit_entry.operation,
        'result', _audit_entry.result, 'sqlstate', _audit_entry.code, 'role_name', hartonomous._caller(), 'session_name', session_user,
        'key_id', (hartonomous._context()).key_id, 'client_addr', inet_client_addr(), 'backend_pid', pg_backend_pid(),
        'application_name', current_setting('application_name'), 'detail', _audit_entry.detail);
end
$$;
comment on function hartonomous._audit_entry(text, int, text, text, jsonb) is 'An entry of the audit log for what happens now.';

create or replace function hartonomous._audit_append(entries jsonb[], collected boolean default false) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    added bigint;
begin
    with entry as (
        select e.*, t.tenant_id is not null or e.tenant_id is null as kept
        from unnest(_audit_append.entries) as j (entry)
        cross join lateral jsonb_to_record(j.entry) as e (
            entry_id uuid, at timestamptz, tenant_id int, operation text, result text, sqlstate text, role_name name, session_name name,
            key_id bigint, client_addr inet, backend_pid int, application_name text, detail jsonb)
        left join hartonomous.tenant as t on t.tenant_id = e.tenant_id
    ), held as (
        select t.tenant_id from hartonomous.tenant as t
        where _audit_append.collected and t.tenant_id in (select e.tenant_id from entry as e) for key share skip locked
    ), appended as (
        insert into hartonomous.audit_log (entry_id, at, tenant_id, operation, result, sqlstate, role_name, session_name, key_id, client_addr,
                                           backend_pid, application_name, detail)
        -- of a tenant that was erased meanwhile nothing is kept that tells of it
        select e.entry_id, e.at, case when e.kept then e.tenant_id end, e.operation, e.result, e.sqlstate, case when e.kept then e.role_name end,
               case when e.kept then e.session_name end, case when e.kept then e.key_id end, case when e.kept then e.client_addr end,
               case when e.kept then e.backend_pid end, case when e.kept then e.application_name end, case when e.kept then e.detail end
        from entry as e
        -- of one that is being erased nothing is taken now: the file keeps it until it is known how that ended
        where not (_audit_append.collected and e.kept and e.tenant_id is not null and e.tenant_id not in (select h.tenant_id from held as h))
        order by e.at
        on conflict (entry_id) do nothing
        returning audit_id
    ), unsealed as (
        insert into hartonomous.audit_unsealed (audit_id) select a.audit_id from appended as a
    )
    select count(*) into added from appended;
    return added;
end
$$;
comment on function hartonomous._audit_append(jsonb[], boolean) is
'Appends entries that the audit log does not have yet; returns how many. collected: they come from a file, where those of a tenant that is being erased can wait.';

create or replace function hartonomous._audit_spool(database oid, line text) returns boolean
language plpython3u volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.tenants import audit_spool
return audit_spool.append(audit_spool.folder(database), line)
$$;
comment on function hartonomous._audit_spool(oid, text) is 'Appends a line to the file of a database outside of the transaction; false when it could not.';

create or replace function hartonomous._audit_spool_rotate(database oid) returns setof text
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.tenants import audit_spool
return audit_spool.rotate(audit_spool.folder(database))
$$;
comment on function hartonomous._audit_spool_rotate(oid) is 'Names of the files that are to be collected.';

create or replace function hartonomous._audit_spool_read(database oid, name text) returns jsonb[]
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.tenants import audit_spool
return audit_spool.read(audit_spool.folder(database), name)
$$;
comment on function hartonomous._audit_spool_read(oid, text) is 'Lines of a file; NULL when it is gone.';

create or replace function hartonomous._audit_spool_remove(database oid, name text) returns void
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.tenants import audit_spool
audit_spool.remove(audit_spool.folder(database), name)
$$;
comment on function hartonomous._audit_spool_remove(oid, text) is 'Removes a file that is collected.';

create or replace function hartonomous._audit_keep(entry jsonb) returns void
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp
set client_min_messages = error as $$  -- neither log lines nor plans to the caller
declare
    database constant oid := (select d.oid from pg_database as d where d.datname = current_database());
begin
    if not hartonomous._audit_spool(database, entry::text) then
        raise log 'hartonomous audit: entry is in this log only: %', entry;
    end if;
end
$$;
comment on function hartonomous._audit_keep(jsonb) is 'Keeps an entry outside of the transaction until audit_collect() has it.';

create or replace function hartonomous._audit(operation text, tenant_id int, detail jsonb default '{}') returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    entry constant jsonb := hartonomous._audit_entry(_audit.operation, _audit.tenant_id, 'ok', null, _audit.detail);
begin
    if current_setting('transaction_read_only') = 'on' then
        perform hartonomous._audit_keep(entry);
    else
        perform hartonomous._audit_append(array[entry]);
    end if;
end
$$;
comment on function hartonomous._audit(text, int, jsonb) is
'Records a call that succeeds, in its transaction; where that is read-only, outside of it. detail: never secrets or content. Called as hartonomous_definer.';

create or replace function hartonomous._audit_spooled(operation text, tenant_id int, detail jsonb default '{}') returns void
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform hartonomous._audit_keep(hartonomous._audit_entry(_audit_spooled.operation, _audit_spooled.tenant_id, 'ok', null, _audit_spooled.detail));
end
$$;
comment on function hartonomous._audit_spooled(text, int, jsonb) is
'Records a call that succeeds outside of its transaction, from functions that are not volatile.';

create or replace function hartonomous._audit_repeated(kind text) returns bigint
language plpython3u volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.tenants import audit_spool
return audit_spool.repeated(kind)
$$;
comment on function hartonomous._audit_repeated(text) is
'How many refusals of a kind this backend left out since it recorded one; NULL when that is less than a second ago.';

create or replace function hartonomous._audit_refusal(operation text, tenant_id int, code text, detail jsonb) returns boolean
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp
set client_min_messages = error as $$  -- neither log lines nor plans to whoever is refused
#variable_conflict use_column
declare
    left_out bigint := 0;
    entry    jsonb;
begin
    if code = 'ZH004' then  -- whoever is throttled may repeat it thousands of times a second
        left_out := hartonomous._audit_repeated(concat_ws(' ', tenant_id, operation));
        if left_out is null then
            return false;
        end if;
    end if;
    entry := hartonomous._audit_entry(_audit_refusal.operation, _audit_refusal.tenant_id, 'refused', _audit_refusal.code,
        _audit_refusal.detail || case when left_out > 0 then jsonb_build_object('left_out', left_out) else '{}' end);
    raise log 'hartonomous audit: %', entry;
    perform hartonomous._audit_keep(entry);
    return true;
end
$$;
comment on function hartonomous._audit_refusal(text, int, text, jsonb) is
'Records a refusal in the server log and outside of the transaction, which the error that follows will abort. Call it in an assignment or a condition: PERFORM is a query, whose plan, with detail in it, a session may have printed. False when it was left out: of refusals by throttles a backend records one a second for each tenant and operation; the next one says how many were left out.';

create or replace function hartonomous._refuse(
    operation text, tenant_id int, code text, message text, hint text, detail text default null) returns void
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform hartonomous._audit_refusal(_refuse.operation, _refuse.tenant_id, _refuse.code, jsonb_strip_nulls(
        jsonb_build_object('message', left(_refuse.message, 1000), 'detail', left(_refuse.detail, 1000))));
    if _refuse.detail is null then
        raise exception using errcode = _refuse.code, message = _refuse.message, hint = _refuse.hint;
    end if;
    raise exception using errcode = _refuse.code, message = _refuse.message, hint = _refuse.hint, detail = _refuse.detail;
end
$$;
comment on function hartonomous._refuse(text, int, text, text, text, text) is
'Records a refusal and raises it as an error of the given SQLSTATE: what everybody calls who refuses. Called as hartonomous_definer.';

create or replace function hartonomous.audit_collect() returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set client_min_messages = error as $$  -- whoever may collect need not read the log
declare
    database constant oid := (select d.oid from pg_database as d where d.datname = current_database());
    -- what a transaction without id sees, others have committed
    theirs   constant boolean := pg_current_xact_id_if_assigned() is null;
    added    bigint := 0;
    file     text;
    entries  jsonb[];
begin
    if current_setting('transaction_read_only') = 'on' then
        return 0;
    elsif current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'local', true);  -- a file goes when its lines are seen, not when they are on disk
    end if;
    for file in select hartonomous._audit_spool_rotate(database) loop
        entries := hartonomous._audit_spool_read(database, file);
        if theirs and not exists (
            select from unnest(entries) as e
            where not exists (select from hartonomous.audit_log as l where l.entry_id = (e ->> 'entry_id')::uuid)) then
            perform hartonomous._audit_spool_remove(database, file);
        elsif entries <> '{}' then
            added := added + hartonomous._audit_append(entries, collected => true);
        end if;
    end loop;
    return added;
end
$$;
comment on function hartonomous.audit_collect() is
'Moves what was recorded outside of transactions, refusals above all, into audit_log, each entry once, and returns how many; 0 on a replica, which keeps them until it is promoted. What was not recorded because 64 MiB lay waiting is one entry of operation audit_collect with the number.';

create or replace function hartonomous._audit_seal_hash(seal_id bigint, at timestamptz, entries int8multirange, digest bytea, previous bytea) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select sha256(_audit_seal_hash.previous || _audit_seal_hash.digest || convert_to(jsonb_build_array(
        _audit_seal_hash.seal_id, extract(epoch from _audit_seal_hash.at), _audit_seal_hash.entries::text)::text, 'UTF8'));
end;
comment on function hartonomous._audit_seal_hash(bigint, timestamptz, int8multirange, bytea, bytea) is 'Hash of a seal and, through it, of all before.';

create or replace function hartonomous.audit_seal(out seal_id bigint, out entries bigint, out head text)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    last    hartonomous.audit_seal;
    instant constant timestamptz := clock_timestamp();
    total   bigint;
    covered int8multirange;
    digest  bytea;
    sealed  bytea;
begin
    lock table hartonomous.audit_seal in share row exclusive mode;  -- one chain
    select s.* into last from hartonomous.audit_seal as s order by s.seal_id desc limit 1;
    seal_id := last.seal_id;
    head := encode(last.hash, 'hex');
    -- what is committed, whatever its id: nothing comes late
    with taken as (delete from hartonomous.audit_unsealed returning audit_id)
    select count(*), range_agg(int8range(l.audit_id, l.audit_id, '[]')), sha256(string_agg(l.hash, '' order by l.audit_id))
    into total, covered, digest
    from taken as t join hartonomous.audit_log as l on l.audit_id = t.audit_id;
    entries := total;
    if total > 0 then
        seal_id := coalesce(last.seal_id, 0) + 1;
        sealed := hartonomous._audit_seal_hash(seal_id, instant, covered, digest, coalesce(last.hash, ''));
        insert into hartonomous.audit_seal (seal_id, at, entries, digest, previous, hash)
        values (audit_seal.seal_id, instant, covered, digest, coalesce(last.hash, ''), sealed);
        head := encode(sealed, 'hex');
        raise log 'hartonomous audit: seal % has the head %', seal_id, head;
    end if;
end
$$;
comment on function hartonomous.audit_seal() is
'Seals the committed entries of audit_log that no seal covers yet. Returns the last seal, NULL when there is none, how many entries were sealed now, and the head of the chain: keep it elsewhere and give it to audit_verify, which else cannot tell that entries and seals are missing at the end.';
