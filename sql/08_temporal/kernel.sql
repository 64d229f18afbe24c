create or replace function hartonomous._stamp() returns bigint
language sql stable parallel restricted
return hartonomous._version_epoch() << 40 | pg_current_xact_id()::text::bigint;
comment on function hartonomous._stamp() is 'What versions of rows written by this transaction are stamped with.';

create or replace function hartonomous._stamp_own(stamp bigint) returns xid8
language sql immutable parallel safe
return case when _stamp_own.stamp >> 40 = hartonomous._version_epoch()
            then (_stamp_own.stamp & (1::bigint << 40) - 1)::text::xid8 end;
comment on function hartonomous._stamp_own(bigint) is 'Transaction id of a stamp; NULL for one that a restore brought.';

create or replace function hartonomous._stamp_visible(stamp bigint, s pg_snapshot) returns boolean
language sql immutable parallel safe
return coalesce(pg_visible_in_snapshot(hartonomous._stamp_own(_stamp_visible.stamp), _stamp_visible.s), true);
comment on function hartonomous._stamp_visible(bigint, pg_snapshot) is
'Whether a snapshot of this installation saw the transaction of a stamp; it sees all that a restore brought.';

create or replace function hartonomous._commit_time(stamp bigint) returns timestamptz
language plpgsql stable parallel safe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    own   constant xid8 := hartonomous._stamp_own(_commit_time.stamp);
    known constant timestamptz := (select t.committed_at from hartonomous.transaction_time as t where t.stamp = _commit_time.stamp);
begin
    return case when known is not null then known
                when own is null then '-infinity'
                when pg_xact_status(own) = 'committed' then coalesce(pg_xact_commit_timestamp(own::xid), '-infinity')
                when pg_xact_status(own) is null then '-infinity' end;
end
$$;
comment on function hartonomous._commit_time(bigint) is
'Commit time of a stamp''s transaction; NULL while it runs or when it rolled back; -infinity when the server no longer knows, or a restore brought the stamp without its time. Needs track_commit_timestamp = on.';

create or replace function hartonomous._history_refuse(relation regclass, kept_since timestamptz, at timestamptz) returns boolean
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'the history of % is kept since %, asked for %', relation, kept_since, at
        using errcode = 'ZH008', hint = 'ask for a later time; hartonomous.versioned_table says since when each history is kept';
end
$$;
comment on function hartonomous._history_refuse(regclass, timestamptz, timestamptz) is
'Raises ZH008. Called from what a statement that reads a history finds in version_retention: then the two are of one snapshot.';

create or replace function hartonomous._history_reaches_snapshot(relation regclass, s pg_snapshot) returns boolean
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    pruned hartonomous.version_retention;
begin
    select r.* into pruned from hartonomous.version_retention as r
    where r.relation = _history_reaches_snapshot.relation and r.kept_since is not null;
    if found and (hartonomous._stamp_own(pruned.pruned_stamp) >= pg_snapshot_xmax(s)
                  or exists (select from pg_snapshot_xip(s) as x
                             where hartonomous._commit_time(hartonomous._version_epoch() << 40 | x::text::bigint) <= pruned.kept_since)) then
        raise exception 'the history of % is kept since %, snapshot % is older', _history_reaches_snapshot.relation, pruned.kept_since, s
            using errcode = 'ZH008', hint = 'ask for a later one; hartonomous.versioned_table says since when each history is kept';
    end if;
    return true;
end
$$;
comment on function hartonomous._history_reaches_snapshot(regclass, pg_snapshot) is
'True when a history has all versions that a snapshot saw; ZH008 when history_prune may have removed some: a transaction that ended by kept_since had not ended for the snapshot.';

create or replace function hartonomous._version_stamp() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    new.sys_begin := hartonomous._stamp();
    return new;
end
$$;
comment on function hartonomous._version_stamp() is
'Row trigger: stamps the new version of a row with the transaction that writes it.';

