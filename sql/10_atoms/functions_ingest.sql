create or replace function hartonomous._source_check(source_uris text[], metadata jsonb[]) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    longest  constant int := (select max(octet_length(u)) from unnest(source_uris) as u);
    mistaken constant text := (select jsonb_typeof(m) from unnest(metadata) as m where jsonb_typeof(m) <> 'object' limit 1);
begin
    if longest > 2000 then
        raise exception 'source uri has % bytes, expected at most 2000', longest using errcode = '22023';
    elsif mistaken is not null then
        raise exception 'metadata is a JSON %, expected an object', mistaken using errcode = '22023', hint = 'for example {"author": "..."}';
    end if;
end
$$;
comment on function hartonomous._source_check(text[], jsonb[]) is '22023 unless uris have at most 2000 bytes and metadata are JSON objects.';

create or replace function hartonomous.ingest_many(
    contents bytea[], modality text, source_uris text[] default null, metadata jsonb[] default null,
    subtype text default null, canonical_texts text[] default null) returns bigint[]
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
declare
    items  constant int := coalesce(cardinality(contents), 0);
    tenant constant int := hartonomous._permit('ingest', items);
    code   constant smallint := hartonomous._modality(modality);
begin
    if greatest(array_ndims(contents), array_ndims(source_uris), array_ndims(metadata), array_ndims(canonical_texts)) > 1 then
        raise exception 'found an array of % dimensions, expected a list',
            greatest(array_ndims(contents), array_ndims(source_uris), array_ndims(metadata), array_ndims(canonical_texts))
            using errcode = '22023', hint = 'give arrays of one dimension, such as array[a, b], not of rows of them';
    elsif contents is null or array_position(contents, null) is not null then
        raise exception 'content is NULL' using errcode = '22004', hint = 'pass every content as bytea; empty content is allowed';
    end if;
    if cardinality(source_uris) <> items or cardinality(metadata) <> items or cardinality(canonical_texts) <> items then
        raise exception 'found % contents, but % source uris, % metadata and % texts', items,
            coalesce(cardinality(source_uris)::text, 'no'), coalesce(cardinality(metadata)::text, 'no'),
            coalesce(cardinality(canonical_texts)::text, 'no')
            using errcode = '22023', hint = 'give one for each content, or omit the argument';
    end if;
    perform hartonomous._source_check(source_uris, metadata);
    perform hartonomous._metadata_check(tenant, code, metadata);
    return hartonomous._ingest_many(tenant, code, subtype, contents, source_uris, metadata, canonical_texts);
end
$$;
comment on function hartonomous.ingest_many(bytea[], text, text[], jsonb[], text, text[]) is
'Stores contents of one modality as atoms and artifacts and returns their artifact ids in order; the same bytes for the same tenant give the same id, and what they were stored as stays: their modality, subtype and what was decoded. All or nothing. canonical_texts: what is embedded, searched and extracted from. Without one it is, of text and code in UTF-8 of at most 65,536 bytes, the content itself; larger ones are neither embedded, searched nor extracted: ingest_document splits them. A text in which nothing can be seen, such as an empty one, counts as none; content that was stored as text or code without one gets it only from who gives one. metadata: of the place where a content was found; NULL leaves those that it has there, ''{}'' empties them; a schema takes NULL for an empty object. Errors: ZH001 no tenant, 22004 NULL content, 22023 unknown modality, lengths that differ or an array of several dimensions, ZH016 metadata that fail their schema.';

create or replace function hartonomous._ingest_many(
    tenant_id int, modality smallint, subtype text, contents bytea[], source_uris text[], metadata jsonb[], canonical_texts text[])
returns bigint[]
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import ingest
return ingest.ingest_many(plpy, tenant_id, modality, subtype, contents, source_uris, metadata, canonical_texts)
$$;
comment on function hartonomous._ingest_many(int, smallint, text, bytea[], text[], jsonb[], text[]) is
'ingest_many for a tenant, arguments checked.';

create or replace function hartonomous.ingest(
    content bytea, modality text default 'binary', subtype text default null, source_uri text default null,
    canonical_text text default null, metadata jsonb default null) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
declare
    tenant constant int := hartonomous._permit('ingest', 1);
    code   constant smallint := hartonomous._modality(modality);
begin
    if content is null then
        raise exception 'content is NULL' using errcode = '22004', hint = 'pass content as bytea; empty content is allowed';
    end if;
    perform hartonomous._source_check(array[source_uri], array[metadata]);
    perform hartonomous._metadata_check(tenant, code, array[metadata]);
    return hartonomous._ingest(tenant, code, subtype, content, source_uri, metadata, canonical_text);
