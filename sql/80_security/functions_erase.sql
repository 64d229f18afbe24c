create or replace function hartonomous._erasure_order() returns table (relation regclass, rank int)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    present regclass[] := array(select t.relation from hartonomous.tenant_table as t);
    free    regclass[];
begin
    for round in 1 .. cardinality(present) loop
        -- nothing refers to these any more; deleting from a versioned table writes its history, so that comes later
        free := array(
            select p.relation from unnest(present) as p (relation)
            where not exists (select from pg_constraint as c where c.contype = 'f' and c.confrelid = p.relation
                              and c.conrelid <> p.relation and c.conrelid = any (present))
              and not exists (select from hartonomous.versioned_table as v where v.history = p.relation and v.relation = any (present)));
        return query select f.relation, round from unnest(free) as f (relation);
        present := array(select p.relation from unnest(present) as p (relation) where p.relation <> all (free));
        exit when present = '{}' or free = '{}';
    end loop;
    if present <> '{}' then
        raise exception 'foreign keys between % form a circle', present using errcode = '55000';
    end if;
end
$$;
comment on function hartonomous._erasure_order() is
'Registered tenant tables in an order in which their rows can be deleted, by foreign keys: equal ranks do not refer to each other.';

create or replace function hartonomous._erasure_check(tenant_id int) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    key   record;
    other int;
begin
    for key in
        select c.conrelid::regclass as child, c.confrelid::regclass as parent, ct.tenant_column as child_tenant, pt.tenant_column as parent_tenant,
               (select string_agg(format('c.%I = p.%I', ca.attname, pa.attname), ' and ' order by k.ord)
                from unnest(c.conkey, c.confkey) with ordinality as k (child, parent, ord)
                join pg_attribute as ca on (ca.attrelid, ca.attnum) = (c.conrelid, k.child)
                join pg_attribute as pa on (pa.attrelid, pa.attnum) = (c.confrelid, k.parent)) as pairs
        from pg_constraint as c
        join hartonomous.tenant_table as ct on ct.relation = c.conrelid
        join hartonomous.tenant_table as pt on pt.relation = c.confrelid
        where c.contype = 'f' and c.confrelid <> 'hartonomous.tenant'::regclass
        union all
        select 'hartonomous.graph_edge', 'hartonomous.graph_node', 'tenant_id', 'tenant_id', e.pairs
        from (values ('(c.from_type, c.from_id) = (p.node_type, p.node_id)'), ('(c.to_type, c.to_id) = (p.node_type, p.node_id)')) as e (pairs)
    loop
        execute format('select c.%1$I from %3$s as c join %4$s as p on %5$s where p.%2$I = $1 and c.%1$I <> $1 limit 1',
                       key.child_tenant, key.parent_tenant, key.child, key.parent, key.pairs) into other using _erasure_check.tenant_id;
        if other is not null then
            raise exception 'rows of tenant % in % refer to rows of tenant % in %', other, key.child, _erasure_check.tenant_id, key.parent
                using errcode = '23503', hint = 'no verb makes such rows: delete them first';
        end if;
    end loop;
end
$$;
comment on function hartonomous._erasure_check(int) is '23503 when rows of another tenant refer to a tenant''s rows: they would go along or dangle.';

create or replace function hartonomous._atom_release(tenant_id int) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.atom_reference_change (tenant_id, h_xy, h_yz, h_zm, change)
    select x.tenant_id, array_agg(x.h_xy), array_agg(x.h_yz), array_agg(x.h_zm), array_agg(-1)
    from hartonomous.artifact as a join hartonomous.atom as x on (x.h_xy, x.h_yz, x.h_zm) = (a.h_xy, a.h_yz, a.h_zm)
    where a.tenant_id = _atom_release.tenant_id and x.tenant_id <> _atom_release.tenant_id
    group by x.tenant_id;
end;
comment on function hartonomous._atom_release(int) is 'Takes the references of a tenant''s artifacts off the atoms of others, such as public ones.';

