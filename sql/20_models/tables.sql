create table hartonomous.tokenizer (
    tokenizer_id bigint primary key,
    tenant_id    int not null references hartonomous.tenant,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    definition   jsonb not null,
    unique (tenant_id, content_hash)
);
select hartonomous._opaque_ids('hartonomous.tokenizer', 'tokenizer_id');
comment on table hartonomous.tokenizer is 'Tokenizers as tokenizer.json defines them, stored once per tenant however many models read with them.';
comment on column hartonomous.tokenizer.content_hash is 'SHA-256 of the definition as text';

create table hartonomous.model (
    model_id     bigint primary key,
    tenant_id    int not null references hartonomous.tenant,
    name         text not null check (name ~ '^[^@\s]+$'),
    version      text not null check (version ~ '^[^@\s]+$'),
    kind         text not null,
    architecture text not null,
    config       jsonb not null,
    tokenizer_id bigint references hartonomous.tokenizer,
    dimensions   int,
    max_tokens   int,
    parameters   bigint,
    state_hash   bytea,
    base_model_id bigint references hartonomous.model,
    status       text not null default 'loading' check (status in ('loading', 'ready', 'archived')),
    created_at   timestamptz not null default now(),
    unique (tenant_id, name, version)
);
select hartonomous._opaque_ids('hartonomous.model', 'model_id');
create index on hartonomous.model (base_model_id);
create index on hartonomous.model (tokenizer_id);
comment on table hartonomous.model is
'Models. kind: embedding, generation, classification; base_model_id: the embedding model that a head is fitted to; state_hash: SHA-256 over config, tokenizer and every tensor; archived ones are read, but not run; system-versioned.';
select hartonomous.system_versioning_add('hartonomous.model');
create index on hartonomous.model_history (tenant_id, name);
create index on hartonomous.model_history (tokenizer_id);

create table hartonomous.model_layer (
    model_layer_id bigint primary key,
    tenant_id   int not null references hartonomous.tenant,
    model_id    bigint not null references hartonomous.model on delete cascade,
    name        text not null,
    layer_index int,
    layer_type  text not null,
    unique (model_id, name)
);
select hartonomous._opaque_ids('hartonomous.model_layer', 'model_layer_id');
comment on table hartonomous.model_layer is 'Layers of a model; layer_index is the number in a repeated layer''s name; system-versioned.';
select hartonomous.system_versioning_add('hartonomous.model_layer');
create index on hartonomous.model_layer_history (model_id);

create table hartonomous.model_tensor (
    model_tensor_id bigint primary key,
    tenant_id   int not null references hartonomous.tenant,
    model_id    bigint not null references hartonomous.model on delete cascade,
    model_layer_id bigint not null references hartonomous.model_layer on delete cascade,
    position    int not null,
    name        text not null,
    dtype       text not null,
    shape       int[] not null,
    byte_length bigint not null,
    content_hash bytea,
    unique (model_id, name)
);
select hartonomous._opaque_ids('hartonomous.model_tensor', 'model_tensor_id');
comment on column hartonomous.model_tensor.position is 'place in the order of loading, from 0';
comment on column hartonomous.model_tensor.content_hash is 'SHA-256 of the tensor''s bytes; NULL until model_commit';
comment on table hartonomous.model_tensor is 'Named tensors of a layer: the sum of coefficient x tensor atom over tensor_atom_coefficient; system-versioned.';
create index on hartonomous.model_tensor (model_layer_id);
select hartonomous.system_versioning_add('hartonomous.model_tensor');
create index on hartonomous.model_tensor_history (model_id);

create table hartonomous.tensor_atom (
    tensor_atom_id bigint primary key,
    tenant_id      int not null references hartonomous.tenant,
    content_hash   bytea not null check (octet_length(content_hash) = 32),
    data           bytea not null,
    unique (tenant_id, content_hash)
);
select hartonomous._opaque_ids('hartonomous.tensor_atom', 'tensor_atom_id');
comment on table hartonomous.tensor_atom is
'Reusable slices of weights (tiles of at most 256 KiB, little-endian) and factors u v of low-rank parts, stored once per tenant however many tensors and models hold them.';
alter table hartonomous.tensor_atom alter data set storage external;  -- weights do not compress; plain storage reads faster

