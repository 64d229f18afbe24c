create or replace function hartonomous.model_begin(
    name text, architecture text, config jsonb, tokenizer jsonb default null, version text default '1') returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    facts  record;
    old    record;
    begun  bigint;
begin
    if coalesce(model_begin.name, '') !~ '^[^@\s]+$' or coalesce(model_begin.version, '') !~ '^[^@\s]+$' then
        raise exception 'model name % and version % must be non-empty, without @ and white space',
            coalesce(quote_literal(model_begin.name), 'NULL'), coalesce(quote_literal(model_begin.version), 'NULL')
            using errcode = '22023';
    elsif model_begin.architecture is null or model_begin.config is null then
        raise exception 'architecture and config must not be NULL' using errcode = '22004',
            hint = 'config is {"config": <config.json>, "pooling": <1_Pooling/config.json>, "generation_config": ..., ...}; hartonomous models ingest PATH sends it';
    end if;
    select * into facts from hartonomous._architecture(model_begin.architecture, model_begin.config);
    insert into hartonomous.model (tenant_id, name, version, kind, architecture, config, tokenizer_id, dimensions, max_tokens)
    values (tenant, model_begin.name, model_begin.version, facts.kind, model_begin.architecture, model_begin.config,
            hartonomous._tokenizer_put(tenant, model_begin.tokenizer), facts.dimensions, facts.max_tokens)
    on conflict (tenant_id, name, version) do nothing
    returning model_id into begun;
    if begun is not null then
        return begun;
    end if;

    select m.* into old from hartonomous.model as m
    where m.tenant_id = tenant and m.name = model_begin.name and m.version = model_begin.version;
    if old.status <> 'loading' then
        raise exception 'model %@% exists already', model_begin.name, model_begin.version
            using errcode = 'ZH021', hint = 'load it under another version, or remove it with hartonomous.model_drop';
    elsif (old.architecture, old.config, old.tokenizer_id) is distinct from
          (model_begin.architecture, model_begin.config, hartonomous._tokenizer_put(tenant, model_begin.tokenizer)) then
        raise exception 'model %@% is being loaded with another configuration', model_begin.name, model_begin.version
            using errcode = 'ZH021', hint = 'remove the unfinished one with hartonomous.model_drop';
    end if;
    return old.model_id;
end
$$;
comment on function hartonomous.model_begin(text, text, jsonb, jsonb, text) is
'Begins to load a model and returns its id; an unfinished one of the same name, version and configuration is continued. Then tensor_put and model_commit. Errors: ZH021 exists, ZH024 unsupported architecture, ZH025 configuration lacks a key.';

create or replace function hartonomous._tokenizer_put(tenant_id int, definition jsonb) returns bigint
language plpgsql volatile strict parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    hash  constant bytea := sha256(convert_to(definition::text, 'UTF8'));
    found_id bigint;
begin
    loop  -- who drops the last model with it between the two makes it be put anew
        insert into hartonomous.tokenizer (tenant_id, content_hash, definition)
        values (_tokenizer_put.tenant_id, hash, _tokenizer_put.definition) on conflict (tenant_id, content_hash) do nothing;
        select t.tokenizer_id into found_id from hartonomous.tokenizer as t
        where t.tenant_id = _tokenizer_put.tenant_id and t.content_hash = hash for key share;
        exit when found;
    end loop;
    return found_id;
end
$$;
comment on function hartonomous._tokenizer_put(int, jsonb) is 'Stores a tokenizer unless it is there, and returns its id; NULL gives NULL.';

create or replace function hartonomous._model_source(model_id bigint)
returns table (architecture text, kind text, config jsonb, tokenizer jsonb)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select m.architecture, m.kind, m.config, t.definition
    from (select c.architecture, c.kind, c.config, c.tokenizer_id from hartonomous.model as c where c.model_id = _model_source.model_id
          union all
          (select h.architecture, h.kind, h.config, h.tokenizer_id from hartonomous.model_history as h
           where h.model_id = _model_source.model_id and h.status <> 'loading' order by h.sys_end desc limit 1)
          limit 1) as m
    left join hartonomous.tokenizer as t on t.tokenizer_id = m.tokenizer_id;
end;
comment on function hartonomous._model_source(bigint) is
'What a model was made from besides its tensors, which does not change once it is finished; also of one that is gone but in the history.';

create or replace function hartonomous._architecture(
    architecture text, config jsonb, out kind text, out dimensions int, out max_tokens int)
