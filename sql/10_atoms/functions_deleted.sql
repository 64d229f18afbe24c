create or replace function hartonomous.artifact_deleted(source_uri_prefix text default null, k int default 100)
returns table (artifact_id bigint, modality text, subtype text, source_uri text, content_length bigint, deleted_at timestamptz)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp set enable_sort = off as $$  -- an index has them in order: it is read until there are k
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    masked constant boolean := hartonomous._masked(tenant, 'content');
begin
    if k is null or k < 1 then
        raise exception 'k is %, expected at least 1', coalesce(k::text, 'NULL') using errcode = '22023';
    elsif masked and source_uri_prefix is not null then
        perform hartonomous._mask_refuse(tenant, 'content', 'source uris');
    end if;
    return query
    select a.artifact_id, m.name, hartonomous._mask_text(masked, a.subtype), hartonomous._mask_text(masked, o.source_uri),
           case when not masked then a.content_length end, a.deleted_at
    from hartonomous.artifact as a
    join hartonomous.modality as m on m.modality = a.modality
    cross join lateral (
        select min(u.source_uri collate "C") filter (where starts_with(u.source_uri, source_uri_prefix) is not false) as source_uri,
               bool_and(u.below) as below
        from (select s.source_uri, false as below from hartonomous.artifact_source as s
              where s.tenant_id = tenant and s.artifact_id = a.artifact_id
              union all
              select r.source_uri, r.position is not null and exists (
                  select from hartonomous.artifact_source_removed as w
                  where w.tenant_id = tenant and w.document_uri = r.document_uri and w.position is null and w.removed_at = r.removed_at)
              from hartonomous.artifact_source_removed as r
              where r.tenant_id = tenant and r.artifact_id = a.artifact_id and r.removed_at = a.deleted_at) as u) as o
    where a.tenant_id = tenant and a.deleted_at is not null and o.below is not true
      and (source_uri_prefix is null or o.source_uri is not null)
    order by a.deleted_at desc, a.artifact_id
    limit k;
end
$$;
comment on function hartonomous.artifact_deleted(text, int) is
'Deleted artifacts of the caller''s tenant that artifact_restore brings back and artifact_purge removes for good, the last deleted first, at most k, all or those found under uris that begin so: each with its first such uri. Earlier versions of documents are among them; passages that went with their document are not, for they come back and are purged with it. Errors: 22023 k, ZH002 a prefix when uris are masked.';
