-- What plpgsql_check finds in the extension's functions: creating an extension does not look into their bodies.
select p.oid::regprocedure, 'line ' || found.lineno, found.level, found.message, found.detail, found.hint
  from pg_proc p
  join pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
  left join pg_trigger t on t.tgfoid = p.oid
 cross join lateral plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0), oldtable => t.tgoldtable, newtable => t.tgnewtable) as found
 where p.pronamespace = 'hartonomous'::regnamespace
   and (p.prorettype <> 'trigger'::regtype or t.tgfoid is not null)
 order by 1, found.lineno;
