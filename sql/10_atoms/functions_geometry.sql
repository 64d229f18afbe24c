create or replace function hartonomous._point(place @extschema:postgis@.geometry) returns point
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    points constant int := @extschema:postgis@.st_npoints(place);
    x      double precision;
    y      double precision;
begin
    if points is distinct from 1 then
        raise exception 'place is %, expected one point', case when place is null then 'NULL' when points = 0 then 'empty'
            else format('a %s of %s points', lower(@extschema:postgis@.geometrytype(place)), points) end
            using errcode = '22023', hint = 'for another geometry take a point of it: st_centroid, st_pointonsurface, st_closestpoint';
    elsif @extschema:postgis@.st_srid(place) <> 0 then
        raise exception 'place has the SRID %, expected 0', @extschema:postgis@.st_srid(place)
            using errcode = '22023', hint = 'atoms lie in the plane of Hilbert coordinates, 0 to 2147483647, not on the earth';
    end if;
    select @extschema:postgis@.st_x(d.geom), @extschema:postgis@.st_y(d.geom) into x, y from @extschema:postgis@.st_dumppoints(place) as d;
    -- an infinite difference is NaN, too
    if not coalesce(x - x = 0 and y - y = 0, false) then
        raise exception 'place is (%, %), expected finite coordinates', x, y using errcode = '22023';
    end if;
    return point(x, y);
end
$$;
comment on function hartonomous._point(@extschema:postgis@.geometry) is
'(x, y) of a geometry that consists of one point; 22023 for NULL, for none or several, for an SRID and for coordinates that are not finite.';

create or replace function hartonomous.atom_nearest(place @extschema:postgis@.geometry, k int default 10, modality text default null)
returns table (h_xy bigint, h_yz bigint, h_zm bigint, distance double precision, value bytea, artifact_id bigint)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    target constant point := hartonomous._point(place);
    zone   constant smallint := case when atom_nearest.modality is not null then hartonomous._modality(atom_nearest.modality) end;
    -- the ranges of modalities that there are: partitions for others hold nothing
    low    constant bigint := coalesce(zone, 0)::bigint << 58;
    high   constant bigint := (coalesce(zone, (select max(m.modality) from hartonomous.modality as m)) + 1)::bigint << 58;
begin
    if hartonomous._masked(tenant, 'content') then
        perform hartonomous._mask_refuse(tenant, 'content', 'places of atoms');
    elsif k is null or k not between 1 and 10000 then
        raise exception 'k is %, expected 1 to 10000', coalesce(k::text, 'NULL') using errcode = '22023';
    end if;
    return query
    select n.h_xy, n.h_yz, n.h_zm, n.distance, n.value,
           (select x.artifact_id from hartonomous.artifact as x
            where x.tenant_id = n.tenant_id and x.content_hash = n.content_hash and x.deleted_at is null
              and (x.h_xy, x.h_yz, x.h_zm) = (n.h_xy, n.h_yz, n.h_zm))
    from (select 0 union select tenant) as t (tenant_id)
    cross join lateral (
        select a.tenant_id, a.h_xy, a.h_yz, a.h_zm, a.value, a.content_hash, hartonomous._leaf_point(a.geom) <-> target as distance
        from hartonomous.atom as a
        where a.tenant_id = t.tenant_id and a.value is not null and a.h_xy >= low and a.h_xy < high
        order by hartonomous._leaf_point(a.geom) <-> target, a.h_zm operator(@extschema:btree_gist@.<->) 0::bigint, a.h_xy, a.h_yz
        limit atom_nearest.k) as n
    order by n.distance, n.h_zm, n.h_xy, n.h_yz
    limit atom_nearest.k;
