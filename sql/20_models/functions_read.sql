create or replace function hartonomous.model_list()
returns table (model_id bigint, name text, version text, kind text, architecture text, status text, parameters bigint,
               dimensions int, max_tokens int, deployed_at timestamptz, created_at timestamptz, state_hash bytea, tenant_id int, share real)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
begin
    return query
    select m.model_id, m.name, m.version, m.kind, m.architecture, m.status, m.parameters, m.dimensions, m.max_tokens,
           d.deployed_at, m.created_at, m.state_hash, m.tenant_id, (case when d.model_id = m.model_id then 1 - d.share else d.share end)::real
    from hartonomous.model as m
    left join hartonomous.model_deployment as d on d.tenant_id = m.tenant_id and m.model_id in (d.model_id, d.candidate_id)
    where m.tenant_id in (0, tenant)
    order by m.name, m.model_id;
end
$$;
comment on function hartonomous.model_list() is 'Models of the caller''s tenant and public ones, unfinished (status loading) and archived ones included. deployed_at, share: since when it answers what share of the requests that name no model; NULL when none.';

create or replace function hartonomous._model_state(model_id bigint) returns bigint
language sql stable parallel safe
return (select hartonomous._state_id(m.state_hash) from hartonomous.model as m where m.model_id = _model_state.model_id);
comment on function hartonomous._model_state(bigint) is '_state_id of the weights that a model has now.';

create or replace function hartonomous.model_files(model text) returns jsonb
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
begin
    if hartonomous._masked(tenant, 'model_read') then
        perform hartonomous._mask_refuse(tenant, 'model_read', 'files of models');
    end if;
    return (select jsonb_build_object('name', m.name, 'version', m.version, 'architecture', m.architecture,
                                      'config', m.config, 'tokenizer', t.definition)
            from hartonomous.model as m left join hartonomous.tokenizer as t using (tokenizer_id) where m.model_id = hartonomous._model_id(tenant, model_files.model));
end
$$;
comment on function hartonomous.model_files(text) is 'Configuration and tokenizer of a model as they were loaded. NULL: the deployed default. Errors: ZH020 no such model, ZH002 masked.';

create or replace function hartonomous.tensor_list(model text, as_of timestamptz default null)
returns table (name text, dtype text, shape int[], bytes bigint, content_hash bytea)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
    masked constant boolean := hartonomous._masked(tenant, 'model_read');
begin
    return query
    select t.name, t.dtype, t.shape, t.byte_length, hartonomous._mask_bytes(masked, t.content_hash)
    from hartonomous._tensors(case when as_of is null then hartonomous._model_id(tenant, model, unfinished => true)
                                   else (hartonomous._model_past(tenant, model, null, as_of, null)).model_id end, as_of) as t
    order by t.place, t.name;
end
$$;
comment on function hartonomous.tensor_list(text, timestamptz) is
'Tensors of a model, finished or not, in the order they were loaded; content_hash: SHA-256 of the bytes, NULL until model_commit. as_of: as committed at a time, see tensor_slice. Errors: ZH020 no such model, ZH008 before what is kept.';

create or replace function hartonomous._tensors(model_id bigint, at timestamptz)
returns table (model_tensor_id bigint, place int, name text, dtype text, shape int[], byte_length bigint, content_hash bytea)
language sql stable parallel safe
begin atomic
    select t.model_tensor_id, t.position, t.name, t.dtype, t.shape, t.byte_length, t.content_hash from hartonomous.model_tensor as t
    where t.model_id = _tensors.model_id and (_tensors.at is null or hartonomous._visible_at(t.sys_begin, null, _tensors.at))
    union all
    select h.model_tensor_id, h.position, h.name, h.dtype, h.shape, h.byte_length, h.content_hash from hartonomous.model_tensor_history as h
    where _tensors.at is not null and (select hartonomous._history_refuse(r.relation, r.kept_since, _tensors.at) from hartonomous.version_retention as r
           where r.relation = 'hartonomous.model_tensor'::regclass and r.kept_since > _tensors.at) is null
      and h.model_id = _tensors.model_id and hartonomous._visible_at(h.sys_begin, h.sys_end, _tensors.at);
