create table hartonomous.secret (
    tenant_id   int not null references hartonomous.tenant check (tenant_id <> 0),
    name        text not null check (octet_length(name) between 1 and 200),
    ciphertext  bytea not null,
    key_version int not null,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (tenant_id, name)
);
comment on table hartonomous.secret is
'Secrets of tenants, such as providers'' keys: OpenPGP messages (AES-256) under a key of the file that hartonomous.key_file names in the configuration of the server. No tenant reads the ciphertext.';
create index on hartonomous.secret (key_version);
select hartonomous._dump_rows(array['hartonomous.secret']::regclass[]);
insert into hartonomous.tenant_table (relation, omitted) values ('hartonomous.secret', '{ciphertext}');
insert into hartonomous.operation values ('secret', 'write');
