create or replace function hartonomous._rate_interval(units bigint, per interval) returns bigint
language sql immutable parallel safe
return ceil(extract(epoch from _rate_interval.per) * 1000000000 / _rate_interval.units)::bigint;
comment on function hartonomous._rate_interval(bigint, interval) is 'Nanoseconds that one of so many units per interval costs, rounded up.';

create or replace function hartonomous._rate_limit_check(
    tenant_id int, units bigint, per interval, operation text, per_key boolean, burst bigint) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if _rate_limit_check.tenant_id is not null
       and not exists (select from hartonomous.tenant as t where t.tenant_id = _rate_limit_check.tenant_id) then
        raise exception 'tenant % does not exist', _rate_limit_check.tenant_id
            using errcode = '22023', hint = 'create it with hartonomous.tenant_create(name), or give NULL for each tenant';
    elsif _rate_limit_check.operation = 'table_read' then
        raise exception 'reading tables directly cannot be limited' using errcode = '22023',
            hint = 'only calls are counted; a policy that denies table_read closes the tables';
    elsif (_rate_limit_check.operation = '*' or exists (
        select from hartonomous.operation as o where o.operation = _rate_limit_check.operation)) is not true then
        raise exception 'operation % does not exist', coalesce(quote_literal(_rate_limit_check.operation), 'NULL') using errcode = '22023',
            hint = (select '* for all, or one of ' || string_agg(o.operation, ', ' order by o.operation) from hartonomous.operation as o);
    elsif (_rate_limit_check.units > 0 and _rate_limit_check.burst > 0) is not true then
        raise exception 'units are % and burst is %, expected at least 1 of each', coalesce(_rate_limit_check.units::text, 'NULL'),
            coalesce(_rate_limit_check.burst::text, 'NULL') using errcode = '22023';
    elsif (_rate_limit_check.per > '0' and _rate_limit_check.per <= '1 year') is not true then
        raise exception 'interval is %, expected more than 0 and at most 1 year', coalesce(_rate_limit_check.per::text, 'NULL')
            using errcode = '22023';
    elsif _rate_limit_check.burst * hartonomous._rate_interval(_rate_limit_check.units, _rate_limit_check.per)::numeric > 31557600e9 then
        raise exception 'a burst of % units is regained in more than a year', _rate_limit_check.burst
            using errcode = '22023', hint = 'a smaller burst; no unit costs less than a nanosecond';
    elsif _rate_limit_check.per_key is null then
        raise exception 'per_key is NULL' using errcode = '22004';
    end if;
end
$$;
comment on function hartonomous._rate_limit_check(int, bigint, interval, text, boolean, bigint) is 'Checks the arguments of rate_limit_put.';

create or replace function hartonomous.rate_limit_put(
    tenant_id int, units bigint, per interval, operation text default '*', per_key boolean default false, burst bigint default null)
returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    at_once constant bigint := coalesce(rate_limit_put.burst, rate_limit_put.units);
    made    bigint;
begin
    perform hartonomous._tenant_hold(rate_limit_put.tenant_id);
    perform hartonomous._rate_limit_check(rate_limit_put.tenant_id, rate_limit_put.units, rate_limit_put.per, rate_limit_put.operation,
                                          rate_limit_put.per_key, at_once);
    insert into hartonomous.rate_limit (tenant_id, operation, per_key, units, per, burst)
    values (rate_limit_put.tenant_id, rate_limit_put.operation, rate_limit_put.per_key, rate_limit_put.units, rate_limit_put.per, at_once)
    on conflict (tenant_id, operation, per_key, per) do update set units = excluded.units, burst = excluded.burst
    returning rate_limit_id into made;
    perform hartonomous._audit('rate_limit_put', rate_limit_put.tenant_id, jsonb_build_object(
        'rate_limit_id', made, 'units', rate_limit_put.units, 'per', rate_limit_put.per, 'operation', rate_limit_put.operation,
        'per_key', rate_limit_put.per_key, 'burst', at_once));
    return made;
end
$$;
comment on function hartonomous.rate_limit_put(int, bigint, interval, text, boolean, bigint) is
'Limits the units of work per interval of a tenant (NULL: of each tenant, for itself) and returns the limit''s id; one of the same tenant, operation, per_key and interval is replaced. operation: one of the table operation, or * for all together. per_key: each API key of the tenant for itself, and each role where there is no key. burst: units at once, by default as many as in an interval. All limits that apply to a call must admit it. Errors: 22023 no such tenant or operation, units, burst or interval out of range.';

