create or replace function hartonomous._embedding_index_name(tenant_id int, model_id bigint) returns name
language sql stable parallel safe
return format('atom_embedding_hnsw_%s_%s', _embedding_index_name.tenant_id, _embedding_index_name.model_id)::name;
comment on function hartonomous._embedding_index_name(int, bigint) is 'Name of the HNSW index of a tenant''s embeddings by a model.';

create or replace function hartonomous._embedding_index_type(tenant_id int, model_id bigint) returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    held regtype;
begin
    select a.atttypid into held from pg_attribute as a
    where a.attrelid = hartonomous._embedding_index(tenant_id, model_id) and a.attnum = 1;
    return case held when '@extschema:vector@.vector'::regtype then 'vector' when '@extschema:vector@.halfvec'::regtype then 'halfvec' when 'bit'::regtype then 'bits' end;
end
$$;
comment on function hartonomous._embedding_index_type(int, bigint) is
'What the HNSW index of a tenant''s embeddings by a model holds of them: vector, halfvec or bits; NULL without one.';

create or replace function hartonomous._embedding_index_form(dimensions int, type text, out key text, out operators text, out ordering text)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if type = 'vector' then
        key := format('(embedding::@extschema:vector@.vector(%s))', dimensions);
        operators := '@extschema:vector@.vector_cosine_ops';
        ordering := key || format(' operator(@extschema:vector@.<=>) $1::@extschema:vector@.vector(%s)', dimensions);
    elsif type = 'halfvec' then
        key := format('(@extschema:vector@.l2_normalize(embedding)::@extschema:vector@.halfvec(%s))', dimensions);  -- whatever its length, it fits
        operators := '@extschema:vector@.halfvec_cosine_ops';
        ordering := key || format(' operator(@extschema:vector@.<=>) @extschema:vector@.l2_normalize($1)::@extschema:vector@.halfvec(%s)', dimensions);
    elsif type = 'bits' then
        key := format('(bits::bit(%s))', dimensions);
        operators := '@extschema:vector@.bit_hamming_ops';
        ordering := key || format(' operator(@extschema:vector@.<~>) @extschema:vector@.binary_quantize($1)::bit(%s)', dimensions);
    end if;
end
$$;
comment on function hartonomous._embedding_index_form(int, text) is
'The expression that an HNSW index has of embeddings (vector, halfvec, bits), its operator class, and the order by a query vector $1 that it gives; NULL for no type.';

create or replace function hartonomous._embedding_index_build(tenant_id int, model_id bigint, dimensions int, type text, m int, ef_construction int) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    index constant name := hartonomous._embedding_index_name(tenant_id, model_id);
    form  constant record := hartonomous._embedding_index_form(dimensions, type);
begin
    execute format('drop index if exists hartonomous.%I', index);
    if dimensions is not null then
        execute format('create index %I on hartonomous.atom_embedding using hnsw (%s %s) with (m = %s, ef_construction = %s)'
                       ' where tenant_id = %s and model_id = %s', index, form.key, form.operators, m, ef_construction, tenant_id, model_id);
    end if;
end
$$;
comment on function hartonomous._embedding_index_build(int, bigint, int, text, int, int) is
'Makes the HNSW index of a tenant''s embeddings by a model anew, or removes it (dimensions NULL). Its owner is that of the table: no other function may change one.';

create or replace function hartonomous._embedding_index(tenant_id int, model_id bigint) returns oid
language sql stable parallel safe
return to_regclass('hartonomous.' || hartonomous._embedding_index_name(_embedding_index.tenant_id, _embedding_index.model_id))::oid;
comment on function hartonomous._embedding_index(int, bigint) is 'The HNSW index of a tenant''s embeddings by a model, NULL without one: as it is now, whatever the snapshot.';

