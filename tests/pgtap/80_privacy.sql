-- Room 80: what the registry owes export and erasure, tenant_export, tenant_erase.
begin;
\ir setup.psql
select plan(55);

-- no table is forgotten
create temp view unregistered as
select c.conrelid::regclass as relation from pg_constraint as c
where c.contype = 'f' and c.confrelid in (select t.relation from hartonomous.tenant_table as t)
  and not exists (select from hartonomous.tenant_table as t where t.relation = c.conrelid)
  and not (select r.relispartition from pg_class as r where r.oid = c.conrelid);
select is_empty('select * from unregistered', 'a table that refers to tenants'' rows is registered');
alter table hartonomous.artifact add unique (artifact_id);
create table hartonomous.note (note_id int primary key, artifact_id bigint references hartonomous.artifact (artifact_id));
select results_eq('select relation::text from unregistered', array['hartonomous.note'], 'one that is not is found');
alter table hartonomous.note add column tenant_id int not null references hartonomous.tenant;
insert into hartonomous.tenant_table (relation) values ('hartonomous.note');
grant all on hartonomous.note to hartonomous_definer;

create temp view unknown_column as
select t.relation, o.name from hartonomous.tenant_table as t cross join lateral unnest(t.omitted || t.tenant_column) as o (name)
where not exists (select from pg_attribute as a where a.attrelid = t.relation and a.attname = o.name and a.attnum > 0 and not a.attisdropped);
select is_empty('select * from unknown_column', 'tenant columns and omitted columns exist');
select is_empty(
    $$select t.relation, a.attname from hartonomous.tenant_table as t join pg_attribute as a on a.attrelid = t.relation and a.attnum > 0
      where t.exported and a.attname ~ '(secret|cipher|password|private|token_hash)' and a.attname <> all (t.omitted)$$,
    'nothing that is named like a secret is exported');
select is_empty(
    $$select t.relation from hartonomous.tenant_table as t join pg_proc as p on p.oid = t.pseudonymised_by
      where oidvectortypes(p.proargtypes) <> 'integer' or p.prorettype <> 'bigint'::regtype or p.proretset$$,
    'what makes rows nobody''s is a function (int) -> bigint');
select throws_ok($$insert into hartonomous.tenant_table (relation, exported, omitted) values ('pg_class', false, '{relname}')$$, '23514');
select is_empty(
    $$select c.conrelid::regclass, c.confrelid::regclass from pg_constraint as c
      join hartonomous._erasure_order() as a on a.relation = c.conrelid join hartonomous._erasure_order() as b on b.relation = c.confrelid
      where c.contype = 'f' and c.conrelid <> c.confrelid and a.rank >= b.rank$$,
    'rows that refer go before rows that are referred to');
select is_empty(
    $$select v.relation from hartonomous.versioned_table as v
      join hartonomous._erasure_order() as a on a.relation = v.relation join hartonomous._erasure_order() as b on b.relation = v.history
      where a.rank >= b.rank$$,
    'history goes after the table whose deletion writes it');
select set_eq('select relation from hartonomous._erasure_order()', 'select relation from hartonomous.tenant_table', 'all of them go');
savepoint circle;
alter table hartonomous.artifact add column note_id int references hartonomous.note;
select throws_ok('select hartonomous._erasure_order()', '55000', null, 'tables that refer to each other are refused');
rollback to circle;

-- two tenants and the public, with rows
set local role ann;
select hartonomous.ingest_text('the words of ann', 'ann:1', '{"price": 1.50, "of": "ann"}') as ann_text \gset
select hartonomous.ingest(convert_to(repeat('ann''s bytes ', 20000), 'UTF8')) as ann_large \gset
select hartonomous.ingest('') as ann_empty \gset
select hartonomous.artifact_delete(hartonomous.ingest_document('ann.md', E'# Gone\n\nWhat ann deleted.', 'markdown'));
set local role bob;
select hartonomous.ingest_text('the words of bob', 'bob:1') as bob_text \gset
set local role publisher;
select hartonomous.ingest_text('known to everybody', 'public:1') as public_text \gset
reset role;
select hartonomous.api_key_create(:ann) as ann_key \gset
select hartonomous.api_key_create(:bob) as bob_key \gset
insert into hartonomous.note values (1, :ann_text, :ann), (2, :bob_text, :bob);

-- export
create temp view export as
select n, line, line::jsonb as record, count(*) over () as lines
from (select row_number() over () as n, x.line from (select hartonomous.tenant_export(current_setting('my.ann')::int) as line) as x) as y;
select set_config('my.ann', :'ann', true) \g /dev/null
create temp table exported as select * from export;
select results_eq('select record ->> ''format'', record ->> ''version'', record ->> ''name'', record ->> ''extension'' from exported where n = 1',
                  $$values ('hartonomous export', '1', 'ann and co', hartonomous.version())$$, 'the first line says what it is');
