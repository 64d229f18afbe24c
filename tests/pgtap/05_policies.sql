-- Room 05: access policies: their order, effects and conditions, and what a masked or denied role reads directly.
begin;
\ir setup.psql
select plan(140);
create function pg_temp.put(condition text) returns text language sql as
$$select format('select hartonomous.access_policy_put(1, ''deny'', condition => %L)', condition)$$;
create function pg_temp.value(condition jsonb, facts jsonb default '{"n": 5, "s": "a", "t": true, "none": null, "list": ["a", "b"]}') returns jsonb
language sql as $$select hartonomous._condition_value(condition, facts)$$;

-- no policies: everything that privileges allow
set local role ann;
select hartonomous.ingest_text('of ann', 'note:1') as note \gset
select is(hartonomous.content(:note), 'of ann'::bytea);
select throws_ok('select * from hartonomous.access_policy', '42501', null, 'a tenant does not read policies');
select throws_ok('select * from hartonomous.access_policy_list()', '42501');
select throws_ok($$select hartonomous.access_policy_put(1, 'allow')$$, '42501');
select throws_ok('select hartonomous.access_policy_drop(1)', '42501');
select throws_ok($$select hartonomous._policy_verdict(1, 'content')$$, '42501', null, 'nor asks for a verdict');
select throws_ok('select hartonomous._masked(1, ''content'')', '42501');

-- what put refuses
set local role adam;
select throws_ok($$select hartonomous.access_policy_put(null, 'allow')$$, '22004', 'ordinal is NULL, expected the policy''s place in the order');
select throws_ok($$select hartonomous.access_policy_put(1, 'forbid')$$, '22023', 'effect is ''forbid'', expected allow, deny or mask');
select throws_ok($$select hartonomous.access_policy_put(1, null)$$, '22023', 'effect is NULL, expected allow, deny or mask');
select throws_ok($$select hartonomous.access_policy_put(1, 'deny', 'fly')$$, '22023', 'unknown operation ''fly''');
select throws_ok($$select hartonomous.access_policy_put(1, 'deny', null)$$, '22023', 'unknown operation NULL');
select throws_ok($$select hartonomous.access_policy_put(1, 'mask', 'content')$$, '22023', 'a mask of content alone, expected operation *');
select throws_ok($$select hartonomous.access_policy_put(1, 'deny', tenant_id => -1)$$, '22023', 'tenant -1 does not exist');
select throws_ok($$select hartonomous.access_policy_put(1, 'deny', tenant_id => 2147483647)$$, '22023', 'tenant 2147483647 does not exist');
select throws_ok('select hartonomous.access_policy_drop(null)', '22023', 'no policy with id NULL');
select throws_ok('select hartonomous.access_policy_drop(-1)', '22023', 'no policy with id -1');
select throws_ok(pg_temp.put(c), '22023', m, left(c, 100)) from (values
    ('null', 'condition at $ is a null, expected a boolean'),
    ('1', 'condition at $ is a number, expected a boolean'),
    ('"yes"', 'condition at $ is a string, expected a boolean'),
    ('[]', 'condition at $ is a list of nothing, expected values of one type'),
    ('{}', 'condition at $ has 0 keys, expected one operator'),
    ('{"==": [1, 1], "and": [true]}', 'condition at $ has 2 keys, expected one operator'),
    ('{"cat": ["a", "b"]}', 'condition at $ has operator cat, expected one operator'),
    ('{"==": [1]}', 'condition at $.== has 1 arguments, expected 2'),
    ('{"==": [1, 1, 1]}', 'condition at $.== has 3 arguments, expected 2'),
    ('{"!": [true, true]}', 'condition at $.! has 2 arguments, expected 1'),
    ('{"or": []}', 'condition at $.or has 0 arguments, expected at least 1'),
    ('{"and": [true, 1]}', 'condition at $.and[1] is a number, expected a boolean'),
    ('{"and": [true, {"or": [{"!": {"var": "hour"}}]}]}', 'condition at $.and[1].or[0].![0] is a number, expected a boolean'),
    ('{"==": [{"var": "role"}, 1]}', 'condition at $.==[1] is a number, expected a string'),
    ('{"!=": [{"var": "scopes"}, {"var": "scopes"}]}', 'condition at $.!=[0] is a string[], expected a single value'),
    ('{"==": ["a", ["a"]]}', 'condition at $.==[1] is a string[], expected a string'),
    ('{"<": ["a", "b"]}', 'condition at $.<[0] is a string, expected a number'),
    ('{"<=": [{"var": "hour"}, null]}', 'condition at $.<=[1] is a null, expected a number'),
    ('{">": [{"var": "hour"}, "8"]}', 'condition at $.>[1] is a string, expected a number'),
    ('{">=": [true, 1]}', 'condition at $.>=[0] is a boolean, expected a number'),
    ('{"in": ["a", "abc"]}', 'condition at $.in[1] is a string, expected a string[]'),
    ('{"in": ["a", [1]]}', 'condition at $.in[1] is a number[], expected a string[]'),
    ('{"in": [1, {"var": "scopes"}]}', 'condition at $.in[1] is a string[], expected a number[]'),
    ('{"in": ["a", ["a", 1]]}', 'condition at $.in[1] is a list of number, string, expected values of one type'),
    ('{"in": ["a", [["a"]]]}', 'condition at $.in[1] is a list of array, expected values of one type'),
    ('{"in": ["a", [{"var": "role"}]]}', 'condition at $.in[1] is a list of object, expected values of one type'),
    ('{"var": "application_name"}', 'condition at $.var is application_name, expected a variable'),
    ('{"var": ["role", "x"]}', 'condition at $.var is ["role", "x"], expected a variable'),
    ('{"var": null}', 'condition at $.var is <NULL>, expected a variable'),
    (repeat('{"!":', 17) || 'true' || repeat('}', 17), 'condition at $' || repeat('.![0]', 16) || ' is nested deeper than 16'),
    (format('{"==": [{"var": "role"}, "%s"]}', repeat('x', 9000)), 'condition has 9029 bytes, expected at most 8192')
) as v (c, m);
select is_empty('select * from hartonomous.access_policy', 'what was refused is not there');
select lives_ok(pg_temp.put(repeat('{"!":', 16) || 'false' || repeat('}', 16)));
select is((select count(*) from hartonomous.access_policy), 1::bigint, 'an administrator reads the table');
reset role;
delete from hartonomous.access_policy;

