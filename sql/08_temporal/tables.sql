create table hartonomous.transaction_time (
    stamp        bigint primary key,
    committed_at timestamptz not null
);
comment on table hartonomous.transaction_time is
'Commit times of transactions that wrote versioned rows, kept because the server forgets them when it freezes and a dump loses them.';
select pg_catalog.pg_extension_config_dump('hartonomous.transaction_time', '');
