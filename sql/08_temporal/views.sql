create or replace view hartonomous.versioned_table as
select t.tgrelid::regclass as relation, hartonomous._version_history(t.tgrelid) as history
from pg_trigger as t
where t.tgfoid = 'hartonomous._version_stamp'::regproc and hartonomous._version_history(t.tgrelid) is not null;
comment on view hartonomous.versioned_table is 'Tables under system versioning and their history tables.';
