create table hartonomous.transaction_time (
    stamp        bigint primary key,
    committed_at timestamptz not null
);
comment on table hartonomous.transaction_time is
'Commit times of transactions that wrote versioned rows, kept because the server forgets them when it freezes and a dump loses them.';
select pg_catalog.pg_extension_config_dump('hartonomous.transaction_time', '');

create table hartonomous.version_retention (
    relation     regclass primary key,
    keep         interval check (keep >= '0'),
    kept_since   timestamptz,
    pruned_stamp bigint
);
comment on table hartonomous.version_retention is
'How long the replaced versions of a versioned table are kept, and since when they are all there; system_versioning_retain sets it. No row: for ever.';
comment on column hartonomous.version_retention.keep is 'NULL: for ever, from now on';
comment on column hartonomous.version_retention.kept_since is 'history_prune removed what was replaced by then; NULL: it removed nothing';
comment on column hartonomous.version_retention.pruned_stamp is 'the last of this installation''s transactions of which history_prune removed versions that they replaced';
-- a table that is gone has no name by which it could be restored
select pg_catalog.pg_extension_config_dump('hartonomous.version_retention', 'where relation in (select c.oid from pg_catalog.pg_class as c)');
