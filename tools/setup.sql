-- Brings a running server to the state everything expects; safe to repeat.
\o /dev/null
set client_min_messages = warning;
create extension if not exists pg_cron;
select 'create database hartonomous' where not exists (select from pg_database where datname = 'hartonomous') \gexec
select cron.schedule_in_database('hartonomous: abandoned uploads', '23 4 * * *', 'select hartonomous.upload_expire()', 'hartonomous');
select cron.schedule_in_database('hartonomous: garbage', '*/5 * * * *', $$
do 'begin
    for round in 1 .. 1000 loop
        exit when hartonomous.atom_collect_garbage() = 0;
        commit;
    end loop;
end'$$, 'hartonomous');
select cron.schedule_in_database('hartonomous: spatial summary', '47 * * * *', 'select hartonomous.spatial_summary_refresh()', 'hartonomous');
-- the server forgets commit times when it freezes rows
select cron.schedule_in_database('hartonomous: commit times', '17 * * * *', 'select hartonomous.transaction_time_resolve()', 'hartonomous');
-- versions that nobody has to keep any longer, then the weights that only they held
select cron.schedule_in_database('hartonomous: histories', '37 3 * * *', $$
do 'begin
    for round in 1 .. 1000 loop
        exit when hartonomous.history_prune() = 0;
        commit;
    end loop;
    for round in 1 .. 1000 loop
        exit when hartonomous.model_collect_garbage() = 0;
        commit;
    end loop;
end'$$, 'hartonomous');
-- refusals go from the spool to the audit log, and its entries under a seal
select cron.schedule_in_database('hartonomous: audit', '* * * * *', 'select hartonomous.audit_collect(); select hartonomous.audit_seal()', 'hartonomous');
select cron.schedule_in_database('hartonomous: recall', '* * * * *', 'select count(*) from hartonomous.recall_watch()', 'hartonomous');
\connect hartonomous
set client_min_messages = warning;
create extension if not exists pg_stat_statements;
create extension if not exists pg_qualstats;
create extension if not exists hypopg;
create extension if not exists hartonomous cascade;
select 'alter extension hartonomous update'
  from pg_available_extensions where name = 'hartonomous' and installed_version <> default_version \gexec
select $$select hartonomous.tenant_create('default')$$
 where not exists (select from hartonomous.tenant where tenant_id = 1) \gexec
select $$select hartonomous.tenant_role_add(1, 'postgres')$$
 where not exists (select from hartonomous.tenant_role where role_name = 'postgres') \gexec
