create or replace function hartonomous.model_train_head(
    name text, artifact_ids bigint[], labels text[], model text default null, method text default 'logistic', penalty real default null,
    out model_id bigint, out version text, out rows bigint, out quality jsonb)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write', cardinality(artifact_ids));
    base   bigint;
begin
    if coalesce(model_train_head.name, '') !~ '^[^@\s]+$' then
        raise exception 'name % must be non-empty, without @ and white space', coalesce(quote_literal(model_train_head.name), 'NULL') using errcode = '22023';
    elsif method is null or method not in ('logistic', 'ridge') then
        raise exception 'method is %, expected logistic or ridge', coalesce(quote_literal(method), 'NULL') using errcode = '22023';
    elsif penalty is not null and not (penalty > 0 and penalty < 'infinity') then
        raise exception 'penalty is %, expected a positive number', penalty using errcode = '22023';
    elsif exists (select from hartonomous.model as m where m.tenant_id = tenant and m.name = model_train_head.name) then
        raise exception 'model % exists already', quote_literal(model_train_head.name) using errcode = 'ZH021',
            hint = 'continue it with hartonomous.model_retrain, or give another name';
    end if;
    base := hartonomous._model_id(tenant, model, 'embedding');
    version := '1';
    model_id := hartonomous._head_begin(tenant, model_train_head.name, version, base);
    rows := hartonomous._training_put(tenant, model_id, base, artifact_ids, labels);
    quality := hartonomous._head_fit(tenant, model_id, method, penalty, null);
    perform hartonomous._model_ready(model_id);
    perform hartonomous._graph_edge_put(tenant, 'model', array[model_id], 'TrainedOn', 'model', array[base]);
end
$$;
comment on function hartonomous.model_train_head(text, bigint[], text[], text, text, real) is
'Fits a head that predicts the label of a text to stored embeddings of artifacts by a model (NULL: the deployed one), and stores it as model name@1 of kind classification. method: logistic (multinomial, L-BFGS) or ridge (least squares, closed form). penalty: on squared weights; NULL: the best of five on a fifth of the rows. quality: accuracy and log_loss on another fifth, held out, beside majority, the accuracy of always naming the most frequent label; the head stored is fitted to all rows. Errors: ZH010 no such artifact, ZH020 no such embedding model, ZH021 name taken, 22004 NULL, 22023 arguments, an artifact without embedding or with one from before the model''s weights changed, too few rows or labels.';

create or replace function hartonomous._head_begin(tenant_id int, name text, version text, base_model_id bigint) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    begun bigint;
begin
    perform from hartonomous.model as m where m.model_id = _head_begin.base_model_id for key share;
    insert into hartonomous.model (tenant_id, name, version, kind, architecture, config, base_model_id)
    select _head_begin.tenant_id, _head_begin.name, _head_begin.version, 'classification', 'LinearHead', '{}', m.model_id
    from hartonomous.model as m where m.model_id = _head_begin.base_model_id
    on conflict do nothing
    returning model_id into begun;
    if begun is null then
        raise exception 'model %@% exists already', _head_begin.name, _head_begin.version using errcode = 'ZH021',
            hint = 'another session has just stored it; call again';
    end if;
    return begun;
end
$$;
comment on function hartonomous._head_begin(int, text, text, bigint) is 'A head that is yet to be fitted; ZH021 when the version exists.';

create or replace function hartonomous._training_put(
    tenant_id int, model_id bigint, base_model_id bigint, artifact_ids bigint[], labels text[]) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    wrong bigint;
