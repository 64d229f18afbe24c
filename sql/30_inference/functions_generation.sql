create or replace function hartonomous.generate(
    prompt text, model text default null, max_tokens int default 64, temperature real default 0, top_k int default 0,
    top_p real default 1, seed bigint default null, as_of timestamptz default null, repetition_penalty real default 1,
    stop text[] default null) returns text
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    run constant record := hartonomous._generation_begin(case when prompt is not null then array[prompt] end, model, as_of);
begin
    return case when run.model_id is not null then hartonomous._mask_text(run.masked, (hartonomous._generate(
        run.tenant_id, 'generate', run.model_id, array[prompt],
        hartonomous._generation_options(max_tokens, temperature, top_k, top_p, seed, repetition_penalty, stop), as_of, run.state_hash))[1]) end;
end
$$;
comment on function hartonomous.generate(text, text, int, real, int, real, bigint, timestamptz, real, text[]) is
'Text that follows a prompt, by a decoder''s weights in the tables, recorded as an inference_request. It has at most max_tokens tokens and ends at the model''s end token or before the first of the texts in stop. temperature 0: always the likeliest token; above, one is drawn among the top_k likeliest (0: all) that together reach the probability top_p. repetition_penalty above 1 makes tokens that were there less likely. The same seed draws the same text; NULL: a new one, which the request tells. NULL prompt gives NULL, an empty one begins with the model''s first token; model NULL: the deployed one. Errors: ZH020 no such generation model, 22023 an option is out of range or prompt and max_tokens exceed the model''s positions, ZH032 the prediction is not finite, ZH033 more memory than the setting hartonomous.inference_memory (512MB). as_of: by the weights that were committed at a time, as embed; ZH008 before what is kept of the history.';

create or replace function hartonomous.generate_many(
    prompts text[], model text default null, max_tokens int default 64, temperature real default 0, top_k int default 0,
    top_p real default 1, seed bigint default null, as_of timestamptz default null, repetition_penalty real default 1,
    stop text[] default null) returns text[]
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    run constant record := hartonomous._generation_begin(prompts, model, as_of);
begin
    return case when run.model_id is not null then array(
        select hartonomous._mask_text(run.masked, t.text)
        from unnest(hartonomous._generate(
            run.tenant_id, 'generate_many', run.model_id, prompts,
            hartonomous._generation_options(max_tokens, temperature, top_k, top_p, seed, repetition_penalty, stop), as_of, run.state_hash))
             with ordinality as t (text, ord)
        order by t.ord) end;
end
$$;
comment on function hartonomous.generate_many(text[], text, int, real, int, real, bigint, timestamptz, real, text[]) is
'Texts that follow several prompts, in order, by one model, each as generate with that model gives it alone, recorded as one inference_request. Options and errors as generate; NULL gives NULL, 22004 a NULL prompt.';

create or replace function hartonomous._generation_begin(
    prompts text[], model text, as_of timestamptz, out tenant_id int, out model_id bigint, out state_hash bytea, out masked boolean)
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    alone constant text := case when cardinality(prompts) = 1 then prompts[1] end;
begin
    tenant_id := hartonomous._permit('inference', cardinality(prompts));
    if array_position(prompts, null) is not null then
        raise exception 'prompt % is NULL', array_position(prompts, null) using errcode = '22004', hint = 'the empty text can be continued';
    elsif prompts is not null then
        perform hartonomous._tenant_writable('inference', tenant_id);
        masked := hartonomous._masked(tenant_id, 'inference');
        if as_of is not null then
            select p.model_id, p.state_hash into model_id, state_hash
            from hartonomous._model_past(tenant_id, model, 'generation', as_of, alone) as p;
        elsif alone is not null then
            model_id := hartonomous._model_route(tenant_id, model, 'generation', alone);
        else
            model_id := hartonomous._model_id(tenant_id, model, 'generation');
        end if;
    end if;