language plpython3u stable parallel safe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.models import loading
return loading.facts(architecture, config)
$$;
comment on function hartonomous._architecture(text, jsonb) is
'What the configuration says of a model; ZH024 for an unsupported architecture, ZH025 for a configuration that lacks a key.';

create or replace function hartonomous.tensor_put(model_id bigint, tensor text, dtype text, shape int[], start bigint, data bytea)
returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    total  constant bigint := hartonomous._shape_elements(shape) * hartonomous._dtype_bytes(dtype);
begin
    if tensor is null or start is null or data is null or shape is null then
        raise exception 'tensor, shape, start and data must not be NULL' using errcode = '22004';
    elsif start < 0 or start > total - octet_length(data) then
        raise exception 'tensor "%": bytes % to % are outside its % bytes', tensor, start, start::numeric + octet_length(data), total
            using errcode = 'ZH023', detail = format('dtype %s, shape %s', dtype, shape);
    end if;
    perform hartonomous._model_loading(tenant, tensor_put.model_id);
    perform hartonomous._tensor_store(tenant, tensor_put.model_id, tensor, dtype, shape, start, data);
end
$$;
comment on function hartonomous.tensor_put(bigint, text, text, int[], bigint, bytea) is
'Stores a part of a tensor of an unfinished model: little-endian bytes at byte offset start. Parts may come in any order and again. Errors: ZH023 dtype, shape or range do not fit, ZH020 no such model, ZH021 model is finished.';

create or replace function hartonomous._tensor_store(
    tenant int, model_id bigint, tensor text, dtype text, shape int[], start bigint, data bytea) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
#variable_conflict use_column
declare
    tile    constant int := 256 * 1024;
    target  constant bigint := hartonomous._tensor_declare(tenant, _tensor_store.model_id, tensor, dtype, shape,
                                                           hartonomous._shape_elements(shape) * hartonomous._dtype_bytes(dtype));
    atoms   bytea[];
    starts  bigint[];
    lengths int[];
    hashes  bytea[];
    held    bigint;
begin
    -- tiles end at multiples of the tile size within the tensor, whatever parts the caller sends
    select array_agg(p.start order by p.start), array_agg(p.length order by p.start),
           array_agg(sha256(substr(data, (p.start - _tensor_store.start)::int + 1, p.length)) order by p.start)
    into starts, lengths, hashes
    from hartonomous._tiles(_tensor_store.start, octet_length(_tensor_store.data), tile) as p;
    -- who drops an atom that was found, before it is locked, makes it be put anew: then there is another round
    for round in 1 .. 10 loop
        insert into hartonomous.tensor_atom (tenant_id, content_hash, data)
        select tenant, p.hash, substr(_tensor_store.data, (p.start - _tensor_store.start)::int + 1, p.length)
        from (select u.start, u.length, u.hash
              from unnest(starts, lengths, hashes) as u (start, length, hash)
              where not exists (select from hartonomous.tensor_atom as a where a.tenant_id = tenant and a.content_hash = u.hash)
              order by u.hash) as p  -- sorted before bytes are taken
        on conflict (tenant_id, content_hash) do nothing;
        perform from hartonomous.tensor_atom as a
        where a.tenant_id = tenant and a.content_hash = any (hashes) order by a.content_hash for key share;
        get diagnostics held = row_count;
        exit when held = (select count(distinct p.hash) from unnest(hashes) as p (hash));
    end loop;

    insert into hartonomous.tensor_atom_coefficient (tenant_id, model_tensor_id, tensor_atom_id, start, byte_length)
    select tenant, target, a.tensor_atom_id, p.start, p.length
    from unnest(starts, lengths, hashes) as p (start, length, hash)
    join hartonomous.tensor_atom as a on a.tenant_id = tenant and a.content_hash = p.hash
    order by p.start
    on conflict (model_tensor_id, ordinal, start) do nothing;

    select array_agg(a.content_hash order by c.start) into atoms
    from hartonomous.tensor_atom_coefficient as c join hartonomous.tensor_atom as a using (tensor_atom_id)
    where c.model_tensor_id = target and c.start < _tensor_store.start + octet_length(_tensor_store.data)
      and c.start + c.byte_length > _tensor_store.start;
    if atoms is distinct from hashes then
        raise exception 'tensor "%": bytes % to % overlap a part already put', tensor, start, start + octet_length(data)
            using errcode = 'ZH023', hint = 'parts must not overlap; the same part again is fine. hartonomous.model_drop begins anew';
    end if;
