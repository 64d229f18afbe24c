create or replace function hartonomous._condition_check(node jsonb, path text default '$', depth int default 1) returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    variables constant jsonb := '{"role": "string", "login": "string", "tenant": "number", "key_id": "number", "key_label": "string", "scopes": "string[]",
        "operation": "string", "units": "number", "hour": "number", "weekday": "number", "client_addr": "string", "read_only": "boolean"}'::jsonb;
    verbs  constant text[] := array['and', 'or', '!', '==', '!=', '<', '<=', '>', '>=', 'in', 'var'];
    verb   text;
    parts  jsonb[];
    found  text;
    first  text;
    wanted text;
begin
    if jsonb_typeof(node) <> 'object' then
        return hartonomous._condition_literal(node, path);
    elsif depth > 16 then
        raise exception 'condition at % is nested deeper than 16', path using errcode = '22023';
    end if;
    verb := (select min(k) from jsonb_object_keys(node) as k having count(*) = 1);
    if verb is null or verb <> all (verbs) then
        raise exception 'condition at % has %, expected one operator', path,
            coalesce('operator ' || quote_ident(verb), (select count(*) from jsonb_object_keys(node)) || ' keys')
            using errcode = '22023', hint = 'operators: ' || array_to_string(verbs, ', ');
    elsif verb = 'var' then
        if jsonb_typeof(node -> 'var') <> 'string' or not variables ? (node ->> 'var') then
            raise exception 'condition at %.var is %, expected a variable', path, left(node ->> 'var', 100) using errcode = '22023',
                hint = 'variables: ' || (select string_agg(v, ', ' order by v) from jsonb_object_keys(variables) as v);
        end if;
        return variables ->> (node ->> 'var');
    end if;

    parts := array(select a.value from jsonb_array_elements(
        case when jsonb_typeof(node -> verb) = 'array' then node -> verb else jsonb_build_array(node -> verb) end) as a);
    if not cardinality(parts) <@ (case when verb in ('and', 'or') then '[1,]'::int4range when verb = '!' then '[1,1]' else '[2,2]' end) then
        raise exception 'condition at %.% has % arguments, expected %', path, verb, cardinality(parts),
            case when verb in ('and', 'or') then 'at least 1' when verb = '!' then '1' else '2' end using errcode = '22023';
    end if;
    for i in 1 .. cardinality(parts) loop
        found := hartonomous._condition_check(parts[i], format('%s.%s[%s]', path, verb, i - 1), depth + 1);
        wanted := case when verb in ('and', 'or', '!') then 'boolean'
                       when verb in ('<', '<=', '>', '>=') then 'number'
                       when verb = 'in' and i = 2 then first || '[]'
                       when found like '%[]' then coalesce(first, 'single value')
                       when 'null' in (first, found) then found
                       else coalesce(first, found) end;
        if found <> wanted then
            raise exception 'condition at %.%[%] is a %, expected a %', path, verb, i - 1, found, wanted using errcode = '22023';
        end if;
        first := coalesce(first, found);
    end loop;
    return 'boolean';
end
$$;
comment on function hartonomous._condition_check(jsonb, text, int) is
'Type of a condition''s value: boolean, number, string, null, or with [] a list of them; 22023 with the path of what is wrong.';

create or replace function hartonomous._condition_literal(node jsonb, path text) returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    kinds text[];
begin
    if jsonb_typeof(node) <> 'array' then
        return jsonb_typeof(node);
    end if;
    kinds := array(select distinct jsonb_typeof(e) from jsonb_array_elements(node) as e order by 1);
    if cardinality(kinds) <> 1 or kinds[1] in ('array', 'object', 'null') then
        raise exception 'condition at % is a list of %, expected values of one type', path,
            coalesce(nullif(array_to_string(kinds, ', '), ''), 'nothing') using errcode = '22023';
    end if;
    return kinds[1] || '[]';
end
$$;
comment on function hartonomous._condition_literal(jsonb, text) is '_condition_check of a literal.';

create or replace function hartonomous.access_policy_put(
    ordinal int, effect text, operation text default '*', condition jsonb default null, tenant_id int default null, label text default '')
returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    kind text;
    made bigint;
