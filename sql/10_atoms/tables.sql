create table hartonomous.modality (
    modality smallint primary key check (modality between 0 and 15),
    name     text not null unique
);
comment on table hartonomous.modality is 'Modality codes; a code is the top four bits of h_xy, so each modality is one contiguous range of Hilbert keys.';
insert into hartonomous.modality values
    (0, 'binary'), (1, 'text'), (2, 'code'), (3, 'image'), (4, 'audio'), (5, 'video'), (6, 'sensor'), (7, 'graph'), (8, 'tensor');

create table hartonomous.atom (
    h_xy         bigint not null,
    h_yz         bigint not null,
    h_zm         bigint not null,
    tenant_id    int not null,
    modality     smallint not null,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    geom         @extschema:postgis@.geometry(geometrycollectionzm, 0) not null,
    value        bytea check (octet_length(value) <= 64),
    block        bytea storage external,
    ends         bigint[],
    ref_count    bigint not null default 1 check (ref_count >= 0),
    meta         jsonb,
    version      bigint not null default 1,
    created_at   timestamptz not null default now(),
    created_by   text not null default session_user,
    updated_at   timestamptz,
    updated_by   text,
    primary key (h_xy, h_yz, h_zm)
) partition by range (h_xy);
comment on table hartonomous.atom is
'Content-addressed atoms. value: a leaf of at most 64 bytes; block: a run of bulk bytes; neither: a composite, whose geometry names its children in order by their coordinates.';
comment on column hartonomous.atom.h_xy is 'Hilbert index of (x, y), 62 bits; the top four bits are the modality';
comment on column hartonomous.atom.h_yz is 'Hilbert index of (y, z)';
comment on column hartonomous.atom.h_zm is 'Hilbert index of (z, m)';
comment on column hartonomous.atom.tenant_id is '0: public; otherwise the hash part of the place is mixed with the tenant, so equal bytes of two tenants are two atoms';
comment on column hartonomous.atom.block is
'bytes as they are, or where that is shorter a zstd frame (RFC 8878); what begins with a frame''s magic number 28b52ffd is one';
comment on column hartonomous.atom.ends is 'of a composite: where each child ends in its bytes';
comment on column hartonomous.atom.ref_count is
'how often artifacts and composites refer to this atom, as far as counted: what is not yet counted lies in atom_reference_change';
create index atom_unreferenced on hartonomous.atom (h_xy, h_yz, h_zm) where ref_count = 0;
-- the Hilbert key keeps pages of many leaves of one place apart from those of another, h_zm puts leaves of one place in order
create index atom_leaf_place on hartonomous.atom using gist (tenant_id, h_xy, hartonomous._leaf_point(geom), h_zm) where value is not null;

-- ranges of keys, hartonomous.atom_partitions of them: four or more make a look-up by key take twice as long as one does
do $$
declare
    asked constant text := coalesce(nullif(pg_catalog.current_setting('hartonomous.atom_partitions', true), ''), '1');
    width numeric;
    part  text;
begin
    if asked <> all ('{1,2,4,8,16,32,64,128,256}') then
        raise exception 'hartonomous.atom_partitions is %, expected a power of two up to 256', pg_catalog.quote_literal(asked)
            using errcode = '22023', hint = 'for example: set hartonomous.atom_partitions = 16; create extension hartonomous cascade';
    end if;
    width := (1::bigint << 62) / asked::int;
    for number in 0 .. asked::int - 1 loop
        part := 'hartonomous.atom_p' || pg_catalog.lpad(number::text, 3, '0');
        execute pg_catalog.format('create table %s partition of hartonomous.atom for values from (%s) to (%s)', part, number * width, (number + 1) * width);
        execute pg_catalog.format('select pg_catalog.pg_extension_config_dump(%L, %L)', part, '');
    end loop;
end
$$;

create table hartonomous.atom_reference_change (
    tenant_id int not null,
    h_xy      bigint[] storage external not null,
    h_yz      bigint[] storage external not null,
    h_zm      bigint[] storage external not null,
    change    int[] storage external not null
);
comment on table hartonomous.atom_reference_change is
'References to atoms that came (positive) or went since they were last added to atom.ref_count, those of one statement together: sessions that refer to one atom append here and do not wait for each other.';

