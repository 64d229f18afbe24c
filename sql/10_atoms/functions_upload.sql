create or replace function hartonomous.ingest_begin(modality text, source_uri text default null, metadata jsonb default null) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('ingest');
    code   constant smallint := hartonomous._modality(ingest_begin.modality);
    found_id bigint;
begin
    perform hartonomous._source_check(array[ingest_begin.source_uri], array[ingest_begin.metadata]);
    perform hartonomous._metadata_check(tenant, code, array[ingest_begin.metadata]);
    if ingest_begin.source_uri is not null then
        -- of two sessions that begin the same upload, the second continues it
        perform pg_advisory_xact_lock(hartonomous._lock_key(format('upload %s %s', tenant, ingest_begin.source_uri)));
        select u.upload_id into found_id from hartonomous.upload as u
        where u.tenant_id = tenant and u.source_uri = ingest_begin.source_uri and u.modality = code
          and u.metadata is not distinct from ingest_begin.metadata and u.artifact_id is null;
    end if;
    if found_id is null then
        insert into hartonomous.upload (tenant_id, modality, source_uri, metadata)
        values (tenant, code, ingest_begin.source_uri, ingest_begin.metadata)
        returning upload_id into found_id;
    end if;
    return found_id;
end
$$;
comment on function hartonomous.ingest_begin(text, text, jsonb) is
'Begins an upload in parts and returns its id; an unfinished one of the same source uri, modality and metadata is continued. Then ingest_part and ingest_commit. metadata NULL: those of the occurrence stay, see ingest_many. An upload is given no canonical_text: that of small texts and code is their content, see ingest_many; others are neither embedded, searched nor extracted. Errors: 22023 unknown modality, malformed uri or metadata, ZH016 metadata that fail their schema.';

create or replace function hartonomous._upload(tenant_id int, upload_id bigint, finishing boolean default false) returns hartonomous.upload
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    known hartonomous.upload;
begin
    -- parts may come side by side, whoever finishes waits for them
    if _upload.finishing then
        select * into known from hartonomous.upload as u
        where u.upload_id = _upload.upload_id and u.tenant_id = _upload.tenant_id for update;
    else
        select * into known from hartonomous.upload as u
        where u.upload_id = _upload.upload_id and u.tenant_id = _upload.tenant_id for share;
    end if;
    if known.upload_id is null then
        raise exception 'no upload %', coalesce(_upload.upload_id::text, 'NULL') using errcode = 'ZH015',
            hint = 'hartonomous.ingest_begin begins one; abandoned ones expire';
    end if;
    return known;
end
$$;
comment on function hartonomous._upload(int, bigint, boolean) is
'Locks an upload of the tenant, for itself when it is finishing, else shared; ZH015 otherwise, the same for another tenant''s id as for a missing one.';

create or replace function hartonomous._upload_most() returns bigint
language sql immutable parallel safe
return 1::bigint << 45;
comment on function hartonomous._upload_most() is 'Most bytes of an upload: its parts lie in one table, and a table of PostgreSQL has at most 32 TiB.';

create or replace function hartonomous.ingest_part(upload_id bigint, start bigint, data bytea) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('ingest');
    known  constant hartonomous.upload := hartonomous._upload(tenant, ingest_part.upload_id);
    size   constant int := octet_length(ingest_part.data);
    fresh  boolean;
    clash  record;
begin
    if ingest_part.start is null or size is null then
        raise exception 'start and data must not be NULL' using errcode = '22004';
    elsif ingest_part.start < 0 or ingest_part.start > hartonomous._upload_most() - size then
        raise exception 'a part of % bytes cannot begin at byte %', size, ingest_part.start using errcode = '22003',
            hint = format('start counts from 0; an upload has at most %s bytes', hartonomous._upload_most());
    elsif known.artifact_id is not null then
        raise exception 'upload % is finished', ingest_part.upload_id using errcode = 'ZH014',
            detail = format('it became artifact %s', known.artifact_id), hint = 'begin another with hartonomous.ingest_begin';
    elsif size = 0 then
        return;
    end if;
    insert into hartonomous.upload_part (upload_id, start, tenant_id, length, data)
    values (ingest_part.upload_id, ingest_part.start, tenant, size, ingest_part.data)
    on conflict do nothing;
    fresh := found;
    select p.start, p.start + p.length as stop into clash from hartonomous.upload_part as p
    where p.upload_id = ingest_part.upload_id and p.start < ingest_part.start + size
      and p.start >= coalesce((select max(b.start) from hartonomous.upload_part as b
                               where b.upload_id = ingest_part.upload_id and b.start < ingest_part.start), 0)
      and p.start + p.length > ingest_part.start
      and (p.start <> ingest_part.start or not fresh and (p.length <> size or p.data <> ingest_part.data))
    limit 1;
    if found then
        raise exception 'bytes % to % overlap a part already put, % to %', ingest_part.start, ingest_part.start + size, clash.start, clash.stop
            using errcode = 'ZH014', hint = 'the same part again is fine; hartonomous.ingest_missing tells what is not there yet';
    end if;
