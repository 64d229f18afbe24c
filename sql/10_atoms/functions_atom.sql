create or replace function hartonomous.atom_identity(
    content bytea, modality text default 'binary', tenant_id int default 0,
    out h_xy bigint, out h_yz bigint, out h_zm bigint, out content_hash bytea,
    out x bigint, out y bigint, out z bigint, out m bigint)
language plpgsql stable strict parallel safe security definer
set search_path = pg_catalog, pg_temp as $$
begin
    select i.h_xy, i.h_yz, i.h_zm, i.content_hash, i.x, i.y, i.z, i.m
    into h_xy, h_yz, h_zm, content_hash, x, y, z, m
    from hartonomous._atom_identity(content, hartonomous._modality(modality), tenant_id) as i;
end
$$;
comment on function hartonomous.atom_identity(bytea, text, int) is
'Place of content: coordinates x, y, z, m (31 bits each), the three Hilbert keys and the SHA-256. x and y place it by modality and by what it is: of content up to 64 bytes of audio mean and root mean square, of images mean and standard deviation, of tensors mean and norm, of all else first bits and length; z and m by its hash. Tenant 0 gives portable identities; a tenant''s private content gets places of its own. NULL in gives NULL; 22023 for an unknown modality.';

create or replace function hartonomous._atom_identity(
    content bytea, modality smallint, tenant_id int,
    out h_xy bigint, out h_yz bigint, out h_zm bigint, out content_hash bytea,
    out x bigint, out y bigint, out z bigint, out m bigint)
language plpython3u immutable strict parallel safe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import identity
i = identity.identify([content], modality, tenant_id)
return (*i.h[0].tolist(), i.hashes[0], *i.xyzm[0].tolist())
$$;
comment on function hartonomous._atom_identity(bytea, smallint, int) is 'atom_identity by modality code.';

create or replace function hartonomous._atom_put(
    tenant_id int, modality smallint, hashes bytea, h_xy bigint[], h_yz bigint[], h_zm bigint[],
    geoms bytea[], data bytea, stops int[], leaves boolean[], ends text[], refs int[], out made int[], out taken int[])
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
#variable_conflict use_column
declare
    wanted constant int := cardinality(h_xy);
    found_xy bigint[];
    found_yz bigint[];
    found_zm bigint[];
    rest   int[] := array(select generate_series(1, wanted));
    held   int[];
begin
    made := '{}'::int[];
    -- what is there is locked against atom_collect_garbage; what that removed before it was locked is put anew in another round
    for round in 1 .. 10 loop
        -- rows come in the order of rest, so nothing is sorted: it would copy all bytes
        with inserted as (
            insert into hartonomous.atom (h_xy, h_yz, h_zm, tenant_id, modality, content_hash, geom, value, block, ends, ref_count)
            select i.h_xy, i.h_yz, i.h_zm, _atom_put.tenant_id, _atom_put.modality, substr(_atom_put.hashes, 32 * i.ord - 31, 32),
                   @extschema:postgis@.st_geomfromewkb(_atom_put.geoms[i.ord]),
                   case when _atom_put.leaves[i.ord] then substr(_atom_put.data, i.start + 1, i.size) end,
                   case when not _atom_put.leaves[i.ord] then substr(_atom_put.data, i.start + 1, i.size) end,
                   _atom_put.ends[i.ord]::bigint[], _atom_put.refs[i.ord]
            from (select _atom_put.h_xy[ord] as h_xy, _atom_put.h_yz[ord] as h_yz, _atom_put.h_zm[ord] as h_zm,
                         coalesce(_atom_put.stops[ord - 1], 0) as start,
                         _atom_put.stops[ord] - coalesce(_atom_put.stops[ord - 1], 0) as size, ord
                  from unnest(rest) as ord) as i
            on conflict (h_xy, h_yz, h_zm) do nothing
            returning h_xy, h_yz, h_zm
        )
        select array_agg(n.h_xy), array_agg(n.h_yz), array_agg(n.h_zm) into found_xy, found_yz, found_zm from inserted as n;
        if cardinality(found_xy) = cardinality(rest) then
            made := made || rest;
            rest := '{}'::int[];
            exit;
        end if;
        -- grouped, not joined: arrays are taken for short ones, and long ones would be compared one by one; of several
        -- at one place the first was inserted
        select coalesce(array_agg(p.ords[1]) filter (where p.new), '{}'::int[]) || made into made
        from (select array_agg(k.ord order by k.ord) as ords, bool_or(k.ord is null) as new
              from (select _atom_put.h_xy[ord] as h_xy, _atom_put.h_yz[ord] as h_yz, _atom_put.h_zm[ord] as h_zm, ord from unnest(rest) as ord
                    union all select n.h_xy, n.h_yz, n.h_zm, null from unnest(found_xy, found_yz, found_zm) as n (h_xy, h_yz, h_zm)) as k
              group by k.h_xy, k.h_yz, k.h_zm) as p;
        rest := array(select ord from (select unnest(rest) except select unnest(made)) as r (ord) order by ord);
        -- one by one in the order of the arrays: a plan made while the table is empty would join without the key
        select coalesce(array_agg(l.ord), '{}'::int[]) into held
        from (select ord from unnest(rest) as ord
              cross join lateral (select from hartonomous.atom as a
                                  where (a.h_xy, a.h_yz, a.h_zm) = (_atom_put.h_xy[ord], _atom_put.h_yz[ord], _atom_put.h_zm[ord])
                                  limit 1 for key share) as a) as l;
        exit when cardinality(held) = cardinality(rest);
    end loop;
    if cardinality(held) < cardinality(rest) then
        raise exception '% of % atoms were collected again and again while they were stored', cardinality(rest) - cardinality(held), wanted
            using errcode = '40001', hint = 'try again';
    end if;

    select coalesce(array_agg(ord order by ord), '{}'::int[]) into taken
    from unnest(rest) as ord
    cross join lateral (select x.tenant_id, x.content_hash from hartonomous.atom as x
                        where (x.h_xy, x.h_yz, x.h_zm) = (_atom_put.h_xy[ord], _atom_put.h_yz[ord], _atom_put.h_zm[ord]) limit 1) as a
    where a.content_hash <> substr(_atom_put.hashes, 32 * ord - 31, 32) or a.tenant_id <> _atom_put.tenant_id;
    if taken <> '{}' then
        rest := array(select ord from (select unnest(rest) except select unnest(taken)) as r (ord) order by ord);
    end if;
    -- so many fit a row that is not taken apart: TOAST would take more
    insert into hartonomous.atom_reference_change (tenant_id, h_xy, h_yz, h_zm, change)
    select _atom_put.tenant_id, array_agg(_atom_put.h_xy[r.ord]), array_agg(_atom_put.h_yz[r.ord]), array_agg(_atom_put.h_zm[r.ord]),
           array_agg(_atom_put.refs[r.ord])
    from unnest(rest) with ordinality as r (ord, n) group by (r.n - 1) / 64;
