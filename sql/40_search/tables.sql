create table hartonomous.atom_embedding (
    atom_embedding_id bigint primary key,
    tenant_id   int not null references hartonomous.tenant,
    artifact_id bigint not null,
    model_id    bigint not null references hartonomous.model,
    inference_request_id bigint,
    embedding   @extschema:vector@.vector not null,
    place       @extschema:postgis@.geometry(pointz, 0) not null,
    coarse      @extschema:postgis@.geometry(pointz, 0) generated always as (@extschema:postgis@.st_snaptogrid(place, 0.125, 0.125, 0.125, 0)) stored,
    bucket_x    int generated always as (floor((@extschema:postgis@.st_x(place) + 1) * 8)::int) stored,
    bucket_y    int generated always as (floor((@extschema:postgis@.st_y(place) + 1) * 8)::int) stored,
    bucket_z    int generated always as (floor((@extschema:postgis@.st_z(place) + 1) * 8)::int) stored,
    input_hash  bytea not null,
    created_at  timestamptz not null default now(),
    unique (tenant_id, artifact_id, model_id),
    foreign key (tenant_id, artifact_id) references hartonomous.artifact on delete cascade
);
select hartonomous._opaque_ids('hartonomous.atom_embedding', 'atom_embedding_id');
comment on table hartonomous.atom_embedding is
'Embeddings of artifacts, one per model, with their place in three dimensions; input_hash: SHA-256 of the text that was embedded.';
create index on hartonomous.atom_embedding (tenant_id, model_id);
create index on hartonomous.atom_embedding (model_id);
insert into hartonomous.tenant_table (relation) values ('hartonomous.atom_embedding');
select hartonomous._dump_rows(array['hartonomous.atom_embedding']::regclass[]);
insert into hartonomous.operation values ('embed', 'write'), ('search', 'read');

-- without a pending list, whose length other tenants could tell from the time that a search takes
create index artifact_lexeme on hartonomous.artifact using gin (hartonomous._lexemes(tenant_id, canonical_text))
    with (fastupdate = off) where deleted_at is null and canonical_text is not null;
