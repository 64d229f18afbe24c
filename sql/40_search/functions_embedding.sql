create or replace function hartonomous._dimensions_check(model_id bigint, v @extschema:vector@.vector) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform hartonomous._dimensions_fit((select m.dimensions from hartonomous.model as m where m.model_id = _dimensions_check.model_id), v);
end
$$;
comment on function hartonomous._dimensions_check(bigint, @extschema:vector@.vector) is 'ZH040 unless a vector fits the model and is not zero.';

create or replace function hartonomous._dimensions_fit(expected int, v @extschema:vector@.vector) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if @extschema:vector@.vector_dims(v) <> expected then
        raise exception 'expected % dimensions, not %', expected, @extschema:vector@.vector_dims(v)
            using errcode = 'ZH040', hint = 'embed the query with the same model: hartonomous.embed(text, model)';
    elsif @extschema:vector@.vector_norm(v) = 0 then
        raise exception 'the zero vector has no direction' using errcode = 'ZH040';
    end if;
end
$$;
comment on function hartonomous._dimensions_fit(int, @extschema:vector@.vector) is 'ZH040 unless a vector has so many dimensions and is not zero.';

create or replace function hartonomous._embedding_input(heading text, body text) returns text
language sql immutable parallel safe
return coalesce(_embedding_input.heading || E'\n', '') || coalesce(_embedding_input.body, '');
comment on function hartonomous._embedding_input(text, text) is 'What is embedded of an artifact: its heading path, then its text.';

create or replace function hartonomous._embedding_stale(tenant_id int, model_id bigint)
returns table (artifact_id bigint, input text)
language sql stable parallel safe
begin atomic
    select t.artifact_id, hartonomous._embedding_input(t.heading, t.body)
    from hartonomous.artifact_text as t
    left join hartonomous.atom_embedding as e
      on e.tenant_id = t.tenant_id and e.artifact_id = t.artifact_id and e.model_id = _embedding_stale.model_id
     and e.model_state = (select hartonomous._model_state(_embedding_stale.model_id))
    where t.tenant_id = _embedding_stale.tenant_id
      and exists (select from hartonomous.model as m where m.model_id = _embedding_stale.model_id and m.architecture <> 'external')
      and e.input_hash is distinct from sha256(convert_to(hartonomous._embedding_input(t.heading, t.body), 'UTF8'));
end;
comment on function hartonomous._embedding_stale(int, bigint) is
'Artifacts of a tenant whose text has no embedding by the weights that the model has now, or one of another text; none when the model''s vectors come from outside.';

create or replace function hartonomous.embedding_pending(
    model text default null, batch int default 256, worker int default 0, workers int default 1) returns bigint[]
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
begin
    if workers < 1 or worker not between 0 and workers - 1 then
        raise exception 'worker % of % workers', worker, workers using errcode = '22023', hint = 'workers count from 0';
    elsif batch < 1 then
        raise exception 'batch is %, expected at least 1', batch using errcode = '22023', hint = 'NULL gives all';
    end if;
    return array(
        select s.artifact_id from hartonomous._embedding_stale(tenant, target) as s
        where s.artifact_id % workers = worker
        order by s.artifact_id limit batch);
end
$$;
comment on function hartonomous.embedding_pending(text, int, int, int) is
'Artifacts with a text that embed_artifacts would embed, those among them that were embedded before the model''s weights changed, at most batch (NULL: all), those of one worker among several. Errors: ZH020 no such model, 22023 worker or batch.';

create or replace function hartonomous.embed_artifacts(artifact_ids bigint[], model text default null) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit('embed', cardinality(artifact_ids));
    target bigint;
begin
    perform hartonomous._artifacts_own(tenant, artifact_ids,
        'embed_artifacts takes artifacts of your own tenant; hartonomous.embedding_pending lists them');
    target := hartonomous._model_id(tenant, model, 'embedding');
    perform from hartonomous.model as m where m.model_id = target and m.status = 'ready' for key share;
    if not found then
        raise exception 'the model was dropped meanwhile' using errcode = 'ZH020', hint = 'select * from hartonomous.model_list()';
    end if;
    return hartonomous._embed_artifacts(tenant, target, artifact_ids);
end
$$;
comment on function hartonomous.embed_artifacts(bigint[], text) is
'Embeds the texts of artifacts and stores vector, place, request and provenance in the caller''s transaction; those with an embedding of their present text by the model''s present weights, and deleted ones, are passed over. Returns how many were embedded. Safe when called by many sessions at once. Errors: ZH010 no such artifact, ZH020 no such model.';

