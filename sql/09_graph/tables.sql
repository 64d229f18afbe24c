create table hartonomous.graph_node (
    node_type  text not null,
    node_id    bigint not null,
    tenant_id  int not null references hartonomous.tenant,
    detail     jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (node_type, node_id)
);
comment on table hartonomous.graph_node is
'Things that provenance speaks of; node_id is the key of the row in the table that node_type names (artifact, model, model_tensor, inference_request).';

create table hartonomous.graph_edge (
    graph_edge_id bigint not null,
    tenant_id  int not null references hartonomous.tenant,
    from_type  text not null,
    from_id    bigint not null,
    to_type    text not null,
    to_id      bigint not null,
    relation   text not null,
    detail     jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (from_type, from_id, relation, to_type, to_id)
);
select hartonomous._opaque_ids('hartonomous.graph_edge', 'graph_edge_id');
comment on table hartonomous.graph_edge is
'Directed edges from what was made to what it was made from: ComponentOf, DerivedFrom, EmbeddedBy, UsedModel, HasTensor.';
create index on hartonomous.graph_edge (to_type, to_id);
create index on hartonomous.graph_edge (graph_edge_id);

insert into hartonomous.tenant_table (relation) values ('hartonomous.graph_node'), ('hartonomous.graph_edge');
select hartonomous._dump_rows(array['hartonomous.graph_node', 'hartonomous.graph_edge']::regclass[]);