end
$$;
comment on function hartonomous._tensor_store(int, bigint, text, text, int[], bigint, bytea) is
'tensor_put for a caller that has the model: stores bytes of a tensor that lie within it.';

create or replace function hartonomous._tiles(start bigint, bytes int, tile int) returns table (start bigint, length int)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select greatest(t.at, _tiles.start),
           (least(t.at + _tiles.tile, _tiles.start + _tiles.bytes) - greatest(t.at, _tiles.start))::int
    from generate_series(_tiles.start / _tiles.tile * _tiles.tile, _tiles.start + _tiles.bytes - 1, _tiles.tile) as t (at);
end;
comment on function hartonomous._tiles(bigint, int, int) is 'Cuts so many bytes that begin at an offset at the multiples of the tile size.';

create or replace function hartonomous._model_loading(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    status text;
begin
    -- shared: several sessions may load one model, model_commit waits for them
    select m.status into status from hartonomous.model as m
    where m.model_id = _model_loading.model_id and m.tenant_id = _model_loading.tenant_id for share;
    if status is null then
        raise exception 'no model with id %', _model_loading.model_id using errcode = 'ZH020', hint = 'begin with hartonomous.model_begin';
    elsif status <> 'loading' then
        raise exception 'model % is finished and its tensors cannot be put again', _model_loading.model_id
            using errcode = 'ZH021', hint = 'load it under another version';
    end if;
end
$$;
comment on function hartonomous._model_loading(int, bigint) is 'Locks a model that is being loaded, shared; ZH020 or ZH021 otherwise.';

create or replace function hartonomous._tensor_declare(
    tenant_id int, model_id bigint, tensor text, dtype text, shape int[], byte_length bigint) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    known record;
    layer_name constant text := coalesce(substring(tensor from '^((?:[^.]+\.)*?[0-9]+)\.'), split_part(tensor, '.', 1));
    layer bigint;
begin
    select t.* into known from hartonomous.model_tensor as t
    where t.model_id = _tensor_declare.model_id and t.name = _tensor_declare.tensor;
    if not found then
        insert into hartonomous.model_layer (tenant_id, model_id, name, layer_index, layer_type)
        values (_tensor_declare.tenant_id, _tensor_declare.model_id, layer_name, substring(layer_name from '\.([0-9]+)$')::int,
                regexp_replace(layer_name, '\.[0-9]+$', ''))
        on conflict (model_id, name) do nothing;
        select l.model_layer_id into layer from hartonomous.model_layer as l
        where l.model_id = _tensor_declare.model_id and l.name = layer_name;
        insert into hartonomous.model_tensor (tenant_id, model_id, model_layer_id, position, name, dtype, shape, byte_length)
        values (_tensor_declare.tenant_id, _tensor_declare.model_id, layer,
                (select count(*) from hartonomous.model_tensor as t where t.model_id = _tensor_declare.model_id), _tensor_declare.tensor, _tensor_declare.dtype,
                _tensor_declare.shape, _tensor_declare.byte_length)
        on conflict (model_id, name) do nothing;
        select t.* into known from hartonomous.model_tensor as t
        where t.model_id = _tensor_declare.model_id and t.name = _tensor_declare.tensor;
    end if;
    if (known.dtype, known.shape) is distinct from (_tensor_declare.dtype, _tensor_declare.shape) then
        raise exception 'tensor "%" was put as % %, not % %', tensor, known.dtype, known.shape, dtype, shape using errcode = 'ZH023';
    end if;
    return known.model_tensor_id;
end
$$;
comment on function hartonomous._tensor_declare(int, bigint, text, text, int[], bigint) is
'Finds or creates a tensor and its layer; ZH023 when it is there with another dtype or shape.';

create or replace function hartonomous.tensor_missing(model_id bigint) returns table (name text, bytes_present bigint)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('model_read');
begin
    return query
    select t.name, coalesce(sum(c.byte_length), 0)::bigint
    from hartonomous.model_tensor as t left join hartonomous.tensor_atom_coefficient as c using (model_tensor_id)
    where t.model_id = tensor_missing.model_id and t.tenant_id = tenant
      and exists (select from hartonomous.model as m where m.model_id = t.model_id and m.status = 'loading')
    group by t.model_tensor_id, t.name, t.byte_length
    having coalesce(sum(c.byte_length), 0) < t.byte_length;
end
$$;
comment on function hartonomous.tensor_missing(bigint) is
'Tensors of an unfinished model that were begun but not wholly put, with the bytes present.';