end
$$;
comment on function hartonomous.ingest_part(bigint, bigint, bytea) is
'Puts bytes of an upload from byte start (from 0). Parts come in any order, side by side, and the same part again changes nothing; what was put in a transaction that ended stays when the connection is lost. Errors: ZH015 no such upload, ZH014 overlaps another part or the upload is finished, 22003 it would end beyond 32 TiB or begins before byte 0, 22004 NULL.';

create or replace function hartonomous.ingest_missing(upload_id bigint, size bigint default null)
returns table (start bigint, length bigint)
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('ingest');
    known  constant hartonomous.upload := hartonomous._upload(tenant, ingest_missing.upload_id);
begin
    if ingest_missing.size not between 0 and hartonomous._upload_most() then
        raise exception 'size is %, expected 0 to %', ingest_missing.size, hartonomous._upload_most() using errcode = '22003',
            hint = 'give the bytes that the whole content has, or omit it';
    end if;
    return query
    with edge as (
        select p.start + p.length as gap, lead(p.start) over (order by p.start) as next
        from hartonomous.upload_part as p where p.upload_id = known.upload_id
        union all
        select 0, (select min(p.start) from hartonomous.upload_part as p where p.upload_id = known.upload_id)
    )
    select e.gap, least(e.next, ingest_missing.size) - e.gap from edge as e
    where known.artifact_id is null and (least(e.next, ingest_missing.size) > e.gap) is not false
    order by e.gap;
end
$$;
comment on function hartonomous.ingest_missing(bigint, bigint) is
'Ranges of an upload that are not there yet, of size bytes in all. Without size the last range has none: everything from there on. No row for a finished upload. Errors: ZH015 no such upload, 22003 size.';

create or replace function hartonomous.ingest_commit(upload_id bigint, sha256 bytea default null) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- any other plan holds a copy of the bytes
as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('ingest');
    known  constant hartonomous.upload := hartonomous._upload(tenant, ingest_commit.upload_id, finishing => true);
    gap    record;
    made   bigint;
begin
    if octet_length(ingest_commit.sha256) <> 32 then
        raise exception 'sha256 has % bytes, expected 32', octet_length(ingest_commit.sha256) using errcode = '22023',
            hint = 'give sha256(content) as bytea, or omit it; of hexadecimal digits decode(digits, ''hex'')';
    elsif known.artifact_id is not null then
        return known.artifact_id;
    end if;
    select * into gap
    from (select coalesce(lag(p.start + p.length) over (order by p.start), 0) as stop, p.start
          from hartonomous.upload_part as p where p.upload_id = known.upload_id) as follows
    where follows.stop <> follows.start order by follows.start limit 1;
    if found then
        raise exception '% of upload %', case when gap.stop < gap.start then format('bytes %s to %s are missing', gap.stop, gap.start)
                                              else format('parts overlap in bytes %s to %s', gap.start, gap.stop) end, known.upload_id
            using errcode = 'ZH014', hint = case when gap.stop < gap.start then 'put what hartonomous.ingest_missing lists, then commit again'
                                                 else 'give it up with hartonomous.ingest_abort and begin anew' end;
    end if;
    perform hartonomous._metadata_check(tenant, known.modality, array[known.metadata]);
    made := hartonomous._ingest_commit(tenant, known.modality, known.upload_id, known.source_uri, known.metadata, ingest_commit.sha256);
    delete from hartonomous.upload_part as p where p.upload_id = known.upload_id;
    update hartonomous.upload as u set artifact_id = made, finished_at = now() where u.upload_id = known.upload_id;
    return made;