select is((select array_agg(c order by c) from exported, jsonb_object_keys(record -> 'tables' -> 'hartonomous.api_key') as c where n = 1),
          '{created_at,expires_at,key_id,label,last_used_at,revoked_at,scopes,tenant_id}'::text[], 'and which columns, the hash of a key not among them');
select is_empty($$select line from exported where strpos(line, encode((select secret_hash from hartonomous.api_key where tenant_id = current_setting('my.ann')::int), 'base64')) > 0$$,
                'nor is it anywhere');
select set_eq($$select record ->> 'table', count(*) from exported where record ? 'row' group by 1$$,
              $$select r.relation::text, r.remaining from hartonomous._tenant_rows(current_setting('my.ann')::int) as r
                join hartonomous.tenant_table as t using (relation) where t.exported and r.remaining > 0$$, 'every row of every exported table is there');
select is((select (record -> 'rows' ->> 'hartonomous.artifact')::int from exported where n = lines),
          (select count(*)::int from hartonomous.artifact where tenant_id = :ann), 'the last line counts them');
select is((select record ->> 'sha256' from exported where n = lines),
          (select encode(sha256(convert_to(string_agg(line || E'\n', '' order by n), 'UTF8')), 'hex') from exported where n < lines),
          'and vouches for all lines before');
select is_empty($$select line from exported where line ~ 'words of bob|bob:1|bob ltd|to everybody'$$, 'no other tenant''s rows are there');
select is_empty(
    $$select a.artifact_id, sha256(e.content) from hartonomous.artifact as a
      left join (select (record -> 'content' ->> 'artifact_id')::bigint as artifact_id,
                        string_agg(decode(record -> 'content' ->> 'data', 'base64'), '' order by (record -> 'content' ->> 'start')::bigint) as content
                 from exported where record ? 'content' group by 1) as e using (artifact_id)
      where a.tenant_id = current_setting('my.ann')::int
        and (sha256(e.content), octet_length(e.content)) is distinct from (a.content_hash, a.content_length)$$,
    'the bytes of every artifact are there, deleted ones included');
select ok((select max(octet_length(line)) from exported) < 100000, 'in bounded pieces');
select is((select record -> 'row' -> 'metadata' ->> 'price' from exported where record ->> 'table' = 'hartonomous.artifact_source' and record -> 'row' ->> 'source_uri' = 'ann:1'), '1.50', 'numbers keep their digits');
select throws_ok('select hartonomous.tenant_export(2147483647)', '22023', 'InvalidParameter: tenant 2147483647 does not exist');
select throws_ok('select hartonomous.tenant_export(null)', '22023', 'InvalidParameter: tenant NULL does not exist');
select throws_ok('select hartonomous.tenant_export(-1)', '22023');
select lives_ok('select hartonomous.tenant_export(0)', 'the public tenant can be exported');
set local extra_float_digits = 0;
select throws_ok(format('select hartonomous.tenant_export(%s)', :ann), '22023', null, 'numbers would be rounded');
set local extra_float_digits = 1;
savepoint damage;
update hartonomous.atom set value = 'the words of eve' where value = 'the words of ann';
select throws_ok(format('select hartonomous.tenant_export(%s)', :ann), 'ZH013', null, 'damaged content is not passed on');
rollback to damage;

-- who may
set local role ann;
select throws_ok('select hartonomous.tenant_export(1)', '42501');
select throws_ok('select hartonomous.tenant_erase(1)', '42501');
reset role;

-- a closed tenant writes nothing more
select hartonomous.tenant_close(:ann), hartonomous.tenant_close(:ann) \g /dev/null
set local role ann;
select throws_ok('select hartonomous.ingest_text(''x'')', 'ZH001', format('tenant %s is closed', :ann));
select throws_ok('select hartonomous.embed_many(''{x}'')', 'ZH001', format('tenant %s is closed', :ann));
select is(hartonomous.content(:ann_text), 'the words of ann', 'but reads');
select throws_ok('select hartonomous.tenant_close(1)', '42501');
reset role;
select hartonomous.tenant_close(:ann, false) \g /dev/null
set local role ann;
select lives_ok('select hartonomous.ingest_text(''the words of ann'')', 'until it is opened again');
reset role;
select throws_ok('select hartonomous.tenant_close(0)', '22023');
select throws_ok('select hartonomous.tenant_close(null)', '22023', 'tenant NULL does not exist');

