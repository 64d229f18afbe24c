create or replace function hartonomous.tokenize(content text, model text default null) returns int[]
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('inference');
begin
    return hartonomous._tokenize(hartonomous._model_id(tenant, model, case when model is null then 'embedding' end), content);
end
$$;
comment on function hartonomous.tokenize(text, text) is
'Token ids of a text as the model reads it, special tokens and truncation included. NULL text gives NULL; model NULL: the deployed embedding model. ZH020 no such model.';

create or replace function hartonomous._tokenize(model_id bigint, content text) returns int[]
language plpython3u stable strict parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import engine
return engine.tokenizer(plpy, model_id).encode_batch([content])[0]
$$;
comment on function hartonomous._tokenize(bigint, text) is 'tokenize by model id.';

create or replace function hartonomous.detokenize(tokens int[], model text default null) returns text
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('inference');
begin
    if array_position(array(select unnest(tokens)), null) is not null then
        raise exception 'token is NULL' using errcode = '22004';
    end if;
    return hartonomous._mask_text(
        tokens is not null and hartonomous._masked(tenant, 'inference'),
        hartonomous._detokenize(hartonomous._model_id(tenant, model, case when model is null then 'embedding' end),
                                case when tokens is not null then array(select unnest(tokens)) end));
end
$$;
comment on function hartonomous.detokenize(int[], text) is
'Text of token ids, without special tokens. NULL gives NULL; 22023 for an id outside the vocabulary, 22004 for a NULL one, ZH020 no such model.';

create or replace function hartonomous._detokenize(model_id bigint, tokens int[]) returns text
language plpython3u stable strict parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import engine
return engine.tokenizer(plpy, model_id).decode(tokens)
$$;
comment on function hartonomous._detokenize(bigint, int[]) is 'detokenize by model id.';

create or replace function hartonomous.embed(content text, model text default null, as_of timestamptz default null)
returns @extschema:vector@.vector
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('inference');
    past   record;
begin
    if content is null then
        return null;
    elsif as_of is null then
        return hartonomous._vector((hartonomous._embed(hartonomous._model_id(tenant, model, 'embedding'), array[content]))[1]);
    end if;
    past := hartonomous._model_past(tenant, model, 'embedding', as_of, null);
    return hartonomous._vector((hartonomous._embed_past(past.model_id, past.state_hash, as_of, array[content]))[1]);
end
$$;
comment on function hartonomous.embed(text, text, timestamptz) is
'Embedding of a text by a model''s weights in the tables; stable and unrecorded, so an index can serve order by v <=> embed(''...''). Before the text stands the default prompt, where config_sentence_transformers.json of the model states one. NULL text gives NULL; model NULL: the deployed one. as_of: by the weights that were committed at a time, of the model that the name meant then, though it be archived or dropped since: on the same engine and BLAS core bit for bit what embed gave then. Errors: ZH020 no such embedding model, ZH008 as_of before what is kept of the history.';

create or replace function hartonomous._embed(model_id bigint, contents text[], role text default '') returns bytea[]
language plpython3u stable strict parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import engine
return engine.embed(plpy, model_id, contents, role=role).images()
$$;
comment on function hartonomous._embed(bigint, text[], text) is
'Vector images of texts, by model id, unrecorded. role: query or document, for the prompt that the model states for them; empty: its default prompt.';

create or replace function hartonomous._embed_past(
    model_id bigint, state_hash bytea, as_of timestamptz, contents text[], role text default '') returns bytea[]
language plpython3u stable strict parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import engine
return engine.embed(plpy, model_id, contents, engine.Past(as_of, state_hash), role).images()
$$;
comment on function hartonomous._embed_past(bigint, bytea, timestamptz, text[], text) is
'Vector images of texts, by a state that a model had at a time, unrecorded. role: see _embed.';

