create or replace function hartonomous._artifact_root(
    tenant_id int, artifact_id bigint,
    out h_xy bigint, out h_yz bigint, out h_zm bigint, out content_hash bytea, out content_length bigint,
    out owner_id int, out modality smallint)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    select a.h_xy, a.h_yz, a.h_zm, a.content_hash, a.content_length, a.tenant_id, a.modality
    into h_xy, h_yz, h_zm, content_hash, content_length, owner_id, modality
    from hartonomous.artifact as a
    where a.artifact_id = _artifact_root.artifact_id and a.tenant_id in (0, _artifact_root.tenant_id) and a.deleted_at is null;
    if not found then
        raise exception 'no artifact %', coalesce(_artifact_root.artifact_id::text, 'NULL') using errcode = 'ZH010',
            hint = format('hartonomous.search and hartonomous.artifact list what your tenant has; hartonomous.artifact_deleted those that hartonomous.artifact_restore(%s) brings back',
                          coalesce(_artifact_root.artifact_id::text, 'id'));
    end if;
end
$$;
comment on function hartonomous._artifact_root(int, bigint) is
'Root atom, owner and modality of a live artifact of the tenant or of tenant 0; ZH010 otherwise, the same for another tenant''s id as for a missing one.';

create or replace function hartonomous._artifacts_own(tenant_id int, artifact_ids bigint[], hint text) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    foreign_id bigint;
begin
    select i.id into foreign_id from unnest(_artifacts_own.artifact_ids) as i (id)
    where not exists (select from hartonomous.artifact as a where a.artifact_id = i.id and a.tenant_id = _artifacts_own.tenant_id)
    limit 1;
    if found then
        raise exception 'no artifact %', coalesce(foreign_id::text, 'NULL') using errcode = 'ZH010', hint = _artifacts_own.hint;
    end if;
end
$$;
comment on function hartonomous._artifacts_own(int, bigint[], text) is 'ZH010 with the hint unless all artifacts, live or deleted, are the tenant''s own.';

create or replace function hartonomous._field_check(bytes bigint) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    most constant bigint := (1::bigint << 30) - 5;  -- what PostgreSQL allocates for a value, less its header
begin
    if bytes > most then
        raise exception 'content has % bytes, a value has at most %', bytes, most using errcode = '54000',
            hint = 'read it part by part with hartonomous.content_slice';
    end if;
end
$$;
comment on function hartonomous._field_check(bigint) is '54000 for more bytes than one value of PostgreSQL can have.';

create or replace function hartonomous.content(artifact_id bigint) returns bytea
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('content');
    root   record;
begin
    if artifact_id is null then
        return null;
    end if;
    root := hartonomous._artifact_root(tenant, artifact_id);
    perform hartonomous._field_check(root.content_length);
    return hartonomous._mask_bytes(hartonomous._masked(tenant, 'content'),
                                   hartonomous._content(root.h_xy, root.h_yz, root.h_zm, root.content_hash));
end
$$;
comment on function hartonomous.content(bigint) is
'Bytes of an artifact, put together from its atoms and checked against its SHA-256. NULL in gives NULL; ZH010 no such artifact, ZH013 damaged, 54000 more than 1 GB: content_slice reads parts.';

create or replace function hartonomous._content(h_xy bigint, h_yz bigint, h_zm bigint, content_hash bytea) returns bytea
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import content
return content.read(plpy, h_xy, h_yz, h_zm, content_hash)
$$;
comment on function hartonomous._content(bigint, bigint, bigint, bytea) is 'Bytes of the atom at a place; ZH013 unless they have the given SHA-256.';

create or replace function hartonomous.content_slice(artifact_id bigint, start bigint, length int) returns bytea
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('content');
    root   record;
begin
    if start < 0 or length < 0 then
        raise exception 'slice (%, %) is negative', coalesce(start::text, 'NULL'), coalesce(length::text, 'NULL') using errcode = '22011',
            hint = 'start counts from 0, length is at least 0; hartonomous.artifact has the content_length from which to count back';
    elsif artifact_id is null or start is null or length is null then
        return null;
    end if;
    root := hartonomous._artifact_root(tenant, artifact_id);
    perform hartonomous._field_check(least(length, root.content_length - start));
    return hartonomous._mask_bytes(hartonomous._masked(tenant, 'content'),
        case when length = 0 or start >= root.content_length then ''::bytea
             else hartonomous._content_slice(root.h_xy, root.h_yz, root.h_zm, start, length) end);