-- erase: what is refused
select throws_ok('select hartonomous.tenant_erase(0)', '22023', 'tenant 0 is public and cannot be erased');
select throws_ok('select hartonomous.tenant_erase(2147483647)', '22023', 'tenant 2147483647 does not exist');
select throws_ok('select hartonomous.tenant_erase(null)', '22023', 'tenant NULL does not exist');
savepoint shared;
update hartonomous.note set artifact_id = :ann_text where note_id = 2;
select throws_ok(format('select hartonomous.tenant_erase(%s)', :ann), '23503',
                 format('rows of tenant %s in hartonomous.note refer to rows of tenant %s in hartonomous.artifact', :bob, :ann));
rollback to shared;
select hartonomous._graph_node_put(:ann, 'artifact', array[:ann_text]), hartonomous._graph_edge_put(0, 'artifact', array[:public_text], 'DerivedFrom', 'artifact', array[:ann_text]) \g /dev/null
select throws_ok(format('select hartonomous.tenant_erase(%s)', :ann), '23503', null, 'nor may an edge of another tenant lead to it');
delete from hartonomous.graph_edge where from_id = :public_text;
create function hartonomous.keep_one() returns trigger language plpgsql as $$begin return case when old.note_id <> 1 then old end; end$$;
create trigger keep_one before delete on hartonomous.note for each row execute function hartonomous.keep_one();
alter table hartonomous.note drop constraint note_tenant_id_fkey, drop constraint note_artifact_id_fkey;
select throws_ok(format('select hartonomous.tenant_erase(%s)', :ann), '55000', format('1 rows of tenant %s remain in hartonomous.note', :ann));
select is((select count(*) from hartonomous.artifact where tenant_id = :ann), 5::bigint, 'nothing was erased then');
drop trigger keep_one on hartonomous.note;

-- erase; a table of notices may only be appended to
create table hartonomous.notice (tenant_id int, what text);
grant all on hartonomous.notice to hartonomous_definer;
insert into hartonomous.notice values (:ann, 'a'), (:ann, 'b'), (:bob, 'c');
create function hartonomous.notice_pseudonymise(tenant_id int) returns bigint language sql
return (select count(*) from hartonomous.notice as n where n.tenant_id = notice_pseudonymise.tenant_id);
insert into hartonomous.tenant_table (relation, pseudonymised_by) values ('hartonomous.notice', 'hartonomous.notice_pseudonymise(int)');
select throws_ok(format('select hartonomous.tenant_erase(%s)', :ann), '55000', format('2 rows of tenant %s remain in hartonomous.notice', :ann));
create or replace function hartonomous.notice_pseudonymise(tenant_id int) returns bigint language sql
begin atomic
    with done as (update hartonomous.notice as n set tenant_id = -1 where n.tenant_id = notice_pseudonymise.tenant_id returning 1) select count(*) from done;
end;
-- an artifact of ann's whose bytes are a public atom
update hartonomous.artifact as a set (h_xy, h_yz, h_zm) = (p.h_xy, p.h_yz, p.h_zm)
from hartonomous.artifact as p where p.artifact_id = :public_text and a.artifact_id = :ann_empty;
update hartonomous.atom set ref_count = 2 where value = 'known to everybody';
select hartonomous.tenant_erase(:ann) as erased \gset
select is((:'erased'::jsonb -> 'hartonomous.artifact' ->> 'removed')::int, 5);
select is((:'erased'::jsonb -> 'hartonomous.notice')::text, '{"removed": 0, "remaining": 0, "pseudonymised": 2}');
select is((:'erased'::jsonb -> 'hartonomous.note' ->> 'removed')::int, 1, 'a table nobody thought of goes along');
select set_eq(format('select jsonb_object_keys(%L)', :'erased'), 'select relation::text from hartonomous.tenant_table', 'every table is reported');
select is_empty(format('select * from hartonomous._tenant_rows(%s) where remaining > 0', :ann), 'nothing is left');
select hartonomous._atom_reference_fold() \g /dev/null
select results_eq('select count(*), max(ref_count) from hartonomous.atom where value = ''known to everybody''', 'values (1::bigint, 1::bigint)',
                  'public atoms stay, with one reference less');
select set_eq('select what, tenant_id from hartonomous.notice', format('values (''a'', -1), (''b'', -1), (''c'', %s)', :bob));
select throws_ok(format('select hartonomous.tenant_erase(%s)', :ann), '22023', format('tenant %s does not exist', :ann), 'once is enough');

-- who belonged to it has no tenant, and the others go on
set local role ann;
select throws_ok('select hartonomous.ingest_text(''x'')', 'ZH001');
set local role nobody_at_all;
select throws_ok(format('select hartonomous.authenticate(%L)', :'ann_key'), 'ZH003');
select lives_ok(format('select hartonomous.authenticate(%L)', :'bob_key'));
reset role;
set local role bob;
select is(hartonomous.content(:bob_text), 'the words of bob');
reset role;

select * from finish();
rollback;