end
$$;
comment on function hartonomous.ingest(bytea, text, text, text, text, jsonb) is
'Stores content and returns its artifact id; the same bytes for the same tenant give the same id and stay of the modality that they came under first, decoded or not. canonical_text: what is embedded, searched and extracted from; without one it is that of small texts, an empty one: none; see ingest_many, metadata and errors too. A statement sees what was there when it began: content(ingest(...)) in one gives ZH010, the next statement finds the artifact.';

create or replace function hartonomous._ingest(
    tenant_id int, modality smallint, subtype text, content bytea, source_uri text, metadata jsonb, canonical_text text) returns bigint
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import ingest
return ingest.ingest_many(plpy, tenant_id, modality, subtype, [content], [source_uri], [metadata], [canonical_text])[0]
$$;
comment on function hartonomous._ingest(int, smallint, text, bytea, text, jsonb, text) is
'ingest for a tenant, arguments checked. Content does not come in an array: that is copied three times more.';

create or replace function hartonomous.ingest_text(
    content text, source_uri text default null, metadata jsonb default null, modality text default 'text') returns bigint
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    select hartonomous.ingest(convert_to(ingest_text.content, 'UTF8'), ingest_text.modality, source_uri => ingest_text.source_uri,
                              canonical_text => ingest_text.content, metadata => ingest_text.metadata);
end;
comment on function hartonomous.ingest_text(text, text, jsonb, text) is
'Stores a text as its UTF-8 bytes, unchanged and whole, and returns its artifact id. An embedding reads no more of it than the model''s max_tokens: ingest_document splits long texts. A text in which nothing can be seen is not embedded. Errors: see ingest_many.';