end
$$;
comment on function hartonomous.content_slice(bigint, bigint, int) is
'length bytes of an artifact from byte start (from 0), fewer at the end; reads the chunks that hold them and checks each against its SHA-256. NULL in gives NULL; 22011 negative, ZH010 no such artifact, ZH013 damaged, 54000 more than 1 GB at once.';

create or replace function hartonomous._content_slice(h_xy bigint, h_yz bigint, h_zm bigint, start bigint, length int) returns bytea
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import content
return content.read_slice(plpy, h_xy, h_yz, h_zm, start, length)
$$;
comment on function hartonomous._content_slice(bigint, bigint, bigint, bigint, int) is 'Part of the bytes of the atom at a place, chunks verified.';

create or replace function hartonomous._documents(tenant_id int, artifact_id bigint) returns text[]
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(array_agg(s.document_uri), '{}') from hartonomous.artifact_source as s
    where s.tenant_id = _documents.tenant_id and s.artifact_id = _documents.artifact_id
      and s.document_uri is not null and s.position is null;
end;
comment on function hartonomous._documents(int, bigint) is 'Documents that an artifact is the whole of.';

create or replace function hartonomous._documents_removed(tenant_id int, artifact_id bigint, removed_at timestamptz) returns text[]
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(array_agg(r.document_uri), '{}') from hartonomous.artifact_source_removed as r
    where r.tenant_id = _documents_removed.tenant_id and r.artifact_id = _documents_removed.artifact_id
      and r.removed_at = _documents_removed.removed_at and r.document_uri is not null and r.position is null;
end;
comment on function hartonomous._documents_removed(int, bigint, timestamptz) is
'Documents that an artifact was the whole of until it was deleted at that time.';

create or replace function hartonomous._documents_locked(documents text[], locked text[]) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if not documents <@ locked then
        raise exception 'the artifact became another document meanwhile' using errcode = '40001', hint = 'try again';
    end if;
end
$$;
comment on function hartonomous._documents_locked(text[], text[]) is
'40001 unless the documents, read after artifacts were locked, are among those that were locked before: they come first, as ingest_document takes them.';