end
$$;
comment on function hartonomous.atom_nearest(@extschema:postgis@.geometry, int, text) is
'The k leaf atoms of the tenant and of tenant 0 that lie nearest to a point in the plane of x and y, nearest first, equally near ones in the order of h_zm. value: the bytes; artifact_id: the artifact of which they are the whole, NULL for leaves that are parts only (atom_parts finds where they stand in an artifact). Leaves of deleted artifacts are among them, with their bytes, until the artifacts are purged and the leaves collected. place: one point of SRID 0, of which z and m do not count; modality: only atoms of it. Coordinates of content come from atom_identity. Errors: 22023 place, k (1 to 10000) or modality, ZH002 masked.';

create or replace function hartonomous._artifact_nearest(tenant_id int, ids bigint[], id_xs int[], id_ys int[], k int)
returns table (ord bigint, artifact_ids bigint[], xs int[], ys int[])
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select f.ord, n.artifact_ids, n.xs, n.ys
    from unnest(ids, id_xs, id_ys) with ordinality as f (artifact_id, x, y, ord)
    cross join lateral (
        select array_agg(c.artifact_id) as artifact_ids, array_agg(c.x) as xs, array_agg(c.y) as ys
        from (select a.artifact_id, a.x, a.y
              from (select 0 union select _artifact_nearest.tenant_id) as t (tenant_id)
              cross join lateral (
                  select a.artifact_id, a.x, a.y, point(a.x, a.y) <-> point(f.x, f.y) as distance from hartonomous.artifact as a
                  where a.tenant_id = t.tenant_id and a.deleted_at is null and a.x >= 0  -- says that it wants artifact_place
                  order by point(a.x, a.y) <-> point(f.x, f.y), a.artifact_id operator(@extschema:btree_gist@.<->) 0::bigint
                  limit _artifact_nearest.k + 1) as a
              where a.artifact_id <> f.artifact_id
              order by a.distance, a.artifact_id
              limit _artifact_nearest.k) as c) as n;
end
$$;
comment on function hartonomous._artifact_nearest(int, bigint[], int[], int[], int) is
'Of each artifact, whose places are given, the k live ones of the tenant and of tenant 0 that lie nearest to it, equally near ones in the order of their ids; NULL for none.';

create or replace function hartonomous._artifact_linked(tenant_id int, ids bigint[], most int)
returns table (ord bigint, artifact_ids bigint[], xs int[], ys int[])
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select f.ord, n.artifact_ids, n.xs, n.ys
    from unnest(ids) with ordinality as f (artifact_id, ord)
    cross join lateral (
        select array_agg(a.artifact_id) as artifact_ids, array_agg(a.x) as xs, array_agg(a.y) as ys
        from ((select g.to_id from hartonomous.graph_edge as g
               where g.from_type = 'artifact' and g.from_id = f.artifact_id and g.to_type = 'artifact'
                 and g.tenant_id in (0, _artifact_linked.tenant_id) limit most)
              union
              (select g.from_id from hartonomous.graph_edge as g
               where g.to_type = 'artifact' and g.to_id = f.artifact_id and g.from_type = 'artifact'
                 and g.tenant_id in (0, _artifact_linked.tenant_id) limit most)) as e (artifact_id)
        cross join lateral (
            select a.artifact_id, a.x, a.y from hartonomous.artifact as a
            where a.tenant_id in (0, _artifact_linked.tenant_id) and a.artifact_id = e.artifact_id and a.deleted_at is null
            limit 1) as a
        where a.artifact_id <> f.artifact_id) as n;
end
$$;
comment on function hartonomous._artifact_linked(int, bigint[], int) is
'Of each artifact the live ones of the tenant and of tenant 0 with which an edge of the graph connects it, whatever its direction, and their places; of each direction most at most; NULL for none.';

create or replace function hartonomous.atom_path(
    from_artifact bigint, to_artifact bigint, max_hops int default 10, edges text default 'nearest', neighbours int default 8)
returns table (step int, artifact_id bigint, cost double precision)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    masked constant boolean := hartonomous._masked(tenant, 'content');
    ends   bigint[];
    xs     int[];
    ys     int[];
