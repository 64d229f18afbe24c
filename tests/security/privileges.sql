-- Effective privileges of the group roles and PUBLIC on every object, memberships included. Owner and definer hold all of them,
-- which the catalog test sees to.
with role (position, name) as (
    values (1, 'public'), (2, 'hartonomous_reader'), (3, 'hartonomous_worker'), (4, 'hartonomous_writer'), (5, 'hartonomous_admin')
), memberships as (
    select 0 as kind, 'member of ' || m.roleid::regrole as object, 1 as position, m.member::regrole::text as name,
           case when m.admin_option then 'admin' else 'member' end as rights
    from pg_auth_members as m where m.member::regrole::text like 'hartonomous\_%'
), schemas as (
    select 1, 'schema ' || n.nspname, r.position, r.name,
           concat(case when has_schema_privilege(r.name, n.oid, 'usage') then 'U' end,
                  case when has_schema_privilege(r.name, n.oid, 'create') then 'C' end)
    from pg_namespace as n cross join role as r where n.nspname in ('hartonomous', 'hartonomous_private')
), relations as (
    select 2, case c.relkind when 'v' then 'view ' when 'm' then 'view ' else 'table ' end || c.relname,
           r.position, r.name,
           (select string_agg(case when has_table_privilege(r.name, c.oid, p.privilege) then p.letter
                                   when p.letter in ('r', 'a', 'w') and has_any_column_privilege(r.name, c.oid, p.privilege)
                                   then p.letter || '(' || coalesce('not ' || (select string_agg(a.attname, ', ' order by a.attnum)
                                        from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                                          and not has_column_privilege(r.name, c.oid, a.attnum, p.privilege)), 'columns') || ')' end,
                              '' order by p.position)
            from (values (1, 'r', 'select'), (2, 'a', 'insert'), (3, 'w', 'update'), (4, 'd', 'delete'), (5, 'D', 'truncate'),
                         (6, 'x', 'references'), (7, 't', 'trigger'), (8, 'm', 'maintain')) as p (position, letter, privilege))
    from pg_class as c cross join role as r
    where c.relnamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm')
), sequences as (
    select 3, 'sequence ' || c.relname, r.position, r.name,
           concat(case when has_sequence_privilege(r.name, c.oid, 'usage') then 'U' end,
                  case when has_sequence_privilege(r.name, c.oid, 'select') then 'r' end,
                  case when has_sequence_privilege(r.name, c.oid, 'update') then 'w' end)
    from pg_class as c cross join role as r
    where c.relnamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace) and c.relkind = 'S'
), functions as (
    select 4, 'function ' || p.oid::regprocedure, r.position, r.name, case when has_function_privilege(r.name, p.oid, 'execute') then 'X' end
    from pg_proc as p cross join role as r
    where p.pronamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace)
), types as (
    select 5, 'type ' || t.oid::regtype, r.position, r.name, case when has_type_privilege(r.name, t.oid, 'usage') then 'U' end
    from pg_type as t cross join role as r where t.typnamespace = 'hartonomous_private'::regnamespace and t.typelem = 0
)
select object || ':' || coalesce(string_agg(' ' || replace(name, 'hartonomous_', '') || '=' || rights, '' order by position, name)
                                 filter (where rights <> ''), ' nobody')
from (table memberships union all table schemas union all table relations union all table sequences union all table functions union all table types) as found
group by kind, object
having object !~ '^function _' or bool_or(rights <> '')  -- helpers that nobody may call come and go
order by kind, object collate "C"
