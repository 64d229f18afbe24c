create or replace function hartonomous.system_versioning_retain(relation regclass, keep interval) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if not exists (select from hartonomous.versioned_table as v where v.relation = system_versioning_retain.relation) then
        raise exception 'table % is not system-versioned', coalesce(system_versioning_retain.relation::text, 'NULL')
            using errcode = '55000', hint = 'hartonomous.versioned_table lists those that are; a superuser adds one with hartonomous.system_versioning_add';
    elsif system_versioning_retain.keep not between '0' and '1000 years' then
        raise exception 'keep is %, expected from 0 to 1000 years', system_versioning_retain.keep using errcode = '22023', hint = 'NULL keeps for ever';
    end if;
    insert into hartonomous.version_retention as r (relation, keep) values (system_versioning_retain.relation, system_versioning_retain.keep)
    on conflict (relation) do update set keep = excluded.keep;
end
$$;
comment on function hartonomous.system_versioning_retain(regclass, interval) is
'Sets how long the replaced and deleted versions of a versioned table are kept, counted from the end of each; NULL: for ever, the default. history_prune removes them. Errors: 55000 the table is not versioned, 22023 keep.';

create or replace function hartonomous.history_prune(batch int default 10000) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    setting record;
    removed bigint := 0;
begin
    if batch is null or batch < 1 then
        raise exception 'batch is %, expected at least 1', coalesce(batch::text, 'NULL') using errcode = '22023';
    end if;
    delete from hartonomous.version_retention as r
    where r.relation in (select g.relation from hartonomous.version_retention as g
                         where not exists (select from pg_class as c where c.oid = g.relation) for update of g skip locked);
    for setting in  -- who prunes a table holds its row, others pass it over
        select r.relation, hartonomous._version_history(r.relation) as history, now() - r.keep as horizon from hartonomous.version_retention as r
        where r.keep is not null order by r.relation for no key update skip locked
    loop
        exit when removed >= batch;
        removed := removed + hartonomous._history_prune(setting.relation, setting.history, setting.horizon, batch - removed);
    end loop;
    return removed + hartonomous._transaction_time_prune(batch - removed);
end
$$;
comment on function hartonomous.history_prune(int) is
'Removes at most batch rows that nobody has to keep any longer, and returns how many: versions that were replaced longer ago than their table keeps them (system_versioning_retain), then commit times of transactions that bound no version any more. Call it until it returns 0. Nobody waits for it but who removes the same versions, and it waits for nobody who writes. What was current at a time before kept_since in versioned_table is refused with ZH008 from then on. Error: 22023 batch.';

create or replace function hartonomous._history_prune(relation regclass, history regclass, horizon timestamptz, batch bigint) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    removed bigint;
    newest  bigint;
begin
    if history is null then
        return 0;
    end if;
    execute format('lock table only %s in row exclusive mode', history);
    if hartonomous._version_history(relation) is distinct from history then
        return 0;  -- somebody put another table in its place
    end if;
    execute format($q$
        with over as materialized (select x from (select distinct sys_end as x from only %1$s) as u where hartonomous._commit_time(x) <= $1),
             held as materialized (select h.ctid as place from only %1$s as h where h.sys_end in (select x from over) limit $2 for update of h skip locked),
             gone as (delete from only %1$s as h where h.ctid = any (array(select place from held)) returning h.sys_end)
        select count(*), max(sys_end) filter (where hartonomous._stamp_own(sys_end) is not null) from gone$q$, history)
    into removed, newest using horizon, batch;
    update hartonomous.version_retention as r
    set kept_since = greatest(r.kept_since, horizon),
        pruned_stamp = greatest(case when hartonomous._stamp_own(r.pruned_stamp) is not null then r.pruned_stamp end, newest)
    where r.relation = _history_prune.relation;
    return removed;
end
$$;
comment on function hartonomous._history_prune(regclass, regclass, timestamptz, bigint) is
'Removes at most batch versions of one table that ended by the horizon, but for those that others hold, and notes in the same transaction since when the history is whole. Returns how many.';

create or replace function hartonomous._transaction_time_prune(batch bigint) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    versioned record;
    stamps    text;
    removed   bigint;
begin
    for versioned in select v.relation, v.history from hartonomous.versioned_table as v order by v.relation loop
        if not has_table_privilege(versioned.relation, 'select') then
            return 0;  -- who knows what it needs
        end if;
        begin
            execute format('lock table only %s in access share mode nowait', versioned.relation);
        exception when lock_not_available then
            return 0;  -- its owner may hold it for long, and this transaction holds what it removed
        end;
        if not hartonomous._version_fits(versioned.relation, versioned.history) then
            return 0;
        end if;
        stamps := concat_ws(' union all ', stamps, format('select sys_begin from %1$s union all select sys_begin from %2$s union all select sys_end from %2$s',
                                                           versioned.relation, versioned.history));
    end loop;
    if stamps is null then
        return 0;
    end if;
    -- not those of a restore: it may be under way, with versions still to come
    execute format($q$
        with gone as (
            delete from hartonomous.transaction_time as t using (
                select u.stamp from hartonomous.transaction_time as u
                where hartonomous._stamp_own(u.stamp) is not null and not exists (select from (%s) as v (stamp) where v.stamp = u.stamp)
                limit $1 for update of u skip locked) as unused
            where t.stamp = unused.stamp returning t.stamp)
        select count(*) from gone$q$, stamps) into removed using batch;
    return removed;
end
$$;
comment on function hartonomous._transaction_time_prune(bigint) is
'Removes at most batch commit times of transactions of this installation that bound no version, and returns how many; none when a versioned table cannot be read.';
