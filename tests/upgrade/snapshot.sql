-- Everything that the extension's scripts determine, one line per object, without ids: two databases with equal lines are equal.
-- Columns are named, not numbered, because a column that an update adds stands last.
with member as (
    select d.classid, d.objid from pg_depend as d join pg_extension as e on e.oid = d.refobjid and e.extname = 'hartonomous'
    where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
), relation as (
    select c.* from pg_class as c join member as m on m.classid = 'pg_class'::regclass and m.objid = c.oid
)
select format('extension %s %s', extversion, (select array_agg(concat_ws(' ', r.relation::regclass, c.condition) order by r.relation::regclass::text)
       from unnest(extconfig) with ordinality as r (relation, i) join unnest(extcondition) with ordinality as c (condition, i) using (i)))
from pg_extension where extname = 'hartonomous'
union all
select format('member %s', (pg_identify_object(m.classid, m.objid, 0)).identity) from member as m
union all
select format('comment %s: %s', (pg_identify_object(m.classid, m.objid, d.objsubid)).identity, d.description)
from member as m join pg_description as d on d.classoid = m.classid and d.objoid = m.objid
union all
select format('function %s owner %s rights %s: %s', p.oid::regprocedure, p.proowner::regrole,
              (select array_agg(a::text order by a::text) from unnest(p.proacl) as a),
              case when p.proname = '_version_epoch' then 'chosen at random' else pg_get_functiondef(p.oid) end)
from pg_proc as p join member as m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
union all
select format('relation %s %s owner %s rights %s security %s %s partition %s %s options %s view %s', c.relkind, c.oid::regclass, c.relowner::regrole,
              (select array_agg(a::text order by a::text) from unnest(c.relacl) as a), c.relrowsecurity, c.relforcerowsecurity,
              pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), c.reloptions, case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
from relation as c
union all
select format('column %s.%s %s null %s default %s identity %s generated %s storage %s compression %s rights %s', c.oid::regclass, a.attname,
              format_type(a.atttypid, a.atttypmod), not a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage,
              a.attcompression, a.attacl)
from relation as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum where c.relkind in ('r', 'p', 'v', 'm', 'c')
union all
select format('index %s owner %s', pg_get_indexdef(i.indexrelid), x.relowner::regrole)
from relation as c join pg_index as i on i.indrelid = c.oid join pg_class as x on x.oid = i.indexrelid
union all
select format('constraint %s %s: %s', c.oid::regclass, k.conname, pg_get_constraintdef(k.oid)) from relation as c join pg_constraint as k on k.conrelid = c.oid
union all
select format('policy %s %s %s %s %s %s %s', c.oid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[],
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
from relation as c join pg_policy as p on p.polrelid = c.oid
union all
select format('trigger %s', pg_get_triggerdef(t.oid)) from relation as c join pg_trigger as t on t.tgrelid = c.oid where not t.tgisinternal
union all
select format('type %s owner %s rights %s like %s %s %s', t.oid::regtype, t.typowner::regrole, t.typacl, t.typlen, t.typinput, t.typoutput)
from pg_type as t join member as m on m.classid = 'pg_type'::regclass and m.objid = t.oid
union all
select format('cast %s %s %s %s', k.castsource::regtype, k.casttarget::regtype, k.castmethod, k.castcontext)
from pg_cast as k join member as m on m.classid = 'pg_cast'::regclass and m.objid = k.oid
union all
select format('schema %s owner %s rights %s', n.nspname, n.nspowner::regrole, (select array_agg(a::text order by a::text) from unnest(n.nspacl) as a))
from pg_namespace as n where n.nspname in ('hartonomous', 'hartonomous_private')
union all
select format('tenant table %s by %s', t.relation, t.tenant_column) from hartonomous.tenant_table as t
union all
select format('modality %s %s', m.modality, m.name) from hartonomous.modality as m
order by 1
