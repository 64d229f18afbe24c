-- Room 40: vectors from outside, and the paths by which the nearest are found.
begin;
\ir setup.psql
\ir model.psql
select plan(210);

-- vectors that lie around eight points, as real ones lie in groups
create function pg_temp.near(seed text, dimensions int) returns public.vector language sql immutable as $$
    select (select array_agg(((hashtext('group ' || abs(hashtext(seed)) % 8 || '/' || i) % 1000) + 0.6 * (hashtext(seed || '/' || i) % 1000)) / 1000.0 order by i)
            from generate_series(1, dimensions) as i)::public.vector$$;
create temp table asked as select i, pg_temp.near('query ' || i, 48) as v from generate_series(1, 20) as i;
grant select on asked to public;

-- embedding_model_register
set local role ann;
select hartonomous.embedding_model_register('outside', 48) as outside \gset
select is(hartonomous.embedding_model_register('outside', 48), :outside::bigint, 'again, the same');
select throws_ok($$select hartonomous.embedding_model_register('outside', 49)$$, 'ZH021', 'model outside@1 exists already');
select throws_ok($$select hartonomous.model_deploy('outside')$$, 'ZH031', 'model ''outside'' has no weights: its vectors come from outside');
select throws_ok(format('select hartonomous.embedding_model_register(%L, %L)', name, dimensions), '22023')
from (values ('x', 0), ('x', -1), ('x', 16001), ('x', null), ('', 3), ('a b', 3), ('a@1', 3), (null, 3)) as bad (name, dimensions);
select throws_ok($$select hartonomous.embed('text', 'outside')$$, 'ZH031', null, 'it has no weights to embed with');
select throws_ok($$select * from hartonomous.search('text')$$, 'ZH020', 'no embedding model is deployed', 'nor is it deployed');
select is_empty(format('select * from hartonomous.search_vector(%L, model => ''outside'')', (select v from asked limit 1)), 'a model without embeddings finds nothing');

-- embedding_put_many
select hartonomous.ingest_many(array(select convert_to('text ' || i, 'UTF8') from generate_series(1, 1500) as i), 'text',
    array(select format('u/%s/%s', i % 50, i) from generate_series(1, 1500) as i),
    array(select jsonb_build_object('n', i, 'half', i % 2, 'tenth', i % 10) from generate_series(1, 1500) as i),
    canonical_texts => array(select 'text ' || i from generate_series(1, 1500) as i)) as ids \gset
reset role;
create temp table given as select w.id, w.i, pg_temp.near('row ' || w.i, 48) as v from unnest(:'ids'::bigint[]) with ordinality as w (id, i);
grant select on given to public;
set local role ann;
select is(hartonomous.embedding_put_many(array(select id from given order by i), array(select v from given order by i), 'outside'), 1500::bigint);
select is(hartonomous.embedding_put_many(array(select id from given where i < 5), array(select v from given where i < 5), 'outside'), 0::bigint, 'the same again changes nothing');
select is(hartonomous.embedding_put_many('{}', '{}', 'outside'), 0::bigint);
select is((select count(*) from hartonomous.atom_embedding as e join given as g on g.id = e.artifact_id join hartonomous.embedding_place as p using (tenant_id, model_id, artifact_id)
           where e.embedding = g.v and public.st_3ddistance(p.place, hartonomous.project(g.v, 'outside')) < 1e-12 and e.bits = public.binary_quantize(g.v)),
          1500::bigint, 'stored are the vectors, their places and signs');
