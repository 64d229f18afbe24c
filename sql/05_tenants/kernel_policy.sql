-- Conditions of policies: a strictly typed subset of JsonLogic (https://jsonlogic.com). SQL NULL stands for what cannot be
-- evaluated, and goes through and, or, ! as SQL's own unknown does. Generic plans: a custom one holds the values of its parameters, and
-- a caller who sets debug_print_plan is shown the plans of whatever runs.
create or replace function hartonomous._condition_value(node jsonb, facts jsonb) returns jsonb
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    verb    text;
    parts   jsonb;
    part    jsonb;
    outcome boolean;
begin
    if jsonb_typeof(node) <> 'object' then
        return node;
    end if;
    foreach verb in array array['==', 'in', 'and', 'or', '!', '<', '<=', '>', '>=', '!=', 'var'] loop
        exit when node ? verb;
    end loop;
    if node - verb <> '{}' then
        return null;
    elsif verb = 'var' then
        return facts -> (node ->> verb);
    end if;
    parts := case when jsonb_typeof(node -> verb) = 'array' then node -> verb else jsonb_build_array(node -> verb) end;
    if verb in ('and', 'or') then
        outcome := case when parts <> '[]' then verb = 'and' end;
        for i in 0 .. jsonb_array_length(parts) - 1 loop
            part := hartonomous._condition_value(parts -> i, facts);
            if part = to_jsonb(verb = 'or') then
                return part;
            elsif part is distinct from to_jsonb(verb = 'and') then
                outcome := null;
            end if;
        end loop;
        return to_jsonb(outcome);
    elsif jsonb_array_length(parts) <> (case when verb = '!' then 1 else 2 end) then
        return null;
    end if;
    part := hartonomous._condition_value(parts -> 0, facts);
    if verb = '!' then
        return case part when 'true' then 'false'::jsonb when 'false' then 'true' end;
    end if;
    return to_jsonb(hartonomous._condition_compare(verb, part, hartonomous._condition_value(parts -> 1, facts)));
end
$$;
comment on function hartonomous._condition_value(jsonb, jsonb) is
'Value of a condition, given its variables as an object; NULL when it cannot be evaluated.';

create or replace function hartonomous._condition_compare(verb text, a jsonb, b jsonb) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    kind  constant text := jsonb_typeof(a);
    other constant text := jsonb_typeof(b);
begin
    if kind in ('array', 'object') or other = 'object' then
        return null;
    elsif verb in ('==', '!=') and other <> 'array' and (kind = other or 'null' in (kind, other)) then
        return (a = b) = (verb = '==');
    elsif verb in ('<', '<=', '>', '>=') and kind = 'number' and other = 'number' then
        return case verb when '<' then a < b when '<=' then a <= b when '>' then a > b else a >= b end;
    elsif verb <> 'in' or other is distinct from 'array' then
        return null;
    end if;
    for i in 0 .. jsonb_array_length(b) - 1 loop
        if kind not in ('null', jsonb_typeof(b -> i)) then
            return null;
        end if;
    end loop;
    return b @> a;
end
$$;
comment on function hartonomous._condition_compare(text, jsonb, jsonb) is
'Whether a comparison of two values holds; NULL for values of different types, but null, the value of a variable that is not there, equals null alone.';

create or replace function hartonomous._policy_facts(tenant_id int, operation text, units bigint) returns jsonb
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    context constant record := hartonomous._context();
    utc     constant timestamp := clock_timestamp() at time zone 'UTC';  -- a caller can hold a transaction or a statement open
begin
    return jsonb_build_object(
        'role', hartonomous._caller(), 'login', session_user, 'tenant', tenant_id, 'key_id', context.key_id,
        'key_label', (select k.label from hartonomous.api_key as k where k.key_id = context.key_id), 'scopes', context.scopes,
        'operation', operation, 'units', units, 'hour', extract(hour from utc)::int, 'weekday', extract(isodow from utc)::int,
        'client_addr', host(inet_client_addr()), 'read_only', current_setting('transaction_read_only')::boolean);
end
$$;
comment on function hartonomous._policy_facts(int, text, bigint) is
'Variables of conditions. What the caller names himself, such as application_name, is not among them.';

create or replace function hartonomous._policy_verdict(tenant_id int, operation text, units bigint default 1) returns text
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    policy record;
    facts  jsonb;
    masked boolean := false;
begin
    -- tables hold what all reading verbs return: who is denied one of those reads no table
    for policy in
        select p.effect, p.condition from hartonomous.access_policy as p
        where (p.tenant_id = _policy_verdict.tenant_id or p.tenant_id is null)
          and (p.operation in ('*', _policy_verdict.operation)
               or _policy_verdict.operation = 'table_read' and p.effect = 'deny'
                  and exists (select from hartonomous.operation as o where o.operation = p.operation and o.scope = 'read'))
        order by p.ordinal, p.policy_id
    loop
        if policy.condition is not null then
            facts := coalesce(facts, hartonomous._policy_facts(tenant_id, operation, units));
            continue when not case hartonomous._condition_value(policy.condition, facts)
                              when 'true' then true when 'false' then false else policy.effect <> 'allow' end;
        end if;
        if policy.effect = 'deny' then
            return 'deny';
        end if;
        masked := masked or policy.effect = 'mask';
        exit when policy.effect = 'allow';
    end loop;
    return case when masked then 'mask' else 'allow' end;
end
$$;
comment on function hartonomous._policy_verdict(int, text, bigint) is
'deny, mask or allow: what the policies of a tenant and those of all tenants say of an operation. In their order the first allow or deny that applies decides, none means allow; a mask that applies before it masks. A condition that cannot be evaluated is true for deny and mask, false for allow.';

create or replace function hartonomous._masked(tenant_id int, operation text, units bigint default 1) returns boolean
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    -- a verb asks with its statement's snapshot, _permit with a newer one: what was denied before is not shown in between
    return exists (select from hartonomous.access_policy as p where p.tenant_id = _masked.tenant_id or p.tenant_id is null)
       and hartonomous._policy_verdict(_masked.tenant_id, _masked.operation, coalesce(_masked.units, 0)) <> 'allow';
end
$$;
comment on function hartonomous._masked(int, text, bigint) is
'Whether stored values must not be shown to the caller, whose tenant _permit has given; operation and units as given to it, since policies speak of them.';

create or replace function hartonomous._tables_readable() returns boolean
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
begin
    return not hartonomous._masked(hartonomous.current_tenant(), 'table_read');
end
$$;
comment on function hartonomous._tables_readable() is
'Whether policies let the caller read tables directly; row security asks once per query.';

-- one fixed value for everything: it tells neither length nor shape, nor that there is nothing
create or replace function hartonomous._mask_text(masked boolean, value text) returns text
language sql immutable parallel safe
return case when _mask_text.masked then 'xxxx' else _mask_text.value end;
comment on function hartonomous._mask_text(boolean, text) is 'A text, or its mask.';

create or replace function hartonomous._mask_bytes(masked boolean, value bytea) returns bytea
language sql immutable parallel safe
return case when _mask_bytes.masked then '\x78787878'::bytea else _mask_bytes.value end;
comment on function hartonomous._mask_bytes(boolean, bytea) is 'Bytes, or their mask.';

create or replace function hartonomous._mask_json(masked boolean, value jsonb) returns jsonb
language sql immutable parallel safe
return case when _mask_json.masked then '{"masked": true}'::jsonb else _mask_json.value end;
comment on function hartonomous._mask_json(boolean, jsonb) is 'A JSON value, or its mask.';

create or replace function hartonomous._mask_refuse(tenant_id int, operation text, what text) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._refuse(operation, tenant_id, 'ZH002', format('%s are masked for this caller', what),
        'embed and search work without them; an administrator lists policies with hartonomous.access_policy_list');
end
$$;
comment on function hartonomous._mask_refuse(int, text, text) is
'Refuses a masked caller (ZH002) values of which a mask would be useless or misleading.';