create or replace function hartonomous._version_omitted(relation regclass) returns name[]
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    return coalesce((select convert_from(substr(t.tgargs, 1, octet_length(t.tgargs) - 1), getdatabaseencoding())::name[] from pg_trigger as t
                     where t.tgrelid = relation and t.tgfoid = 'hartonomous._version_keep'::regproc and t.tgnargs = 1 limit 1), '{}');
end
$$;
comment on function hartonomous._version_omitted(regclass) is
'Columns of a versioned table that its history does not have: its triggers say so, which every dump has.';

create or replace function hartonomous._version_columns(relation regclass, template text, omitted text default null) returns text
language sql stable parallel safe
return (select string_agg(format(case when a.attname = any (o.names) then _version_columns.omitted else _version_columns.template end,
                                 a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
        from pg_attribute as a cross join (select hartonomous._version_omitted(_version_columns.relation)) as o (names)
        where a.attrelid = _version_columns.relation and a.attnum > 0 and not a.attisdropped and a.attname <> 'sys_begin');
comment on function hartonomous._version_columns(regclass, text, text) is
'Columns of a versioned table without the bookkeeping, each formatted from its name (%1$I) and type (%2$s), those that its history does not have from another template (NULL: not at all), as one list.';

create or replace function hartonomous._version_history(relation regclass) returns regclass
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select h.oid::regclass
    from pg_class as c
    join pg_class as h on h.relnamespace = c.relnamespace and h.relname = c.relname || '_history' and h.relkind = 'r'
    join pg_roles as r on r.oid = h.relowner and (r.rolsuper or r.rolname = 'hartonomous_owner')
    where c.oid = _version_history.relation;
end;
comment on function hartonomous._version_history(regclass) is
'History table of a table; NULL for one that anybody but a superuser or hartonomous_owner could have made: the owner of a relation decides what runs when it is used.';

create or replace function hartonomous._version_fits(relation regclass, history regclass) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select _version_fits.history is not null and not exists (
        select from pg_attribute as a
        left join pg_attribute as h on h.attrelid = _version_fits.history and h.attname = a.attname and not h.attisdropped
        where a.attrelid = _version_fits.relation and a.attnum > 0 and not a.attisdropped
          and (h.atttypid is distinct from a.atttypid or (a.attname = 'sys_begin' and a.atttypid <> 'bigint'::regtype))
          and (a.attname = 'sys_begin' or a.attname <> all ((select hartonomous._version_omitted(_version_fits.relation))::name[])));
end;
comment on function hartonomous._version_fits(regclass, regclass) is
'Whether a history has every column of its table, but for those omitted, of the same type: a cast between them might be of the table owner''s making.';

create or replace function hartonomous._version_keep() returns trigger
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    history regclass;
begin
    if not exists (select from old_rows) then
        return null;
    end if;
    -- of another type than ours it might be compared by a function of the table owner's making
    if (select a.atttypid from pg_attribute as a where a.attrelid = tg_relid and a.attname = 'sys_begin') = 'bigint'::regtype then
        -- a version written and replaced by one transaction was in nobody's snapshot: it leaves no history
        if not exists (select from old_rows as o where o.sys_begin <> hartonomous._stamp()) then
            return null;
        end if;
    end if;
    history := hartonomous._version_history(tg_relid);
    if not hartonomous._version_fits(tg_relid, history) then
        raise exception 'the history of table % lacks a column of it, or is not ours', tg_relid::regclass
            using errcode = '55000', hint = format('select hartonomous.system_versioning_add(%L) again, as a superuser', tg_relid::regclass);
    end if;
    execute format('insert into %s (%s, sys_begin, sys_end) select %s, o.sys_begin, $1 from old_rows as o where o.sys_begin <> $1',
                   history, hartonomous._version_columns(tg_relid, '%1$I'),
                   hartonomous._version_columns(tg_relid, 'o.%1$I')) using hartonomous._stamp();
    return null;
end
$$;
comment on function hartonomous._version_keep() is
'Statement trigger: moves replaced and deleted versions to the history table, one insert per statement.';

create or replace function hartonomous._version_truncate() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'table % is system-versioned and cannot be truncated', tg_relid::regclass
        using errcode = '0A000', hint = 'use delete: it keeps the history';
end
$$;
comment on function hartonomous._version_truncate() is 'Statement trigger: refuses TRUNCATE, which no history could follow.';

create or replace function hartonomous.system_versioning_add(relation regclass, omitted text[] default '{}') returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    space   text;
    base    text;
    history text;
    wrong   text;
    added   record;
begin
    if omitted is null or array_position(omitted, null) is not null then
        raise exception 'omitted is NULL or has one' using errcode = '22004', hint = 'omit it when the history has all columns';
    end if;
    select n.name into wrong from unnest(omitted) as n (name)
    where n.name = 'sys_begin'
       or not exists (select from pg_attribute as a where a.attrelid = relation and a.attname = n.name and a.attnum > 0 and not a.attisdropped);
    if found then
        raise exception 'omitted has %, expected columns of %, and sys_begin is none of them', wrong, relation
            using errcode = '22023', hint = 'a column that is added later is omitted by another call';
    end if;
    select n.nspname, c.relname into strict space, base
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = relation;
    history := format('%I.%I', space, base || '_history');
    if to_regclass(history) is null then
        perform hartonomous._version_begin(relation, format('%I', space), history, omitted);
    elsif not omitted <@ hartonomous._version_omitted(relation)::text[] then
        select n.name into wrong from unnest(omitted) as n (name)
        join pg_attribute as h on h.attrelid = to_regclass(history) and h.attname = n.name and not h.attisdropped;
        if found then
            raise exception 'the history of % has column % already', relation, wrong
                using errcode = '55000', hint = 'omit a column before its values are kept';
        end if;
        perform hartonomous._version_keep_begin(relation, array(select distinct unnest(hartonomous._version_omitted(relation)::text[] || omitted) order by 1));
    end if;
    for added in
        select a.attname, format_type(a.atttypid, a.atttypmod) as type from pg_attribute as a
        where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
          and not exists (select from pg_attribute as h where h.attrelid = to_regclass(history) and h.attname = a.attname)
          and a.attname <> all (hartonomous._version_omitted(relation))
    loop
        execute format('alter table %s add column %I %s', history, added.attname, added.type);
    end loop;
    for added in
        select a.attname from pg_attribute as a
        join pg_attribute as h on h.attrelid = to_regclass(history) and h.attname = a.attname and h.attnotnull
        where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and not a.attnotnull
    loop
        execute format('alter table %s alter column %I drop not null', history, added.attname);
    end loop;
    perform hartonomous._version_readers(relation, format('%I', space), base, history);
end
$$;
comment on function hartonomous.system_versioning_add(regclass, text[]) is
'Puts a table under system versioning: every replaced or deleted version of a row moves to <table>_history, and <table>__as_of(at), <table>__as_of_snapshot(s), <table>__between(a, b) and <table>__all() read it. Call it again after alter table: it gives new columns to the history and the readers, and lets the history be NULL where the table may be; otherwise repeating it changes nothing. omitted: columns that the history does not have, such as those that follow from others; they are NULL in versions that are past, and stay left out; of a table that is versioned, columns that its history has not got yet. Needs a superuser, as it creates functions and triggers. Errors: 22004 or 22023 omitted, 55000 the history has a column of it.';

create or replace function hartonomous._version_begin(relation regclass, space text, history text, omitted text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    left_out text;
begin
    execute format('alter table %s add column sys_begin bigint not null default hartonomous._stamp()', relation);
    execute format('create table %s (like %s, sys_end bigint not null)', history, relation);
    foreach left_out in array omitted loop
        execute format('alter table %s drop column %I', history, left_out);
    end loop;
    execute format('comment on table %s is %L', history, format('Replaced and deleted versions of the rows of %s.', relation));
    execute format('grant usage on schema %s to hartonomous_definer', space);
    execute format('grant select, insert, update, delete on %s to hartonomous_definer', history);
    execute format('grant select on %s to hartonomous_definer', relation);
    execute format('create trigger version_stamp before update on %s for each row execute function hartonomous._version_stamp()', relation);
    perform hartonomous._version_keep_begin(relation, omitted);
    execute format('create trigger version_truncate before truncate on %s execute function hartonomous._version_truncate()', relation);
end
$$;
comment on function hartonomous._version_begin(regclass, text, text, text[]) is 'Creates the history table of a table and the triggers that fill it.';

create or replace function hartonomous._version_keep_begin(relation regclass, omitted text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    event text;
begin
    foreach event in array array['update', 'delete'] loop
        execute format('create or replace trigger version_keep_%s after %1$s on %s referencing old table as old_rows
                        for each statement execute function hartonomous._version_keep(%s)', event, relation,
                       case when omitted <> '{}' then quote_literal(omitted::name[]) end);
    end loop;
end
$$;
comment on function hartonomous._version_keep_begin(regclass, text[]) is 'Creates the triggers that fill a history, anew when it leaves out other columns than before.';

create or replace function hartonomous._version_readers(relation regclass, space text, base text, history text) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    -- one row per version with the times of the two transactions that bound it; few transactions, many rows
    versions constant text := format($q$
        with v as (select %3$s, sys_begin, null::bigint as sys_end from %1$s union all select %5$s, sys_begin, sys_end from %2$s),
             t as materialized (select x, hartonomous._commit_time(x) as at
                  from (select sys_begin from %1$s union select sys_begin from %2$s union select sys_end from %2$s) as u (x))
        select %4$s, b.at as valid_from, coalesce(e.at, 'infinity') as valid_to
        from v join t as b on b.x = v.sys_begin left join t as e on e.x = v.sys_end$q$, relation, history,
        hartonomous._version_columns(relation, '%1$I', '%1$I'), hartonomous._version_columns(relation, 'v.%1$I', 'v.%1$I'),
        hartonomous._version_columns(relation, '%1$I', 'null'));
    -- a query of its own, so that it is asked once, and also of a history that has no rows
    reaches constant text := format('(select hartonomous._history_refuse(r.relation, r.kept_since, $1)
                                      from hartonomous.version_retention as r where r.relation = %L::regclass and r.kept_since > $1) is null', relation);
    reader record;
    name   text;
begin
    for reader in
        select * from (values
            ('__all',            'from the first that is kept on', '', 'where b.at is not null'),
            ('__as_of',          'as committed at a time',    'at timestamptz',            'where b.at <= $1 and (v.sys_end is null or e.at is null or e.at > $1) and ' || reaches),
            ('__between',        'current at some time from a to b', 'a timestamptz, b timestamptz', 'where b.at <= $2 and (v.sys_end is null or e.at is null or e.at > $1) and ' || reaches),
            ('__as_of_snapshot', 'that a snapshot saw',       's pg_snapshot',             'where hartonomous._stamp_visible(v.sys_begin, $1)
                                                               and (v.sys_end is null or not hartonomous._stamp_visible(v.sys_end, $1))
                                                               and (select hartonomous._history_reaches_snapshot(' || quote_literal(relation) || ', $1))')
        ) as r (suffix, meaning, arguments, condition)
    loop
        name := format('%s.%I(%s)', space, base || reader.suffix, reader.arguments);
        if to_regprocedure(regexp_replace(name, '\m(at|a|b|s) ', '', 'g')) is not null then
            execute format('drop function %s', name);  -- its columns may have changed
        end if;
        execute format('create function %s returns table (%s, valid_from timestamptz, valid_to timestamptz)
                        language sql stable parallel safe set search_path = pg_catalog, pg_temp as %L',
                       name, hartonomous._version_columns(relation, '%1$I %2$s', '%1$I %2$s'), versions || ' ' || reader.condition);
        execute format('revoke all on function %s from public', name);
        execute format('grant execute on function %s to hartonomous_reader', name);
        execute format('comment on function %s is %L', name,
                       format('Versions of %s %s, with the span in which each was current.%s', relation, reader.meaning,
                              case when reader.arguments <> '' then ' ZH008 before what history_prune has left.' end));
    end loop;
end
$$;
comment on function hartonomous._version_readers(regclass, text, text, text) is
'Creates the four functions that read a versioned table as of a time, a snapshot, a span, or whole.';