create table hartonomous.tensor_atom_coefficient (
    coefficient_id  bigint primary key,
    tenant_id       int not null references hartonomous.tenant,
    model_tensor_id bigint not null references hartonomous.model_tensor on delete cascade,
    tensor_atom_id  bigint not null references hartonomous.tensor_atom,
    start           bigint not null check (start >= 0),
    byte_length     int not null,
    coefficient     real not null default 1,
    ordinal         int not null default 0 check (ordinal >= 0),
    rank            int not null default 0 check (rank >= 0),
    unique (model_tensor_id, ordinal, start),
    check ((ordinal = 0) = (rank = 0))
);
select hartonomous._opaque_ids('hartonomous.tensor_atom_coefficient', 'coefficient_id');
comment on table hartonomous.tensor_atom_coefficient is
'What a tensor is the sum of, each scaled by its coefficient: tiles at their byte offsets, then, in the order of ordinal, low-rank parts; system-versioned.';
comment on column hartonomous.tensor_atom_coefficient.rank is
'0 for a tile. Else the atom holds so many pairs of vectors, u as long as the matrix has rows and v as it has columns, of which the sum of u v^T is meant: float32, or int16 when its length says so';
create index on hartonomous.tensor_atom_coefficient (tensor_atom_id);
select hartonomous.system_versioning_add('hartonomous.tensor_atom_coefficient');
create index on hartonomous.tensor_atom_coefficient_history (model_tensor_id);

create table hartonomous.tensor_footprint (
    coefficient_id bigint primary key references hartonomous.tensor_atom_coefficient on delete cascade,
    tenant_id      int not null references hartonomous.tenant,
    model_layer_id bigint not null,
    geom           @extschema:postgis@.geometry(polygonzm, 0) not null,
    norm           real,
    mean           real,
    largest        real
);
comment on table hartonomous.tensor_footprint is
'Which columns (x) and rows (y) of its matrix a part of a tensor covers, in which layer (z), and its norm (m); follows from the part.';
create index tensor_footprint_place on hartonomous.tensor_footprint using gist (model_layer_id, geom);

create table hartonomous.model_deployment (
    tenant_id     int not null references hartonomous.tenant,
    kind          text not null,
    deployment_id bigint not null,
    earlier_id    bigint,
    model_id      bigint not null references hartonomous.model,
    candidate_id  bigint references hartonomous.model,
    share         real not null default 0 check (share >= 0 and share < 1),
    deployed_at   timestamptz not null default clock_timestamp(),
    primary key (tenant_id, kind),
    check (candidate_id <> model_id),
    check ((candidate_id is null) = (share = 0))
);
select hartonomous._opaque_ids('hartonomous.model_deployment', 'deployment_id');
comment on table hartonomous.model_deployment is
'Which model answers when none is named, one row per tenant and kind, and which candidate takes a share of the requests; system-versioned.';
comment on column hartonomous.model_deployment.earlier_id is 'deployment_id, in the history, of what model_rollback goes back to';
create index on hartonomous.model_deployment (model_id);
create index on hartonomous.model_deployment (candidate_id);
select hartonomous.system_versioning_add('hartonomous.model_deployment');
create index on hartonomous.model_deployment_history (tenant_id, deployment_id);

insert into hartonomous.tenant_table (relation)
select r from unnest(array['hartonomous.tokenizer', 'hartonomous.model', 'hartonomous.model_history', 'hartonomous.model_layer',
    'hartonomous.model_layer_history', 'hartonomous.model_tensor', 'hartonomous.model_tensor_history', 'hartonomous.tensor_atom',
    'hartonomous.tensor_atom_coefficient', 'hartonomous.tensor_atom_coefficient_history', 'hartonomous.tensor_footprint',
    'hartonomous.model_deployment', 'hartonomous.model_deployment_history']::regclass[]) as r;
select hartonomous._dump_rows(array['hartonomous.tokenizer', 'hartonomous.model', 'hartonomous.model_history', 'hartonomous.model_layer',
    'hartonomous.model_layer_history', 'hartonomous.model_tensor', 'hartonomous.model_tensor_history', 'hartonomous.tensor_atom', 'hartonomous.tensor_atom_coefficient', 'hartonomous.tensor_atom_coefficient_history', 'hartonomous.tensor_footprint',
    'hartonomous.model_deployment', 'hartonomous.model_deployment_history']::regclass[]);
insert into hartonomous.operation values ('model_write', 'write'), ('model_read', 'read');