create table hartonomous.artifact (
    artifact_id    bigint not null,
    tenant_id      int not null references hartonomous.tenant,
    modality       smallint not null references hartonomous.modality,
    subtype        text,
    content_hash   bytea not null check (octet_length(content_hash) = 32),
    content_length bigint not null,
    h_xy           bigint not null,
    h_yz           bigint not null,
    h_zm           bigint not null,
    x              int not null,
    y              int not null,
    canonical_text text,
    has_text       boolean generated always as (canonical_text is not null) stored,
    semantics      jsonb not null default '{}',
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    deleted_at     timestamptz,
    -- no index finds an id without its tenant: what another tenant has must take no longer to refuse than what nobody has
    primary key (tenant_id, artifact_id)
);
select hartonomous._opaque_ids('hartonomous.artifact', 'artifact_id');
comment on table hartonomous.artifact is
'Canonical record of what a tenant ingested or a model produced; (h_xy, h_yz, h_zm) is the root atom of its content; system-versioned, but for the text.';
comment on column hartonomous.artifact.x is 'with y, the point that h_xy is the key of: where atom_path finds its neighbours';
comment on column hartonomous.artifact.canonical_text is 'what is embedded and searched by word; NULL for content that is not text, or more of it than is searched as one';
comment on column hartonomous.artifact.has_text is 'whether it has a canonical_text, which never changes once it is given: the history keeps this instead';
create unique index artifact_content on hartonomous.artifact (tenant_id, content_hash) where deleted_at is null;
create index on hartonomous.artifact (tenant_id, created_at);
create index artifact_deleted on hartonomous.artifact (tenant_id, artifact_id) where deleted_at is not null;
create index artifact_deleted_order on hartonomous.artifact (tenant_id, deleted_at desc, artifact_id) where deleted_at is not null;
-- x >= 0 is true of all: a query that does not say so cannot take it for a tenant's rows, as plans for an empty table would
create index artifact_place on hartonomous.artifact using gist (tenant_id, h_xy, point(x, y), artifact_id)
where deleted_at is null and x >= 0;

create table hartonomous.artifact_source (
    artifact_source_id bigint not null,
    tenant_id    int not null references hartonomous.tenant,
    artifact_id  bigint not null,
    source_uri   text not null check (octet_length(source_uri) <= 2000),
    document_uri text,
    position     int,
    metadata     jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at   timestamptz not null default now(),
    primary key (tenant_id, artifact_id, source_uri),
    foreign key (tenant_id, artifact_id) references hartonomous.artifact on delete cascade
);
select hartonomous._opaque_ids('hartonomous.artifact_source', 'artifact_source_id');
comment on table hartonomous.artifact_source is
'Occurrences: where the bytes of an artifact were found. A passage that stands on several pages has several rows; document_uri is the document it was split from, position its place there; position is NULL for the document itself; system-versioned.';
create index on hartonomous.artifact_source (tenant_id, document_uri) where document_uri is not null;
create index on hartonomous.artifact_source (tenant_id, source_uri text_pattern_ops);

create table hartonomous.artifact_source_removed (
    like hartonomous.artifact_source,
    removed_at timestamptz not null default now()
);
comment on table hartonomous.artifact_source_removed is
'Occurrences taken away by artifact_delete or by a new version of their document; artifact_restore puts those of its artifact back.';
create index on hartonomous.artifact_source_removed (tenant_id, artifact_id);
create index on hartonomous.artifact_source_removed (tenant_id, document_uri);

-- texts, and the words that room 40 takes from them, stand in the present row for as long as it has a history
select hartonomous.system_versioning_add('hartonomous.artifact', '{canonical_text}');
create index on hartonomous.artifact_history (tenant_id, artifact_id);
select hartonomous.system_versioning_add('hartonomous.artifact_source');
create index on hartonomous.artifact_source_history (tenant_id, artifact_id);
create index on hartonomous.artifact_source_history (tenant_id, artifact_source_id);

create table hartonomous.ingestion_log (
    ingestion_log_id bigint primary key,
    tenant_id     int not null references hartonomous.tenant,
    source_uri    text,
    artifacts_created bigint not null default 0,
    artifacts_shared  bigint not null default 0,
    artifacts_skipped bigint not null default 0,
    atoms_created bigint not null default 0,
    atoms_shared  bigint not null default 0,
    retired       bigint not null default 0,
    started_at    timestamptz not null default clock_timestamp(),
    duration      interval,
    error         text
);
select hartonomous._opaque_ids('hartonomous.ingestion_log', 'ingestion_log_id');
comment on table hartonomous.ingestion_log is
'One row per ingesting call that changed something, per failed one that its caller told of by ingestion_log_error, and per upload that was abandoned. Created, shared and skipped make up the contents of a call.';
comment on column hartonomous.ingestion_log.artifacts_created is 'contents whose bytes were not there';
comment on column hartonomous.ingestion_log.artifacts_shared is 'contents whose bytes were there, found at another place or with other metadata';
comment on column hartonomous.ingestion_log.artifacts_skipped is 'contents that changed nothing';

insert into hartonomous.tenant_table (relation)
values ('hartonomous.artifact'), ('hartonomous.artifact_history'), ('hartonomous.artifact_source'), ('hartonomous.artifact_source_history'),
       ('hartonomous.artifact_source_removed'), ('hartonomous.ingestion_log');
-- bytes are given out as the contents of artifacts
insert into hartonomous.tenant_table (relation, exported) values ('hartonomous.atom', false), ('hartonomous.atom_reference_change', false);
select hartonomous._dump_rows(array['hartonomous.atom_reference_change', 'hartonomous.artifact', 'hartonomous.artifact_history',
                                    'hartonomous.artifact_source', 'hartonomous.artifact_source_history', 'hartonomous.artifact_source_removed', 'hartonomous.ingestion_log']::regclass[]);
insert into hartonomous.operation values ('ingest', 'write'), ('artifact_delete', 'write'), ('content', 'read');