create or replace function hartonomous.embedding_index_add(
    tenant_id int, model text, m int default 16, ef_construction int default 128, type text default null) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    target constant bigint := hartonomous._model_id(embedding_index_add.tenant_id, model, 'embedding');
    dimensions constant int := (select o.dimensions from hartonomous.model as o where o.model_id = target);
    held   constant text := coalesce(type, case when dimensions <= 2000 then 'vector' when dimensions <= 4000 then 'halfvec' else 'bits' end);
    most   constant int := case held when 'vector' then 2000 when 'halfvec' then 4000 when 'bits' then 16000 end;  -- pgvector's limits
begin
    if m is null or m not between 2 and 100 or ef_construction is null or ef_construction not between 2 * m and 1000 then
        raise exception 'm is % and ef_construction %, expected 2 to 100, and 2 m to 1000', coalesce(m::text, 'NULL'), coalesce(ef_construction::text, 'NULL')
            using errcode = '22023';
    elsif most is null then
        raise exception 'type is %, expected vector, halfvec or bits', quote_literal(type) using errcode = '22023';
    elsif dimensions > most then
        raise exception 'an index of type % takes % dimensions, model % has %', held, most, quote_literal(model), dimensions using errcode = '22023',
            hint = case when dimensions <= 4000 then 'halfvec and bits take these' else 'bits take these' end;
    end if;
    perform hartonomous._embedding_index_build(embedding_index_add.tenant_id, target, dimensions, held, m, ef_construction);
    perform hartonomous._audit('embedding_index_add', embedding_index_add.tenant_id,
                               jsonb_build_object('model', model, 'm', m, 'ef_construction', ef_construction, 'type', held));
end
$$;
comment on function hartonomous.embedding_index_add(int, text, int, int, text) is
'Makes an HNSW index of the embeddings that a tenant has by a model; tenant 0: of those that everybody sees. type: what it holds of them, vector (to 2000 dimensions), halfvec (half precision, to 4000) or bits (their signs, 1/32 of the bytes); NULL: the first of these that takes the model''s dimensions. Candidates are compared by the whole vectors, whatever the index holds. Searches take it once embedding_model_analyze has measured it. Whoever embeds waits while it is built. Again, it builds the index anew; a dump does not bring it along. For administrators. Errors: ZH020 no such model, 22023 m, ef_construction or type.';

create or replace function hartonomous.embedding_index_drop(tenant_id int, model text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    target constant bigint := hartonomous._model_id(embedding_index_drop.tenant_id, model, 'embedding');
begin
    if hartonomous._embedding_index(embedding_index_drop.tenant_id, target) is null then
        raise exception 'embeddings of tenant % by model % have no index', embedding_index_drop.tenant_id, quote_literal(model) using errcode = '22023',
            hint = 'hartonomous.embedding_index_list shows those that are';
    end if;
    perform hartonomous._embedding_index_build(embedding_index_drop.tenant_id, target, null, null, null, null);
    perform hartonomous._audit('embedding_index_drop', embedding_index_drop.tenant_id, jsonb_build_object('model', model));
end
$$;
comment on function hartonomous.embedding_index_drop(int, text) is
'Removes the HNSW index of a tenant''s embeddings by a model; searches go on without. For administrators. Errors: ZH020 no such model, 22023 it has none.';

create or replace function hartonomous.embedding_index_list() returns table (tenant_id int, model text, type text, bytes bigint, options text[])
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    select i.tenant_id, coalesce(o.name || '@' || o.version, 'dropped'), hartonomous._embedding_index_type(i.tenant_id, i.model_id), pg_relation_size(i.oid), i.reloptions
    from (select c.oid, c.reloptions, split_part(c.relname, '_', 4)::int as tenant_id, split_part(c.relname, '_', 5)::bigint as model_id
          from pg_index as x join pg_class as c on c.oid = x.indexrelid
          where x.indrelid = 'hartonomous.atom_embedding'::regclass and c.relname ~ '^atom_embedding_hnsw_\d+_\d+$') as i
    left join hartonomous.model as o on o.model_id = i.model_id
    order by 1, 2;
end
$$;
comment on function hartonomous.embedding_index_list() is
'The HNSW indexes of embeddings, what they hold of them, their size and their options. For administrators.';
