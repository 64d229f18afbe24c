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
insert into hartonomous.operation values ('metadata_schema', 'write');