begin
    if artifact_ids is null or labels is null or array_position(labels, null) is not null then
        raise exception 'artifact_ids, labels or one of the labels is NULL' using errcode = '22004';
    elsif cardinality(artifact_ids) <> cardinality(labels) then
        raise exception '% artifacts have % labels', cardinality(artifact_ids), cardinality(labels) using errcode = '22023', hint = 'give one label each';
    elsif '' = any (labels) then
        raise exception 'label is empty' using errcode = '22023';
    end if;
    select i.id into wrong from unnest(artifact_ids) as i (id)
    where not exists (select from hartonomous.artifact as a
                      where a.tenant_id = _training_put.tenant_id and a.artifact_id = i.id and a.deleted_at is null) limit 1;
    if found then
        raise exception 'no artifact %', coalesce(wrong::text, 'NULL') using errcode = 'ZH010', hint = 'heads are trained on artifacts of your own tenant';
    end if;
    select i.id into wrong from unnest(artifact_ids, labels) as i (id, label) group by i.id having count(distinct i.label) > 1 limit 1;
    if found then
        raise exception 'artifact % has different labels', wrong using errcode = '22023', hint = 'a head gives a text one label';
    end if;
    select i.id into wrong from unnest(artifact_ids) as i (id)
    where not exists (select from hartonomous.atom_embedding as e where e.tenant_id = _training_put.tenant_id
                      and e.artifact_id = i.id and e.model_id = _training_put.base_model_id) limit 1;
    if found then
        raise exception 'artifact % has no embedding by the model', wrong using errcode = '22023', hint = 'store it with hartonomous.embed_artifacts(ids, model)';
    end if;
    insert into hartonomous.training_row as r (tenant_id, model_id, artifact_id, label)
    select distinct _training_put.tenant_id, _training_put.model_id, i.id, i.label from unnest(artifact_ids, labels) as i (id, label)
    on conflict (tenant_id, model_id, artifact_id) do update set label = excluded.label;
    select r.artifact_id into wrong
    from hartonomous.training_row as r
    join hartonomous.atom_embedding as e on e.tenant_id = r.tenant_id and e.artifact_id = r.artifact_id and e.model_id = _training_put.base_model_id
    where r.tenant_id = _training_put.tenant_id and r.model_id = _training_put.model_id
      and e.model_state <> (select hartonomous._model_state(_training_put.base_model_id)) limit 1;
    if found then  -- of rows that an earlier version was fitted to as well
        raise exception 'artifact % was embedded before the model''s weights changed', wrong using errcode = '22023',
            hint = 'store it anew with hartonomous.embed_artifacts(ids, model); hartonomous.embedding_pending(model) lists such artifacts';
    end if;
    return (select count(*) from hartonomous.training_row as r
            where r.tenant_id = _training_put.tenant_id and r.model_id = _training_put.model_id);
end
$$;
comment on function hartonomous._training_put(int, bigint, bigint, bigint[], text[]) is
'Adds rows that a head is fitted to, and returns how many it has; a label of an artifact replaces its earlier one.';

create or replace function hartonomous._head_fit(
    tenant_id int, model_id bigint, method text, penalty real, start_model_id bigint) returns jsonb
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.evaluation import heads
return heads.train(plpy, tenant_id, model_id, method, penalty, start_model_id)
$$;
comment on function hartonomous._head_fit(int, bigint, text, real, bigint) is
'Fits a head to its training rows, from the weights of another where there is one, stores its tensors and returns its quality.';

create or replace function hartonomous._head_configure(model_id bigint, config jsonb, dimensions int) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    update hartonomous.model as m set config = _head_configure.config, dimensions = _head_configure.dimensions
    where m.model_id = _head_configure.model_id;
end;
comment on function hartonomous._head_configure(bigint, jsonb, int) is 'Records what a head was fitted to and gives.';

create or replace function hartonomous.model_retrain(
    model text, artifact_ids bigint[], labels text[],
    out model_id bigint, out version text, out rows bigint, out quality jsonb)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write', cardinality(artifact_ids));
    before hartonomous.model;