end
$$;
comment on function hartonomous.ingest_commit(bigint, bytea) is
'Makes the parts of an upload one artifact and returns its id, the same as ingest of the same bytes; again, when the answer was lost, the same id. Reads the parts twice and holds none of them long: memory is some hundredth of the content. Errors: ZH015 no such upload, ZH014 a gap, an overlap, or a SHA-256 that is not the given one, ZH016 the schema of metadata changed meanwhile, 22023 a SHA-256 not of 32 bytes; the parts stay.';

create or replace function hartonomous._ingest_commit(
    tenant_id int, modality smallint, upload_id bigint, source_uri text, metadata jsonb, sha256 bytea) returns bigint
language plpython3u volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import upload
return upload.commit(plpy, tenant_id, modality, upload_id, source_uri, metadata, sha256)
$$;
comment on function hartonomous._ingest_commit(int, smallint, bigint, text, jsonb, bytea) is 'ingest_commit of an upload whose parts follow each other.';

create or replace function hartonomous._upload_pieces(upload_id bigint, starts bigint[], stops bigint[]) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(string_agg(substr(p.data, (greatest(c.start, p.start) - p.start)::int + 1,
                                      (least(c.stop, p.start + p.length) - greatest(c.start, p.start))::int),
                               ''::bytea order by c.ord, p.start), ''::bytea)
    from unnest(_upload_pieces.starts, _upload_pieces.stops) with ordinality as c (start, stop, ord)
    cross join lateral (
        select u.start, u.length, u.data from hartonomous.upload_part as u
        where u.upload_id = _upload_pieces.upload_id and u.start < c.stop
          and u.start >= (select max(b.start) from hartonomous.upload_part as b
                          where b.upload_id = _upload_pieces.upload_id and b.start <= c.start)
    ) as p;
end;
comment on function hartonomous._upload_pieces(bigint, bigint[], bigint[]) is
'Bytes starts[i] to stops[i] of an upload whose parts follow each other, one piece after another.';

create or replace function hartonomous.ingest_abort(upload_id bigint) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('ingest');
    known  constant hartonomous.upload := hartonomous._upload(tenant, ingest_abort.upload_id, finishing => true);
begin
    delete from hartonomous.upload as u where u.upload_id = known.upload_id;
end
$$;
comment on function hartonomous.ingest_abort(bigint) is
'Gives an upload up and removes its parts; of a finished one the artifact stays. Error: ZH015 no such upload.';

create or replace function hartonomous.upload_expire(idle interval default '7 days') returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    expired bigint;
begin
    if idle is null or idle < '0' then
        raise exception 'idle is %, expected an interval of at least 0', coalesce(idle::text, 'NULL') using errcode = '22023';
    end if;
    with held as (  -- who is being erased is passed over
        select t.tenant_id from hartonomous.tenant as t
        where t.tenant_id in (select u.tenant_id from hartonomous.upload as u)
        order by t.tenant_id for key share skip locked
    ), old as (
        select u.upload_id from hartonomous.upload as u
        where u.tenant_id in (select h.tenant_id from held as h) and greatest(u.created_at, u.finished_at,
                       (select max(p.created_at) from hartonomous.upload_part as p where p.upload_id = u.upload_id)) <= now() - idle
        order by u.upload_id for update skip locked
    ), gone as (
        delete from hartonomous.upload as u using old where u.upload_id = old.upload_id
        returning u.tenant_id, u.source_uri, u.created_at, u.artifact_id
    ), logged as (
        insert into hartonomous.ingestion_log (tenant_id, source_uri, started_at, duration, error)
        select g.tenant_id, g.source_uri, g.created_at, now() - g.created_at, 'upload was abandoned'
        from gone as g where g.artifact_id is null
    )
    select count(*) into expired from gone;
    return expired;
end
$$;
comment on function hartonomous.upload_expire(interval) is
'Removes the uploads of all tenants that got no part for so long, and what is remembered of finished ones; returns how many. For a job, once a day. Error: 22023 negative interval.';