-- what operators give; NULL: cannot be evaluated
select is(pg_temp.value(c::jsonb), r::jsonb, c) from (values
    ('{"var": "n"}', '5'), ('{"var": "gone"}', null), ('{"var": "none"}', 'null'),
    ('{"==": [{"var": "n"}, 5.0]}', 'true'), ('{"==": [{"var": "n"}, "5"]}', null), ('{"==": [{"var": "none"}, 7]}', 'false'),
    ('{"!=": [{"var": "none"}, 7]}', 'true'), ('{"==": [{"var": "none"}, null]}', 'true'), ('{"==": [{"var": "gone"}, null]}', null),
    ('{"!=": [{"var": "gone"}, null]}', null), ('{"==": [{"var": "list"}, {"var": "list"}]}', null), ('{"==": [{"var": "s"}, ["a"]]}', null),
    ('{"<": [{"var": "n"}, 5]}', 'false'), ('{"<=": [{"var": "n"}, 5]}', 'true'), ('{">": [{"var": "n"}, 4.9]}', 'true'), ('{">=": [{"var": "n"}, 6]}', 'false'),
    ('{"<": ["a", "b"]}', null), ('{"<": [{"var": "none"}, 5]}', null),
    ('{"in": ["b", {"var": "list"}]}', 'true'), ('{"in": ["c", {"var": "list"}]}', 'false'), ('{"in": [1, {"var": "list"}]}', null),
    ('{"in": [{"var": "none"}, {"var": "list"}]}', 'false'), ('{"in": ["a", {"var": "none"}]}', null), ('{"in": ["a", "abc"]}', null),
    ('{"and": [true, {"var": "gone"}]}', null), ('{"and": [{"var": "gone"}, false]}', 'false'), ('{"and": [true, 1]}', null),
    ('{"or": [{"var": "gone"}, true]}', 'true'), ('{"or": [{"var": "gone"}, false]}', null), ('{"!": {"var": "t"}}', 'false'), ('{"!": [{"var": "gone"}]}', null),
    ('{"==": [1, 1], "!=": [1, 1]}', null), ('{}', null), ('{"and": []}', null), ('{"cat": ["a", "b"]}', null)
) as v (c, r);

