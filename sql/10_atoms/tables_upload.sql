create table hartonomous.upload (
    upload_id   bigint primary key,
    tenant_id   int not null references hartonomous.tenant,
    modality    smallint not null references hartonomous.modality,
    source_uri  text,
    metadata    jsonb,
    artifact_id bigint,
    created_at  timestamptz not null default now(),
    finished_at timestamptz
);
select hartonomous._opaque_ids('hartonomous.upload', 'upload_id');
comment on table hartonomous.upload is
'Contents that arrive in parts. A finished one keeps its artifact_id for a while, so that a client that lost its connection can ask again.';
create index on hartonomous.upload (tenant_id, source_uri);

create table hartonomous.upload_part (
    upload_id  bigint not null references hartonomous.upload on delete cascade,
    start      bigint not null check (start >= 0),
    tenant_id  int not null references hartonomous.tenant,
    length     int not null,
    data       bytea not null,
    created_at timestamptz not null default now(),
    primary key (upload_id, start)
);
-- read in slices when chunks are made of it
alter table hartonomous.upload_part alter column data set storage external;
comment on table hartonomous.upload_part is 'Bytes of an unfinished upload from byte start; parts follow each other without gap when it is committed.';
create index on hartonomous.upload_part (tenant_id);

insert into hartonomous.tenant_table (relation) values ('hartonomous.upload');
-- its bytes are given out in pieces
insert into hartonomous.tenant_table (relation, omitted) values ('hartonomous.upload_part', '{data}');
select hartonomous._dump_rows(array['hartonomous.upload', 'hartonomous.upload_part']::regclass[]);