create or replace function hartonomous._embed_artifacts(tenant_id int, model_id bigint, artifact_ids bigint[]) returns bigint
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.search import embedding
return embedding.embed_artifacts(plpy, tenant_id, model_id, artifact_ids or [])
$$;
comment on function hartonomous._embed_artifacts(int, bigint, bigint[]) is 'embed_artifacts for a tenant, arguments checked.';

create or replace function hartonomous._deployment_lacks() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    before bigint;
    came   record;
    lacks  bigint;
begin
    if tg_op = 'UPDATE' then
        before := old.model_id;
    else  -- the first of a tenant takes over from the public one
        select d.model_id into before from hartonomous.model_deployment as d where d.tenant_id = 0 and d.kind = new.kind and new.tenant_id <> 0;
    end if;
    for came in select m.model_id, m.name || '@' || m.version as name from hartonomous.model as m
                where m.model_id in (new.model_id, new.candidate_id) and m.model_id <> before loop
        select count(*) into lacks from hartonomous.atom_embedding as e
        where e.tenant_id = new.tenant_id and e.model_id = before
          and not exists (select from hartonomous.atom_embedding as o
                          where o.tenant_id = new.tenant_id and o.model_id = came.model_id and o.artifact_id = e.artifact_id);
        if lacks > 0 then
            raise warning '% artifacts have no embedding by model % yet: searches do not find them', lacks, quote_literal(came.name)
                using detail = 'The model that answered until now has embedded them.',
                      hint = format('repeat select hartonomous.embed_artifacts(hartonomous.embedding_pending(%1$L), %1$L) until it gives 0', came.name);
        end if;
    end loop;
    return null;
end
$$;
comment on function hartonomous._deployment_lacks() is
'Row trigger: warns when a model is deployed that has not embedded what the one before has.';
create or replace trigger deployment_lacks after insert or update on hartonomous.model_deployment
    for each row when (new.kind = 'embedding') execute function hartonomous._deployment_lacks();

create or replace function hartonomous._embedding_put(
    tenant_id int, model_id bigint, state_hash bytea, inference_request_id bigint, artifact_ids bigint[], vectors @extschema:vector@.vector[],
    input_hashes bytea[]) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    made_by constant text := case when inference_request_id is null then 'model' else 'inference_request' end;
    basis  constant record := hartonomous._basis_hold(tenant_id, model_id);
    stored bigint[];
begin
    with written as (
        insert into hartonomous.atom_embedding as e (tenant_id, artifact_id, model_id, model_state, inference_request_id, embedding, input_hash)
        select _embedding_put.tenant_id, i.artifact_id, _embedding_put.model_id, hartonomous._state_id(_embedding_put.state_hash),
               _embedding_put.inference_request_id, i.vector, i.input_hash
        from unnest(_embedding_put.artifact_ids, _embedding_put.vectors, _embedding_put.input_hashes) as i (artifact_id, vector, input_hash)
        order by i.artifact_id
        on conflict (tenant_id, artifact_id, model_id) do update
        set embedding = excluded.embedding, input_hash = excluded.input_hash, model_state = excluded.model_state,
            inference_request_id = excluded.inference_request_id, created_at = excluded.created_at
        where e.input_hash <> excluded.input_hash or e.model_state <> excluded.model_state
        returning e.artifact_id, e.embedding
    ), placed as (
        insert into hartonomous.embedding_place (tenant_id, model_id, artifact_id, basis, place)
        select _embedding_put.tenant_id, _embedding_put.model_id, w.artifact_id, b.version, hartonomous._place(w.embedding, b.axes)
        from written as w cross join (values (basis.version, basis.axes), (basis.next_version, basis.next_axes)) as b (version, axes)
        where b.version is not null
        on conflict (tenant_id, model_id, artifact_id, basis) do update set place = excluded.place
    )
    select array_agg(w.artifact_id order by w.artifact_id) into stored from written as w;
    perform hartonomous._graph_node_put(_embedding_put.tenant_id, 'artifact', stored);
    perform hartonomous._graph_edge_put(_embedding_put.tenant_id, 'artifact', stored, 'EmbeddedBy', made_by,
        array_fill(coalesce(_embedding_put.inference_request_id, _embedding_put.model_id), array[coalesce(cardinality(stored), 0)]));
    return coalesce(cardinality(stored), 0);
end
$$;
comment on function hartonomous._embedding_put(int, bigint, bytea, bigint, bigint[], @extschema:vector@.vector[], bytea[]) is
'Stores embeddings, their places and their edges to the request that made them, or to the model when they came from outside; rows are taken in artifact order. Returns how many are new or changed.';
