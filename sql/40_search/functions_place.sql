create or replace function hartonomous._place_candidates(
    tenant_id int, model_id bigint, basis int, place @extschema:postgis@.geometry, candidates bigint) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
set enable_sort = off set jit = off as $$
#variable_conflict use_column
begin
    return array(
        select p.artifact_id from hartonomous.embedding_place as p
        where p.tenant_id = _place_candidates.tenant_id and p.model_id = _place_candidates.model_id and p.basis = _place_candidates.basis
        order by p.place operator(@extschema:postgis@.<<->>) _place_candidates.place limit _place_candidates.candidates);
end
$$;
comment on function hartonomous._place_candidates(int, bigint, int, @extschema:postgis@.geometry, bigint) is
'Artifacts of a tenant whose embeddings have their places nearest to one, nearest first.';

create or replace function hartonomous._nearest_place(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, candidates int, share double precision,
    out ids bigint[], out distances double precision[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    basis constant hartonomous.embedding_basis := (select b from hartonomous.embedding_basis as b
        where b.tenant_id = _nearest_place.tenant_id and b.model_id = _nearest_place.model_id and b.current);
begin
    select n.ids, n.distances into ids, distances
    from hartonomous._nearest_passed(tenant_id, model_id, query, k, filter, candidates, hartonomous._place_candidates(
        tenant_id, model_id, basis.version, hartonomous._place(query, basis.axes), hartonomous._take(candidates, share))) as n;
end
$$;
comment on function hartonomous._nearest_place(int, bigint, @extschema:vector@.vector, int, jsonb, int, double precision) is
'The k nearest of so many candidates, live artifacts of a tenant that satisfy a filter, of which about share of all do: those whose places are nearest to the query''s. NULL when fewer candidates were found.';

create or replace function hartonomous._basis_shared(tenant_id int, other int, model_id bigint) returns boolean
language sql stable parallel safe
return _basis_shared.tenant_id = _basis_shared.other or exists (
    select from hartonomous.embedding_basis as b join hartonomous.embedding_basis as o on o.axes = b.axes
    where b.tenant_id = _basis_shared.tenant_id and b.model_id = _basis_shared.model_id and b.current
      and o.tenant_id = _basis_shared.other and o.model_id = _basis_shared.model_id and o.current)
    or not exists (select from hartonomous.embedding_basis as b where b.tenant_id = _basis_shared.tenant_id and b.model_id = _basis_shared.model_id);
comment on function hartonomous._basis_shared(int, int, bigint) is
'Whether places of two tenants'' embeddings by a model are along the same directions. A tenant without embeddings has the other''s.';

create or replace function hartonomous._within(
    tenant_id int, owner int, model_id bigint, box @extschema:postgis@.geometry, center @extschema:postgis@.geometry, radius double precision) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    axes  @extschema:vector@.vector[];
begin
    if hartonomous._basis_shared(tenant_id, owner, model_id) then
        return array(
            select p.artifact_id from hartonomous.embedding_place as p
            join hartonomous.embedding_basis as b on b.tenant_id = p.tenant_id and b.model_id = p.model_id and b.version = p.basis
            where b.tenant_id = owner and b.model_id = _within.model_id and b.current
              and p.tenant_id = owner and p.model_id = _within.model_id
              and p.place operator(@extschema:postgis@.&&&) box and (radius is null or @extschema:postgis@.st_3ddistance(p.place, center) <= radius)
            order by p.artifact_id);
    end if;
    axes := hartonomous._axes(tenant_id, model_id);
    return array(
        select n.artifact_id
        from (select e.artifact_id, hartonomous._place(e.embedding, axes) as place from hartonomous.atom_embedding as e
              where e.tenant_id = owner and e.model_id = _within.model_id offset 0) as n
        where n.place operator(@extschema:postgis@.&&&) box and (radius is null or @extschema:postgis@.st_3ddistance(n.place, center) <= radius)
        order by n.artifact_id);
end
$$;
comment on function hartonomous._within(int, int, bigint, @extschema:postgis@.geometry, @extschema:postgis@.geometry, double precision) is
'Artifacts of an owner whose embedding by a model has its place, along the directions of the tenant, within a box and (unless NULL) within radius of a center. What everybody sees and has its places along other directions is projected here.';

create or replace function hartonomous._within_place(
    tenant_id int, owner int, model_id bigint, center @extschema:postgis@.geometry, radius double precision) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    x constant double precision := @extschema:postgis@.st_x(center);
    y constant double precision := @extschema:postgis@.st_y(center);
    z constant double precision := @extschema:postgis@.st_z(center);
begin
    return hartonomous._within(tenant_id, owner, model_id, @extschema:postgis@.st_makeline(
        @extschema:postgis@.st_makepoint(x - radius, y - radius, z - radius), @extschema:postgis@.st_makepoint(x + radius, y + radius, z + radius)), center, radius);
end
$$;
comment on function hartonomous._within_place(int, int, bigint, @extschema:postgis@.geometry, double precision) is
'Artifacts of an owner whose embedding by a model has its place, along the directions of the tenant, within radius of a center.';

create or replace function hartonomous._within_region(tenant_id int, owner int, model_id bigint, region @extschema:postgis@.geometry) returns bigint[]
language sql stable parallel restricted
return hartonomous._within(_within_region.tenant_id, _within_region.owner, _within_region.model_id, _within_region.region, null, null);
comment on function hartonomous._within_region(int, int, bigint, @extschema:postgis@.geometry) is
'Artifacts of an owner whose embedding by a model has its place, along the directions of the tenant, within the box of a region.';