end
$$;
comment on function hartonomous._atom_put(int, smallint, bytea, bigint[], bigint[], bigint[], bytea[], bytea, int[], boolean[], text[], int[]) is
'Stores atoms, different ones in the order of their keys, and counts refs references to each. made: the positions (from 1) of those that were new; taken: of those at whose places other content lies, or another tenant''s, to which nothing was done. hashes: 32 bytes each; geoms: EWKB; data: leaves as they are and packed blocks, one after another, each up to its stop; ends (bigint[] as text) of composites, which have no data. None of them is collected before the transaction ends.';

create or replace function hartonomous._atom_name_anew(h_xy bigint[], h_yz bigint[], h_zm bigint[], geoms bytea[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    update hartonomous.atom as a set geom = @extschema:postgis@.st_geomfromewkb(i.geom)
    from unnest(_atom_name_anew.h_xy, _atom_name_anew.h_yz, _atom_name_anew.h_zm, _atom_name_anew.geoms) as i (h_xy, h_yz, h_zm, geom)
    where (a.h_xy, a.h_yz, a.h_zm) = (i.h_xy, i.h_yz, i.h_zm);
end;
comment on function hartonomous._atom_name_anew(bigint[], bigint[], bigint[], bytea[]) is
'Gives composites that this transaction has stored the geometries (EWKB) of where their children came to lie.';

create or replace function hartonomous._atom_get(h_xy bigint[], h_yz bigint[], h_zm bigint[])
returns table (ord bigint, data bytea, packed boolean, children bytea, ends bigint[], content_hash bytea)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select k.ord, found.data, found.packed, found.children, found.ends, found.content_hash
    from unnest(_atom_get.h_xy, _atom_get.h_yz, _atom_get.h_zm) with ordinality as k (h_xy, h_yz, h_zm, ord)
    left join lateral (
        select coalesce(a.value, a.block) as data, a.block is not null as packed, a.ends, a.content_hash,
               case when a.value is null and a.block is null then @extschema:postgis@.st_asewkb(a.geom) end as children
        from hartonomous.atom as a where (a.h_xy, a.h_yz, a.h_zm) = (k.h_xy, k.h_yz, k.h_zm)
        limit 1  -- by key whatever statistics say: it cannot become a hash join
    ) as found on true;
end
$$;
comment on function hartonomous._atom_get(bigint[], bigint[], bigint[]) is
'Bytes of atoms as they are stored (packed: as a block, which may be a frame), or for composites the geometry of their children as EWKB and where each ends; all NULL for a missing atom.';

create or replace function hartonomous._atom_reference_fold_defer() returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_advisory_xact_lock_shared(hartonomous._lock_key('references of atoms'));
end;
comment on function hartonomous._atom_reference_fold_defer() is
'Lets nobody add up references until the transaction ends: for whoever changes atoms that are there, so that the collector never waits for them.';

create or replace function hartonomous._atom_reference_fold() returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    changed bigint;
    tenants int[];
begin
    if not pg_try_advisory_xact_lock(hartonomous._lock_key('references of atoms')) then
        return 0;
    end if;
    -- who is being erased is passed over
    select array_agg(l.tenant_id) into tenants
    from (select t.tenant_id from hartonomous.tenant as t
          where t.tenant_id in (select c.tenant_id from hartonomous.atom_reference_change as c)
          order by t.tenant_id for key share skip locked) as l;
    with taken as (
        delete from hartonomous.atom_reference_change as c where c.tenant_id = any (tenants) returning c.h_xy, c.h_yz, c.h_zm, c.change
    ), net as (
        select k.h_xy, k.h_yz, k.h_zm, sum(k.change) as change
        from taken as t cross join lateral unnest(t.h_xy, t.h_yz, t.h_zm, t.change) as k (h_xy, h_yz, h_zm, change)
        group by k.h_xy, k.h_yz, k.h_zm having sum(k.change) <> 0
    )
    update hartonomous.atom as a set ref_count = a.ref_count + n.change
    from net as n where (a.h_xy, a.h_yz, a.h_zm) = (n.h_xy, n.h_yz, n.h_zm);
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function hartonomous._atom_reference_fold() is
'Adds the changes of references to the counts at their atoms; returns how many counts changed. One transaction at a time: while another does, or explodes atoms, none are added up and 0 is returned.';