begin
    if max_hops is null or max_hops < 0 then
        raise exception 'max_hops is %, expected at least 0', coalesce(max_hops::text, 'NULL') using errcode = '22023';
    elsif neighbours is null or neighbours not between 1 and 100 then
        raise exception 'neighbours is %, expected 1 to 100', coalesce(neighbours::text, 'NULL') using errcode = '22023';
    elsif edges is null or edges <> all (array['nearest', 'graph']) then
        raise exception 'edges are %, expected nearest or graph', coalesce(quote_literal(edges), 'NULL') using errcode = '22023';
    end if;
    perform hartonomous._artifact_root(tenant, from_artifact);
    perform hartonomous._artifact_root(tenant, to_artifact);
    select array_agg(a.artifact_id order by i.ord), array_agg(a.x order by i.ord), array_agg(a.y order by i.ord) into ends, xs, ys
    from unnest(array[from_artifact, to_artifact]) with ordinality as i (artifact_id, ord)
    join hartonomous.artifact as a on a.tenant_id in (0, tenant) and a.artifact_id = i.artifact_id;
    return query
    select p.step, p.artifact_id, case when not masked then p.cost end
    from hartonomous._atom_path(tenant, ends, xs, ys, max_hops, case edges when 'nearest' then neighbours end) as p;
end
$$;
comment on function hartonomous.atom_path(bigint, bigint, int, text, int) is
'The shortest way from one artifact to another by at most max_hops edges: from_artifact is step 0, cost is the length so far. Artifacts lie at (x, y) of their root atoms, and an edge is as long as the distance of its ends. edges: nearest goes from each artifact to its neighbours nearest others (1 to 100), which need not lead back; graph goes along edges of graph_edge in either direction. Only live artifacts of the tenant and of tenant 0 count. No row when there is no such way. Errors: ZH010 no such artifact, 22023 max_hops, edges or neighbours, ZH019 too many ways to try.';

create or replace function hartonomous._atom_path(tenant_id int, ends bigint[], xs int[], ys int[], max_hops int, neighbours int)
returns table (step int, artifact_id bigint, cost double precision)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import neighbourhood
return neighbourhood.path(plpy, tenant_id, ends, xs, ys, max_hops, neighbours)
$$;
comment on function hartonomous._atom_path(int, bigint[], int[], int[], int, int) is
'atom_path between two artifacts of known places; neighbours NULL: along the edges of the graph.';

create or replace function hartonomous.spatial_summary()
returns table (modality text, public boolean, bbox @extschema:postgis@.geometry, atom_count bigint, total_refs bigint,
               avg_complexity double precision, refreshed_at timestamptz)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    masked constant boolean := hartonomous._masked(tenant, 'content');
begin
    return query
    select m.name, s.tenant_id = 0, case when not masked then s.bbox end, s.atom_count,
           case when s.tenant_id = tenant then s.total_refs end, s.avg_complexity, s.refreshed_at
    from hartonomous.atom_spatial_summary as s join hartonomous.modality as m using (modality)
    where s.tenant_id in (0, tenant)
    order by s.tenant_id = 0, s.modality;
end
$$;
comment on function hartonomous.spatial_summary() is
'Atoms of the tenant and, in rows of their own, public ones, by modality: bounding box in the plane of x and y, how many, references to them as far as counted (of public atoms only for tenant 0: they would tell of others'' use), and points per atom (1 for leaves and blocks, children of composites). As of refreshed_at, which a job moves on.';

create or replace function hartonomous.spatial_summary_refresh() returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
begin
    refresh materialized view concurrently hartonomous.atom_spatial_summary;
end
$$;
comment on function hartonomous.spatial_summary_refresh() is
'Reads all atoms of all tenants and brings atom_spatial_summary up to date. Those who read or store meanwhile do not wait, other refreshes do. For a job, once an hour. Error: 42501 where hartonomous_definer may not create temporary tables in the database.';
