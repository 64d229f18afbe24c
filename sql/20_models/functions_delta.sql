create or replace function hartonomous.tensor_delta_add(model text, name text, u real[], v real[], sigma real) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    target constant bigint := hartonomous._model_own(tenant, model);
    matrix hartonomous.model_tensor;
    added  bigint;
begin
    if u is null or v is null or sigma is null then
        raise exception 'u, v and sigma must not be NULL' using errcode = '22004';
    end if;
    perform from hartonomous.model as m where m.model_id = target and m.status <> 'loading' for no key update;
    if not found then
        raise exception 'model % is still being loaded', quote_literal(model) using errcode = 'ZH022', hint = 'finish it with hartonomous.model_commit';
    end if;
    select t.* into matrix from hartonomous.model_tensor as t where t.model_id = target and t.name = tensor_delta_add.name;
    if not found then
        raise exception 'model % has no tensor %', quote_literal(model), coalesce(quote_literal(name), 'NULL')
            using errcode = 'ZH023', hint = 'select * from hartonomous.tensor_list(model)';
    elsif cardinality(matrix.shape) <> 2 or matrix.dtype not in ('F64', 'F32', 'F16', 'BF16') then
        raise exception 'tensor "%" is % %, expected a matrix of F64, F32, F16 or BF16', name, matrix.dtype, matrix.shape using errcode = 'ZH023';
    elsif array_ndims(u) is distinct from 1 or array_ndims(v) is distinct from 1 or array[cardinality(u), cardinality(v)] <> matrix.shape then
        raise exception 'u has % elements and v %, but tensor "%" has % rows and % columns',
            cardinality(u), cardinality(v), name, matrix.shape[1], matrix.shape[2] using errcode = 'ZH023';
    elsif array_position(u || v, null) is not null then
        raise exception 'an element of u or v is NULL' using errcode = '22004';
    elsif exists (select from unnest(u || v || sigma) as e (x) where not e.x between '-3.4028235e38' and '3.4028235e38') then
        raise exception 'u, v or sigma is not finite' using errcode = 'ZH023';
    end if;
    added := hartonomous._tensor_factors_put(tenant, matrix.model_tensor_id, sigma, 1, hartonomous._float32_bytes(u || v));
    perform hartonomous._tensor_changed(target, matrix.name);
    return added;
end
$$;
comment on function hartonomous.tensor_delta_add(text, text, real[], real[], real) is
'Adds sigma u v^T to a matrix of a model: in float32, rounded once to the stored dtype. The weights before stay in the history; the model gets a new state_hash. Embeddings that are stored stay, and are pending again: hartonomous.embedding_pending. Returns the coefficient_id of the added part. Errors: ZH020 no such model, ZH022 not finished, ZH023 no such matrix, wrong lengths, not finite or the sum not finite, 22004 NULL.';

create or replace function hartonomous.coefficient_set(coefficient_id bigint, value real) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    part   record;
begin
    if coefficient_id is null or value is null then
        raise exception 'coefficient_id and value must not be NULL' using errcode = '22004';
    elsif not value between '-3.4028235e38' and '3.4028235e38' then
        raise exception 'value is not finite' using errcode = 'ZH023';
    end if;
    select t.model_id, t.name, t.dtype, m.status into part
    from hartonomous.tensor_atom_coefficient as c
    join hartonomous.model_tensor as t using (model_tensor_id)
    join hartonomous.model as m on m.model_id = t.model_id
    where c.coefficient_id = coefficient_set.coefficient_id and c.tenant_id = tenant for no key update of m;
    if not found then
        raise exception 'no coefficient %', coefficient_set.coefficient_id using errcode = 'ZH023',
            hint = 'tensor_delta_add returns one; hartonomous.tensor_atom_coefficient lists them';
    elsif part.status = 'loading' then
        raise exception 'the model is still being loaded' using errcode = 'ZH022', hint = 'finish it with hartonomous.model_commit';
    elsif part.dtype not in ('F64', 'F32', 'F16', 'BF16') then
        raise exception 'tensor "%" is %, expected F64, F32, F16 or BF16', part.name, part.dtype using errcode = 'ZH023';
    end if;
    update hartonomous.tensor_atom_coefficient as c set coefficient = coefficient_set.value
    where c.coefficient_id = coefficient_set.coefficient_id;
    perform hartonomous._tensor_changed(part.model_id, part.name);
end
$$;
comment on function hartonomous.coefficient_set(bigint, real) is
'Scales one part of a tensor, a tile or a low-rank part, by another coefficient; 0 takes it out. As after tensor_delta_add the weights before stay in the history, the model gets a new state_hash, and stored embeddings are pending again. Errors: ZH023 no such coefficient of your tenant, no floating-point tensor, not finite or the sum not finite, ZH022 model not finished, 22004 NULL.';

create or replace function hartonomous._float32_bytes(x real[]) returns bytea
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select string_agg(substr(b.big, 4, 1) || substr(b.big, 3, 1) || substr(b.big, 2, 1) || substr(b.big, 1, 1), '' order by e.ord)
    from unnest(_float32_bytes.x) with ordinality as e (value, ord)
    cross join lateral (select float4send(e.value)) as b (big);
end;
comment on function hartonomous._float32_bytes(real[]) is 'Numbers as little-endian float32.';

create or replace function hartonomous._tensor_factors_put(
    tenant_id int, model_tensor_id bigint, coefficient real, rank int, data bytea) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    hash  constant bytea := sha256(data);
    atom  bigint;
    added bigint;
begin
    loop  -- who drops the atom between the two makes it be put anew
        insert into hartonomous.tensor_atom (tenant_id, content_hash, data) values (_tensor_factors_put.tenant_id, hash, _tensor_factors_put.data)
        on conflict (tenant_id, content_hash) do nothing;
        select a.tensor_atom_id into atom from hartonomous.tensor_atom as a
        where a.tenant_id = _tensor_factors_put.tenant_id and a.content_hash = hash for key share;
        exit when found;
    end loop;
    insert into hartonomous.tensor_atom_coefficient
        (tenant_id, model_tensor_id, tensor_atom_id, start, byte_length, coefficient, ordinal, rank)
    select _tensor_factors_put.tenant_id, _tensor_factors_put.model_tensor_id, atom, 0, octet_length(_tensor_factors_put.data),
           _tensor_factors_put.coefficient, coalesce(max(c.ordinal), 0) + 1, _tensor_factors_put.rank
    from hartonomous.tensor_atom_coefficient as c where c.model_tensor_id = _tensor_factors_put.model_tensor_id
    returning coefficient_id into added;
    return added;
end
$$;
comment on function hartonomous._tensor_factors_put(int, bigint, real, int, bytea) is
'Adds a low-rank part to a tensor of which the caller holds the model, and returns its coefficient_id.';

create or replace function hartonomous._tensor_changed(model_id bigint, tensor text) returns void
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.models import loading
loading.rehash(plpy, model_id, tensor)
$$;
comment on function hartonomous._tensor_changed(bigint, text) is
'Records the hash of a tensor whose parts have changed, and that of the model''s state; ZH023 unless it is finite.';
