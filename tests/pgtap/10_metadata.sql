-- Room 10: metadata are held to the JSON Schema of their tenant and modality.
begin;
\ir setup.psql
select plan(48);

create function pg_temp.fault(statement text, out code text, out message text, out hint text) language plpgsql as $$
begin
    execute statement;
exception when others then
    get stacked diagnostics code = returned_sqlstate, message = message_text, hint = pg_exception_hint;
end
$$;
create function pg_temp.interrupted(statement text) returns boolean language plpgsql as $$
begin
    execute statement;
    return false;
exception when query_canceled then
    return true;
end
$$;
create function pg_temp.refused(metadata text) returns text language sql as $$
    select f.code || ' ' || regexp_replace(f.message, '^\w+: ', '')
    from pg_temp.fault(format('select hartonomous.ingest_text(''refused'', metadata => %L)', metadata)) as f
$$;
create function pg_temp.no_schema(schema text) returns text language sql as $$
    select f.code || ' ' || regexp_replace(f.message, '^\w+: ', '')
    from pg_temp.fault(format('select hartonomous.metadata_schema_put(''text'', %L)', schema)) as f
$$;

set local role ann;
select hartonomous.ingest_text('before there was a schema', 'early', '{"author": 1}') as early \gset
select lives_ok($$select hartonomous.metadata_schema_put('text', '{
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["author"], "additionalProperties": false,
    "properties": {"author": {"type": "string", "pattern": "^[A-ZÄ]"}, "year": {"type": "integer", "minimum": 0},
                   "tags": {"type": "array", "uniqueItems": true}, "a/b": {"const": 1}, "who": {"$ref": "#/$defs/who"}},
    "patternProperties": {"^x-": {"type": "string"}},
    "$defs": {"who": {"type": "array", "items": {"maxLength": 3}}}}')$$, 'a writer gives its tenant a schema');
select is(pg_temp.refused('{}'), 'ZH016 metadata is {}, expected {"required": ["author"]}', 'what is missing is told');
select is(pg_temp.refused('{"author": 5}'), 'ZH016 metadata at "/author" is 5, expected {"type": "string"}', 'where it fails, what was found and expected');
select is(pg_temp.refused('{"author": "ann"}'), 'ZH016 metadata at "/author" is "ann", expected {"pattern": "^[A-ZÄ]"}');
select is(pg_temp.refused('{"author": "Ann", "year": -1}'), 'ZH016 metadata at "/year" is -1, expected {"minimum": 0}');
select is(pg_temp.refused('{"author": "Ann", "other": true}'), 'ZH016 metadata at "/other" is true, expected {"additionalProperties": false}');
select is(pg_temp.refused('{"author": "Ann", "x-other": 1}'), 'ZH016 metadata at "/x-other" is 1, expected {"type": "string"}');
select is(pg_temp.refused('{"author": "Ann", "tags": [1, {"a": 1}, {"a": 1.0}]}'), 'ZH016 metadata at "/tags" is [1, {"a": 1}, {"a": 1.0}], expected {"uniqueItems": true}');
select is(pg_temp.refused('{"author": "Ann", "a/b": 2}'), 'ZH016 metadata at "/a~1b" is 2, expected {"const": 1}', 'pointers are escaped');
select is(pg_temp.refused('{"author": "Ann", "who": ["Tom", "Anne"]}'), 'ZH016 metadata at "/who/1" is "Anne", expected {"maxLength": 3}');
select is((pg_temp.fault($$select hartonomous.ingest_text('refused', metadata => '{}')$$)).hint,
          'hartonomous.metadata_schema_list shows the schemas of your tenant');
select lives_ok($$select hartonomous.ingest_text('fine', 'fine', '{"author": "Änn", "year": 2024, "tags": [1, true, "1"], "a/b": 1.0, "x-y": "", "who": ["Tom"]}')$$);

-- every way in
select is((pg_temp.fault($$select hartonomous.ingest('refused', 'text', metadata => '{}')$$)).code, 'ZH016');
select is((pg_temp.fault($$select hartonomous.ingest_many(array['refused', 'refused too']::bytea[], 'text')$$)).code, 'ZH016', 'no metadata are empty ones');
select is((pg_temp.fault($$select hartonomous.ingest_many(array['refused', 'refused too']::bytea[], 'text', metadata => array['{"author": "Ann"}', '{"author": "x"}']::jsonb[])$$)).message,
          'MetadataInvalid: metadata 2 of 2 at "/author" is "x", expected {"pattern": "^[A-ZÄ]"}', 'which of many fails is told');
select is((pg_temp.fault($$select hartonomous.ingest_many(array['refused', 'refused too']::bytea[], 'text', metadata => array['{"author": "Ann"}', null]::jsonb[])$$)).code, 'ZH016');
select is((pg_temp.fault($$select hartonomous.ingest_document('refused', 'refused', metadata => '{"author": 1}')$$)).code, 'ZH016');
select is((pg_temp.fault($$select hartonomous.ingest_begin('text', 'refused')$$)).code, 'ZH016', 'before anything is sent');
select hartonomous.metadata_schema_put('text', 'true');
select hartonomous.ingest_begin('text', 'refused', '{"a": 1}') as upload \gset
select hartonomous.ingest_part(:upload, 0, 'refused');
select hartonomous.metadata_schema_put('text', '{"required": ["author"]}');
select is((pg_temp.fault(format('select hartonomous.ingest_commit(%s)', :upload))).code, 'ZH016', 'and again when the schema is another by then');
reset role;
select is_empty($$select * from hartonomous.artifact as a where a.canonical_text like 'refused%'
                  union all select a.* from hartonomous.artifact as a join hartonomous.artifact_source as s using (tenant_id, artifact_id) where s.source_uri like 'refused%'$$,
                'nothing of what was refused is stored');
set local role ann;
select lives_ok($$select hartonomous.ingest_document('d', 'as given', metadata => '{"author": 1}')$$, 'what the splitter adds is not checked');
select lives_ok($$select hartonomous.ingest('\x00', 'binary', metadata => '{"any": "thing"}')$$, 'another modality has another schema, or none');
select is((select metadata from hartonomous.artifact_show(array[:early])), '{"author": 1}', 'what is stored already stays as it is');

-- schemas
select results_eq('select modality, schema from hartonomous.metadata_schema_list()', $$values ('text', '{"required": ["author"]}'::jsonb)$$, 'put again is put anew');
set local role bob;
select is_empty('select * from hartonomous.metadata_schema_list()', 'another tenant does not see it');
select lives_ok($$select hartonomous.ingest_text('of bob', metadata => '{}')$$, 'nor is it held to it');
select throws_ok($$select hartonomous.metadata_schema_drop('text')$$, '22023', 'no metadata schema for text', 'nor can it drop it');
set local role rita;
select throws_ok($$select hartonomous.metadata_schema_put('text', 'true')$$, '42501', null, 'readers put none');
set local role nobody_at_all;
select throws_ok($$select hartonomous.metadata_schema_put('text', 'true')$$, 'ZH001');
set local role ann;
select throws_ok($$select hartonomous.metadata_schema_put('smell', 'true')$$, '22023');
select throws_ok($$select hartonomous.metadata_schema_put('text', null)$$, '22004');
select is(pg_temp.no_schema('[]'), '22023 schema is [], expected {"type": ["object", "boolean"]}');
select matches(pg_temp.no_schema('{"properties": {"a": {"type": "strin"}}}'), '^22023 schema at "/properties/a/type" is "strin", expected ');
select is(pg_temp.no_schema('{"$schema": "http://json-schema.org/draft-07/schema#"}'),
          '22023 $schema is "http://json-schema.org/draft-07/schema#", expected https://json-schema.org/draft/2020-12/schema');
select is(pg_temp.no_schema('{"$ref": "https://example.com/schema"}'), '22023 $ref "https://example.com/schema" leads to no schema in this one', 'nothing is fetched');
select is(pg_temp.no_schema('{"items": {"$ref": "#/$defs/missing"}}'), '22023 $ref "#/$defs/missing" leads to no schema in this one');
select is(pg_temp.no_schema('{"const": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "$ref": "#/const/a"}'),
          '22023 $ref "#/const/a" leads to no schema in this one', 'not even what looks like a schema where there is none');
select matches(pg_temp.no_schema('{"items": {"$id": "http://json-schema.org/draft-07/schema#"}}'), '^22023 schema has \$id');
select is(pg_temp.no_schema('{"properties": {"a": {"pattern": "(a"}}}'), '22023 pattern is "(a", expected a regular expression of PostgreSQL');
select is(pg_temp.no_schema('{"patternProperties": {"[": true}}'),
          '22023 a name of patternProperties is "[", expected a regular expression of PostgreSQL');
select matches(pg_temp.no_schema(format('{"const": "%s"}', repeat('x', 65537))), '^22023 schema has 65550 bytes, expected at most 65536');
select matches(pg_temp.no_schema(repeat('{"not":', 2000) || 'true' || repeat('}', 2000)), '^22023 schema cannot be used: maximum recursion');

-- what a schema may cost
select hartonomous.metadata_schema_put('text', ('{"$ref": "#/$defs/0", "$defs": {' || (
    select string_agg(format('"%s": {"allOf": [{"$ref": "#/$defs/%s"}, {"$ref": "#/$defs/%s"}]}', i, i + 1, i + 1), ', ')
    from generate_series(0, 30) as i) || ', "31": true}}')::jsonb);
select is(pg_temp.refused('{}'), 'ZH016 metadata take more than 100000 steps to check', 'a schema that doubles at every level is given up');
set local statement_timeout = '100ms';
select is(pg_temp.interrupted($$select hartonomous.ingest_text('refused', metadata => '{}')$$), true, 'and can be interrupted before');
set local statement_timeout = 0;
select hartonomous.metadata_schema_put('text', '{"properties": {"a": {"pattern": "^(a+)+$"}}}');
select matches(pg_temp.refused(jsonb_build_object('a', repeat('a', 20000) || 'b')::text), '^ZH016 metadata at "/a"', 'no pattern backtracks for ever');
select matches(pg_temp.refused(jsonb_build_object('b', repeat('a', 65536))::text), '^ZH016 metadata has 65545 bytes, a schema checks at most 65536');
select lives_ok($$select hartonomous.metadata_schema_drop('text')$$);
select throws_ok($$select hartonomous.metadata_schema_drop('text')$$, '22023');

select * from finish();
rollback;