create or replace function hartonomous.rate_limit_drop(rate_limit_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    limited int;
begin
    perform hartonomous._tenant_hold((select l.tenant_id from hartonomous.rate_limit as l where l.rate_limit_id = rate_limit_drop.rate_limit_id));
    delete from hartonomous.rate_limit as l where l.rate_limit_id = rate_limit_drop.rate_limit_id returning l.tenant_id into limited;
    if not found then
        raise exception 'no rate limit with id %', coalesce(rate_limit_drop.rate_limit_id::text, 'NULL') using errcode = '22023',
            hint = 'hartonomous.rate_limit_list() shows them';
    end if;
    perform hartonomous._audit('rate_limit_drop', limited, jsonb_build_object('rate_limit_id', rate_limit_drop.rate_limit_id));
end
$$;
comment on function hartonomous.rate_limit_drop(bigint) is 'Removes a rate limit. 22023 no such limit.';

create or replace function hartonomous.rate_limit_list(tenant_id int default null)
returns table (rate_limit_id bigint, tenant_id int, operation text, per_key boolean, units bigint, per interval, burst bigint,
               created_at timestamptz)
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select l.rate_limit_id, l.tenant_id, l.operation, l.per_key, l.units, l.per, l.burst, l.created_at
    from hartonomous.rate_limit as l
    where rate_limit_list.tenant_id is null or l.tenant_id is null or l.tenant_id = rate_limit_list.tenant_id
    order by l.created_at, l.rate_limit_id;
end;
comment on function hartonomous.rate_limit_list(int) is 'Rate limits: those that hold for a tenant, or all for NULL.';

create or replace function hartonomous._rate_take(subjects bytea[], intervals bigint[], bursts bigint[], units bigint) returns bigint[]
language plpython3u volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.security import rate
return rate.take(plpy, subjects, intervals, bursts, units)
$$;
comment on function hartonomous._rate_take(bytea[], bigint[], bigint[], bigint) is
'Takes units of every limit or of none; nanoseconds until each would admit them, all 0 when they were taken.';

create or replace function hartonomous._rate_permit(operation text, tenant_id int, units bigint) returns void
language plpgsql volatile parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    limits  constant hartonomous.rate_limit[] := array(
        select l from hartonomous.rate_limit as l
        where (l.tenant_id = _rate_permit.tenant_id or l.tenant_id is null) and l.operation in (_rate_permit.operation, '*'));
    wanted  constant bigint := greatest(_rate_permit.units, 1);
    asked   record;
    waits   bigint[];
    longest bigint;
    reached hartonomous.rate_limit;
begin
    if limits = '{}' then
        return;
    end if;
    select array_agg(l.burst) as bursts, array_agg(hartonomous._rate_interval(l.units, l.per)) as intervals,
           array_agg(sha256(convert_to(concat_ws(' ', l.rate_limit_id, _rate_permit.tenant_id, case when l.per_key then (
               select coalesce('key ' || c.key_id, 'role ' || hartonomous._caller()) from hartonomous._context() as c) end), 'UTF8'))) as subjects
    into asked from unnest(limits) as l;
    if wanted > any (asked.bursts) then
        reached := limits[array_position(asked.bursts, (select min(b) from unnest(asked.bursts) as b))];
        raise exception 'this call processes % units, but a rate limit for % admits at most % at once', wanted, reached.operation,
            reached.burst using errcode = '22023', hint = 'split the call';
    end if;
    waits := hartonomous._rate_take(asked.subjects, asked.intervals, asked.bursts, wanted);
    if 0 < any (waits) then
        longest := (select max(w) from unnest(waits) as w);
        reached := limits[array_position(waits, longest)];
        perform hartonomous._refuse(_rate_permit.operation, _rate_permit.tenant_id, 'ZH004',
            format('rate limit of %s units per %s for %s is reached', reached.units, reached.per,
                   case reached.operation when '*' then 'all operations' else reached.operation end),
            'wait and repeat the call; an administrator sets limits with hartonomous.rate_limit_put',
            format('retry after %s s', round(ceil(longest / 1e6) / 1e3, 3)));
    end if;
end
$$;
comment on function hartonomous._rate_permit(text, int, bigint) is
'Counts a call against every rate limit that holds for it; ZH004 when one of them is reached, 22023 when it never admits so many units.';

insert into hartonomous.permit_check (operation, position, procedure)
values ('*', 20, 'hartonomous._rate_permit(text, int, bigint)')
on conflict (operation, position) do update set procedure = excluded.procedure;
