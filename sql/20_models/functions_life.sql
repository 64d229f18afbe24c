create or replace function hartonomous.model_commit(model_id bigint) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    target hartonomous.model;
    gap    record;
begin
    select m.* into target from hartonomous.model as m
    where m.model_id = model_commit.model_id and m.tenant_id = tenant for update;
    if not found then
        raise exception 'no model with id %', model_commit.model_id using errcode = 'ZH020', hint = 'begin with hartonomous.model_begin';
    elsif target.status <> 'loading' then
        return target.parameters;
    end if;

    -- parts of the right length in all, each of them beginning where one ends: no gap, no overlap
    select t.name, t.byte_length, coalesce(sum(c.byte_length), 0) as present, count(*) over () as of_n into gap
    from hartonomous.model_tensor as t
    left join (select p.*, lag(p.start + p.byte_length, 1, 0::bigint) over (partition by p.model_tensor_id order by p.start) as before
               from hartonomous.tensor_atom_coefficient as p
               where p.model_tensor_id in (select o.model_tensor_id from hartonomous.model_tensor as o where o.model_id = model_commit.model_id)
              ) as c using (model_tensor_id)
    where t.model_id = model_commit.model_id
    group by t.model_tensor_id
    having coalesce(sum(c.byte_length), 0) <> t.byte_length or bool_or(c.start <> c.before)
    order by t.name limit 1;
    if found then
        raise exception 'tensor "%" has % of % bytes%', gap.name, gap.present, gap.byte_length,
            case when gap.present >= gap.byte_length then ', and parts of it overlap' else '' end
            using errcode = 'ZH022', detail = format('%s tensors are incomplete', gap.of_n),
                  hint = 'put the missing parts with hartonomous.tensor_put; hartonomous.tensor_missing lists them';
    end if;
    perform hartonomous._model_finish(model_commit.model_id);
    return hartonomous._model_ready(model_commit.model_id);
end
$$;
comment on function hartonomous.model_commit(bigint) is
'Finishes a model and returns its number of parameters; a tenant''s first model of a kind is deployed at once. Errors: ZH022 a tensor is incomplete or missing, ZH023 a tensor has another shape than the architecture, ZH030 the tokenizer cannot be used.';

create or replace function hartonomous._model_ready(model_id bigint, deploy boolean default true) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    target hartonomous.model;
begin
    update hartonomous.model as m
    set status = 'ready',
        parameters = (select coalesce(sum(hartonomous._shape_elements(t.shape)), 0) from hartonomous.model_tensor as t
                      where t.model_id = m.model_id)
    where m.model_id = _model_ready.model_id
    returning m.* into target;
    insert into hartonomous.model_deployment (tenant_id, kind, model_id)
    select target.tenant_id, target.kind, target.model_id where _model_ready.deploy
    on conflict (tenant_id, kind) do nothing;
    perform hartonomous._model_node(target);
    return target.parameters;
end
$$;
comment on function hartonomous._model_ready(bigint, boolean) is
'Makes a complete model one that can be used, deploys it when it may be and is the first of its kind, and returns its number of parameters.';

create or replace function hartonomous._model_finish(model_id bigint) returns void
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.models import loading
loading.finish(plpy, model_id)
$$;
comment on function hartonomous._model_finish(bigint) is
'Checks a complete model against its architecture and tokenizer, and records the hashes of its tensors and its state.';

create or replace function hartonomous._model_hashes(model_id bigint, names text[], hashes bytea[], state_hash bytea) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    update hartonomous.model_tensor as t set content_hash = h.content_hash
    from unnest(_model_hashes.names, _model_hashes.hashes) as h (name, content_hash)
    where t.model_id = _model_hashes.model_id and t.name = h.name
      and t.content_hash is distinct from h.content_hash;  -- what does not change leaves no history
    update hartonomous.model as m set state_hash = _model_hashes.state_hash where m.model_id = _model_hashes.model_id;
end;
comment on function hartonomous._model_hashes(bigint, text[], bytea[], bytea) is 'Records the hashes of a model''s tensors and of its state.';

create or replace function hartonomous._model_node(target hartonomous.model) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    tensor_ids bigint[];
    details    jsonb[];
begin
    perform hartonomous._graph_node_put(target.tenant_id, 'model', array[target.model_id],
        array[jsonb_build_object('name', target.name, 'version', target.version, 'parameters', target.parameters,
                                 'state_hash', encode(target.state_hash, 'hex'))]);
    select array_agg(t.model_tensor_id order by t.position, t.name),
           array_agg(jsonb_build_object('name', t.name, 'dtype', t.dtype, 'shape', t.shape, 'sha256', encode(t.content_hash, 'hex'))
                     order by t.position, t.name)
    into tensor_ids, details
    from hartonomous.model_tensor as t where t.model_id = target.model_id;
    perform hartonomous._graph_node_put(target.tenant_id, 'model_tensor', tensor_ids, details);
    perform hartonomous._graph_edge_put(target.tenant_id, 'model', array_fill(target.model_id, array[cardinality(tensor_ids)]),
                                        'HasTensor', 'model_tensor', tensor_ids);
