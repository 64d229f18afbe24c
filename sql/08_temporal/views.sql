create or replace view hartonomous.versioned_table as
select t.tgrelid::regclass as relation, to_regclass(format('%I.%I', n.nspname, c.relname || '_history')) as history
from pg_trigger as t
join pg_class as c on c.oid = t.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
where t.tgfoid = 'hartonomous._version_stamp'::regproc;
comment on view hartonomous.versioned_table is 'Tables under system versioning and their history tables.';
