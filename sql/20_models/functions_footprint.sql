create or replace function hartonomous._footprint_put(
    coefficient_ids bigint[], lefts bigint[], rights bigint[], tops bigint[], bottoms bigint[],
    norms double precision[], means double precision[], largests double precision[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.tensor_footprint (coefficient_id, tenant_id, model_layer_id, geom, norm, mean, largest)
    select c.coefficient_id, c.tenant_id, t.model_layer_id,
           @extschema:postgis@.st_force4d(@extschema:postgis@.st_makeenvelope(f.left_, f.top, f.right_, f.bottom),
                                          coalesce(l.layer_index, -1), coalesce(f.norm, 'NaN')),
           f.norm, f.mean, f.largest
    from unnest(_footprint_put.coefficient_ids, _footprint_put.lefts, _footprint_put.rights, _footprint_put.tops, _footprint_put.bottoms,
                _footprint_put.norms, _footprint_put.means, _footprint_put.largests)
         as f (coefficient_id, left_, right_, top, bottom, norm, mean, largest)
    join hartonomous.tensor_atom_coefficient as c on c.coefficient_id = f.coefficient_id
    join hartonomous.model_tensor as t on t.model_tensor_id = c.model_tensor_id
    join hartonomous.model_layer as l on l.model_layer_id = t.model_layer_id
    on conflict (coefficient_id) do nothing;
end;
comment on function hartonomous._footprint_put(bigint[], bigint[], bigint[], bigint[], bigint[], double precision[], double precision[], double precision[]) is
'Stores the footprints of parts of tensors: columns left to right and rows top to bottom, the ends excluded.';

create or replace function hartonomous._tensor_parts_bare(model_tensor_id bigint)
returns table (coefficient_id bigint, dtype text, shape int[], start bigint, data bytea, rank int)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select c.coefficient_id, t.dtype, t.shape, c.start, a.data, c.rank
    from hartonomous.model_tensor as t
    join hartonomous.tensor_atom_coefficient as c using (model_tensor_id)
    join hartonomous.tensor_atom as a using (tensor_atom_id)
    where t.model_tensor_id = _tensor_parts_bare.model_tensor_id
      and not exists (select from hartonomous.tensor_footprint as f where f.coefficient_id = c.coefficient_id);
end;
comment on function hartonomous._tensor_parts_bare(bigint) is 'Parts of a tensor that have no footprint yet.';

create or replace function hartonomous.tensor_footprints(
    model text, of_layer text default null, region @extschema:postgis@.geometry default null)
returns table (coefficient_id bigint, layer text, tensor text, energy double precision, norm real, mean real, largest real, geom @extschema:postgis@.geometry)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
    target constant bigint := hartonomous._model_id(tenant, model);
    layers constant bigint[] := array(select l.model_layer_id from hartonomous.model_layer as l
                                      where l.model_id = target and l.name = coalesce(tensor_footprints.of_layer, l.name));
begin
    if hartonomous._masked(tenant, 'model_read') then
        perform hartonomous._mask_refuse(tenant, 'model_read', 'weights of models');
    elsif cardinality(layers) = 0 then
        raise exception 'model % has no layer %', coalesce(quote_literal(model), 'deployed by default'), quote_literal(tensor_footprints.of_layer)
            using errcode = 'ZH023', hint = 'select distinct layer from hartonomous.tensor_footprints(model)';
    end if;
    return query
    select f.coefficient_id, l.name, t.name, (f.norm::double precision * c.coefficient) ^ 2, f.norm, f.mean, f.largest, f.geom
    from hartonomous.tensor_footprint as f
    join hartonomous.tensor_atom_coefficient as c using (coefficient_id)
    join hartonomous.model_tensor as t using (model_tensor_id)
    join hartonomous.model_layer as l on l.model_layer_id = f.model_layer_id
    where f.model_layer_id = any (layers)
      and (tensor_footprints.region is null or @extschema:postgis@.st_intersects(f.geom, tensor_footprints.region))
    order by t.dtype !~ '^B?F', 4 desc nulls last, f.coefficient_id;  -- BF16, F8_E4M3, F16, F32, F64: what is weighed
end
$$;
comment on function hartonomous.tensor_footprints(text, text, @extschema:postgis@.geometry) is
'Parts of a model''s tensors by the energy they carry, most first, those of tensors of integers (positions, not weights) after all others: coefficient^2 times the sum of the squares of their elements. norm, mean and largest (absolute) are of the part unscaled; NULL for 8-bit floats, largest also for low-rank parts. geom: POLYGON ZM of the columns (x) and rows (y) it covers, where a tensor''s rows are all its dimensions but the last; z: number of the layer, -1 for none, m: norm. of_layer: one alone; region: those that meet it in x and y. NULL model: the deployed default. Errors: ZH020 no such model, ZH023 no such layer, ZH002 masked.';