begin
    if access_policy_put.ordinal is null then
        raise exception 'ordinal is NULL, expected the policy''s place in the order' using errcode = '22004';
    elsif coalesce(access_policy_put.effect, '') not in ('allow', 'deny', 'mask') then
        raise exception 'effect is %, expected allow, deny or mask', coalesce(quote_literal(left(access_policy_put.effect, 100)), 'NULL')
            using errcode = '22023';
    elsif access_policy_put.operation is null or access_policy_put.operation <> '*'
          and not exists (select from hartonomous.operation as o where o.operation = access_policy_put.operation) then
        raise exception 'unknown operation %', coalesce(quote_literal(left(access_policy_put.operation, 100)), 'NULL') using errcode = '22023',
            hint = '*, or one of: ' || (select string_agg(o.operation, ', ' order by o.operation) from hartonomous.operation as o);
    elsif access_policy_put.effect = 'mask' and access_policy_put.operation <> '*' then
        raise exception 'a mask of % alone, expected operation *', access_policy_put.operation using errcode = '22023',
            hint = 'what one verb masks another would show; put an allow of the operations to be exempt before the mask';
    elsif access_policy_put.tenant_id is not null and not hartonomous._tenant_hold(access_policy_put.tenant_id) then
        raise exception 'tenant % does not exist', access_policy_put.tenant_id using errcode = '22023', hint = 'NULL means all tenants';
    elsif octet_length(access_policy_put.condition::text) > 8192 then
        raise exception 'condition has % bytes, expected at most 8192', octet_length(access_policy_put.condition::text) using errcode = '22023';
    end if;
    kind := hartonomous._condition_check(coalesce(access_policy_put.condition, 'true'));
    if kind <> 'boolean' then
        raise exception 'condition at $ is a %, expected a boolean', kind using errcode = '22023',
            hint = 'for example {"==": [{"var": "role"}, "intern"]}';
    end if;
    insert into hartonomous.access_policy (tenant_id, ordinal, effect, operation, condition, label)
    values (access_policy_put.tenant_id, access_policy_put.ordinal, access_policy_put.effect, access_policy_put.operation,
            access_policy_put.condition, coalesce(access_policy_put.label, ''))
    returning policy_id into made;
    perform hartonomous._audit('access_policy_put', access_policy_put.tenant_id, jsonb_build_object(
        'policy_id', made, 'ordinal', access_policy_put.ordinal, 'effect', access_policy_put.effect,
        'operation', access_policy_put.operation, 'condition', access_policy_put.condition));
    return made;
end
$$;
comment on function hartonomous.access_policy_put(int, text, text, jsonb, int, text) is
'Adds a policy and returns its id. The policies of a tenant and those of all tenants (tenant_id NULL) are read by ordinal, then id: the first allow or deny that applies decides whether an operation goes on (ZH002), none means yes; every mask that applies before it masks what verbs return, and tables give no rows. It can only narrow what privileges and a key''s scopes allow. operation: * or a row of hartonomous.operation; whoever is denied table_read, or any other operation that reads, reads no table directly. condition, NULL meaning always: a subset of JsonLogic with the operators var, ==, !=, <, <=, >, >=, in (a list), and, or, ! over the variables role (effective), login (that connected; set role does not change it), tenant, key_id, scopes, operation, units, hour and weekday (UTC, 1 is Monday, by the clock), client_addr (null on a socket), read_only. Values of different types do not compare; null equals null alone. What cannot be evaluated counts as true for deny and mask and as false for allow. A new policy holds for the next call in every session, but transactions with repeatable read keep those of their snapshot. Errors: 22023 effect, operation, tenant or condition, with the path of what is wrong; 22004 NULL ordinal.';

create or replace function hartonomous.access_policy_drop(policy_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    dropped hartonomous.access_policy;
begin
    perform hartonomous._tenant_hold((select p.tenant_id from hartonomous.access_policy as p where p.policy_id = access_policy_drop.policy_id));
    delete from hartonomous.access_policy as p where p.policy_id = access_policy_drop.policy_id returning p.* into dropped;
    if not found then
        raise exception 'no policy with id %', coalesce(access_policy_drop.policy_id::text, 'NULL') using errcode = '22023',
            hint = 'hartonomous.access_policy_list() shows them';
    end if;
    perform hartonomous._audit('access_policy_drop', dropped.tenant_id, to_jsonb(dropped) - 'tenant_id');
end
$$;
comment on function hartonomous.access_policy_drop(bigint) is 'Removes a policy. 22023 no such policy.';

create or replace function hartonomous.access_policy_list(tenant_id int default null)
returns table (policy_id bigint, tenant_id int, ordinal int, effect text, operation text, condition jsonb, label text, created_at timestamptz)
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select p.policy_id, p.tenant_id, p.ordinal, p.effect, p.operation, p.condition, p.label, p.created_at
    from hartonomous.access_policy as p
    where access_policy_list.tenant_id is null or p.tenant_id is null or p.tenant_id = access_policy_list.tenant_id
    order by p.ordinal, p.policy_id;
end;
comment on function hartonomous.access_policy_list(int) is
'Policies that hold for a tenant, its own and those of all tenants (tenant_id NULL), in the order in which they are read. NULL: those of every tenant.';
