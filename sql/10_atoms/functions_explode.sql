create or replace function hartonomous.atom_explode(artifact_id bigint) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('ingest');
    mine   hartonomous.artifact;
begin
    -- whoever would delete it waits: what is below an artifact stays
    select * into mine from hartonomous.artifact as a
    where a.tenant_id = tenant and a.artifact_id = atom_explode.artifact_id and a.deleted_at is null for share;
    if not found then
        perform hartonomous._artifact_root(tenant, atom_explode.artifact_id);
        raise exception 'artifact % is public and not yours to change', atom_explode.artifact_id using errcode = 'ZH002';
    end if;
    perform hartonomous._atom_reference_fold_defer();
    return hartonomous._atom_explode(tenant, mine.modality, mine.h_xy, mine.h_yz, mine.h_zm);
end
$$;
comment on function hartonomous.atom_explode(bigint) is
'Splits the blocks of an artifact into leaves of at most 64 bytes, which are stored as atoms at their own places; returns how many leaves the artifact is made of now, each counted as often as it stands there. Content, id and hashes stay the same, a second call changes nothing; about ten bytes are stored for one. Text, code, series and graphs are cut after whole lines, else words, all else after 64 bytes. Until the transaction ends atom_collect_garbage adds no references up and takes what is counted already. Errors: ZH010 no such artifact, ZH002 public.';

create or replace function hartonomous._atom_explode(tenant_id int, modality smallint, h_xy bigint, h_yz bigint, h_zm bigint) returns bigint
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import explode, identity
return explode.explode(plpy, identity.Space(tenant_id, modality), (h_xy, h_yz, h_zm))
$$;
comment on function hartonomous._atom_explode(int, smallint, bigint, bigint, bigint) is
'Explodes the blocks at or below a place, which nothing may take away meanwhile.';

create or replace function hartonomous._atom_shape(h_xy bigint[], h_yz bigint[], h_zm bigint[])
returns table (ord bigint, leaf boolean, children bytea, ends bigint[])
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select k.ord, found.*
    from unnest(_atom_shape.h_xy, _atom_shape.h_yz, _atom_shape.h_zm) with ordinality as k (h_xy, h_yz, h_zm, ord)
    cross join lateral (
        select a.value is not null,
               case when a.value is null and a.block is null then @extschema:postgis@.st_asewkb(a.geom) end, a.ends
        from hartonomous.atom as a where (a.h_xy, a.h_yz, a.h_zm) = (k.h_xy, k.h_yz, k.h_zm)
        limit 1
    ) as found;
end
$$;
comment on function hartonomous._atom_shape(bigint[], bigint[], bigint[]) is
'What kind atoms are: leaf, composite (children as EWKB and where each ends), or block, which has neither; without their bytes.';

create or replace function hartonomous._atom_block_lock(h_xy bigint[], h_yz bigint[], h_zm bigint[]) returns setof bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select k.ord
    from unnest(_atom_block_lock.h_xy, _atom_block_lock.h_yz, _atom_block_lock.h_zm) with ordinality as k (h_xy, h_yz, h_zm, ord)
    cross join lateral (
        select from hartonomous.atom as a
        where (a.h_xy, a.h_yz, a.h_zm) = (k.h_xy, k.h_yz, k.h_zm) and a.block is not null
        limit 1 for no key update) as a;
end
$$;
comment on function hartonomous._atom_block_lock(bigint[], bigint[], bigint[]) is
'Locks the atoms at places that are still blocks, in the given order; returns their positions (from 1).';

create or replace function hartonomous._atom_block_explode(h_xy bigint[], h_yz bigint[], h_zm bigint[], geoms bytea[], ends text[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    update hartonomous.atom as a
    set block = null, geom = @extschema:postgis@.st_geomfromewkb(i.geom), ends = i.ends::bigint[],
        version = a.version + 1, updated_at = now(), updated_by = session_user
    from unnest(_atom_block_explode.h_xy, _atom_block_explode.h_yz, _atom_block_explode.h_zm, _atom_block_explode.geoms, _atom_block_explode.ends)
         as i (h_xy, h_yz, h_zm, geom, ends)
    where (a.h_xy, a.h_yz, a.h_zm) = (i.h_xy, i.h_yz, i.h_zm);
end;
comment on function hartonomous._atom_block_explode(bigint[], bigint[], bigint[], bytea[], text[]) is
'Makes composites of blocks: geometries (EWKB) name the children, ends (bigint[] as text) say where each ends. Who calls holds the blocks and has stored the children.';
