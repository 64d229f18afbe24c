-- Room 40: searches as of a time. A test runs in one transaction, so what was there before is given the stamp of an older one.
begin;
\ir setup.psql
\ir model.psql
select plan(61);
select hartonomous._version_epoch() << 40 | xmin::text::bigint as older, pg_xact_commit_timestamp(xmin) as at from pg_extension where extname = 'hartonomous' \gset

create function pg_temp.age(stamp bigint) returns void language plpgsql as $$
declare
    relation text;
begin
    foreach relation in array '{artifact,artifact_source,atom_embedding,model,model_deployment}'::text[] loop
        execute format('alter table hartonomous.%s disable trigger user', relation);
        execute format('update hartonomous.%s set sys_begin = $1', relation) using stamp;
        execute format('alter table hartonomous.%s enable trigger user', relation);
    end loop;
end
$$;

-- before: public things, ann's and bob's
set local role publisher;
select pg_temp.tiny_bert('one') \g /dev/null
select hartonomous.ingest_text('green tea for everybody', 'public:1') as public_tea \gset
select hartonomous.embed_artifacts(hartonomous.embedding_pending()) \g /dev/null
set local role bob;
select hartonomous.ingest_text('green tea of bob', 'bob:1') as bobs \gset
select hartonomous.embed_artifacts(array[:bobs]) \g /dev/null
set local role ann;
select hartonomous.embedding_model_register('outside', 4) \g /dev/null
select hartonomous.ingest_text('green tea of ann', 'ann:1', '{"n": 1}') as tea \gset
select hartonomous.ingest_text('roasted coffee', 'ann:2', '{"n": 1, "title": "Beans"}') as coffee \gset
select hartonomous.ingest_text('green cocoa', 'ann:3', '{"n": 2}') as cocoa \gset
select hartonomous.embed_artifacts(hartonomous.embedding_pending()) \g /dev/null
select hartonomous.embedding_put_many(array[:tea, :coffee, :cocoa], array['[1,0,0,0]', '[0,1,0,0]', '[0.9,0.4,0,0]']::public.vector[], 'outside') \g /dev/null
reset role;
select pg_temp.age(:older);