create or replace function hartonomous._document_lock(tenant_id int, source_uris text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(d.key)
    from (select hartonomous._lock_key(format('document %s %s', tenant_id, u)) as key from unnest(source_uris) as u order by key) as d;
end
$$;
comment on function hartonomous._document_lock(int, text[]) is
'Waits for whoever else ingests a version of the documents, deletes or restores one.';

create or replace function hartonomous.ingest_document(
    source_uri text, content text, format text default 'text', metadata jsonb default null) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit('ingest', 1);
begin
    if coalesce(source_uri, '') = '' or content is null then
        raise exception 'a document needs a source uri and content, found %',
            case when content is null then 'NULL content' else 'no source uri' end
            using errcode = '22023', hint = 'ingest_document(source_uri, content, format)';
    elsif format is null then
        raise exception 'format is NULL, expected text, markdown or html' using errcode = '22023', hint = 'omit it for text';
    end if;
    perform hartonomous._source_check(array[source_uri], array[metadata]);
    perform hartonomous._metadata_check(tenant, hartonomous._modality('text'::text), array[metadata]);
    -- versions of one document follow each other
    perform hartonomous._document_lock(tenant, array[source_uri]);
    return hartonomous._ingest_document(tenant, source_uri, content, format, metadata);
end
$$;
comment on function hartonomous.ingest_document(text, text, text, jsonb) is
'Splits a document (format text, markdown or html) into passages of about 200 tokens and stores the document and each passage as artifacts; returns the document''s artifact id. An earlier version of the same uri is replaced: unchanged passages keep their artifacts, gone ones retire. The same content again changes nothing. metadata NULL: those of the earlier version stay; ''{}'' empties them. Errors: 22023 no uri, NULL content, NULL or unknown format, ZH012 malformed, ZH016 metadata, as given, that fail the schema of text.';

create or replace function hartonomous._ingest_document(tenant_id int, source_uri text, content text, format text, metadata jsonb)
returns bigint
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import ingest
return ingest.ingest_document(plpy, tenant_id, source_uri, content, format, metadata)
$$;
comment on function hartonomous._ingest_document(int, text, text, text, jsonb) is 'ingest_document for a tenant, arguments checked.';

create or replace function hartonomous._artifact_put(
    tenant_id int, modality smallint, subtype text, hashes bytea[], lengths bigint[],
    h_xy bigint[], h_yz bigint[], h_zm bigint[], xs int[], ys int[], texts text[], given boolean[])
returns table (ord bigint, artifact_id bigint, created boolean)
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    made  bigint[] := '{}'::bigint[];
    wanted constant bigint := (select count(distinct h) from unnest(hashes) as h);
    held  bigint;
begin
    -- who deletes what was found, before it is locked, makes it be ingested anew: then there is another round
    for round in 1 .. 10 loop
        made := made || hartonomous._artifact_insert(_artifact_put.tenant_id, modality, subtype, hashes, lengths, h_xy, h_yz, h_zm, xs, ys, texts);
        perform hartonomous._artifact_text_add(_artifact_put.tenant_id, hashes, texts, given);
        perform from hartonomous.artifact as a
        where a.tenant_id = _artifact_put.tenant_id and a.content_hash = any (hashes) and a.deleted_at is null
        order by a.content_hash for share;
        get diagnostics held = row_count;
        exit when held = wanted;
    end loop;
    if held < wanted then
        raise exception '% of % contents were deleted again and again while they were ingested', wanted - held, wanted
            using errcode = '40001', hint = 'try again';
    end if;

    return query
    select i.ord, a.artifact_id, a.artifact_id in (select unnest(made))  -- hashed, which = any is not
    from unnest(_artifact_put.hashes) with ordinality as i (content_hash, ord)
    cross join lateral (  -- one by one: a plan made while the table is empty would join without the hash
        select x.artifact_id from hartonomous.artifact as x
        where x.tenant_id = _artifact_put.tenant_id and x.content_hash = i.content_hash and x.deleted_at is null
        limit 1) as a
    order by i.ord;
end
$$;
comment on function hartonomous._artifact_put(int, smallint, text, bytea[], bigint[], bigint[], bigint[], bigint[], int[], int[], text[], boolean[]) is
'Finds or creates one artifact per content hash and keeps it from being deleted until the transaction ends. Of concurrent calls with the same content one creates it, the others wait for it.';

create or replace function hartonomous._artifact_text_add(tenant_id int, hashes bytea[], texts text[], given boolean[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    legible constant smallint[] := array[hartonomous._modality('text'::text), hartonomous._modality('code'::text)];
    told    constant bytea[] := array(select i.content_hash from unnest(hashes, texts) as i (content_hash, canonical_text)
                                      where i.canonical_text is not null);
    asked   constant bytea[] := array(select i.content_hash from unnest(hashes, texts, given) as i (content_hash, canonical_text, given)
                                      where i.canonical_text is not null and i.given);
begin
    perform from hartonomous.artifact as a
    where a.tenant_id = _artifact_text_add.tenant_id and a.content_hash = any (told) and a.deleted_at is null
      and a.canonical_text is null and (a.modality <> all (legible) or a.content_hash in (select unnest(asked)))
    order by a.content_hash for no key update;
    if found then
        update hartonomous.artifact as a set canonical_text = i.canonical_text, updated_at = now()
        from unnest(hashes, texts, given) as i (content_hash, canonical_text, given)
        where a.tenant_id = _artifact_text_add.tenant_id and a.content_hash = i.content_hash and a.deleted_at is null
          and a.canonical_text is null and i.canonical_text is not null and (i.given or a.modality <> all (legible));
    end if;
end
$$;
comment on function hartonomous._artifact_text_add(int, bytea[], text[], boolean[]) is
'Gives content that has none the text that somebody gave it; the one that follows from its bytes only where it was first stored as bytes: text or code without one may have been told to have none. Rows are locked in the order of their hashes.';

create or replace function hartonomous._artifact_insert(
    tenant_id int, modality smallint, subtype text, hashes bytea[], lengths bigint[],
    h_xy bigint[], h_yz bigint[], h_zm bigint[], xs int[], ys int[], texts text[]) returns bigint[]
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    made bigint[];
begin
    with input as (
        select distinct on (i.content_hash) i.*
        from unnest(_artifact_insert.hashes, _artifact_insert.lengths, _artifact_insert.h_xy, _artifact_insert.h_yz, _artifact_insert.h_zm,
                    xs, ys, _artifact_insert.texts) with ordinality as i (content_hash, content_length, h_xy, h_yz, h_zm, x, y, canonical_text, ord)
        order by i.content_hash, i.ord
    ), inserted as (
        insert into hartonomous.artifact (tenant_id, modality, subtype, content_hash, content_length, h_xy, h_yz, h_zm, x, y, canonical_text)
        select _artifact_insert.tenant_id, _artifact_insert.modality, _artifact_insert.subtype,
               i.content_hash, i.content_length, i.h_xy, i.h_yz, i.h_zm, i.x, i.y, i.canonical_text
        from input as i
        where (select a.artifact_id from hartonomous.artifact as a where a.tenant_id = _artifact_insert.tenant_id
               and a.content_hash = i.content_hash and a.deleted_at is null limit 1) is null
        order by i.content_hash
        on conflict (tenant_id, content_hash) where deleted_at is null do nothing
        returning artifact_id
    )
    select coalesce(array_agg(artifact_id), '{}') into made from inserted;
    return made;
end
$$;
comment on function hartonomous._artifact_insert(int, smallint, text, bytea[], bigint[], bigint[], bigint[], bigint[], int[], int[], text[]) is
'Creates the artifacts of contents that have none, in the order of their hashes; returns the ids created.';

create or replace function hartonomous._source_put(
    tenant_id int, document_uri text, artifact_ids bigint[], source_uris text[], metadata jsonb[], positions int[] default null)
returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    changed bigint;
begin
    insert into hartonomous.artifact_source as s (tenant_id, artifact_id, source_uri, document_uri, position, metadata)
    select distinct on (i.artifact_id, i.source_uri)
           _source_put.tenant_id, i.artifact_id, i.source_uri, _source_put.document_uri, i.position, coalesce(i.metadata, '{}')
    from unnest(_source_put.artifact_ids, _source_put.source_uris, _source_put.metadata, _source_put.positions)
         with ordinality as i (artifact_id, source_uri, metadata, position, ord)
    order by i.artifact_id, i.source_uri, i.metadata is null, i.ord
    on conflict (tenant_id, artifact_id, source_uri) do update
    set metadata = case when (s.artifact_id, s.source_uri) in (
                                 select i.artifact_id, i.source_uri from unnest(_source_put.artifact_ids, _source_put.source_uris, _source_put.metadata)
                                     as i (artifact_id, source_uri, metadata) where i.metadata is not null)
                        then excluded.metadata else s.metadata end,
        document_uri = excluded.document_uri, position = excluded.position
    where (s.document_uri is null or excluded.document_uri is not null)  -- a document's occurrence stays the document's
      and ((s.document_uri, s.position) is distinct from (excluded.document_uri, excluded.position)
           or s.metadata <> excluded.metadata and (s.artifact_id, s.source_uri) in (
                  select i.artifact_id, i.source_uri from unnest(_source_put.artifact_ids, _source_put.source_uris, _source_put.metadata)
                      as i (artifact_id, source_uri, metadata) where i.metadata is not null));
    get diagnostics changed = row_count;
    return changed;
end
$$;
comment on function hartonomous._source_put(int, text, bigint[], text[], jsonb[], int[]) is
'Records where artifacts were found; the same occurrence again changes nothing, and metadata that are NULL leave those that it has. Returns the occurrences added or changed.';

create or replace function hartonomous._document_retire(
    tenant_id int, document_uri text, artifact_ids bigint[], source_uris text[]) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    gone    bigint[];
    retired bigint;
begin
    with removed as (
        delete from hartonomous.artifact_source as s
        where s.tenant_id = _document_retire.tenant_id and s.document_uri = _document_retire.document_uri
          and not exists (select from unnest(_document_retire.artifact_ids, _document_retire.source_uris) as k (artifact_id, source_uri)
                          where (k.artifact_id, k.source_uri) = (s.artifact_id, s.source_uri))
        returning s.*
    ), kept as (
        insert into hartonomous.artifact_source_removed
        select r.artifact_source_id, r.tenant_id, r.artifact_id, r.source_uri, r.document_uri, r.position, r.metadata, r.created_at from removed as r
        returning artifact_id
    )
    select array_agg(distinct k.artifact_id) into gone from kept as k where k.artifact_id not in (select unnest(_document_retire.artifact_ids));

    -- lock first, judge after; what another transaction holds by _artifact_put is being taken up by it and stays
    select array_agg(l.artifact_id) into gone
    from (select a.artifact_id from hartonomous.artifact as a
          where a.tenant_id = _document_retire.tenant_id and a.artifact_id = any (gone)
          order by a.artifact_id for no key update skip locked) as l;
    update hartonomous.artifact as a set deleted_at = now(), updated_at = now()
    where a.tenant_id = _document_retire.tenant_id and a.artifact_id = any (gone) and a.deleted_at is null
      and not exists (select from hartonomous.artifact_source as s where s.tenant_id = a.tenant_id and s.artifact_id = a.artifact_id);
    get diagnostics retired = row_count;
    return retired;
end
$$;
comment on function hartonomous._document_retire(int, text, bigint[], text[]) is
'Removes the occurrences of a document''s earlier version that are not among the given ones, and retires artifacts left with none; returns how many.';

create or replace function hartonomous._artifact_move(tenant_id int, artifact_ids bigint[], h_xy bigint[], h_yz bigint[], h_zm bigint[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    update hartonomous.artifact as a set h_xy = i.h_xy, h_yz = i.h_yz, h_zm = i.h_zm
    from unnest(_artifact_move.artifact_ids, _artifact_move.h_xy, _artifact_move.h_yz, _artifact_move.h_zm) as i (artifact_id, h_xy, h_yz, h_zm)
    where a.tenant_id = _artifact_move.tenant_id and a.artifact_id = i.artifact_id;
end;
comment on function hartonomous._artifact_move(int, bigint[], bigint[], bigint[], bigint[]) is
'Points artifacts that this transaction has stored at where their root atoms came to lie.';
