create or replace function hartonomous._place(v @extschema:vector@.vector, axes @extschema:vector@.vector[]) returns @extschema:postgis@.geometry
language sql immutable parallel safe
return @extschema:postgis@.st_makepoint(
    @extschema:vector@.inner_product(_place.v, _place.axes[1]) / @extschema:vector@.vector_norm(_place.v),
    @extschema:vector@.inner_product(_place.v, _place.axes[2]) / @extschema:vector@.vector_norm(_place.v),
    @extschema:vector@.inner_product(_place.v, _place.axes[3]) / @extschema:vector@.vector_norm(_place.v));
comment on function hartonomous._place(@extschema:vector@.vector, @extschema:vector@.vector[]) is
'The direction of a vector, projected onto three orthonormal directions.';

create or replace function hartonomous._embedding_place_deleted() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
    perform pg_advisory_xact_lock_shared(hartonomous._basis_key(g.tenant_id, g.model_id))
    from (select distinct o.tenant_id, o.model_id from gone as o order by 1, 2) as g;
    delete from hartonomous.embedding_place as p using gone as g
    where p.tenant_id = g.tenant_id and p.model_id = g.model_id and p.artifact_id = g.artifact_id;
    return null;
end
$$;
comment on function hartonomous._embedding_place_deleted() is
'Statement trigger: deletes the places of deleted embeddings. No foreign key does: its check of each row takes a sixth of the time of storing embeddings, and that of a session that began with an empty table reads all.';
