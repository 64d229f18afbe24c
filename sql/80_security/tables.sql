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