select is((select count(*) from hartonomous.graph_edge where relation = 'EmbeddedBy' and to_type = 'model' and to_id = :outside), 1500::bigint);
select is(hartonomous.embedding_pending('outside'), '{}', 'nothing for embed_artifacts to do');
select id as one, (select id from given where i = 2) as two from given where i = 1 \gset
\set vector 'array(select v from given where i = 1)'
select throws_ok(format('select hartonomous.embedding_put_many(%s)', call), code, message) from (values
    (format('array[%s, -1], array(select v from given where i < 3), ''outside''', :one), 'ZH010', 'no artifact -1'),
    (format('array[%s, null], array(select v from given where i < 3), ''outside''', :one), 'ZH010', 'no artifact NULL'),
    (format('array[%s, %s], array(select v from given where i < 3), ''outside''', :one, :one), '22023', format('artifact %s is given 2 times', :one)),
    (format('array[%s], array(select v from given where i < 3), ''outside''', :one), '22023', '1 artifacts, but 2 vectors'),
    (format('array[%s], array[''[1,2]''::public.vector], ''outside''', :one), 'ZH040', 'vector 1: expected 48 dimensions and not all zero, not 2'),
    (format('array[%s], array[null::public.vector], ''outside''', :one), 'ZH040', 'vector 1: expected 48 dimensions and not all zero, not NULL'),
    (format('array[%s], array[array_fill(0::real, array[48])::public.vector], ''outside''', :one), 'ZH040', null),
    (format('array[%s], array[''[NaN]''::public.vector], ''outside''', :one), '22000', null),
    (format('null, array(select v from given where i < 3), ''outside'''), '22004', null),
    (format('array[%s], null, ''outside''', :one), '22004', null),
    (format('array[%s], array(select v from given where i = 1), ''nosuch''', :one), 'ZH020', null)) as bad (call, code, message);
select pg_temp.tiny_bert('tiny') \g /dev/null
select throws_ok(format('select hartonomous.embedding_put_many(array[%s], array[array_fill(1::real, array[32])::public.vector], ''tiny'')', :one), 'ZH031', 'model ''tiny'' makes its own vectors');
select is(hartonomous.embedding_put_many(array[:one], array(select v from given where i = 2), 'outside'), 1::bigint, 'another vector replaces it');
select is(hartonomous.embedding_put_many(array[:one], :vector, 'outside'), 1::bigint);

-- the truth, by the definition: compared with what the paths find
create function pg_temp.found(query public.vector, filter jsonb, k int, recall real) returns bigint[] language sql as $$
    select coalesce(array_agg(artifact_id), '{}') from hartonomous.search_vector(query, k, 'outside', filter, recall => recall)$$;
create temp table filters as select f::jsonb as filter from unnest(array['{}', '{"metadata": {"half": 1}}', '{"metadata": {"tenth": 3}}', '{"source_uri_prefix": "u/7/"}',
    '{"source_uri_prefix": "u/7/", "metadata": {"half": 1}}', '{"metadata": {"n": 77}}', '{"metadata": {"n": -1}}', '{"source_uri_prefix": "%"}', '{"source_uri_prefix": ""}',
    '{"metadata": {"a''b": "c\"d"}}', '{"modality": "text"}', '{"modality": "image"}', '{"subtype": "passage"}', '{"created_after": "2000-01-01"}', '{"created_before": "2000-01-01"}',
    '{"modality": "text", "created_after": "2000-01-01", "metadata": {"tenth": 4}, "source_uri_prefix": "u/"}']) as f;
grant select on filters to public;
create temp table matching as
    select f.filter, g.id, g.v from filters as f cross join given as g
    join hartonomous.artifact as a on a.artifact_id = g.id join hartonomous.modality as m using (modality)
    where m.name = coalesce(f.filter ->> 'modality', m.name) and (f.filter ->> 'subtype' is null or a.subtype = f.filter ->> 'subtype')
      and a.created_at >= coalesce((f.filter ->> 'created_after')::timestamptz, '-infinity')
      and a.created_at < coalesce((f.filter ->> 'created_before')::timestamptz, 'infinity')
      and exists (select from hartonomous.artifact_source as o where o.tenant_id = a.tenant_id and o.artifact_id = g.id
                  and starts_with(o.source_uri, coalesce(f.filter ->> 'source_uri_prefix', '')) and o.metadata @> coalesce(f.filter -> 'metadata', '{}'));
