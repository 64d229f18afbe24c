-- Its owner must be past row security, since it is filled as its owner; nobody else may read it.
create materialized view hartonomous.atom_spatial_summary as
select a.tenant_id, a.modality, @extschema:postgis@.st_extent(a.geom)::@extschema:postgis@.geometry as bbox, count(*) as atom_count,
       sum(a.ref_count)::bigint as total_refs, avg(@extschema:postgis@.st_npoints(a.geom))::double precision as avg_complexity,
       now() as refreshed_at
from hartonomous.atom as a
group by a.tenant_id, a.modality;
create unique index atom_spatial_summary_key on hartonomous.atom_spatial_summary (tenant_id, modality);
comment on materialized view hartonomous.atom_spatial_summary is
'Atoms by tenant and modality, as of the last spatial_summary_refresh; read through spatial_summary. After a restore it is empty until then.';
