-- A passage out of its page needs its headings to be understood: they come from its first occurrence, so that the text of an
-- artifact does not depend on the order in which its occurrences arrived.
create or replace view hartonomous.artifact_text with (security_invoker = true) as
select a.tenant_id, a.artifact_id, a.canonical_text as body, s.heading, s.source_uri
from hartonomous.artifact as a
left join lateral (
    select o.source_uri,
           (select string_agg(h.part, ' > ' order by h.ord)
            from jsonb_array_elements_text(case when jsonb_typeof(o.metadata -> 'heading_path') = 'array'
                                                then o.metadata -> 'heading_path' else '[]' end) with ordinality as h (part, ord)) as heading
    from hartonomous.artifact_source as o
    where o.tenant_id = a.tenant_id and o.artifact_id = a.artifact_id
    order by o.source_uri collate "C"
    limit 1) as s on true
where a.deleted_at is null and a.canonical_text is not null;
comment on view hartonomous.artifact_text is
'Text of each live artifact with the heading path of its first occurrence: what is embedded and searched by word.';
