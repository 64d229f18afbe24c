create table hartonomous.inference_request (
    inference_request_id bigint primary key,
    tenant_id      int not null references hartonomous.tenant,
    operation      text not null,
    model_id       bigint not null,
    state_hash     bytea not null,
    input_hash     bytea not null,
    output_hash    bytea not null,
    items          int not null,
    tokens         bigint not null,
    snapshot       pg_snapshot not null default pg_current_snapshot(),
    engine         text not null,
    blas_core      text not null,
    threads        int not null,
    role_name      name not null,
    created_at     timestamptz not null default now(),
    duration       interval not null,
    parameters     jsonb not null default '{}'
);
select hartonomous._opaque_ids('hartonomous.inference_request', 'inference_request_id');
comment on table hartonomous.inference_request is
'One row per call of a recorded inference verb: what went in and out (SHA-256), which weights (state_hash) in which snapshot, which engine. Same state, engine, core and threads give the same bits.';
comment on column hartonomous.inference_request.parameters is
'What else decided the result. Of generate: its options with the seed that was used, and per prompt why its text ended: "end" token, "stop" text, "length"; null: a stream that was not read to its end.';
create index on hartonomous.inference_request (tenant_id, created_at);
insert into hartonomous.tenant_table (relation) values ('hartonomous.inference_request');
select hartonomous._dump_rows(array['hartonomous.inference_request']::regclass[]);
insert into hartonomous.operation values ('inference', 'read');