-- order: by ordinal, then id; the first that applies decides
create function pg_temp.verdicts() returns text language sql as
$$select concat_ws(' ', hartonomous._policy_verdict(1, 'content'), hartonomous._policy_verdict(1, 'search'), hartonomous._policy_verdict(1, 'table_read'))$$;
create table pg_temp.expected as select * from (values
    (array[]::text[], 'allow allow allow', 'none'),
    (array['deny *'], 'deny deny deny', 'all denied'),
    (array['deny content'], 'deny allow deny', 'what a verb may not read is not read directly either'),
    (array['deny ingest'], 'allow allow allow', 'a verb that writes'),
    (array['deny table_read'], 'allow allow deny', 'tables alone'),
    (array['allow content', 'deny *'], 'allow deny deny', 'an exception before'),
    (array['deny *', 'allow content'], 'deny deny deny', 'an exception after'),
    (array['mask *'], 'mask mask mask', 'all masked'),
    (array['allow search', 'mask *'], 'mask allow mask', 'unmasked by an exception'),
    (array['mask *', 'allow *'], 'mask mask mask', 'masked and allowed'),
    (array['mask *', 'deny content'], 'deny mask deny', 'masked and denied'),
    (array['deny * false', 'mask * false', 'allow * false'], 'allow allow allow', 'none applies'),
    (array['deny * {"<":[{"var":"client_addr"},1]}'], 'deny deny deny', 'a deny that cannot be evaluated'),
    (array['mask * {"<":[{"var":"client_addr"},1]}'], 'mask mask mask', 'a mask that cannot be evaluated'),
    (array['allow * {"<":[{"var":"client_addr"},1]}', 'deny *'], 'deny deny deny', 'an allow that cannot be evaluated'),
    (array['deny * {"==":[{"var":"operation"},"search"]}'], 'allow deny allow', 'a condition on the operation')
) as v (policies, verdicts, meaning);
create function pg_temp.tried(wanted text[]) returns text language plpgsql as $$
begin
    delete from hartonomous.access_policy;
    for i in 1 .. coalesce(cardinality(wanted), 0) loop  -- past the checks of put: what an older version may have let in
        insert into hartonomous.access_policy (ordinal, effect, operation, condition, label)
        values (1, split_part(wanted[i], ' ', 1), split_part(wanted[i], ' ', 2), nullif(split_part(wanted[i], ' ', 3), '')::jsonb, '');
    end loop;
    return pg_temp.verdicts();
end
$$;
select is(pg_temp.tried(policies), verdicts, meaning) from expected;
delete from hartonomous.access_policy;
select hartonomous.access_policy_put(2, 'deny') as second, hartonomous.access_policy_put(1, 'allow') as first \gset
select is(pg_temp.verdicts(), 'allow allow allow', 'the ordinal goes before the id');
select results_eq('select policy_id, tenant_id, ordinal, effect, operation, condition, label from hartonomous.access_policy_list()',
                  format($$values (%s::bigint, null::int, 1, 'allow', '*', null::jsonb, ''), (%s, null, 2, 'deny', '*', null, '')$$, :first, :second));
select hartonomous.access_policy_drop(:first), hartonomous.access_policy_drop(:second) \g /dev/null

-- a policy of a tenant holds for that tenant
select hartonomous.access_policy_put(1, 'deny', 'content', '{"==": [{"var": "role"}, "rita"]}', :ann) as p \gset
select is((select count(*) from hartonomous.access_policy_list(:ann)), 1::bigint);
select is_empty(format('select * from hartonomous.access_policy_list(%s)', :bob));
select hartonomous.access_policy_put(1, 'deny', tenant_id => :bob) as of_bob \gset
set local role bob;
select throws_ok('select * from hartonomous.model_list()', 'ZH002', 'an access policy denies model_read');
set local role rita;
select throws_ok(format('select hartonomous.content(%s)', :note), 'ZH002', 'an access policy denies content', 'refused by name of the operation alone');
select lives_ok('select * from hartonomous.model_list()');
select is_empty('select * from hartonomous.artifact', 'who may not call content does not read the table either');
select is_empty('select * from hartonomous.tenant');
set local role ann;
select is(hartonomous.content(:note), 'of ann'::bytea, 'a condition on the role spares others');
select isnt_empty('select * from hartonomous.artifact');
select lives_ok('select * from hartonomous.model_list()', 'another tenant''s policy is another tenant''s');
reset role;
select hartonomous.access_policy_drop(:p), hartonomous.access_policy_drop(:of_bob) \g /dev/null

