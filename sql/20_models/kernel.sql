create or replace function hartonomous._dtype_bytes(dtype text) returns int
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    size int := case when dtype in ('F64', 'I64', 'U64') then 8
                     when dtype in ('F32', 'I32', 'U32') then 4
                     when dtype in ('F16', 'BF16', 'I16', 'U16') then 2
                     when dtype in ('I8', 'U8', 'BOOL', 'F8_E4M3', 'F8_E5M2') then 1 end;
begin
    if size is null then
        raise exception 'unknown dtype %', coalesce(quote_literal(dtype), 'NULL') using errcode = 'ZH023',
            hint = 'use the names of the safetensors format, such as F32, BF16 or I64';
    end if;
    return size;
end
$$;
comment on function hartonomous._dtype_bytes(text) is 'Bytes of one element of a safetensors dtype; ZH023 when unknown.';

create or replace function hartonomous._shape_elements(shape int[]) returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    elements numeric := 1;
    extent   int;
begin
    foreach extent in array coalesce(shape, '{}') loop
        if extent is null or extent < 0 then
            raise exception 'shape % has an extent that is %', shape, coalesce(extent::text, 'NULL') using errcode = 'ZH023';
        end if;
        elements := elements * extent;
    end loop;
    if elements > 2::numeric ^ 50 then
        raise exception 'shape % has more than 2^50 elements', shape using errcode = 'ZH023';
    end if;
    return elements;
end
$$;
comment on function hartonomous._shape_elements(int[]) is 'Elements of a tensor of the shape; one for a scalar {}. ZH023 for NULL, negative or absurd extents.';

create or replace function hartonomous._state_id(state_hash bytea) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substr(_state_id.state_hash, 1, 8), 'hex'))::bit(64)::bigint;
comment on function hartonomous._state_id(bytea) is 'The first 8 bytes of a state_hash: what was made by weights of a model names them so.';

create or replace function hartonomous._model_id(
    tenant_id int, model text, kind text default null, unfinished boolean default false) returns bigint
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    found_id bigint;
    status   text;
    wanted_name    constant text := split_part(model, '@', 1);
    wanted_version constant text := nullif(split_part(model, '@', 2), '');
begin
    -- the tenant's own before the public ones; without a version the deployed one, then the newest
    select m.model_id, m.status into found_id, status
    from hartonomous.model as m
    left join hartonomous.model_deployment as d on d.tenant_id = m.tenant_id and d.model_id = m.model_id
    where m.tenant_id in (0, _model_id.tenant_id)
      and (m.status <> 'loading' or (unfinished and m.tenant_id = _model_id.tenant_id))
      and (_model_id.kind is null or m.kind = _model_id.kind)
      and case when _model_id.model is null then d.model_id is not null
               else m.name = wanted_name and (wanted_version is null or m.version = wanted_version) end
    order by m.tenant_id = _model_id.tenant_id desc, array_position(array['ready', 'loading', 'archived'], m.status),
             d.deployed_at desc nulls last, m.created_at desc, m.model_id
    limit 1;
    if found_id is null then
        raise exception '%', case when model is null then concat_ws(' ', 'no', kind, 'model is deployed')
                                  else concat_ws(' ', 'no', kind, 'model', quote_literal(model)) end
            using errcode = 'ZH020', hint = 'select * from hartonomous.model_list(); load one with: hartonomous models ingest PATH';
    elsif status = 'archived' and kind is not null then
        raise exception 'model % is archived', quote_literal(model)
            using errcode = 'ZH020', hint = 'hartonomous.model_deploy brings it back; its weights can be read as before';
    end if;
    return found_id;
end
$$;
comment on function hartonomous._model_id(int, text, text, boolean) is
'Id of a model: name or name@version, own tenant before tenant 0; NULL means the deployed default of the kind; kind: one that runs, so no archived one; unfinished: also one that the tenant is loading. ZH020 when there is none.';

create or replace function hartonomous._share_place(content text) returns double precision
language sql stable strict parallel safe
return ('x' || left(encode(sha256(convert_to(_share_place.content, 'UTF8')), 'hex'), 8))::bit(32)::bigint / 4294967296::double precision;
comment on function hartonomous._share_place(text) is 'The first 32 bits of the SHA-256 of a content, as a fraction of all.';

create or replace function hartonomous._model_route(tenant_id int, model text, kind text, content text) returns bigint
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    deployed constant bigint := hartonomous._model_id(_model_route.tenant_id, model, _model_route.kind);
    chosen   bigint;