end
$$;
comment on function hartonomous._model_node(hartonomous.model) is 'Puts a model and its tensors into the provenance graph.';

create or replace function hartonomous._model_own(tenant_id int, model text) returns bigint
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    candidates bigint[] := array(
        select m.model_id from hartonomous.model as m
        where m.tenant_id = _model_own.tenant_id and m.name = split_part(model, '@', 1)
          and split_part(model, '@', 2) in ('', m.version));
begin
    if cardinality(candidates) = 0 then
        raise exception 'your tenant has no model %', coalesce(quote_literal(model), 'NULL')
            using errcode = 'ZH020', hint = 'select * from hartonomous.model_list()';
    elsif cardinality(candidates) > 1 then
        raise exception 'model % has % versions', quote_literal(model), cardinality(candidates)
            using errcode = '22023', hint = 'name one as name@version';
    end if;
    return candidates[1];
end
$$;
comment on function hartonomous._model_own(int, text) is
'Id of one model of the tenant, finished or not: name when it has one version, else name@version.';

create or replace function hartonomous.model_drop(model text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    target constant bigint := hartonomous._model_own(tenant, model);
    gone       hartonomous.model;
    unfinished bigint[];
    held       bigint[];
    deployed   text;
    left_name  text;
begin
    select array_agg(distinct c.tensor_atom_id) into held
    from hartonomous.tensor_atom_coefficient as c join hartonomous.model_tensor as t using (model_tensor_id) where t.model_id = target;
    select array_agg(t.model_tensor_id) into unfinished
    from hartonomous.model_tensor as t join hartonomous.model as m using (model_id)
    where m.model_id = target and m.status = 'loading';
    select d.kind into deployed from hartonomous.model_deployment as d where d.tenant_id = tenant and target in (d.model_id, d.candidate_id);
    perform hartonomous._deployment_leave(tenant, target);
    begin
        delete from hartonomous.model as m where m.model_id = target returning m.* into gone;
    exception when foreign_key_violation then
        raise exception 'model % has made %', quote_literal(model),
            case when exists (select from hartonomous.model as h where h.base_model_id = target) then 'embeddings that heads are fitted to'
                 else 'embeddings that are stored' end
            using errcode = '23503', hint = 'keep it: hartonomous.model_archive takes it out of use';
    end;
    -- nobody ever ran an unfinished model: it leaves no history
    delete from hartonomous.tensor_atom_coefficient_history as h where h.model_tensor_id = any (unfinished);
    if gone.status = 'loading' then
        delete from hartonomous.model_tensor_history as h where h.model_id = target;
        delete from hartonomous.model_layer_history as h where h.model_id = target;
        delete from hartonomous.model_history as h where h.model_id = target;
    end if;
    perform hartonomous._weights_collect(held, array[gone.tokenizer_id]);
    if deployed is not null then
        select m.name || '@' || m.version into left_name from hartonomous.model as m
        where m.model_id = (select d.model_id from hartonomous.model_deployment as d where d.tenant_id in (0, tenant) and d.kind = deployed
                            order by d.tenant_id = tenant desc limit 1);
        raise warning 'model % was deployed: %', quote_literal(model), coalesce(quote_literal(left_name) || ' answers now where none is named',
                                                                               format('no %s model is deployed now', deployed))
            using hint = 'hartonomous.model_deploy(model) deploys another one';
    end if;
    -- should this transaction fail, whoever runs the model makes its running form again
    if not exists (select from hartonomous.model as m where m.state_hash = gone.state_hash) then
        perform hartonomous._running_forget(gone.state_hash);
    end if;
end
$$;
comment on function hartonomous.model_drop(text) is
'Removes a model, finished or not. The weights of a finished one stay in the history and so do tensor atoms that history or other models use; provenance keeps the nodes. One that is deployed hands over to its candidate, else to what was deployed before; a warning says which answers now. Errors: ZH020 no such model, 23503 embeddings of it are stored.';

create or replace function hartonomous._running_forget(state_hash bytea) returns void
language plpython3u volatile strict parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.models import running
running.forget(plpy, state_hash)
$$;
comment on function hartonomous._running_forget(bytea) is 'Removes the files that hold the running form of a state.';