create or replace function hartonomous.artifact_delete(artifact_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('artifact_delete');
    locked constant text[] := hartonomous._documents(tenant, artifact_delete.artifact_id);
    documents text[];
begin
    perform hartonomous._document_lock(tenant, locked);
    update hartonomous.artifact as a set deleted_at = now(), updated_at = now()
    where a.artifact_id = artifact_delete.artifact_id and a.tenant_id = tenant and a.deleted_at is null;
    if not found then
        perform hartonomous._artifact_root(tenant, artifact_delete.artifact_id);
        raise exception 'artifact % is public and not yours to delete', artifact_delete.artifact_id using errcode = 'ZH002';
    end if;
    documents := hartonomous._documents(tenant, artifact_delete.artifact_id);
    perform hartonomous._documents_locked(documents, locked);
    -- a document goes with its passages, but for those that stand elsewhere too
    perform hartonomous._document_retire(tenant, d.document_uri, '{}', '{}') from unnest(documents) as d (document_uri);
end
$$;
comment on function hartonomous.artifact_delete(bigint) is
'Soft-deletes an artifact of the caller''s tenant, a document together with the passages that stand nowhere else; artifact_restore brings them back. Errors: ZH010 no such artifact, ZH002 public, 40001 it became another document meanwhile.';

create or replace function hartonomous._deleted_at(tenant_id int, artifact_id bigint) returns timestamptz
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select a.deleted_at from hartonomous.artifact as a where a.tenant_id = _deleted_at.tenant_id and a.artifact_id = _deleted_at.artifact_id;
end;
comment on function hartonomous._deleted_at(int, bigint) is 'When an artifact of the tenant was deleted; NULL for a live one and for none.';

create or replace function hartonomous.artifact_restore(artifact_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('artifact_delete');
    locked constant text[] := hartonomous._documents_removed(tenant, artifact_restore.artifact_id,
                                                             hartonomous._deleted_at(tenant, artifact_restore.artifact_id));
    mine   hartonomous.artifact;
    documents text[];
    newer  record;
    again  bigint;
begin
    perform hartonomous._document_lock(tenant, locked);
    select * into mine from hartonomous.artifact as a
    where a.tenant_id = tenant and a.artifact_id = artifact_restore.artifact_id for update;
    if mine.deleted_at is null then
        perform hartonomous._artifact_root(tenant, artifact_restore.artifact_id);
        return;
    end if;
    documents := hartonomous._documents_removed(tenant, mine.artifact_id, mine.deleted_at);
    perform hartonomous._documents_locked(documents, locked);
    select s.artifact_id, s.document_uri into newer from hartonomous.artifact_source as s
    join hartonomous.artifact as a on a.tenant_id = tenant and a.artifact_id = s.artifact_id and a.deleted_at is null
    where s.tenant_id = tenant and s.document_uri = any (documents) and s.position is null
      and a.content_hash <> mine.content_hash limit 1;
    if found then
        raise exception 'document % has a newer version, artifact %', quote_literal(newer.document_uri), newer.artifact_id
            using errcode = '23505', hint = 'delete that one first: a document has one version at a time';
    end if;
    -- whoever ingests such content meanwhile makes a round fail, and the next one see it
    for round in 1 .. 10 loop
        select a.artifact_id into again from hartonomous.artifact as a
        where a.tenant_id = tenant and a.content_hash = mine.content_hash and a.deleted_at is null;
        if found then
            raise exception 'content of artifact % was ingested again since it was deleted', artifact_restore.artifact_id
                using errcode = '23505', hint = format('use artifact %s, which has it now, or delete that one first', again);
        end if;
        begin
            perform hartonomous._artifact_undelete(tenant, mine.artifact_id, mine.deleted_at, documents);
            return;
        exception when unique_violation then null;
        end;
    end loop;
    raise exception 'what belongs to artifact % was ingested again and again while it was restored', artifact_restore.artifact_id
        using errcode = '40001', hint = 'try again';
end
$$;
comment on function hartonomous.artifact_restore(bigint) is
'Undoes artifact_delete, a document''s passages included; a passage that was ingested again meanwhile is the document''s as it is now. A live artifact stays as it is. Errors: ZH010 no such artifact, 23505 its own content was ingested again or a newer version of the document is there, 40001 it changed meanwhile.';

create or replace function hartonomous._artifact_undelete(tenant_id int, artifact_id bigint, deleted_at timestamptz, documents text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    parts bigint[];
begin
    -- who would retire what took the place of such content passes it by
    perform from hartonomous.artifact as x
    where x.tenant_id = _artifact_undelete.tenant_id and x.deleted_at is null and x.content_hash = any (array(
        select a.content_hash from hartonomous.artifact_source_removed as r
        join hartonomous.artifact as a on a.tenant_id = r.tenant_id and a.artifact_id = r.artifact_id
        where r.tenant_id = _artifact_undelete.tenant_id and r.document_uri = any (documents)
          and r.removed_at = _artifact_undelete.deleted_at))
    order by x.content_hash for share;
    with back as (
        delete from hartonomous.artifact_source_removed as r
        where r.tenant_id = _artifact_undelete.tenant_id and r.removed_at = _artifact_undelete.deleted_at
          and (r.artifact_id = _artifact_undelete.artifact_id or r.document_uri = any (documents))
        returning r.*
    ), stands as (
        insert into hartonomous.artifact_source
        select b.artifact_source_id, b.tenant_id, coalesce(live.artifact_id, b.artifact_id), b.source_uri, b.document_uri, b.position,
               b.metadata, b.created_at
        from back as b
        join hartonomous.artifact as a on a.tenant_id = _artifact_undelete.tenant_id and a.artifact_id = b.artifact_id
        left join lateral (
            select x.artifact_id from hartonomous.artifact as x
            where x.tenant_id = _artifact_undelete.tenant_id and x.content_hash = a.content_hash and x.deleted_at is null
            limit 1) as live on true
        order by 3, b.source_uri
        on conflict (tenant_id, artifact_id, source_uri) do nothing
        returning artifact_id
    )
    select array_agg(distinct s.artifact_id) into parts from stands as s;
    update hartonomous.artifact as a set deleted_at = null, updated_at = now()
    where a.tenant_id = _artifact_undelete.tenant_id and a.artifact_id = any (parts || _artifact_undelete.artifact_id)
      and a.deleted_at >= _artifact_undelete.deleted_at;
    parts := array_remove(parts, _artifact_undelete.artifact_id);
    if parts <> '{}' then
        perform hartonomous._graph_node_put(_artifact_undelete.tenant_id, 'artifact', parts);
        perform hartonomous._graph_edge_put(_artifact_undelete.tenant_id, 'artifact', parts, 'ComponentOf', 'artifact',
                                            array_fill(_artifact_undelete.artifact_id, array[cardinality(parts)]));
    end if;
end
$$;
comment on function hartonomous._artifact_undelete(int, bigint, timestamptz, text[]) is
'Brings an artifact back with the occurrences that went when it was deleted, those of its documents included, and what stood there; the occurrence of content that is live again goes to the artifact that has it. 23505 when others ingest such content meanwhile.';

create or replace function hartonomous.artifact_show(artifact_ids bigint[])
returns table (artifact_id bigint, modality text, subtype text, source_uri text, metadata jsonb, content_hash bytea, canonical_text text, semantics jsonb)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content', cardinality(artifact_ids));
    masked constant boolean := hartonomous._masked(tenant, 'content', cardinality(artifact_ids));
begin
    return query
    select a.artifact_id, m.name, hartonomous._mask_text(masked, a.subtype), hartonomous._mask_text(masked, s.source_uri),
           hartonomous._mask_json(masked, s.metadata), hartonomous._mask_bytes(masked, a.content_hash),
           hartonomous._mask_text(masked, a.canonical_text), hartonomous._mask_json(masked, a.semantics)
    from unnest(artifact_ids) with ordinality as i (artifact_id, ord)
    join hartonomous.artifact as a on a.artifact_id = i.artifact_id and a.tenant_id in (0, tenant) and a.deleted_at is null
    join hartonomous.modality as m on m.modality = a.modality
    left join hartonomous.artifact_source as s on s.tenant_id = a.tenant_id and s.artifact_id = a.artifact_id
    order by i.ord, s.source_uri;
end
$$;
comment on function hartonomous.artifact_show(bigint[]) is
'One row per occurrence of the artifacts that the caller may see, in the given order.';

create or replace function hartonomous._document_current(tenant_id int, document_uri text) returns table (artifact_id bigint)
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select s.artifact_id
    from hartonomous.artifact_source as s join hartonomous.artifact as a using (tenant_id, artifact_id)
    where s.tenant_id = _document_current.tenant_id and s.document_uri = _document_current.document_uri
      and s.source_uri = _document_current.document_uri and s.position is null and a.deleted_at is null;
end;
comment on function hartonomous._document_current(int, text) is 'The artifact that holds a document as last ingested.';

create or replace function hartonomous._ingestion_log_put(
    tenant_id int, source_uri text, artifacts_created bigint, artifacts_shared bigint, artifacts_skipped bigint, atoms_created bigint,
    atoms_shared bigint, retired bigint)
returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.ingestion_log
        (tenant_id, source_uri, artifacts_created, artifacts_shared, artifacts_skipped, atoms_created, atoms_shared, retired, started_at, duration)
    values (_ingestion_log_put.tenant_id, _ingestion_log_put.source_uri, _ingestion_log_put.artifacts_created,
            _ingestion_log_put.artifacts_shared, _ingestion_log_put.artifacts_skipped, _ingestion_log_put.atoms_created,
            _ingestion_log_put.atoms_shared, _ingestion_log_put.retired,
            statement_timestamp(), clock_timestamp() - statement_timestamp());
end;
comment on function hartonomous._ingestion_log_put(int, text, bigint, bigint, bigint, bigint, bigint, bigint) is
'Writes the log row of an ingesting call.';

create or replace function hartonomous.ingestion_log_error(source_uri text, error text, duration interval default null) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit('ingest', 0);
begin
    if error is null then
        raise exception 'error is NULL' using errcode = '22004', hint = 'give the message of what failed';
    end if;
    insert into hartonomous.ingestion_log (tenant_id, source_uri, started_at, duration, error)
    values (tenant, left(ingestion_log_error.source_uri, 2000), now() - coalesce(ingestion_log_error.duration, '0'),
            ingestion_log_error.duration, left(ingestion_log_error.error, 2000));
end
$$;
comment on function hartonomous.ingestion_log_error(text, text, interval) is
'Puts a row about a failed ingest into the log of the caller''s tenant. An error undoes what its transaction wrote, so whoever ran the ingest tells of it in another one, as hartonomous ingest does. Texts are cut after 2000 characters. Error: 22004 NULL error.';