-- each variable
create function pg_temp.fact(condition jsonb) returns boolean language sql as
$$select hartonomous._condition_value(condition, hartonomous._policy_facts(7, 'search', 3)) = 'true'$$;
select is(pg_temp.fact(c::jsonb), true, c) from (values
    ('{"==": [{"var": "tenant"}, 7]}'), ('{"==": [{"var": "operation"}, "search"]}'), ('{"<": [{"var": "units"}, 4]}'),
    ('{"==": [{"var": "key_id"}, null]}'), ('{"!": {"var": "read_only"}}'),
    (format('{"and": [{"<=": [0, {"var": "hour"}]}, {"in": [{"var": "hour"}, [%s, %s]]}]}',
            extract(hour from clock_timestamp() at time zone 'UTC'), extract(hour from (clock_timestamp() + interval '1 s') at time zone 'UTC'))),
    (format('{"in": [{"var": "weekday"}, [%s, %s]]}',
            extract(isodow from clock_timestamp() at time zone 'UTC'), extract(isodow from (clock_timestamp() + interval '1 s') at time zone 'UTC'))),
    (format('{"==": [{"var": "login"}, "%s"]}', session_user))
) as v (c);
set local timezone = 'Pacific/Kiritimati';
select is((hartonomous._policy_facts(7, 'search', 3) -> 'hour')::int, extract(hour from clock_timestamp() at time zone 'UTC')::int, 'the caller''s time zone has no say');
reset timezone;

-- a key: by its id and scopes, whatever role it comes with; masks
select hartonomous.api_key_create(:ann, 'masked') as masked_key, hartonomous.api_key_create(:ann, 'plain') as plain_key \gset
select hartonomous.access_policy_put(1, 'mask', condition => format('{"==": [{"var": "key_id"}, %s]}', split_part(:'masked_key', '_', 2))::jsonb) \g /dev/null
set local role nobody_at_all;
savepoint before;
select hartonomous.authenticate(:'masked_key') \g /dev/null
select is(hartonomous.content(:note), 'xxxx'::bytea, 'a masked key gets the mask');
select is(hartonomous.content_slice(:note, 1, 1), 'xxxx'::bytea, 'the same for a part');
select throws_ok('select hartonomous.content(-1)', 'ZH010', 'no artifact -1', 'but the same errors');
select results_eq(format('select subtype, source_uri, metadata, content_hash, canonical_text from hartonomous.artifact_show(array[%s])', :note),
                  $$values ('xxxx'::text, 'xxxx'::text, '{"masked": true}'::jsonb, 'xxxx'::bytea, 'xxxx'::text)$$);
select is_empty('select * from hartonomous.artifact', 'and no rows of tables');
select is_empty('select * from hartonomous.artifact_text', 'nor of views');
set local role ann;
select is_empty('select * from hartonomous.artifact', 'set role changes nothing');
rollback to before;
select hartonomous.authenticate(:'plain_key') \g /dev/null
select is(hartonomous.content(:note), 'of ann'::bytea, 'another key of the same tenant');
select isnt_empty('select * from hartonomous.artifact');
reset role;

-- what a policy says of many units at once holds for the mask too, and administrators are not under it
select hartonomous.access_policy_put(1, 'mask', condition => '{">": [{"var": "units"}, 1]}') as many \gset
set local role ann;
select is((select array_agg(distinct canonical_text) from hartonomous.artifact_show(array[:note, :note])), array['xxxx'], 'two at once');
select is((select canonical_text from hartonomous.artifact_show(array[:note])), 'of ann', 'one is not many');
set local role adam;
select isnt_empty('select * from hartonomous.access_policy');
select isnt_empty('select * from hartonomous.audit_log');
reset role;
select hartonomous.access_policy_drop(:many) \g /dev/null

-- a condition on a key's label holds for its successors
select hartonomous.access_policy_put(1, 'deny', 'content', '{"==": [{"var": "key_label"}, "pool"]}') as labelled \gset
select hartonomous.api_key_create(:ann, 'pool') as first_key \gset
select hartonomous.api_key_rotate(split_part(:'first_key', '_', 2)::bigint) as next_key \gset
set local role nobody_at_all;
savepoint before;
select hartonomous.authenticate(:'next_key') \g /dev/null
select throws_ok(format('select hartonomous.content(%s)', :note), 'ZH002', 'an access policy denies content');
rollback to before;
set local role ann;
select is(hartonomous.content(:note), 'of ann'::bytea, 'who has no key is not meant');
reset role;
select hartonomous.access_policy_drop(:labelled) \g /dev/null

-- who put and who dropped what
select results_eq($$select operation, tenant_id, detail ->> 'effect' from hartonomous.audit_log where tenant_id is not null and detail ->> 'operation' = 'content' order by audit_id$$,
                  format($$values ('access_policy_put', %1$s, 'deny'), ('access_policy_drop', %1$s, 'deny')$$, :ann));

-- a tenant's policies go with it
select hartonomous.tenant_create('short-lived') as gone \gset
select hartonomous.access_policy_put(1, 'deny', tenant_id => :gone) \g /dev/null
delete from hartonomous.tenant where tenant_id = :gone;
select is_empty(format('select * from hartonomous.access_policy where tenant_id = %s', :gone));

select * from finish();
rollback;
