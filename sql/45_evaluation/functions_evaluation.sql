create or replace function hartonomous.evaluation_put(name text, kind text, inputs text[], expected text[] default null) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write', cardinality(inputs));
    stored bigint;
begin
    if coalesce(evaluation_put.name, '') = '' then
        raise exception 'name of the evaluation set is empty' using errcode = '22023';
    elsif evaluation_put.kind is null or evaluation_put.kind not in ('retrieval', 'classification', 'text') then
        raise exception 'kind is %, expected retrieval, classification or text', coalesce(quote_literal(evaluation_put.kind), 'NULL') using errcode = '22023';
    elsif coalesce(cardinality(inputs), 0) = 0 then
        raise exception 'evaluation set "%" has no items', evaluation_put.name using errcode = '22023', hint = 'hartonomous.evaluation_drop removes a set';
    elsif array_position(inputs, null) is not null or (evaluation_put.kind <> 'text' and array_position(expected, null) is not null) then
        raise exception 'an input or what is expected of it is NULL' using errcode = '22004';
    elsif evaluation_put.kind = 'text' and expected is not null then
        raise exception 'texts have no expected answers' using errcode = '22023', hint = 'omit expected';
    elsif evaluation_put.kind <> 'text' and cardinality(inputs) is distinct from cardinality(expected) then
        raise exception '% inputs have % expected answers', cardinality(inputs), coalesce(cardinality(expected), 0) using errcode = '22023',
            hint = 'repeat a question that several sources answer';
    end if;
    insert into hartonomous.evaluation (tenant_id, name, kind) values (tenant, evaluation_put.name, evaluation_put.kind)
    on conflict (tenant_id, name) do update set kind = excluded.kind, created_at = excluded.created_at;
    delete from hartonomous.evaluation_item as i where i.tenant_id = tenant and i.name = evaluation_put.name;
    insert into hartonomous.evaluation_item (tenant_id, name, ordinal, input, expected)
    select tenant, evaluation_put.name, i.ord, i.input, i.expected
    from rows from (unnest(inputs), unnest(coalesce(expected, array_fill(null::text, array[cardinality(inputs)])))) with ordinality as i (input, expected, ord);
    get diagnostics stored = row_count;
    return stored;
end
$$;
comment on function hartonomous.evaluation_put(text, text, text[], text[]) is
'Stores an evaluation set in place of one of the same name, and returns its items. kind retrieval: questions, expected: source uris of passages or documents that answer them, a question repeated for each; classification: texts, expected: labels; text: texts, nothing expected. Errors: 22023 kind, lengths, no items; 22004 NULL.';

create or replace function hartonomous.evaluation_list() returns table (name text, kind text, items bigint, created_at timestamptz, tenant_id int)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
begin
    return query
    select e.name, e.kind, count(i.ordinal), e.created_at, e.tenant_id
    from hartonomous.evaluation as e
    left join hartonomous.evaluation_item as i on (i.tenant_id, i.name) = (e.tenant_id, e.name)
    where e.tenant_id in (0, tenant) group by e.tenant_id, e.name order by e.name, e.tenant_id;
end
$$;
comment on function hartonomous.evaluation_list() is 'Evaluation sets of the caller''s tenant and public ones.';

create or replace function hartonomous.evaluation_drop(name text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
begin
    delete from hartonomous.evaluation as e where e.tenant_id = tenant and e.name = evaluation_drop.name;
    if not found then
        raise exception 'your tenant has no evaluation set %', coalesce(quote_literal(evaluation_drop.name), 'NULL') using errcode = 'ZH045',
            hint = 'select * from hartonomous.evaluation_list()';
    end if;
end
$$;
comment on function hartonomous.evaluation_drop(text) is 'Removes an evaluation set. ZH045 no such set.';

create or replace function hartonomous.model_validate(
    a text, b text, evaluation text, k int default 5, resamples int default 1000, seed bigint default 0) returns jsonb
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('evaluate');
    target record;
    kind   text;
    one    bigint;
    other  bigint;
begin
    if hartonomous._masked(tenant, 'evaluate') then
        perform hartonomous._mask_refuse(tenant, 'evaluate', 'answers that an evaluation looks for');
    elsif k is null or k not between 1 and 1000 then
        raise exception 'k is %, expected 1 to 1000', coalesce(k::text, 'NULL') using errcode = '22023';
    elsif resamples is null or resamples not between 100 and 100000 then
        raise exception 'resamples is %, expected 100 to 100000', coalesce(resamples::text, 'NULL') using errcode = '22023';
    elsif seed is null or seed < 0 then
        raise exception 'seed is %, expected a number from 0', coalesce(seed::text, 'NULL') using errcode = '22023';
    end if;
    select e.* into target from hartonomous.evaluation as e where e.tenant_id in (0, tenant) and e.name = evaluation
    order by e.tenant_id = tenant desc limit 1;
    if not found then
        raise exception 'no evaluation set %', coalesce(quote_literal(evaluation), 'NULL') using errcode = 'ZH045', hint = 'store one with hartonomous.evaluation_put';
    end if;
    kind := case target.kind when 'retrieval' then 'embedding' when 'text' then 'generation' else target.kind end;
    one := hartonomous._model_id(tenant, a, kind);
    other := hartonomous._model_id(tenant, b, kind);
    return hartonomous._validate(tenant, one, other, target.tenant_id, target.name, target.kind, k, resamples, seed);
end
$$;
comment on function hartonomous.model_validate(text, text, text, int, int, bigint) is
'Compares two models on an evaluation set. retrieval: hit@k and ndcg@k of the artifacts nearest by cosine, among those with embeddings by the present weights of both models; classification: accuracy and log_loss of two heads; text: perplexity, of a token, and bits_per_byte of two decoders, the latter for models that cut texts into other tokens. Of each metric the means of a and b, their difference b - a, its 95 % interval by a paired bootstrap over the items (resamples, seeded: the same numbers again), and better: a, b, or null when the interval has 0. NULL model: the deployed one. Reads only. Errors: ZH020 no such model, ZH045 no such set, 22023 k, resamples, seed, nothing to compare on or a source that no live artifact has, ZH002 masked, ZH032 a prediction is not finite, ZH033 more memory than the setting hartonomous.inference_memory.';

create or replace function hartonomous._validate(
    tenant_id int, a bigint, b bigint, owner_id int, name text, kind text, k int, resamples int, seed bigint) returns jsonb
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.evaluation import validation
return validation.compare(plpy, tenant_id, (a, b), (owner_id, name, kind), k, resamples, seed)
$$;
comment on function hartonomous._validate(int, bigint, bigint, int, text, text, int, int, bigint) is 'model_validate by ids.';