begin
    if model is null then
        select d.candidate_id into chosen from hartonomous.model_deployment as d
        where d.tenant_id in (0, _model_route.tenant_id) and d.model_id = deployed and hartonomous._share_place(content) < d.share;
    end if;
    return coalesce(chosen, deployed);
end
$$;
comment on function hartonomous._model_route(int, text, text, text) is
'_model_id for a request whose answer stands by itself: where no model is named, the candidate gets those contents of which the first 32 bits of the SHA-256, as a fraction, are below its share.';

create or replace function hartonomous._visible_at(sys_begin bigint, sys_end bigint, at timestamptz) returns boolean
language sql stable parallel safe
return hartonomous._commit_time(_visible_at.sys_begin) <= _visible_at.at
       and (_visible_at.sys_end is null or coalesce(hartonomous._commit_time(_visible_at.sys_end), 'infinity') > _visible_at.at);
comment on function hartonomous._visible_at(bigint, bigint, timestamptz) is
'Whether a version with these stamps (sys_end NULL: the current one) was committed at a time.';

create or replace function hartonomous._model_past(
    tenant_id int, model text, kind text, at timestamptz, content text, out model_id bigint, out state_hash bytea)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    wanted_name    constant text := split_part(model, '@', 1);
    wanted_version constant text := nullif(split_part(model, '@', 2), '');
    place constant double precision := hartonomous._share_place(content);
begin
    -- all that a model was: whether a running form happens to be there must not decide what is answered
    perform hartonomous._history_refuse(r.relation, r.kept_since, _model_past.at) from hartonomous.version_retention as r
    where r.kept_since > _model_past.at
      and r.relation = any (array['hartonomous.model', 'hartonomous.model_deployment', 'hartonomous.model_tensor',
                                  'hartonomous.tensor_atom_coefficient']::regclass[]);
    -- ranks as _model_id does, over what was committed then; what is past may run though it is archived or gone since
    with deployment as (
        select d.tenant_id, case when place < d.share then d.candidate_id else d.model_id end as model_id, d.deployed_at from (
            select c.tenant_id, c.model_id, c.candidate_id, c.share, c.deployed_at, c.sys_begin, null::bigint as sys_end
            from hartonomous.model_deployment as c
            union all
            select h.tenant_id, h.model_id, h.candidate_id, h.share, h.deployed_at, h.sys_begin, h.sys_end
            from hartonomous.model_deployment_history as h) as d
        where d.tenant_id in (0, _model_past.tenant_id) and hartonomous._visible_at(d.sys_begin, d.sys_end, _model_past.at)
    ), version as (
        select c.model_id, c.tenant_id, c.name, c.version, c.kind, c.status, c.state_hash, c.created_at, c.sys_begin, null::bigint as sys_end
        from hartonomous.model as c
        union all
        select h.model_id, h.tenant_id, h.name, h.version, h.kind, h.status, h.state_hash, h.created_at, h.sys_begin, h.sys_end
        from hartonomous.model_history as h
    )
    select v.model_id, v.state_hash into model_id, state_hash
    from version as v
    left join deployment as d on d.tenant_id = v.tenant_id and d.model_id = v.model_id
    where v.tenant_id in (0, _model_past.tenant_id)
      and (v.status = 'ready' or (v.status = 'archived' and _model_past.kind is null))
      and (_model_past.kind is null or v.kind = _model_past.kind)
      and case when _model_past.model is null then d.model_id is not null
               else v.name = wanted_name and (wanted_version is null or v.version = wanted_version) end
      and hartonomous._visible_at(v.sys_begin, v.sys_end, _model_past.at)
    order by v.tenant_id = _model_past.tenant_id desc, v.status = 'ready' desc, d.deployed_at desc nulls last, v.created_at desc, v.model_id
    limit 1;
    if not found then
        raise exception '%', concat_ws(' ', case when model is null then concat_ws(' ', 'no', kind, 'model was deployed')
                                                 else concat_ws(' ', 'no', kind, 'model', quote_literal(model)) end, 'at', _model_past.at)
            using errcode = 'ZH020', hint = 'select * from hartonomous.model__all() shows when models were there';
    end if;
end
$$;
comment on function hartonomous._model_past(int, text, text, timestamptz, text) is
'Id and state of the model that a name meant at a time, as _model_id says it for now, and _model_route for the content, if any. ZH020 when there was none, ZH008 before what is kept.';