create or replace function hartonomous.embed_many(contents text[], model text default null) returns @extschema:vector@.vector[]
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit('inference', cardinality(contents));
begin
    if contents is null then
        return null;
    elsif array_position(contents, null) is not null then
        raise exception 'text % is NULL', array_position(contents, null) using errcode = '22004', hint = 'the empty text can be embedded';
    end if;
    perform hartonomous._tenant_writable('inference', tenant);
    return array(
        select hartonomous._vector(i.image)
        from unnest(hartonomous._embed_recorded(tenant, hartonomous._model_id(tenant, model, 'embedding'), contents))
             with ordinality as i (image, ord)
        order by i.ord);
end
$$;
comment on function hartonomous.embed_many(text[], text) is
'Embeddings of texts, in order, recorded as one inference_request. A long batch is computed by as many threads as the setting hartonomous.inference_threads says (2), at most one for each processor, and as fit into hartonomous.inference_memory (512MB); they change no bit. A session may lower both; more than is set for its role or database, or in the configuration of the server, has no effect. NULL gives NULL; model NULL: the deployed one. Errors: 22004 a NULL text, ZH020 no such embedding model, ZH033 one text takes more than that memory (up to 32 MB the setting is not asked).';

create or replace function hartonomous._embed_recorded(tenant_id int, model_id bigint, contents text[]) returns bytea[]
language plpython3u volatile strict parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import engine
batch = engine.embed(plpy, model_id, contents)
batch.record(plpy, tenant_id, 'embed_many')
return batch.images()
$$;
comment on function hartonomous._embed_recorded(int, bigint, text[]) is 'Vector images of texts, by model id, recorded.';

create or replace function hartonomous._setting_given(name text) returns text
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    -- any role may set such a setting for its session; for roles and databases a superuser does, or who has the right by GRANT SET
    select coalesce(
        (select split_part(c.entry, '=', 2)
         from pg_db_role_setting as s cross join lateral unnest(s.setconfig) as c (entry)
         where s.setrole in (0, (select r.oid from pg_roles as r where r.rolname = session_user)) and s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))
           and lower(split_part(c.entry, '=', 1)) = _setting_given.name
         order by s.setrole = 0, s.setdatabase = 0 limit 1),
        (select f.setting from pg_file_settings as f where lower(f.name) = _setting_given.name and f.error is null order by f.seqno desc limit 1));
end;
comment on function hartonomous._setting_given(text) is
'What an administrator set for the role that logged in, else for this database, else for all, else in the configuration of the server; NULL when nothing.';

create or replace function hartonomous._request_put(
    tenant_id int, operation text, model_id bigint, state_hash bytea, input_hash bytea, output_hash bytea,
    items int, tokens bigint, engine text, blas_core text, threads int, seconds double precision, parameters jsonb default '{}') returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    request bigint;
begin
    insert into hartonomous.inference_request
        (tenant_id, operation, model_id, state_hash, input_hash, output_hash, items, tokens, engine, blas_core, threads, role_name, duration,
         parameters)
    values (_request_put.tenant_id, _request_put.operation, _request_put.model_id, _request_put.state_hash, _request_put.input_hash,
            _request_put.output_hash, _request_put.items, _request_put.tokens,
            concat('hartonomous ', hartonomous.version(), ', ', _request_put.engine), _request_put.blas_core, _request_put.threads,
            hartonomous._caller(), make_interval(secs => seconds), _request_put.parameters)
    returning inference_request_id into request;
    perform hartonomous._graph_node_put(_request_put.tenant_id, 'inference_request', array[request],
        array[jsonb_build_object('operation', _request_put.operation, 'items', _request_put.items,
                                 'state_hash', encode(_request_put.state_hash, 'hex'))]);
    perform hartonomous._graph_edge_put(_request_put.tenant_id, 'inference_request', array[request], 'UsedModel', 'model',
                                        array[_request_put.model_id]);
    return request;
end
$$;
comment on function hartonomous._request_put(int, text, bigint, bytea, bytea, bytea, int, bigint, text, text, int, double precision, jsonb) is
'Records an inference request and its edge to the model; returns its id.';
