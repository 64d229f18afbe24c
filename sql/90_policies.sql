-- Row security of every registered tenant table. Tenant roles read base tables through these policies only; the verbs are
-- SECURITY DEFINER and name the tenant in each query, because a policy would keep their indexes from being used.
create or replace function hartonomous._row_security_force(relation regclass) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    execute format('alter table %s enable row level security', relation);
    execute format('alter table %s force row level security', relation);
end
$$;
comment on function hartonomous._row_security_force(regclass) is 'Enables and forces row security on one table or partition.';

create or replace function hartonomous._statistics_withhold(relation regclass) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    withheld name;
begin
    for withheld in
        select a.attname from pg_attribute as a
        where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
          and a.atttypid in ('text'::regtype, 'bytea'::regtype, 'name'::regtype, 'tsvector'::regtype)
    loop
        -- of hashes, by which rows are joined, the planner must know that they differ
        execute format('alter table %s alter column %I set statistics %s', relation, withheld, (withheld = 'content_hash')::int);
    end loop;
end
$$;
comment on function hartonomous._statistics_withhold(regclass) is
'Keeps samples of values out of the statistics of a table: comparisons of text and bytea are leakproof, and how often a tsvector has a word is estimated for anybody, so that EXPLAIN tells whoever reads the table of the rows of all.';

create or replace function hartonomous._tenant_protect(relation regclass, tenant_column name) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._row_security_force(p.relid) from pg_partition_tree(relation) as p;
    perform hartonomous._row_security_force(relation);
    perform hartonomous._statistics_withhold(relation);
    execute format('drop policy if exists tenant_read on %s', relation);
    execute format('create policy tenant_read on %s for select using (%I in ((select hartonomous.current_tenant()), 0))',
                   relation, tenant_column);
    execute format('drop policy if exists access on %s', relation);
    execute format('create policy access on %s as restrictive for select using ((select hartonomous._tables_readable()))', relation);
end
$$;
comment on function hartonomous._tenant_protect(regclass, name) is
'Enables and forces row security on a table and lets a role read the rows of its tenant and of tenant 0, unless an access policy masks or denies it.';

do $$
begin
    perform hartonomous._tenant_protect(t.relation, t.tenant_column) from hartonomous.tenant_table as t;
end
$$;

-- administrators, who alone read these, are not under access policies
drop policy if exists access on hartonomous.access_policy;
drop policy if exists access on hartonomous.audit_log;
do $$
declare
    relation regclass;
begin
    foreach relation in array '{hartonomous.access_policy, hartonomous.audit_log, hartonomous.tenant, hartonomous.tenant_role, hartonomous.recall_action}'::regclass[] loop
        execute format('drop policy if exists admin_read on %s', relation);
        execute format('create policy admin_read on %s for select to hartonomous_admin using (true)', relation);
    end loop;
end
$$;
