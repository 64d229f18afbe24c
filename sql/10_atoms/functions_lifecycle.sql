create or replace function hartonomous._artifact_tables() returns table (relation regclass, history regclass)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select t.relation, hartonomous._version_history(t.relation) from hartonomous.tenant_table as t
    where hartonomous._version_history(t.relation) is not null
      and exists (select from pg_attribute as a where a.attrelid = t.relation and a.attname = 'artifact_id' and not a.attisdropped);
end;
comment on function hartonomous._artifact_tables() is 'Tenant tables with a history whose rows are of an artifact, artifact itself among them.';

create or replace function hartonomous._artifact_rows_delete(tenant_id int, artifact_ids bigint[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    gone record;
begin
    for gone in select t.relation from hartonomous._artifact_tables() as t where t.relation <> 'hartonomous.artifact'::regclass loop
        execute format('delete from %s where tenant_id = $1 and artifact_id = any ($2)', gone.relation) using tenant_id, artifact_ids;
    end loop;
end
$$;
comment on function hartonomous._artifact_rows_delete(int, bigint[]) is
'Deletes what goes with artifacts, each table at once: as they went one by one, each would write its history by itself.';

create or replace function hartonomous._artifact_history_delete(tenant_id int, artifact_ids bigint[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    gone record;
begin
    for gone in select t.history from hartonomous._artifact_tables() as t loop
        execute format('delete from %s where tenant_id = $1 and artifact_id = any ($2)', gone.history) using tenant_id, artifact_ids;
    end loop;
end
$$;
comment on function hartonomous._artifact_history_delete(int, bigint[]) is 'Removes the earlier versions of artifacts and of what went with them.';

create or replace function hartonomous.artifact_purge(artifact_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('artifact_delete');
    gone   constant timestamptz := (select a.deleted_at from hartonomous.artifact as a
                                    where a.artifact_id = artifact_purge.artifact_id and a.tenant_id = tenant for update);
    documents text[];
    ids       bigint[];
begin
    if gone is null then
        perform hartonomous._artifact_root(tenant, artifact_purge.artifact_id);
        raise exception 'artifact % is not deleted', artifact_purge.artifact_id using errcode = '55000',
            hint = 'hartonomous.artifact_delete comes first; it can be undone, a purge cannot';
    end if;
    documents := hartonomous._documents_removed(tenant, artifact_purge.artifact_id, gone);
    -- a document goes with the passages that were deleted with it
    ids := array(select r.artifact_id from hartonomous.artifact_source_removed as r
                 where r.tenant_id = tenant and r.document_uri = any (documents) and r.removed_at = gone
                 union select artifact_purge.artifact_id);
    select array_agg(l.artifact_id) into ids
    from (select a.artifact_id from hartonomous.artifact as a
          where a.tenant_id = tenant and a.artifact_id = any (ids) and a.deleted_at = gone
          order by a.artifact_id for update) as l;
    -- a passage that another document has too stays, its occurrence in this one does not
    with removed as (
        delete from hartonomous.artifact_source_removed as r
        where r.tenant_id = tenant and (r.artifact_id = any (ids) or (r.removed_at = gone and r.document_uri = any (documents)))
        returning r.artifact_source_id
    )
    delete from hartonomous.artifact_source_history as h using removed as r
    where h.tenant_id = tenant and h.artifact_source_id = r.artifact_source_id;
    delete from hartonomous.graph_edge as e
    where e.tenant_id = tenant
      and ((e.from_type = 'artifact' and e.from_id = any (ids)) or (e.to_type = 'artifact' and e.to_id = any (ids)));
    delete from hartonomous.graph_node as n where n.tenant_id = tenant and n.node_type = 'artifact' and n.node_id = any (ids);
    perform hartonomous._artifact_rows_delete(tenant, ids);
    with purged as (
        delete from hartonomous.artifact as a where a.tenant_id = tenant and a.artifact_id = any (ids) returning a.tenant_id, a.h_xy, a.h_yz, a.h_zm
    )
    insert into hartonomous.atom_reference_change (tenant_id, h_xy, h_yz, h_zm, change)
    select p.tenant_id, array_agg(p.h_xy), array_agg(p.h_yz), array_agg(p.h_zm), array_agg(-1) from purged as p group by p.tenant_id;
    perform hartonomous._artifact_history_delete(tenant, ids);
    perform hartonomous._audit('artifact_purge', tenant, jsonb_build_object('artifact_ids', ids));
end
$$;
comment on function hartonomous.artifact_purge(bigint) is
'Removes a deleted artifact for good, with its occurrences, embeddings, their histories and place in the graph, a document together with the passages that were deleted with it. Its bytes go by atom_collect_garbage, but for those that other content shares. Errors: ZH010 no such artifact, 55000 it is not deleted.';

create or replace function hartonomous._atom_children(geoms bytea[])
returns table (h_xy bigint, h_yz bigint, h_zm bigint)
language plpython3u immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import identity
return identity.children(geoms)
$$;
comment on function hartonomous._atom_children(bytea[]) is 'Keys of the atoms that composites name, by their geometries as EWKB, once for each time they are named.';

create or replace function hartonomous.atom_collect_garbage(batch int default 10000) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenants int[];
    locked  record;
    removed bigint;
begin
    if batch is null or batch < 1 then
        raise exception 'batch is %, expected at least 1', coalesce(batch::text, 'NULL') using errcode = '22023';
    elsif current_setting('transaction_isolation') <> 'read committed' then
        -- the proof below needs a snapshot that is younger than the locks
        raise exception 'this transaction is %, garbage is collected in read committed', current_setting('transaction_isolation')
            using errcode = '25001', hint = 'call atom_collect_garbage in a transaction of its own';
    end if;
    perform hartonomous._atom_reference_fold();
    -- who is being erased is passed over, and so is what somebody refers to who has not ended
    select array_agg(l.tenant_id) into tenants
    from (select t.tenant_id from hartonomous.tenant as t
          where t.tenant_id in (select a.tenant_id from hartonomous.atom as a where a.ref_count = 0)
          order by t.tenant_id for key share skip locked) as l;
    select array_agg(c.h_xy) as h_xy, array_agg(c.h_yz) as h_yz, array_agg(c.h_zm) as h_zm into locked
    from (select a.h_xy, a.h_yz, a.h_zm from hartonomous.atom as a where a.ref_count = 0 and a.tenant_id = any (tenants)
          order by a.h_xy, a.h_yz, a.h_zm limit batch for update skip locked) as c;
    -- who had ended before the lock was taken has left a change that this statement sees
    with gone as (
        delete from hartonomous.atom as a
        using unnest(locked.h_xy, locked.h_yz, locked.h_zm) as c (h_xy, h_yz, h_zm)
        where (a.h_xy, a.h_yz, a.h_zm) = (c.h_xy, c.h_yz, c.h_zm)
          and not exists (select from hartonomous.atom_reference_change as r
                          cross join lateral unnest(r.h_xy, r.h_yz, r.h_zm) as k (h_xy, h_yz, h_zm)
                          where (k.h_xy, k.h_yz, k.h_zm) = (c.h_xy, c.h_yz, c.h_zm))
        returning a.tenant_id, case when a.value is null and a.block is null then @extschema:postgis@.st_asewkb(a.geom) end as geom
    ), left_behind as (
        insert into hartonomous.atom_reference_change (tenant_id, h_xy, h_yz, h_zm, change)
        select n.tenant_id, array_agg(n.h_xy), array_agg(n.h_yz), array_agg(n.h_zm), array_agg(-n.times)
        from (select g.tenant_id, k.h_xy, k.h_yz, k.h_zm, count(*)::int as times
              from gone as g cross join lateral hartonomous._atom_children(array[g.geom]) as k
              where g.geom is not null
              group by g.tenant_id, k.h_xy, k.h_yz, k.h_zm) as n
        group by n.tenant_id
    )
    select count(*) into removed from gone;
    return removed;
end
$$;
comment on function hartonomous.atom_collect_garbage(int) is
'Adds up the reference counts, unless a transaction that explodes atoms or collects them is under way, then removes at most batch atoms of all tenants to which nothing refers, and returns how many; what they named is garbage for the next call: call it until it returns 0. Sessions that store content meanwhile do not wait for more than a batch, and nothing they refer to goes. Errors: 22023 batch, 25001 not read committed.';

create or replace function hartonomous.atom_verify(batch int default 10000)
returns table (h_xy bigint, h_yz bigint, h_zm bigint, fault text)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if batch is null or batch < 1 then
        raise exception 'batch is %, expected at least 1', coalesce(batch::text, 'NULL') using errcode = '22023';
    end if;
    -- a stable function sees one snapshot throughout, so that what others do meanwhile is no fault
    return query
    with named as (
        select a.h_xy, a.h_yz, a.h_zm from hartonomous.artifact as a
        union all
        select k.h_xy, k.h_yz, k.h_zm
        from hartonomous.atom as a cross join lateral hartonomous._atom_children(array[@extschema:postgis@.st_asewkb(a.geom)]) as k
        where a.value is null and a.block is null
    ), counted as (
        select n.h_xy, n.h_yz, n.h_zm, count(*) as n from named as n group by n.h_xy, n.h_yz, n.h_zm
    ), stored as (
        select s.h_xy, s.h_yz, s.h_zm, sum(s.n)::bigint as n, bool_or(s.present) as present
        from (select a.h_xy, a.h_yz, a.h_zm, a.ref_count as n, true as present from hartonomous.atom as a
              union all select k.h_xy, k.h_yz, k.h_zm, k.change, false
              from hartonomous.atom_reference_change as r
              cross join lateral unnest(r.h_xy, r.h_yz, r.h_zm, r.change) as k (h_xy, h_yz, h_zm, change)) as s
        group by s.h_xy, s.h_yz, s.h_zm
    )
    select h_xy, h_yz, h_zm,
           case when s.present then format('counts %s references, found %s', s.n, coalesce(c.n, 0))
                else format('is missing, referred to %s times', coalesce(c.n, 0)) end
    from counted as c full join stored as s using (h_xy, h_yz, h_zm)
    where coalesce(c.n, 0) <> coalesce(s.n, 0) or (c.n > 0 and s.present is not true);
    return query select d.h_xy, d.h_yz, d.h_zm, d.fault from hartonomous._atom_damage(batch) as d;
    return query select m.h_xy, m.h_yz, m.h_zm, m.fault from hartonomous._artifact_mistakes(batch) as m;
end
$$;
comment on function hartonomous.atom_verify(int) is
'Reads all atoms of all tenants, batch at a time, hashes their bytes again and counts their references: a row for each atom that is missing, miscounted, or whose bytes, place or children are not what they were, and for each artifact that says other things of its root. No row: all is well. Error: 22023 batch.';

create or replace function hartonomous._atom_damage(batch int)
returns table (h_xy bigint, h_yz bigint, h_zm bigint, fault text)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import verify
return verify.damage(plpy, batch)
$$;
comment on function hartonomous._atom_damage(int) is 'Atoms whose bytes, place or children are not what they were, and what is wrong with each.';

create or replace function hartonomous._atom_page(h_xy bigint, h_yz bigint, h_zm bigint, batch int)
returns table (h_xy bigint, h_yz bigint, h_zm bigint, tenant_id int, modality smallint, content_hash bytea, data bytea, packed boolean, children bytea, ends bigint[])
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select a.h_xy, a.h_yz, a.h_zm, a.tenant_id, a.modality, a.content_hash, coalesce(a.value, a.block), a.block is not null,
           case when a.value is null and a.block is null then @extschema:postgis@.st_asewkb(a.geom) end, a.ends
    from hartonomous.atom as a
    where (a.h_xy, a.h_yz, a.h_zm) > (_atom_page.h_xy, _atom_page.h_yz, _atom_page.h_zm)
    order by a.h_xy, a.h_yz, a.h_zm
    limit _atom_page.batch;
end;
comment on function hartonomous._atom_page(bigint, bigint, bigint, int) is 'The atoms that follow a key, in the order of their keys.';

create or replace function hartonomous._artifact_mistakes(batch int)
returns table (h_xy bigint, h_yz bigint, h_zm bigint, fault text)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import verify
return verify.mistakes(plpy, batch)
$$;
comment on function hartonomous._artifact_mistakes(int) is 'Root atoms of which artifacts say what is not so, and what.';

create or replace function hartonomous._artifact_page(tenant_id int, artifact_id bigint, batch int)
returns table (tenant_id int, artifact_id bigint, h_xy bigint, h_yz bigint, h_zm bigint, wrong text[], content_length bigint, found_length bigint, block bytea)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select a.tenant_id, a.artifact_id, a.h_xy, a.h_yz, a.h_zm,
           array_remove(array[case when r.tenant_id <> a.tenant_id then 'tenant' end,
                              case when r.modality <> a.modality then 'modality' end,
                              case when r.content_hash <> a.content_hash then 'SHA-256' end,
                              case when least(a.x, a.y) < 0 or hartonomous.hilbert_encode(greatest(a.x, 0), greatest(a.y, 0)) <> a.h_xy then 'point' end],
                        null),
           a.content_length, coalesce(octet_length(r.value), r.ends[cardinality(r.ends)]), r.block
    from (select a.tenant_id, a.artifact_id, a.h_xy, a.h_yz, a.h_zm, a.modality, a.content_hash, a.content_length, a.x, a.y
          from hartonomous.artifact as a
          where (a.tenant_id, a.artifact_id) > (_artifact_page.tenant_id, _artifact_page.artifact_id)
          order by a.tenant_id, a.artifact_id limit _artifact_page.batch) as a
    left join lateral (select r.tenant_id, r.modality, r.content_hash, r.value, r.ends, r.block from hartonomous.atom as r where (r.h_xy, r.h_yz, r.h_zm) = (a.h_xy, a.h_yz, a.h_zm) limit 1) as r on true
    order by a.tenant_id, a.artifact_id;
end;
comment on function hartonomous._artifact_page(int, bigint, int) is
'Of the artifacts that follow one: what they say wrongly of their root atoms, but for the length, which a block''s bytes tell; nothing of one that is missing.';