begin
    select m.* into before from hartonomous.model as m
    where m.model_id = hartonomous._model_id(tenant, model, 'classification') and m.tenant_id = tenant for no key update;
    if not found then
        raise exception 'your tenant has no classification model %', coalesce(quote_literal(model), 'NULL') using errcode = 'ZH020',
            hint = 'train one with hartonomous.model_train_head';
    end if;
    select (coalesce(max(m.version::int), 0) + 1)::text into version from hartonomous.model as m
    where m.tenant_id = tenant and m.name = before.name and m.version ~ '^[0-9]{1,9}$';
    model_id := hartonomous._head_begin(tenant, before.name, version, before.base_model_id);
    insert into hartonomous.training_row (tenant_id, model_id, artifact_id, label)
    select r.tenant_id, model_retrain.model_id, r.artifact_id, r.label from hartonomous.training_row as r
    where r.tenant_id = tenant and r.model_id = before.model_id;
    rows := hartonomous._training_put(tenant, model_id, before.base_model_id, artifact_ids, labels);
    quality := hartonomous._head_fit(tenant, model_id, before.config ->> 'method', (before.config ->> 'penalty')::real, before.model_id);
    perform hartonomous._model_ready(model_id);
    perform hartonomous._graph_edge_put(tenant, 'model', array[model_id], 'TrainedOn', 'model', array[before.base_model_id]);
    perform hartonomous._graph_edge_put(tenant, 'model', array[model_id], 'Continues', 'model', array[before.model_id]);
end
$$;
comment on function hartonomous.model_retrain(text, bigint[], text[]) is
'Continues a head on more rows, as the next version of it: fitted to the rows it had and the new ones, beginning at its weights, with its method and penalty. A new label of an artifact replaces the old one; labels may be new. The version before stays, and stays deployed if it is. Result and errors as model_train_head.';

create or replace function hartonomous.predict(content text, model text default null) returns table (label text, probability real)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('inference');
begin
    if hartonomous._masked(tenant, 'inference') then
        perform hartonomous._mask_refuse(tenant, 'inference', 'labels of texts');
    elsif content is null then
        return;
    end if;
    perform hartonomous._tenant_writable('inference', tenant);
    return query
    select p.label, p.probability
    from hartonomous._predict(tenant, hartonomous._model_route(tenant, model, 'classification', content), array[content]) as p
    order by p.probability desc, p.label;
end
$$;
comment on function hartonomous.predict(text, text) is
'Labels of a text by a head, the most probable first, with probabilities that sum to 1; recorded as an inference_request. NULL text gives no rows; model NULL: the deployed one. Errors: ZH020 no such classification model, or its embedding model is gone; ZH002 masked.';

create or replace function hartonomous.predict_many(contents text[], model text default null)
returns table (item int, label text, probability real)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('inference', cardinality(contents));
begin
    if hartonomous._masked(tenant, 'inference', cardinality(contents)) then
        perform hartonomous._mask_refuse(tenant, 'inference', 'labels of texts');
    elsif array_position(contents, null) is not null then
        raise exception 'text % is NULL', array_position(contents, null) using errcode = '22004', hint = 'the empty text has labels too';
    elsif coalesce(cardinality(contents), 0) = 0 then
        return;
    end if;
    perform hartonomous._tenant_writable('inference', tenant);
    return query
    select distinct on (p.item) p.item, p.label, p.probability
    from hartonomous._predict(tenant, hartonomous._model_id(tenant, model, 'classification'), contents) as p
    order by p.item, p.probability desc, p.label;
end
$$;
comment on function hartonomous.predict_many(text[], text) is
'The most probable label of each text, item counting from 1, as one inference_request by the deployed head or the one named. NULL gives no rows. Errors as predict, 22004 a NULL text.';

create or replace function hartonomous._predict(tenant_id int, model_id bigint, contents text[])
returns table (item int, label text, probability real)
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.evaluation import heads
return heads.predict(plpy, tenant_id, model_id, contents)
$$;
comment on function hartonomous._predict(int, bigint, text[]) is 'Every label of each text with its probability, by model id, recorded.';
