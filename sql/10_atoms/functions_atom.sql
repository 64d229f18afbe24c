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
'Place of content: coordinates x, y, z, m (31 bits each), the three Hilbert keys and the SHA-256. Tenant 0 gives portable identities; a tenant''s private content gets places of its own. NULL in gives NULL; 22023 for an unknown modality.';

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
    tenant_id int, modality smallint, hashes bytea[], h_xy bigint[], h_yz bigint[], h_zm bigint[],
    geoms bytea[], leaves bytea[], blocks bytea[]) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    added    record;
    collided record;
begin
    -- rows are inserted and updated in key order, so that concurrent calls wait for each other and never deadlock
    with input as (
        select i.h_xy, i.h_yz, i.h_zm, i.content_hash, min(i.ord) as ord, count(*) as refs
        from unnest(_atom_put.h_xy, _atom_put.h_yz, _atom_put.h_zm, _atom_put.hashes) with ordinality
             as i (h_xy, h_yz, h_zm, content_hash, ord)
        group by i.h_xy, i.h_yz, i.h_zm, i.content_hash
    ), inserted as (
        insert into hartonomous.atom (h_xy, h_yz, h_zm, tenant_id, modality, content_hash, geom, value, block, ref_count)
        select i.h_xy, i.h_yz, i.h_zm, _atom_put.tenant_id, _atom_put.modality, i.content_hash,
               @extschema:postgis@.st_geomfromewkb(_atom_put.geoms[i.ord]), _atom_put.leaves[i.ord], _atom_put.blocks[i.ord], i.refs
        from input as i
        order by i.h_xy, i.h_yz, i.h_zm
        on conflict (h_xy, h_yz, h_zm) do nothing
        returning h_xy, h_yz, h_zm
    )
    select count(*) as n, (select count(*) from input) as of_n, coalesce(array_agg(h_xy), '{}') as h_xy,
           coalesce(array_agg(h_yz), '{}') as h_yz, coalesce(array_agg(h_zm), '{}') as h_zm
    into added from inserted;
    if added.n = added.of_n then
        return added.n;
    end if;

    with input as (
        select i.h_xy, i.h_yz, i.h_zm, count(*) as refs
        from unnest(_atom_put.h_xy, _atom_put.h_yz, _atom_put.h_zm) as i (h_xy, h_yz, h_zm)
        where not exists (select from unnest(added.h_xy, added.h_yz, added.h_zm) as a (h_xy, h_yz, h_zm)
                          where (a.h_xy, a.h_yz, a.h_zm) = (i.h_xy, i.h_yz, i.h_zm))
        group by i.h_xy, i.h_yz, i.h_zm
    ), locked as (
        select a.h_xy, a.h_yz, a.h_zm, i.refs
        from input as i join hartonomous.atom as a using (h_xy, h_yz, h_zm)
        order by a.h_xy, a.h_yz, a.h_zm for no key update of a
    )
    update hartonomous.atom as a set ref_count = a.ref_count + l.refs
    from locked as l where (a.h_xy, a.h_yz, a.h_zm) = (l.h_xy, l.h_yz, l.h_zm);

    select a.h_xy, a.h_yz, a.h_zm into collided
    from unnest(_atom_put.h_xy, _atom_put.h_yz, _atom_put.h_zm, _atom_put.hashes) as i (h_xy, h_yz, h_zm, content_hash)
    join hartonomous.atom as a using (h_xy, h_yz, h_zm)
    where a.content_hash <> i.content_hash limit 1;
    if found then
        raise exception 'atom (%, %, %) holds different content', collided.h_xy, collided.h_yz, collided.h_zm
            using errcode = 'ZH011', detail = 'two contents have the same 124-bit place';
    end if;
    return added.n;
end
$$;
comment on function hartonomous._atom_put(int, smallint, bytea[], bigint[], bigint[], bigint[], bytea[], bytea[], bytea[]) is
'Inserts atoms, or counts references to those present; returns how many were new. geoms: EWKB; leaves, blocks: NULL where the atom is of another kind.';

create or replace function hartonomous._atom_get(h_xy bigint[], h_yz bigint[], h_zm bigint[])
returns table (ord bigint, data bytea, children bytea)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select k.ord, coalesce(a.value, a.block),
           case when a.value is null and a.block is null then @extschema:postgis@.st_asewkb(a.geom) end
    from unnest(_atom_get.h_xy, _atom_get.h_yz, _atom_get.h_zm) with ordinality as k (h_xy, h_yz, h_zm, ord)
    left join hartonomous.atom as a on (a.h_xy, a.h_yz, a.h_zm) = (k.h_xy, k.h_yz, k.h_zm);
end;
comment on function hartonomous._atom_get(bigint[], bigint[], bigint[]) is
'Bytes of atoms, or for composites the geometry of their children as EWKB; both NULL for a missing atom.';