end
$$;
comment on function hartonomous._generation_begin(text[], text, timestamptz) is
'Permits a call of generate and finds its model; model_id is NULL when prompts are.';

create or replace function hartonomous._generation_options(
    max_tokens int, temperature real, top_k int, top_p real, seed bigint, repetition_penalty real, stop text[]) returns jsonb
language sql stable parallel safe
return jsonb_build_object('max_tokens', _generation_options.max_tokens, 'temperature', _generation_options.temperature,
    'top_k', _generation_options.top_k, 'top_p', _generation_options.top_p, 'seed', _generation_options.seed,
    'repetition_penalty', _generation_options.repetition_penalty, 'stop', _generation_options.stop);
comment on function hartonomous._generation_options(int, real, int, real, bigint, real, text[]) is 'Options of generate as one object.';

create or replace function hartonomous._generate(
    tenant_id int, operation text, model_id bigint, prompts text[], options jsonb, as_of timestamptz, state_hash bytea) returns text[]
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import generation
return generation.generate(plpy, tenant_id, operation, model_id, prompts, options, as_of and generation.Past(as_of, state_hash))
$$;
comment on function hartonomous._generate(int, text, bigint, text[], jsonb, timestamptz, bytea) is
'generate_many by model id; as_of with the state the model had then, or NULL.';

create or replace function hartonomous._generate_stream(
    tenant_id int, model_id bigint, prompt text, options jsonb, masked boolean, as_of timestamptz, state_hash bytea) returns setof text
language plpython3u volatile parallel unsafe rows 64
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import generation
return generation.stream(plpy, tenant_id, model_id, prompt, options, masked, as_of and generation.Past(as_of, state_hash))
$$;
comment on function hartonomous._generate_stream(int, bigint, text, jsonb, boolean, timestamptz, bytea) is 'generate_stream by model id; masked: one empty piece for all of it.';

create or replace function hartonomous.generate_stream(
    prompt text, model text default null, max_tokens int default 64, temperature real default 0, top_k int default 0,
    top_p real default 1, seed bigint default null, as_of timestamptz default null, repetition_penalty real default 1,
    stop text[] default null) returns setof text
language sql volatile parallel unsafe security definer rows 64
set search_path = pg_catalog, pg_temp
begin atomic
    -- in the target list, as the caller's own call should be: elsewhere the pieces are collected before the first one leaves
    select hartonomous._mask_text(run.masked, hartonomous._generate_stream(
        run.tenant_id, run.model_id, generate_stream.prompt,
        hartonomous._generation_options(generate_stream.max_tokens, generate_stream.temperature, generate_stream.top_k, generate_stream.top_p,
                                        generate_stream.seed, generate_stream.repetition_penalty, generate_stream.stop), run.masked,
        generate_stream.as_of, run.state_hash))
    from hartonomous._generation_begin(case when generate_stream.prompt is not null then array[generate_stream.prompt] end,
                                       generate_stream.model, generate_stream.as_of) as run
    where run.model_id is not null;
end;
comment on function hartonomous.generate_stream(text, text, int, real, int, real, bigint, timestamptz, real, text[]) is
'The text of generate in pieces, each as soon as it is certain, when called in the target list: select hartonomous.generate_stream(...), read through a cursor. No piece ends within a character or within what may be a stop text. The request is recorded when the stream begins and completed when it ends. NULL gives no piece; options and errors as generate.';

create or replace function hartonomous._request_finish(request_id bigint, output_hash bytea, tokens bigint, seconds double precision, parameters jsonb)
returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    update hartonomous.inference_request as r
    set output_hash = _request_finish.output_hash, tokens = _request_finish.tokens, duration = make_interval(secs => seconds),
        parameters = _request_finish.parameters
    where r.inference_request_id = request_id;
end
$$;
comment on function hartonomous._request_finish(bigint, bytea, bigint, double precision, jsonb) is 'Completes the record of a request that was written when it began.';
