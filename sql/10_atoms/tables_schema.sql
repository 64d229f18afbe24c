create table hartonomous.metadata_schema (
    tenant_id  int not null references hartonomous.tenant,
    modality   smallint not null references hartonomous.modality,
    schema     jsonb not null,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, modality)
);
comment on table hartonomous.metadata_schema is
'JSON Schemas that metadata of a tenant''s contents of a modality must be valid under when they are ingested.';

insert into hartonomous.tenant_table (relation) values ('hartonomous.metadata_schema');
select hartonomous._dump_rows(array['hartonomous.metadata_schema']::regclass[]);
insert into hartonomous.operation values ('metadata_schema', 'write'), ('semantics', 'write');

create table hartonomous.metadata_index (
    field      text primary key check (field <> '' and octet_length(field) <= 200),
    created_at timestamptz not null default now()
);
comment on table hartonomous.metadata_index is
'Hot metadata fields: those that artifact_source has an index for. A dump has these rows, not the indexes: metadata_index_add makes them anew.';
select hartonomous._dump_rows(array['hartonomous.metadata_index']::regclass[]);