create or replace function hartonomous._tenant_rows(tenant_id int) returns table (relation regclass, remaining bigint)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant_column name;
begin
    for relation, tenant_column in select t.relation, t.tenant_column from hartonomous.tenant_table as t loop
        execute format('select count(*) from %s where %I = $1', relation, tenant_column) into remaining using _tenant_rows.tenant_id;
        return next;
    end loop;
end
$$;
comment on function hartonomous._tenant_rows(int) is 'Rows of a tenant in each registered table.';

create or replace function hartonomous._tenant_lock(tenant_id int) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if _tenant_lock.tenant_id = 0 then
        raise exception 'tenant 0 is public and cannot be erased' using errcode = '22023';
    elsif current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the transaction is %, in which rows written meanwhile would be missed', current_setting('transaction_isolation')
            using errcode = '25001', hint = 'begin isolation level read committed';
    end if;
    -- waits for the transactions that hold the tenant; those that come later wait here, and then find none
    perform from hartonomous.tenant as t where t.tenant_id = _tenant_lock.tenant_id for update;
    if not found then
        raise exception 'tenant % does not exist', coalesce(_tenant_lock.tenant_id::text, 'NULL')
            using errcode = '22023', hint = 'it may be erased already: select * from hartonomous.tenant';
    end if;
end
$$;
comment on function hartonomous._tenant_lock(int) is
'Locks a tenant against all who write its rows (_tenant_hold); 22023 for tenant 0 and for none, 25001 unless read committed.';

create or replace function hartonomous.tenant_erase(tenant_id int) returns jsonb
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    item   record;
    gone   bigint;
    result jsonb := '{}'::jsonb;
begin
    perform hartonomous._tenant_lock(tenant_erase.tenant_id);
    perform hartonomous._erasure_check(tenant_erase.tenant_id);
    perform hartonomous._atom_release(tenant_erase.tenant_id);
    for item in
        select t.* from hartonomous._erasure_order() as o join hartonomous.tenant_table as t on t.relation = o.relation
        order by o.rank, o.relation::text
    loop
        if item.pseudonymised_by is null then
            execute format('delete from %s where %I = $1', item.relation, item.tenant_column) using tenant_erase.tenant_id;
            get diagnostics gone = row_count;
        else
            execute format('select %s($1)', item.pseudonymised_by::regproc) into gone using tenant_erase.tenant_id;
        end if;
        result := result || jsonb_build_object(item.relation::text, jsonb_build_object(
            'removed', case when item.pseudonymised_by is null then gone else 0 end,
            'pseudonymised', case when item.pseudonymised_by is null then 0 else gone end, 'remaining', 0));
    end loop;
    for item in select r.* from hartonomous._tenant_rows(tenant_erase.tenant_id) as r where r.remaining > 0 loop
        raise exception '% rows of tenant % remain in %', item.remaining, tenant_erase.tenant_id, item.relation
            using errcode = '55000', hint = 'nothing was erased; a trigger or a function in hartonomous.tenant_table leaves them';
    end loop;
    perform hartonomous._audit('tenant_erase', null, jsonb_build_object('tenant_id', tenant_erase.tenant_id, 'tables', result));
    return result;
end
$$;
comment on function hartonomous.tenant_erase(int) is
'Removes a tenant with everything of its own: rows of all registered tables, history, atoms, keys and roles'' membership. What may only be appended to is made nobody''s. Returns, for each table, the rows removed, pseudonymised and remaining, which are counted in the end: if any remain, all stays as it was. Calls of the tenant at the same time end before and go too, or fail with ZH001. The bytes are on the disk until the tables and the planner''s statistics are rewritten, as hartonomous tenants erase prints it; WAL, backups, logs and exports are out of reach. Errors: 22023 tenant 0 or none, 25001 the transaction is not read committed, 23503 rows of another tenant refer to its rows.';
