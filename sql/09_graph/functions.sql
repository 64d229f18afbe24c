create or replace function hartonomous._graph_node_put(tenant_id int, node_type text, node_ids bigint[], details jsonb[] default null)
returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.graph_node (node_type, node_id, tenant_id, detail)
    select _graph_node_put.node_type, n.node_id, _graph_node_put.tenant_id, coalesce(n.detail, '{}')
    from unnest(_graph_node_put.node_ids, _graph_node_put.details) as n (node_id, detail)
    where n.node_id is not null
    order by n.node_id
    on conflict do nothing;
end;
comment on function hartonomous._graph_node_put(int, text, bigint[], jsonb[]) is
'Adds nodes of one type; those present stay as they are. Rows are taken in key order, so concurrent calls do not deadlock.';

create or replace function hartonomous._graph_edge_put(
    tenant_id int, from_type text, from_ids bigint[], relation text, to_type text, to_ids bigint[], details jsonb[] default null)
returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.graph_edge (tenant_id, from_type, from_id, relation, to_type, to_id, detail)
    select _graph_edge_put.tenant_id, _graph_edge_put.from_type, e.from_id, _graph_edge_put.relation,
           _graph_edge_put.to_type, e.to_id, coalesce(e.detail, '{}')
    from unnest(_graph_edge_put.from_ids, _graph_edge_put.to_ids, _graph_edge_put.details) as e (from_id, to_id, detail)
    order by e.from_id, e.to_id
    on conflict do nothing;
end;
comment on function hartonomous._graph_edge_put(int, text, bigint[], text, text, bigint[], jsonb[]) is
'Adds edges from_ids[i] -> to_ids[i] of one relation; those present stay. Rows are taken in key order.';