end;
comment on function hartonomous._tensors(bigint, timestamptz) is 'Tensors of a model as committed at a time; NULL: now. ZH008 before what is kept.';

create or replace function hartonomous._tensor_terms(model_tensor_id bigint, at timestamptz)
returns table (coefficient_id bigint, tensor_atom_id bigint, start bigint, byte_length int, coefficient real, ordinal int, rank int)
language sql stable parallel safe
begin atomic
    select c.coefficient_id, c.tensor_atom_id, c.start, c.byte_length, c.coefficient, c.ordinal, c.rank from hartonomous.tensor_atom_coefficient as c
    where c.model_tensor_id = _tensor_terms.model_tensor_id
      and (_tensor_terms.at is null or hartonomous._visible_at(c.sys_begin, null, _tensor_terms.at))
    union all
    select h.coefficient_id, h.tensor_atom_id, h.start, h.byte_length, h.coefficient, h.ordinal, h.rank from hartonomous.tensor_atom_coefficient_history as h
    where _tensor_terms.at is not null and (select hartonomous._history_refuse(r.relation, r.kept_since, _tensor_terms.at) from hartonomous.version_retention as r
           where r.relation = 'hartonomous.tensor_atom_coefficient'::regclass and r.kept_since > _tensor_terms.at) is null
      and h.model_tensor_id = _tensor_terms.model_tensor_id
      and hartonomous._visible_at(h.sys_begin, h.sys_end, _tensor_terms.at);
end;
comment on function hartonomous._tensor_terms(bigint, timestamptz) is 'What a tensor was the sum of, as committed at a time; NULL: now. ZH008 before what is kept.';

create or replace function hartonomous._tensor_find(
    tenant_id int, model text, tensor text, at timestamptz, out model_tensor_id bigint, out byte_length bigint)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    target constant bigint := case when _tensor_find.at is null then hartonomous._model_id(_tensor_find.tenant_id, model)
                                   else (hartonomous._model_past(_tensor_find.tenant_id, model, null, _tensor_find.at, null)).model_id end;
begin
    select t.model_tensor_id, t.byte_length into model_tensor_id, byte_length
    from hartonomous._tensors(target, _tensor_find.at) as t where t.name = tensor;
    if not found then
        raise exception 'model % has no tensor %', coalesce(model, 'deployed by default'), coalesce(quote_literal(tensor), 'NULL')
            using errcode = 'ZH023', hint = 'select * from hartonomous.tensor_list(model)';
    end if;
end
$$;
comment on function hartonomous._tensor_find(int, text, text, timestamptz) is
'Key and length of a tensor as committed at a time; NULL: now. ZH020 no such model, ZH023 no such tensor.';

create or replace function hartonomous.tensor_slice(model text, name text, start bigint, length int, as_of timestamptz default null)
returns bytea
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
    found_tensor record;
    until  bigint;
begin
    if hartonomous._masked(tenant, 'model_read') then
        perform hartonomous._mask_refuse(tenant, 'model_read', 'weights of models');
    end if;
    if tensor_slice.start < 0 or tensor_slice.length < 0 then
        raise exception 'slice (%, %) is negative', tensor_slice.start, tensor_slice.length using errcode = '22011', hint = 'start counts from 0';
    end if;
    found_tensor := hartonomous._tensor_find(tenant, model, name, tensor_slice.as_of);
    until := least(least(tensor_slice.start, found_tensor.byte_length) + tensor_slice.length, found_tensor.byte_length);
    if exists (select from hartonomous._tensor_terms(found_tensor.model_tensor_id, tensor_slice.as_of) as c
               where c.ordinal > 0 or c.coefficient <> 1) then
        return hartonomous._tensor_sum(found_tensor.model_tensor_id, least(tensor_slice.start, until), until, tensor_slice.as_of);
    end if;
    return coalesce((
        select string_agg(substr(a.data, greatest(tensor_slice.start - c.start, 0)::int + 1,
                                 (least(until, c.start + c.byte_length) - greatest(tensor_slice.start, c.start))::int), '' order by c.start)
        from hartonomous._tensor_terms(found_tensor.model_tensor_id, tensor_slice.as_of) as c
        join hartonomous.tensor_atom as a using (tensor_atom_id)
        where c.start < until and c.start + c.byte_length > tensor_slice.start), '');
