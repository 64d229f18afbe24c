create or replace function hartonomous.transaction_time_resolve() returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    versioned record;
    resolved  bigint := 0;
    added     bigint;
begin
    for versioned in
        select v.relation, v.history from hartonomous.versioned_table as v
        where has_table_privilege(v.relation, 'select') order by v.relation
    loop
        execute format('lock table only %s in access share mode', versioned.relation);  -- so that its columns stay as they fit
        continue when not hartonomous._version_fits(versioned.relation, versioned.history);
        execute format('with unknown as materialized (
                            select x from (select sys_begin from %1$s union select sys_begin from %2$s union select sys_end from %2$s) as u (x)
                            where not exists (select from hartonomous.transaction_time as t where t.stamp = u.x)),
                        timed as materialized (select x, hartonomous._commit_time(x) as at from unknown)
                        insert into hartonomous.transaction_time (stamp, committed_at) select x, at from timed where isfinite(at)
                        on conflict do nothing', versioned.relation, versioned.history);
        get diagnostics added = row_count;
        resolved := resolved + added;
    end loop;
    return resolved;
end
$$;
comment on function hartonomous.transaction_time_resolve() is
'Stores the commit times of all transactions that bound versions of rows, and returns how many were new. Run it before a dump and now and then: the server forgets commit times when it freezes rows.';
