create or replace function hartonomous.embedding_model_register(name text, dimensions int) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    made   hartonomous.model;
begin
    if coalesce(embedding_model_register.name, '') !~ '^[^@\s]+$' then
        raise exception 'model name % must be non-empty, without @ and white space', coalesce(quote_literal(embedding_model_register.name), 'NULL')
            using errcode = '22023';
    elsif embedding_model_register.dimensions is null or embedding_model_register.dimensions not between 1 and 16000 then
        raise exception 'dimensions is %, expected 1 to 16000', coalesce(embedding_model_register.dimensions::text, 'NULL') using errcode = '22023';
    end if;
    insert into hartonomous.model (tenant_id, name, version, kind, architecture, config, dimensions, parameters, state_hash, status)
    values (tenant, embedding_model_register.name, '1', 'embedding', 'external', '{}', embedding_model_register.dimensions, 0,
            sha256(convert_to(format('external %s %s', embedding_model_register.dimensions, embedding_model_register.name), 'UTF8')), 'ready')
    on conflict (tenant_id, name, version) do nothing
    returning * into made;
    if made.model_id is not null then
        perform hartonomous._basis_make(tenant, made.model_id);
        perform hartonomous._graph_node_put(tenant, 'model', array[made.model_id],
            array[jsonb_build_object('name', made.name, 'version', made.version, 'dimensions', made.dimensions)]);
        return made.model_id;
    end if;
    select m.* into made from hartonomous.model as m where m.tenant_id = tenant and m.name = embedding_model_register.name and m.version = '1';
    if (made.architecture, made.dimensions, made.status) is distinct from ('external', embedding_model_register.dimensions, 'ready') then
        raise exception 'model %@1 exists already', embedding_model_register.name using errcode = 'ZH021',
            detail = format('architecture %s, dimensions %s, %s', made.architecture, made.dimensions, made.status),
            hint = 'take another name, or remove it with hartonomous.model_drop';
    end if;
    return made.model_id;
end
$$;
comment on function hartonomous.embedding_model_register(text, int) is
'Registers a model whose vectors come from outside, by embedding_put_many, and returns its id; again with the same dimensions, the same id. It has no weights: embed refuses it, and it is not deployed by itself. Errors: 22023 name or dimensions (1 to 16000), ZH021 another model has the name.';

create or replace function hartonomous.embedding_put_many(artifact_ids bigint[], vectors @extschema:vector@.vector[], model text) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('embed', cardinality(artifact_ids));
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
    base   hartonomous.model;
    wrong  record;
begin
    if artifact_ids is null or vectors is null then
        raise exception 'artifact_ids and vectors must not be NULL' using errcode = '22004';
    elsif cardinality(artifact_ids) <> cardinality(vectors) then
        raise exception '% artifacts, but % vectors', cardinality(artifact_ids), cardinality(vectors) using errcode = '22023';
    end if;
    select m.* into base from hartonomous.model as m
    where m.model_id = target and m.architecture = 'external' and m.status = 'ready' for key share;
    if not found then
        raise exception 'model % makes its own vectors', coalesce(quote_literal(model), 'deployed by default') using errcode = 'ZH031',
            hint = 'hartonomous.embed_artifacts stores them; vectors from outside go to a model of hartonomous.embedding_model_register';
    end if;
    select v.position, v.vector into wrong from unnest(embedding_put_many.vectors) with ordinality as v (vector, position)
    where v.vector is null or @extschema:vector@.vector_dims(v.vector) <> base.dimensions or @extschema:vector@.vector_norm(v.vector) = 0
    order by v.position limit 1;
    if found then
        raise exception 'vector %: expected % dimensions and not all zero, not %', wrong.position, base.dimensions,
            coalesce(@extschema:vector@.vector_dims(wrong.vector)::text, 'NULL') using errcode = 'ZH040';
    end if;
    select i.id, count(*) as times into wrong from unnest(embedding_put_many.artifact_ids) as i (id)
    group by i.id having count(*) > 1
        or not exists (select from hartonomous.artifact as a where a.artifact_id = i.id and a.tenant_id = tenant)
    order by i.id limit 1;
    if found and wrong.times > 1 then
        raise exception 'artifact % is given % times', coalesce(wrong.id::text, 'NULL'), wrong.times using errcode = '22023';
    elsif found then
        raise exception 'no artifact %', coalesce(wrong.id::text, 'NULL') using errcode = 'ZH010',
            hint = 'embedding_put_many takes artifacts of your own tenant';
    end if;
    return hartonomous._embedding_put(tenant, target, base.state_hash, null, embedding_put_many.artifact_ids, embedding_put_many.vectors, array(
        select sha256(@extschema:vector@.vector_send(v.vector)) from unnest(embedding_put_many.vectors) with ordinality as v (vector, position)
        order by v.position));
end
$$;
comment on function hartonomous.embedding_put_many(bigint[], @extschema:vector@.vector[], text) is
'Stores vectors that come from outside for artifacts of the own tenant, by a model of embedding_model_register, with their places and provenance; one that is there is replaced. Returns how many are new or changed. All or nothing. Errors: ZH010 no such artifact, ZH020 no such model, ZH031 the model makes its own, ZH040 a vector is NULL, zero or has other dimensions, 22023 lengths differ or an artifact is given twice, 22004 NULL.';