end
$$;
comment on function hartonomous.tensor_slice(text, text, bigint, int, timestamptz) is
'length bytes of a tensor from byte start (from 0), fewer at the end. as_of: as committed at a time, of the model that the name meant then, though it be archived or dropped since; NULL: now. Errors: ZH020 no such model, ZH023 no such tensor, ZH002 masked, 22011 negative, ZH008 as_of before what is kept of the history.';

create or replace function hartonomous._tensor_sum(model_tensor_id bigint, start bigint, until bigint, at timestamptz) returns bytea
language plpython3u stable parallel safe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.models import loading
return loading.tensor_bytes(plpy, model_tensor_id, start, until, at)
$$;
comment on function hartonomous._tensor_sum(bigint, bigint, bigint, timestamptz) is
'Bytes start to until of a tensor that is more than its tiles side by side, as committed at a time; NULL: now.';

create or replace function hartonomous.tensor(model text, name text, as_of timestamptz default null) returns bytea
language sql stable parallel restricted
set search_path = pg_catalog, pg_temp
begin atomic
    select hartonomous.tensor_slice(tensor.model, tensor.name, 0::bigint, 2147483647, tensor.as_of);
end;
comment on function hartonomous.tensor(text, text, timestamptz) is
'Bytes of a tensor, little-endian, row-major; at most 1 GB, use tensor_slice beyond. Errors: ZH020 no such model, ZH023 no such tensor, ZH002 masked. as_of: see tensor_slice.';

create or replace function hartonomous._tensor_parts(model_id bigint, at timestamptz)
returns table (coefficient_id bigint, name text, dtype text, shape int[], plain boolean, start bigint, data bytea, coefficient real, rank int)
language sql stable parallel safe
begin atomic
    select c.coefficient_id, t.name, t.dtype, t.shape,
           not exists (select from hartonomous._tensor_terms(t.model_tensor_id, _tensor_parts.at) as o where o.ordinal > 0 or o.coefficient <> 1),
           c.start, a.data, c.coefficient, c.rank
    from hartonomous._tensors(_tensor_parts.model_id, _tensor_parts.at) as t
    left join lateral hartonomous._tensor_terms(t.model_tensor_id, _tensor_parts.at) as c on true
    left join hartonomous.tensor_atom as a using (tensor_atom_id)
    order by t.place, t.name, c.ordinal, c.start;
end;
comment on function hartonomous._tensor_parts(bigint, timestamptz) is
'What the tensors of a model were the sum of, as committed at a time (NULL: now), tensor by tensor, tiles first; one row without data for a tensor of zero bytes. plain: tiles side by side are all of it.';

create or replace function hartonomous.model_storage(
    model text, out raw_bytes bigint, out stored_bytes bigint, out shared_bytes bigint)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
begin
    select s.* into raw_bytes, stored_bytes, shared_bytes from hartonomous._model_storage(hartonomous._model_id(tenant, model)) as s;
end
$$;
comment on function hartonomous.model_storage(text) is
'Bytes of a model''s tensors, bytes of the distinct tensor atoms they are stored as, and how many of those other models use too. ZH020 no such model.';

create or replace function hartonomous._model_storage(
    model_id bigint, out raw_bytes bigint, out stored_bytes bigint, out shared_bytes bigint)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    with used as (
        select distinct c.tensor_atom_id from hartonomous.model_tensor as t
        join hartonomous.tensor_atom_coefficient as c using (model_tensor_id) where t.model_id = _model_storage.model_id
    )
    select sum(t.byte_length),
           (select sum(octet_length(a.data)) from used join hartonomous.tensor_atom as a using (tensor_atom_id)),
           (select coalesce(sum(octet_length(a.data)), 0) from used join hartonomous.tensor_atom as a using (tensor_atom_id)
            where exists (select from hartonomous.tensor_atom_coefficient as c join hartonomous.model_tensor as o using (model_tensor_id)
                          where c.tensor_atom_id = a.tensor_atom_id and o.model_id <> _model_storage.model_id))
    from hartonomous.model_tensor as t where t.model_id = _model_storage.model_id;
end;
comment on function hartonomous._model_storage(bigint) is 'model_storage by model id.';