set local role ann;
create temp table direction as select hartonomous.embed('tea') as v;
create function pg_temp.asked(as_of timestamptz) returns table (verb text, found text) language sql as $$
    select v.verb, string_agg(v.row::text, ' ' order by v.ordinal)
    from (select 'search' as verb, r::text as row, r.ordinal from hartonomous.search('green tea', 5, as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'vector', r::text, r.ordinal from hartonomous.search_vector('[1,0.1,0,0]', 5, 'outside', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'vector of all', r::text, r.ordinal from hartonomous.search_vector((select v from direction), 3, as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'filter', r::text, r.ordinal from hartonomous.search_vector('[1,0.1,0,0]', 1, 'outside', '{"metadata": {"n": 1}}', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'no snippets', r::text, r.ordinal from hartonomous.search_vector('[1,0.1,0,0]', 1, 'outside', as_of => asked.as_of, snippets => false) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'spatial', r::text, r.ordinal from hartonomous.search_spatial('[1,0.1,0,0]', hartonomous.project('[1,0,0,0]', 'outside'), 0.5, 5, 'outside', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'keyword', r::text, r.ordinal from hartonomous.search_keyword('tea beans -cocoa', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'hybrid', r::text, r.ordinal from hartonomous.search_hybrid('green', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'weighted', r::text, r.ordinal from hartonomous.search_hybrid('green', weights => '{"text": 1, "vector": 1}', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)
          union all select 'ensemble', r::text, r.ordinal from hartonomous.search_ensemble('tea', '{one}', as_of => asked.as_of) with ordinality as r (artifact_id, score, source_uri, snippet, verdict, ordinal)) as v
    group by v.verb$$;
create temp table answered as select * from pg_temp.asked(null);
select is((select count(*) from answered), 10::bigint, 'every verb finds something');
select results_eq('select * from pg_temp.asked(now()) order by verb', 'select * from answered order by verb', 'what is found now, while nothing has changed');
select is(hartonomous.search_explain('[1,0,0,0]', model => 'outside', as_of => :'at') -> 'parts' -> 0, '{"of": "own tenant", "rows": 3, "matching": 3, "path": "exact", "candidates": null}'::jsonb);

-- since then
select hartonomous.artifact_delete(:tea);
select hartonomous.embedding_put_many(array[:coffee, :cocoa], array['[1,0.1,0,0]', '[0,0,0,1]']::public.vector[], 'outside') \g /dev/null
select hartonomous.ingest_text('green cocoa', 'ann:3', '{"n": 1}') \g /dev/null
select hartonomous.ingest_text('roasted coffee', 'ann:2', '{}') \g /dev/null
select hartonomous.ingest_text('roasted coffee', 'a:2') \g /dev/null
select hartonomous.ingest_text('green tea since then', 'ann:4', '{"n": 1}') \g /dev/null
select hartonomous.embed_artifacts(hartonomous.embedding_pending()) \g /dev/null
reset role;
select hartonomous.tensor_delta_add('one', 'encoder.layer.0.output.dense.weight', array_fill(1::real, array[32]), array(select i::real from generate_series(1, 64) as i), 1)
from (select hartonomous.tenant_role_add(0, session_user)) as public \g /dev/null
select hartonomous.tenant_role_add(:ann, session_user) \g /dev/null
set local role ann;
select set_eq('select verb from pg_temp.asked(null) except select verb from (table answered) as a where exists (select from pg_temp.asked(null) as n where n = a)',
              'select verb from answered', 'every answer is another one now');
select results_eq('select * from pg_temp.asked(' || quote_literal(:'at') || ') order by verb', 'select * from answered order by verb', 'as of then they are as they were');
select results_eq($$select * from pg_temp.asked('3000-01-01') order by verb$$, 'select * from answered order by verb', 'nor has what is not committed a time that is to come');
select is(hartonomous.search_explain('[1,0,0,0]', model => 'outside', filter => '{"metadata": {"n": 1}}', as_of => :'at') #> '{parts,0,matching}', '2');
select is((select found_by.artifact_id from hartonomous.search_keyword('tea', 1, as_of => :'at') as found_by), least(:tea, :public_tea)::bigint);
select set_eq(format($$select artifact_id from hartonomous.search_keyword('tea', model => 'one', as_of => %L)$$, :'at'), array[:tea, :public_tea]::bigint[], 'a deleted one is found');
select is((select p.artifact_id from hartonomous.search_keyword('tea', 1, as_of => :'at') as s
           cross join lateral hartonomous.search_keyword('tea', 1, as_of => :'at', after_score => s.score, after_id => s.artifact_id) as p), greatest(:tea, :public_tea)::bigint, 'the next page');
select is((select array_agg(p.artifact_id) from hartonomous.search_vector('[1,0,0,0]', 1, 'outside', as_of => :'at') as s
           cross join lateral hartonomous.search_vector('[1,0,0,0]', 9, 'outside', as_of => :'at', after_score => s.score, after_id => s.artifact_id) as p), array[:cocoa, :coffee]::bigint[], 'and of vectors');
select is((select verdict from hartonomous.search_vector('[1,0,0,0]', 3, 'outside', as_of => :'at') limit 1), 'exact');
select is((select verdict from hartonomous.search_vector('[1,0,0,0]', 4, 'outside', as_of => :'at') limit 1), 'short');
select is_empty(format($$select * from hartonomous.search_vector('[1,0,0,0]', model => 'outside', as_of => %L::timestamptz, filter => '{"created_before": "2001-01-01"}')$$, :'at'));
select is_empty(format($$select * from hartonomous.search_hybrid('green', 'LINESTRING Z (5 5 5, 6 6 6)', as_of => %L::timestamptz)$$, :'at'), 'an empty place had nothing');

-- what another tenant sees
set local role bob;
select set_eq(format($$select artifact_id from hartonomous.search('green tea', 100, as_of => %L)$$, :'at'), array[:bobs, :public_tea]::bigint[], 'another tenant finds its own and public ones');
select set_eq(format($$select artifact_id from hartonomous.search_keyword('green coffee', 100, as_of => %L)$$, :'at'), array[:bobs, :public_tea]::bigint[]);
select set_eq(format($$select artifact_id from hartonomous.search_hybrid('green coffee', k => 100, as_of => %L)$$, :'at'), array[:bobs, :public_tea]::bigint[]);
select set_eq(format($$select artifact_id from hartonomous.search_ensemble('green', '{one}', k => 100, as_of => %L)$$, :'at'), array[:bobs, :public_tea]::bigint[]);
select throws_ok(format($$select * from hartonomous.search_vector('[1,0,0,0]', model => 'outside', as_of => %L)$$, :'at'), 'ZH020');
select is_empty(format('select * from hartonomous.%s__all() where tenant_id not in (0, %s)', t, :bob)) from unnest('{artifact,artifact_source,atom_embedding}'::text[]) as t;
select is_empty(format('select * from hartonomous.%s_history where tenant_id not in (0, %s)', t, :bob)) from unnest('{artifact,artifact_source,atom_embedding}'::text[]) as t;

-- bad input
set local role ann;
select throws_ok(format('select * from hartonomous.search_vector(%s, as_of => %L)', call, :'at'), code) from (values
    ('null', '22004'), ('''[1,2]'', model => ''outside''', 'ZH040'), ('''[0,0,0,0]'', model => ''outside''', 'ZH040'), ('''[1,0,0,0]'', 0', '22023'),
    ('''[1,0,0,0]'', 10000000', '22023'), ('''[1,0,0,0]'', recall => 2', '22023'), ('''[1,0,0,0]'', filter => ''{"colour": 1}''', 'ZH041'), ('''[1,0,0,0]'', model => ''nosuch''', 'ZH020')) as bad (call, code);
select throws_ok($$select * from hartonomous.search_vector('[1,0,0,0]', model => 'outside', as_of => '-infinity')$$, 'ZH020');
select throws_ok($$select hartonomous.search_explain('[1,0]', model => 'outside', as_of => now())$$, 'ZH040');
select throws_ok($$select * from hartonomous.search_keyword('tea', model => 'nosuch', as_of => now())$$, 'ZH020');
select throws_ok($$select * from hartonomous.search('tea', model => 'outside', as_of => now())$$, 'ZH031');
select throws_ok($$select * from hartonomous.search(null, as_of => now())$$, '22004');
select is_empty($$select * from hartonomous.search_keyword('tea', as_of => '-infinity')$$, 'before everything there is nothing');

-- what is not kept
reset role;
insert into hartonomous.version_retention (relation, kept_since) values ('hartonomous.artifact_source', :'at');
set local role ann;
select lives_ok(format('select * from hartonomous.search(''tea'', as_of => %L)', :'at'));
select throws_ok(format('select * from hartonomous.search%s, as_of => %L::timestamptz - interval ''1 us'')', call, :'at'), 'ZH008') from unnest(array[
    '(''tea''', '_keyword(''tea''', '_hybrid(''tea''', '_vector(''[1,0,0,0]'', model => ''outside''', '_ensemble(''tea'', ''{one}''']) as call;
reset role;
delete from hartonomous.version_retention;

-- no index of theirs begins without the tenant
select is_empty($$select i.indexrelid::regclass from pg_index as i join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                  where i.indrelid::regclass::text ~ '^hartonomous\.(artifact|artifact_source|atom_embedding)_history$' and a.attname <> 'tenant_id'$$);

-- and each is read by the tenant, with the settings that these functions have
create function pg_temp.unled(query text) returns setof text language plpgsql set enable_seqscan = off set enable_nestloop = off as $$
declare
    plan json;
begin
    execute 'explain (format json) ' || query into plan;
    return query select n #>> '{Relation Name}' from jsonb_path_query(plan::jsonb, '$.** ? (@."Node Type" == "Seq Scan")') as n
                 union all select n #>> '{Index Name}' from jsonb_path_query(plan::jsonb, '$.** ? (@."Node Type" like_regex "Index")') as n
                 where n #>> '{Index Cond}' not like '%tenant_id%';
end
$$;
select is_empty(format('select * from pg_temp.unled(%L)', query), query) from unnest(array[
    'select * from hartonomous._artifact_at(5, now())', 'select * from hartonomous._occurrence_at(5, now())',
    'select * from hartonomous._embedding_at(5, 6, now())']) as query;
select isnt_empty($$select * from pg_temp.unled('select * from hartonomous.artifact_history')$$, 'others would be seen');

-- a purge leaves nothing of the past
select is((select count(*) from hartonomous.atom_embedding_history where artifact_id = :coffee), 1::bigint, 'only what changed is kept');
set local role ann;
select hartonomous.artifact_purge(:tea);
select hartonomous.artifact_delete(:coffee);
select hartonomous.artifact_purge(:coffee);
reset role;
select is_empty(format('select * from hartonomous.%s_history where artifact_id in (%s, %s)', t, :tea, :coffee)) from unnest('{artifact,artifact_source,atom_embedding}'::text[]) as t;
set local role ann;
select set_eq(format($$select artifact_id from hartonomous.search_vector('[1,0,0,0]', model => 'outside', as_of => %L)$$, :'at'), array[:cocoa]::bigint[], 'it never was');

-- a passage of two documents stays for the one, and the other has never been
select hartonomous.ingest_document('one.md', E'# Walrus\n\nWhat both of them say.', 'markdown') as walrus \gset
select hartonomous.ingest_document('two.md', E'# Heron\n\nWhat both of them say.', 'markdown') as heron \gset
reset role;
select pg_temp.age(:older);
select artifact_id as shared from hartonomous.artifact_source where document_uri = 'two.md' and position is not null
    and artifact_id in (select artifact_id from hartonomous.artifact_source where document_uri = 'one.md') \gset
create function pg_temp.traces(uri text) returns bigint language sql as
$$select count(*) from hartonomous.artifact_source_history where document_uri = traces.uri$$;
set local role ann;
select hartonomous.artifact_delete(:walrus);
select is((select source_uri from hartonomous.search_keyword('walrus', as_of => :'at') where artifact_id = :shared), 'one.md', 'it was found by the heading of the one that is deleted');
reset role;
select ok(pg_temp.traces('one.md') > 0, 'whose past is kept');
set local role ann;
select hartonomous.artifact_purge(:walrus);
select is_empty(format($$select * from hartonomous.search_keyword('walrus', as_of => %L)$$, :'at'), 'a purge takes it');
select is((select source_uri from hartonomous.search_keyword('heron', as_of => :'at') where artifact_id = :shared), 'two.md');
reset role;
select is(pg_temp.traces('one.md'), 0::bigint, 'with every trace');

select * from finish();
rollback;
