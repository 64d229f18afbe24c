create or replace function hartonomous.model_student(
    model text, name text, energy real, out model_id bigint, out raw_bytes bigint, out stored_bytes bigint, out quality jsonb)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    parent constant bigint := hartonomous._model_id(tenant, model);
    base   hartonomous.model;
    made   bigint;
    kept   jsonb;
begin
    select m.* into base from hartonomous.model as m where m.model_id = parent;
    if coalesce(model_student.name, '') !~ '^[^@\s]+$' then
        raise exception 'name % must be non-empty, without @ and white space', coalesce(quote_literal(model_student.name), 'NULL') using errcode = '22023';
    elsif energy is null or not (energy > 0 and energy <= 1) then
        raise exception 'energy is %, expected more than 0 and at most 1', coalesce(energy::text, 'NULL') using errcode = '22023';
    elsif base.kind = 'classification' then
        raise exception 'model %@% is a head, expected one that reads texts', base.name, base.version using errcode = '22023',
            hint = 'make a student of its base model, embed with it, and train a head on that with hartonomous.model_train_head';
    elsif base.architecture = 'external' then
        raise exception 'model %@% has no weights: its vectors come from outside', base.name, base.version using errcode = 'ZH031';
    end if;
    insert into hartonomous.model (tenant_id, name, version, kind, architecture, config, tokenizer_id, dimensions, max_tokens, base_model_id)
    values (tenant, model_student.name, '1', base.kind, base.architecture, base.config, base.tokenizer_id, base.dimensions, base.max_tokens,
            base.base_model_id)
    on conflict (tenant_id, name, version) do nothing
    returning model_id into made;
    if made is null then
        raise exception 'model %@1 exists already', model_student.name using errcode = 'ZH021', hint = 'give another name, or remove it with hartonomous.model_drop';
    end if;
    kept := hartonomous._student(tenant, parent, made, energy);
    perform hartonomous._model_ready(made, deploy => false);
    perform hartonomous._graph_edge_put(tenant, 'model', array[made], 'StudentOf', 'model', array[parent]);
    quality := kept || hartonomous._student_quality(tenant, parent, made);
    select s.raw_bytes, s.stored_bytes into raw_bytes, stored_bytes from hartonomous._model_storage(made) as s;
    model_id := made;
end
$$;
comment on function hartonomous.model_student(text, text, real) is
'Extracts a smaller model: each matrix that becomes smaller by it is replaced by its truncated singular value decomposition, of the least rank that keeps a share energy of its sum of squares, stored as low-rank parts in int16. Matrices of an encoder are truncated so that their outputs, rather than their elements, change least over a sample of the tenant''s stored texts, and biases take up the mean of the change. All else shares the parent''s tensor atoms. It runs, is read and exported as any model, in the parent''s dtypes; it is not deployed. stored_bytes counts shared atoms too. quality: matrices truncated, their mean rank, and over texts of another sample the cosine to the parent''s embeddings (mean and least) and agreement, the share of texts of which the parent''s nearest is among the student''s five nearest; model_validate compares on questions of your own. Errors: ZH020 no such model, ZH021 name taken, ZH031 vectors of the model come from outside, 22023 name, energy or a head.';

create or replace function hartonomous._student(tenant_id int, parent_id bigint, model_id bigint, energy real) returns jsonb
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.evaluation import student
return student.extract(plpy, tenant_id, parent_id, model_id, energy)
$$;
comment on function hartonomous._student(int, bigint, bigint, real) is 'Fills a begun model with a truncated copy of another.';

create or replace function hartonomous._student_quality(tenant_id int, parent_id bigint, model_id bigint) returns jsonb
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.evaluation import student
return student.quality(plpy, tenant_id, parent_id, model_id)
$$;
comment on function hartonomous._student_quality(int, bigint, bigint) is 'How close the embeddings of a student are to its parent''s.';

create or replace function hartonomous._tensor_copy(tenant_id int, parent_id bigint, model_id bigint, tensor text) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.tensor_atom_coefficient
        (tenant_id, model_tensor_id, tensor_atom_id, start, byte_length, coefficient, ordinal, rank)
    select _tensor_copy.tenant_id, t.model_tensor_id, c.tensor_atom_id, c.start, c.byte_length, c.coefficient, c.ordinal, c.rank
    from hartonomous.model_tensor as o
    join hartonomous.tensor_atom_coefficient as c on c.model_tensor_id = o.model_tensor_id
    join hartonomous.model_tensor as t on t.model_id = _tensor_copy.model_id and t.name = o.name
    where o.model_id = _tensor_copy.parent_id and o.name = _tensor_copy.tensor
    order by c.ordinal, c.start;
end;
comment on function hartonomous._tensor_copy(int, bigint, bigint, text) is 'Gives a tensor of a model the parts that another''s has.';

create or replace function hartonomous._text_sample(tenant_id int, count int) returns setof text
language sql stable parallel safe
begin atomic
    select hartonomous._embedding_input(t.heading, t.body)
    from (select a.artifact_id, a.content_hash from hartonomous.artifact as a
          where a.tenant_id = _text_sample.tenant_id and a.deleted_at is null and a.canonical_text is not null
          order by a.content_hash limit _text_sample.count) as a
    join hartonomous.artifact_text as t on t.tenant_id = _text_sample.tenant_id and t.artifact_id = a.artifact_id
    order by a.content_hash;
end;
comment on function hartonomous._text_sample(int, int) is 'Stored texts of a tenant in the order of their hashes, which is as good as random and always the same.';
