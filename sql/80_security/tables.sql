create table hartonomous.jwt_issuer (
    issuer       text primary key check (issuer <> ''),
    audience     text not null check (audience <> ''),
    jwks         jsonb not null,
    tenant_claim text not null default 'tenant',
    scopes       text[] not null default '{read,write}' check (scopes <@ '{read,write}' and scopes <> '{}'),
    updated_at   timestamptz not null default now()
);
comment on table hartonomous.jwt_issuer is
'Who may issue tokens: the keys (JSON Web Key Set, RFC 7517), the audience that means us, and the claim whose value is a tenant''s name or id.';
select pg_catalog.pg_extension_config_dump('hartonomous.jwt_issuer', '');

create table hartonomous.rate_limit (
    rate_limit_id bigint primary key,
    tenant_id     int references hartonomous.tenant on delete cascade,
    operation     text not null default '*',
    per_key       boolean not null default false,
    units         bigint not null check (units > 0),
    per           interval not null check (per > '0'),
    burst         bigint not null check (burst > 0),
    created_at    timestamptz not null default now(),
    unique nulls not distinct (tenant_id, operation, per_key, per)
);
select hartonomous._opaque_ids('hartonomous.rate_limit', 'rate_limit_id');
comment on table hartonomous.rate_limit is
'Throttles: units of work per interval that a tenant (tenant_id NULL: each tenant for itself; per_key: each of its API keys, or each role that has none) may have of an operation (*: of all together), and how many of them at once. What was taken is counted outside of transactions, on each server for itself. A tenant reads the limits that name it.';
select hartonomous._dump_rows(array['hartonomous.rate_limit']::regclass[]);
insert into hartonomous.tenant_table (relation) values ('hartonomous.rate_limit');