create index on matching (filter);
grant select, delete on matching to public;
create function pg_temp.truth(query public.vector, filter jsonb, k int) returns bigint[] language sql as $$
    select coalesce(array_agg(id order by distance, id), '{}')
    from (select m.id, m.v operator(public.<=>) query as distance from matching as m where m.filter = truth.filter order by 2, 1 limit k) as t$$;

select is(hartonomous.search_explain((select v from asked limit 1), model => 'outside') #>> '{parts,0,path}', 'exact', 'before it is measured, all are compared');
select is(pg_temp.found(a.v, f.filter, 25, 0.95), pg_temp.truth(a.v, f.filter, 25), 'not analyzed: ' || f.filter::text) from filters as f join asked as a on a.i = 1;
select set_eq(format('select verdict from hartonomous.search_vector(%L, 10, ''outside'')', (select v from asked limit 1)), array['exact']);
select set_eq(format('select verdict from hartonomous.search_vector(%L, 31, ''outside'', ''{"source_uri_prefix": "u/7/"}'')', (select v from asked limit 1)), array['short']);
select is((select count(*) from asked as a cross join lateral hartonomous.search_vector(a.v, 30, 'outside', '{"source_uri_prefix": "u/7/"}') where verdict = 'exact'), 600::bigint);
select results_eq(format('select artifact_id, source_uri, snippet from hartonomous.search_vector(%L, 3, ''outside'', snippets => false)', v),
                  format('select artifact_id, null::text, null::text from hartonomous.search_vector(%L, 3, ''outside'')', v)) from asked where i = 1;

-- measured
reset role;
set local role ann;
select lives_ok($$select hartonomous.embedding_model_analyze('outside')$$);
select is((select rows from hartonomous.embedding_statistics where model_id = :outside), 1500::bigint);
select ok((select bool_and(recall between 0 and 1 and lower_bound <= recall and worst <= recall) from hartonomous.embedding_curve));
select ok((select bool_and(next is null or next >= recall) from (select recall, lead(recall) over (partition by path, filter_class, k order by candidates) as next
           from hartonomous.embedding_curve) as c), 'more candidates find more');
reset role;
-- the cheapest depends on the machine: make bits it
update hartonomous.embedding_statistics set scan_us = 100, bits_us = 0.1, fetch_us = 1, filter_us = 0.01, list_us = 100;
set local role ann;
select is(e #> '{parts,0}' ->> 'path', 'among') from hartonomous.search_explain((select v from asked limit 1), model => 'outside', filter => '{"source_uri_prefix": "u/7/7"}') as e;
reset role;
select results_eq(format('select s.share, i.id from hartonomous._filter_share(%s, %s, ''{"source_uri_prefix": "u/7/7"}'') as s, unnest(s.listed) as i (id) order by 2', :ann, :outside),
                  format('select 3 / s.rows::double precision, o.artifact_id from hartonomous.artifact_source as o, hartonomous._filter_share(%s, %s, ''{}'') as s where o.tenant_id = %s and o.source_uri ^@ ''u/7/7'' order by 2', :ann, :outside, :ann),
                  'what is rare, and an index has, is listed');
select is((hartonomous._filter_share(:ann, :outside, '{"metadata": {"half": 1}}')).listed, null);
select results_eq(format('select rows, listed, share from hartonomous._filter_share(%s, %s, ''{"source_uri_prefix": "u/7/7"}'')', :bob, :outside), $$values (0::bigint, '{}'::bigint[], 0.5::double precision)$$, 'of nothing');
set local role ann;
select is(hartonomous.search_explain((select v from asked limit 1), model => 'outside', filter => filter) #>> '{parts,0,path}', 'bits', 'by sign bits: ' || filter::text)
from filters where filter in ('{}', '{"metadata": {"half": 1}}', '{"modality": "text"}');
select set_eq(format('select verdict from hartonomous.search_vector(%L, 10, ''outside'', recall => 0.9)', v), array['recall>=0.9']) from asked where i = 2;
create function pg_temp.recall(filter jsonb, asked real) returns double precision language sql as $$
    select avg((select count(*) from unnest(pg_temp.found(a.v, filter, 10, recall.asked)) as f (id) where f.id = any (pg_temp.truth(a.v, filter, 10))) / 10.0) from asked as a$$;
select cmp_ok(pg_temp.recall(filter, 0.9), '>=', 0.9::double precision, 'recall of 0.9 is kept: ' || filter::text) from filters
where filter in ('{}', '{"metadata": {"half": 1}}', '{"metadata": {"tenth": 3}}', '{"source_uri_prefix": "u/7/"}');
select is(pg_temp.found(a.v, f.filter, 10, 1), pg_temp.truth(a.v, f.filter, 10), 'recall 1 compares all: ' || f.filter::text) from filters as f join asked as a on a.i = 3;
select is(cardinality(pg_temp.found(a.v, f.filter, 40, 0.9)), cardinality(pg_temp.truth(a.v, f.filter, 40)), 'never fewer than there are: ' || f.filter::text)
from filters as f join asked as a on a.i = 4;
select is(cardinality(pg_temp.found(v, '{}', 1500, 0.9)), 1500, 'more than is measured: all are compared') from asked where i = 5;
select is((select count(distinct pg_temp.found(a.v, '{}', 10, 0.9)) from asked as a cross join generate_series(1, 5) where a.i = 6), 1::bigint, 'the same again');
reset role;
create temp table half as select * from hartonomous.embedding_curve where filter_class = 'half' and path = 'bits';
delete from hartonomous.embedding_curve where filter_class = 'half' and path = 'bits';
set local role ann;
select is(e #>> '{parts,0,path}', 'exact', 'one curve of two is no measurement')
from asked, lateral hartonomous.search_explain(v, model => 'outside', filter => '{"metadata": {"half": 1}}') as e where i = 1;
select ok(e #> '{parts,0,options}' @> '[{"path": "bits", "rejected": "never met that recall when analyzed"}]')
from asked, lateral hartonomous.search_explain(v, model => 'outside', filter => '{"metadata": {"half": 1}}') as e where i = 1;
reset role;
insert into hartonomous.embedding_curve table half;
delete from hartonomous.embedding_curve where filter_class = 'far';
set local role ann;
select is((select verdict from hartonomous.search_vector((select v * array_fill(-1, array[48])::public.vector from asked where i = 7), 1, 'outside', recall => 0.99)), 'exact',
          'a query unlike those measured is compared with all, where what it would take is not known');

-- recall_audit
select set_eq('select filter_class from hartonomous.recall_audit(''outside'', 20)', array['none', 'half', 'tenth', 'hundredth', 'far']);
select ok(bool_and(recall >= 0.93 and lower_bound < recall and p50_ms > 0), 'what is asked is kept for queries beside what is stored') from hartonomous.recall_audit('outside', 20);
select ok(bool_or(path = 'bits') and bool_or(path in ('exact', 'among'))) from hartonomous.recall_audit('outside', 20);
reset role;
update hartonomous.embedding_curve set lower_bound = 1, worst = 1;
set local role ann;
select ok(bool_or(recall < 0.9), 'and finds a curve that lies') from hartonomous.recall_audit('outside', 20);
select throws_ok(format('select * from hartonomous.recall_audit(''outside'', %s)', n), '22023') from unnest(array['0', '-1', '10001', 'null']) as n;
select throws_ok($$select * from hartonomous.recall_audit('nosuch')$$, 'ZH020');
select throws_ok($$select * from hartonomous.search_vector('[1]', model => 'outside', filter => '{"_modulus": 2}')$$, 'ZH041', null, 'the keys of audits are nobody else''s');

-- no path reads a whole table, whose size is a matter of other tenants too
create function pg_temp.sequential() returns numeric language sql as $$
    select sum(pg_stat_get_xact_numscans(r)) from unnest('{hartonomous.atom_embedding, hartonomous.embedding_place, hartonomous.artifact, hartonomous.artifact_source}'::regclass[]) as r$$;
reset role;
select pg_temp.sequential() as scans \gset
set local role ann;
select count(*) from filters as f cross join unnest(array[0.9, 1]) as r (recall) cross join lateral hartonomous.search_vector((select v from asked limit 1), 10, 'outside', f.filter, recall => r.recall) \g /dev/null
reset role;
select is(pg_temp.sequential(), :scans::numeric, 'by indexes that the tenant leads');

-- an HNSW index: of one tenant's rows
set local role adam;
select lives_ok(format('select hartonomous.embedding_index_add(%s, ''outside'')', :ann));
select results_eq('select tenant_id, model, type, bytes > 0 from hartonomous.embedding_index_list()', format('values (%s, ''outside@1'', ''vector'', true)', :ann));
select throws_ok(format('select hartonomous.embedding_index_add(%s, ''outside'', %s)', :ann, options), '22023') from unnest(array['1', '101', 'null', '16, 31', '16, 1001', '16, null', '16, 128, ''float''', '16, 128, ''''']) as options;
select throws_ok(format('select hartonomous.embedding_index_add(%s, ''outside'')', :bob), 'ZH020');
select throws_ok(format('select hartonomous._embedding_index_build(%s, %s, 48, ''vector'', 16, 64)', :ann, :outside), '42501', null, 'past the check');
set local role ann;
select throws_ok(format('select hartonomous.embedding_index_add(%s, ''outside'')', :ann), '42501', null, 'tenants make none');
select is(hartonomous.search_explain((select v from asked limit 1), model => 'outside') #>> '{parts,0,path}', 'bits', 'not measured yet');
select hartonomous.embedding_model_analyze('outside') \g /dev/null
reset role;
update hartonomous.embedding_statistics set scan_us = 100, bits_us = 100, fetch_us = 1, filter_us = 0.01, list_us = 100;
set local role ann;
select is(hartonomous.search_explain(v, model => 'outside', recall => 0.9) #>> '{parts,0,path}', 'index') from asked where i = 1;
select cmp_ok(pg_temp.recall(filter, 0.9), '>=', 0.9::double precision, 'recall of 0.9 is kept: ' || filter::text) from filters
where filter in ('{}', '{"metadata": {"half": 1}}', '{"metadata": {"tenth": 3}}', '{"source_uri_prefix": "u/7/"}');
reset role;
select cmp_ok((select pg_stat_get_xact_numscans(c.oid) from pg_class as c where c.relname = hartonomous._embedding_index_name(:ann, :outside)), '>', 0::bigint, 'by that index');
select is((hartonomous._nearest_index(:ann, :outside, v, 10, '{"metadata": {"tenth": 3}}', 20, 0.5)).ids, (hartonomous._nearest_exact(:ann, :outside, v, 10, '{"metadata": {"tenth": 3}}', 0.1)).ids,
          'fewer pass than was told: it takes more') from asked where i = 3;
select is((hartonomous._nearest_index(:ann, :outside, v, 10, '{"metadata": {"tenth": 77}}', 20, 0.5)).ids, null, 'none passes') from asked where i = 3;

-- of half precision, and of sign bits
create function pg_temp.scans(model text) returns bigint language sql as $$
    select pg_stat_get_xact_numscans(c.oid) from pg_class as c join hartonomous.model as m on m.name = $1 where c.relname ~ ('^atom_embedding_hnsw_.*_' || m.model_id || '$')$$;
create function pg_temp.kept(type text) returns setof text language plpgsql as $$
declare
    owner constant int := (select tenant_id from hartonomous.tenant_role where role_name = 'ann');
    scans bigint;
begin
    perform hartonomous._embedding_index_build(owner, (select model_id from hartonomous.model where name = 'outside'), 48, type, 16, 128);
    set local role ann;
    return next is((select jsonb_path_query_first(hartonomous.search_explain(a.v, model => 'outside', recall => 0.9), '$.parts[0].options[*] ? (@.path == "index").rejected') from asked as a limit 1),
                   '"another index than when analyzed"', type || ': not taken before it is measured');
    perform hartonomous.embedding_model_analyze('outside');
    reset role;
    return next ok(exists (select from hartonomous.embedding_curve where path = 'index' and filter_class = 'none'), type || ': measured');
    update hartonomous.embedding_statistics set scan_us = 100, bits_us = 100, fetch_us = 1, filter_us = 0.01, list_us = 100;
    set local role ann;
    return next is(hartonomous.search_explain((select v from asked limit 1), model => 'outside', recall => 0.9) #>> '{parts,0,path}', 'index', type || ': taken');
    scans := pg_temp.scans('outside');
    return next cmp_ok(pg_temp.recall('{}', 0.9), '>=', 0.9::double precision, type || ': recall of 0.9 is kept');
    return next cmp_ok(pg_temp.scans('outside'), '>', scans, type || ': by the index');
    reset role;
end
$$;
select pg_temp.kept('halfvec');
select pg_temp.kept('bits');
set local role adam;
select results_eq('select type, bytes from hartonomous.embedding_index_list()', $$select 'bits', pg_relation_size((select oid from pg_class where relname ~ '^atom_embedding_hnsw'))$$);
select lives_ok(format('select hartonomous.embedding_index_drop(%s, ''outside'')', :ann));
select throws_ok(format('select hartonomous.embedding_index_drop(%s, ''outside'')', :ann), '22023');
set local role ann;
select isnt(hartonomous.search_explain(v, model => 'outside', recall => 0.9) #>> '{parts,0,path}', 'index') from asked where i = 1;

-- what goes, what others see, what has grown
select (pg_temp.truth(v, '{}', 1))[1] as gone from asked where i = 8 \gset
select hartonomous.artifact_delete(:gone);
delete from matching where id = :gone;
select is(pg_temp.found(v, '{}', 10, r), pg_temp.truth(v, '{}', 10), 'a deleted one is not found, k are') from asked cross join unnest(array[0.99, 1]) as r where i = 8;
reset role;
update hartonomous.embedding_statistics set rows = 1;
set local role ann;
select matches(hartonomous.search_explain(v, model => 'outside')::text, 'about [0-9]+ rows, but 1 when analyzed', 'what has doubled is compared until it is analyzed again') from asked where i = 1;
select set_eq(format('select verdict from hartonomous.search_vector(%L, 10, ''outside'', recall => 0.9)', v), array['exact']) from asked where i = 2;
set local role bob;
select throws_ok(format('select * from hartonomous.search_vector(%L, model => ''outside'')', v), 'ZH020') from asked where i = 1;
select throws_ok($$select hartonomous.embedding_model_analyze('outside')$$, 'ZH020');
select hartonomous.embedding_model_register('outside', 48) \g /dev/null
select is_empty(format('select * from hartonomous.search_vector(%L, model => ''outside'')', v)) from asked where i = 1;
select throws_ok(format('select hartonomous.embedding_put_many(array[%s], array(select v from given where i = 1), ''outside'')', :one), 'ZH010', format('no artifact %s', :one));
select lives_ok($$select hartonomous.embedding_model_analyze('outside')$$, 'nothing to measure');
select is_empty('select * from hartonomous.embedding_statistics');

-- what is everybody's, beside one's own
set local role publisher;
select hartonomous.embedding_model_register('common', 4) \g /dev/null
select hartonomous.embedding_put_many(array[hartonomous.ingest_text('of everybody')], array['[1,0,0,0]'::public.vector], 'common') \g /dev/null
set local role bob;
select hartonomous.embedding_put_many(array[hartonomous.ingest_text('of bob')], array['[1,0.1,0,0]'::public.vector], 'common') \g /dev/null
select results_eq($$select snippet, verdict from hartonomous.search_vector('[1,0,0,0]', 2, 'common')$$, $$values ('of everybody', 'exact'), ('of bob', 'exact')$$);
select is(jsonb_array_length(hartonomous.search_explain('[1,0,0,0]', model => 'common') -> 'parts'), 2);
set local role ann;
select results_eq($$select snippet, verdict from hartonomous.search_vector('[1,0,0,0]', 2, 'common')$$, $$values ('of everybody', 'short')$$);
select is((select verdict from hartonomous.search_vector('[1,0,0,0]', 1, 'common', recall => 1)), 'exact');
select throws_ok($$select * from hartonomous.search_vector('[1,0,0,0]', 1, 'common', recall => 2)$$, '22023');
select throws_ok($$select * from hartonomous.search_vector('[1,0,0,0]', 10000000, 'common')$$, '22023');
select throws_ok($$select hartonomous.search_explain(null, model => 'common')$$, '22004');
select throws_ok($$select hartonomous.search_explain('[1,0]', model => 'common')$$, 'ZH040');

-- page by page: own ones and everybody's, equally near ones, and ones that only the rounding of the score makes equal
create temp table page as select i, (case when i % 3 = 0 then '[1,0.5,0,0]' else format('[1,%s,0,0]', i / 20000.0) end)::public.vector as v from generate_series(1, 60) as i;
grant select on page to public;
set local role publisher;
select hartonomous.embedding_put_many(hartonomous.ingest_many(array(select convert_to('everybody ' || i, 'UTF8') from page where i <= 20 order by i), 'text'),
                                      array(select v from page where i <= 20 order by i), 'common') \g /dev/null
set local role ann;
select hartonomous.embedding_put_many(hartonomous.ingest_many(array(select convert_to('own ' || i, 'UTF8') from page order by i), 'text'), array(select v from page order by i), 'common') \g /dev/null
create function pg_temp.pages(k int, recall real) returns bigint[] language plpgsql as $$
declare
    ids   bigint[] := '{}';
    found bigint[];
    last  real;
    short boolean;
begin
    loop
        select array_agg(s.artifact_id order by s.n), (array_agg(s.score order by s.n desc))[1], bool_or(s.verdict = 'short') into found, last, short
        from hartonomous.search_vector('[1,0,0,0]', k, 'common', recall => pages.recall, after_score => last, after_id => ids[cardinality(ids)])
             with ordinality as s (artifact_id, score, uri, snippet, verdict, n);
        ids := ids || found;
        exit when found is null or short;
    end loop;
    return ids;
end
$$;
select is(pg_temp.pages(k, recall), (select array_agg(artifact_id) from hartonomous.search_vector('[1,0,0,0]', 1000, 'common')), format('%s by %s at %s', 81, k, recall))
from unnest(array[1, 7, 81, 1000]) as k cross join unnest(array[0.5, 1]) as recall;
set local role bob;
select is(pg_temp.pages(7, 1), (select array_agg(artifact_id) from hartonomous.search_vector('[1,0,0,0]', 1000, 'common')), 'one of his own, the others everybody''s');
select is((select array_agg(artifact_id) from hartonomous.search_vector('[1,0,0,0]', 5, 'common', filter, after_score => 1, after_id => 0)),
          (select array_agg(artifact_id) from hartonomous.search_vector('[1,0,0,0]', 5, 'common', filter) where score <= 1), format('where %s', filter))
from unnest(array['{"source_uri_prefix": "nothing"}', '{"subtype": "nothing"}', '{}']::jsonb[]) as filter;
set local role ann;
select cmp_ok(count(*), '>', count(distinct score), 'there are some whose scores are equal') from hartonomous.search_vector('[1,0,0,0]', 1000, 'common');
select s.score, s.artifact_id as id, s.n from hartonomous.search_vector('[1,0,0,0]', 30, 'common') with ordinality as s (artifact_id, score, uri, snippet, verdict, n)
join hartonomous.artifact as a using (artifact_id) where a.tenant_id = :ann and s.n >= 5 order by s.n limit 1 \gset
select hartonomous.artifact_delete(:id) \g /dev/null
select is((select array_agg(artifact_id) from hartonomous.search_vector('[1,0,0,0]', 3, 'common', after_score => :score, after_id => :id)),
          (select array_agg(artifact_id) from (select artifact_id from hartonomous.search_vector('[1,0,0,0]', 40, 'common') offset :n - 1 limit 3) as s), 'after one that was deleted meanwhile');
select throws_ok(format('select * from hartonomous.search_vector(''[1,0,0,0]'', model => ''common'', %s)', after), '22023')
from unnest(array['after_score => 1', 'after_id => 1', 'after_score => ''NaN'', after_id => 1']) as after;

-- any number of dimensions
create temp table wide as select d, n, pg_temp.near(format('%s %s', d, n), d) as v from unnest(array[2001, 4100, 16000]) as d cross join generate_series(1, 20) as n;
grant select on wide to public;
set local role bob;
select hartonomous.embedding_model_register('wide' || d, d) from unnest(array[2001, 4100, 16000]) as d \g /dev/null
select is(hartonomous.embedding_put_many(array(select hartonomous.ingest_text('wide ' || n) from wide as w where w.d = e.d order by n), array(select v from wide as w where w.d = e.d order by n), 'wide' || e.d),
          20::bigint, format('%s dimensions', e.d)) from unnest(array[2001, 4100, 16000]) as e (d);
select is((select snippet from hartonomous.search_vector(w.v, 1, 'wide' || w.d)), 'wide 7') from wide as w where w.n = 7;
set local role adam;
select lives_ok(format('select hartonomous.embedding_index_add(%s, %L)', :bob, 'wide' || d)) from unnest(array[2001, 4100, 16000]) as d;
select results_eq('select model, type from hartonomous.embedding_index_list() order by 1', $$values ('wide16000@1', 'bits'), ('wide2001@1', 'halfvec'), ('wide4100@1', 'bits')$$);
select throws_ok(format('select hartonomous.embedding_index_add(%s, %L, type => %L)', :bob, 'wide' || d, t), '22023') from (values (2001, 'vector'), (4100, 'halfvec')) as w (d, t);
reset role;
set local enable_bitmapscan = off;  -- of twenty rows
set local enable_sort = off;
select ok(((hartonomous._index_candidates(:bob, m.model_id, w.v, 5, 5)).ids)[1] = (select artifact_id from hartonomous.artifact where canonical_text = 'wide 7' and tenant_id = :bob), format('nearest by the index, %s dimensions', w.d))
from wide as w join hartonomous.model as m on m.name = 'wide' || w.d and m.tenant_id = :bob where w.n = 7;

select cmp_ok(pg_temp.scans('wide' || d), '>', 0::bigint, format('by the index, %s dimensions', d)) from unnest(array[2001, 4100, 16000]) as d;
set local enable_bitmapscan = on;
set local enable_sort = on;

-- equally near ones come by id, by an index too
set local role bob;
select hartonomous.embedding_model_register('alike', 3) as alike \gset
select hartonomous.embedding_put_many(array(select hartonomous.ingest_text('alike ' || n) from generate_series(1, 40) as n), array(select '[1,2,3]'::public.vector from generate_series(1, 40)), 'alike') \g /dev/null
set local role adam;
select lives_ok(format('select hartonomous.embedding_index_add(%s, ''alike'')', :bob));
reset role;
select is((hartonomous._nearest_index(:bob, :alike, '[3,2,1]', 10, '{}', 60, 1)).ids,
          array(select e.artifact_id from hartonomous.atom_embedding as e where e.model_id = :alike order by 1 limit 10), 'equally near ones come by id');

select * from finish();
rollback;
