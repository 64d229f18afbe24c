create or replace view hartonomous.versioned_table as
select t.tgrelid::regclass as relation, hartonomous._version_history(t.tgrelid) as history, r.keep, r.kept_since
from pg_trigger as t
left join hartonomous.version_retention as r on r.relation = t.tgrelid
where t.tgfoid = 'hartonomous._version_stamp'::regproc and hartonomous._version_history(t.tgrelid) is not null;
comment on view hartonomous.versioned_table is
'Tables under system versioning and their history tables. keep: how long replaced versions are kept, NULL for ever; kept_since: the time from which on the history is whole, NULL when it always is.';
