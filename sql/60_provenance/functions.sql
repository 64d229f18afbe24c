create or replace function hartonomous.lineage(artifact_id bigint, max_depth int default 10, as_of timestamptz default null)
returns table (depth int, node_type text, node_id bigint, relation text, via bigint, detail jsonb)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('lineage');
    masked constant boolean := hartonomous._masked(tenant, 'lineage');
begin
    perform hartonomous._trace_check(tenant, artifact_id, max_depth, as_of);
    return query
    select t.depth, t.node_type, t.node_id, t.relation, t.via, hartonomous._mask_json(masked, t.detail)
    from hartonomous._trace(tenant, artifact_id, max_depth, upstream => true) as t;
end
$$;
comment on function hartonomous.lineage(bigint, int, timestamptz) is
'What an artifact was made from, to the roots: one row per node and way to it, via being the node before; artifacts carry uri and SHA-256, models their state, tensors their SHA-256. Errors: ZH010 no such artifact, 22023 max_depth, 0A000 as_of.';

create or replace function hartonomous.impact(artifact_id bigint, max_depth int default 10, as_of timestamptz default null)
returns table (depth int, node_type text, node_id bigint, relation text, via bigint, detail jsonb)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    tenant constant int := hartonomous._permit_read('lineage');
    masked constant boolean := hartonomous._masked(tenant, 'lineage');
begin
    perform hartonomous._trace_check(tenant, artifact_id, max_depth, as_of);
    return query
    select t.depth, t.node_type, t.node_id, t.relation, t.via, hartonomous._mask_json(masked, t.detail)
    from hartonomous._trace(tenant, artifact_id, max_depth, upstream => false) as t;
end
$$;
comment on function hartonomous.impact(bigint, int, timestamptz) is
'What was made from an artifact, downstream; columns and errors as lineage.';

create or replace function hartonomous._trace(tenant_id int, artifact_id bigint, max_depth int, upstream boolean)
returns table (depth int, node_type text, node_id bigint, relation text, via bigint, detail jsonb)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
    with recursive reached (depth, node_type, node_id, relation, via) as (
        select 0, 'artifact'::text, _trace.artifact_id, null::text, null::bigint
        union
        select r.depth + 1, n.node_type, n.node_id, n.relation, r.node_id
        from reached as r cross join lateral (
            select e.to_type, e.to_id, e.relation from hartonomous.graph_edge as e
            where _trace.upstream and e.from_type = r.node_type and e.from_id = r.node_id and e.tenant_id in (0, _trace.tenant_id)
            union all
            select e.from_type, e.from_id, e.relation from hartonomous.graph_edge as e
            where not _trace.upstream and e.to_type = r.node_type and e.to_id = r.node_id and e.tenant_id in (0, _trace.tenant_id)
        ) as n (node_type, node_id, relation)
        where r.depth < _trace.max_depth
    )
    select r.*, hartonomous._node_detail(_trace.tenant_id, r.node_type, r.node_id) from reached as r
    order by r.depth, r.relation, r.node_type, r.node_id, r.via;
end
$$;
comment on function hartonomous._trace(int, bigint, int, boolean) is
'What an artifact was made from (upstream) or what was made from it, as the tenant sees it.';

create or replace function hartonomous._trace_check(tenant_id int, artifact_id bigint, max_depth int, as_of timestamptz) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if as_of is not null then
        perform hartonomous._not_yet('as_of');
    elsif max_depth is null or max_depth not between 0 and 1000 then
        raise exception 'max_depth is %, expected 0 to 1000', coalesce(max_depth::text, 'NULL') using errcode = '22023';
    end if;
    perform hartonomous._artifact_root(tenant_id, artifact_id);
end
$$;
comment on function hartonomous._trace_check(int, bigint, int, timestamptz) is 'Checks the arguments that lineage and impact share.';

create or replace function hartonomous._node_detail(tenant_id int, node_type text, node_id bigint) returns jsonb
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select case when _node_detail.node_type = 'artifact' then (
        select jsonb_strip_nulls(jsonb_build_object(
            'source_uri', s.source_uri, 'title', s.metadata -> 'title', 'heading_path', s.metadata -> 'heading_path',
            'subtype', a.subtype, 'sha256', encode(a.content_hash, 'hex'), 'bytes', a.content_length, 'deleted_at', a.deleted_at))
        from hartonomous.artifact as a
        left join hartonomous.artifact_source as s on s.tenant_id = a.tenant_id and s.artifact_id = a.artifact_id
        where a.tenant_id in (0, _node_detail.tenant_id) and a.artifact_id = _node_detail.node_id
        order by s.source_uri collate "C" limit 1)
    else (
        select n.detail || jsonb_build_object('created_at', n.created_at)
        from hartonomous.graph_node as n
        where n.node_type = _node_detail.node_type and n.node_id = _node_detail.node_id) end;
end;
comment on function hartonomous._node_detail(int, text, bigint) is 'What is known of a node: an artifact''s first occurrence and hash, or the detail kept with the node.';
