-- What every object of the extension owes the catalog: declarations, owners, privileges, row security, comments.
\set ON_ERROR_STOP on
load 'plpgsql_check';
begin;
select plan(43);

create temp view ours as
select p.oid::regprocedure as routine, p.*, l.lanname
from pg_proc as p
join pg_language as l on l.oid = p.prolang
where p.pronamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace)
  and exists (select from pg_depend as d where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e');

create temp view ours_relation as
select c.oid::regclass as relation, c.*
from pg_class as c
where c.relnamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace);

-- What a function calls and reads, as far as the catalog knows: SQL-standard bodies are trees with object ids,
-- plpgsql_check looks into PL/pgSQL (but not at system functions, which plpgsql_check_function_tb judges itself).
create temp table uses as
select o.routine, (regexp_matches(o.prosqlbody::text, ':(?:op)?funcid (\d+)', 'g'))[1]::oid as called, null::oid as relation
from ours as o where o.prosqlbody is not null
union all
select o.routine, null, (regexp_matches(o.prosqlbody::text, ':relid (\d+)', 'g'))[1]::oid
from ours as o where o.prosqlbody is not null
union all
select o.routine, case d.type when 'FUNCTION' then d.oid end, case d.type when 'RELATION' then d.oid end
from ours as o cross join lateral plpgsql_show_dependency_tb(o.oid) as d
where o.lanname = 'plpgsql' and o.prorettype <> 'trigger'::regtype;

-- declarations
select is_empty(
    $$select routine from ours
      where prosqlbody is null and lanname <> 'internal' and not coalesce(proconfig @> '{"search_path=pg_catalog, pg_temp"}', false)$$,
    'every function pins its search path or is bound when it is created');
select is_empty(
    $$select routine, proconfig from ours
      where exists (select from unnest(proconfig) as c where c not like 'search\_path=%'
                    and c <> 'client_min_messages=error'  -- what it does is not for its caller
                    and (c <> 'jit=off' or proname <> 'search')
                    and (c <> 'enable_sort=off' or proname not in ('artifact_deleted', '_place_candidates'))
                    and (c <> 'work_mem=64MB' or proname <> '_nearest_within')  -- its queries are gone through for every row
                    and (c <> 'lock_timeout=10s' or proname not in ('_basis_fill', '_basis_switch'))
                    -- what was there at a time: estimates of a plan that was made while a table was empty must not choose nested loops
                    and (proname !~ '^_(artifact_count|heading_hits|highlights|keyword_best|keyword_scores|live|nearest|search|search_hybrid|search_rows|search_text|text_hits)_at$'
                         or c <> all ('{jit=off,enable_seqscan=off,enable_nestloop=off,plan_cache_mode=force_generic_plan}'))
                    -- paths that must not read other tenants' rows, nor be planned anew for each vector
                    and (proname <> all ('{_search_options,_nearest_exact,_nearest_among,_nearest_live,_nearest_bits,_index_candidates,_sample_ranks,_analysis_queries,_nearest_within,_word_rarity,_graph_near,_words_beginning,_words_alike,_keyword_scores,_similarities,_artifact_count,_ensemble_scores,_filter_live,_filter_share,_filter_ids,_filter_occurrences,_embedding_mixed,_embedding_newer,_place_candidates,_within,_basis_variance,_basis_begin,_basis_fill,_basis_switch,_embedding_place_deleted}')
                         or c <> all ('{jit=off,enable_seqscan=off,enable_indexscan=off,enable_bitmapscan=off,plan_cache_mode=force_generic_plan,hnsw.ef_search=40,hnsw.iterative_scan=off}')))
        -- what they are given is in no plan
        and (proname !~ '_at$' and proname <> all ('{_policy_verdict,_condition_value,_condition_compare,_search_options,_nearest_exact,_nearest_among,_nearest_live,_nearest_bits,_place_candidates,_keyword_scores,_similarities,_filter_live,_filter_share,_atom_put,ingest,ingest_many,ingest_part,ingest_commit,atom_explode,tensor_put,_tensor_store}') or not proconfig @> '{plan_cache_mode=force_generic_plan}')$$,
    'no function carries any other setting');
select is_empty(
    $$select u.routine, u.relation::regclass from uses as u join ours as o using (routine)
      where o.provolatile = 'i' and u.relation <> 0$$,
    'no immutable function reads a table');
select is_empty(
    $$select u.routine, u.called::regprocedure from uses as u join ours as o using (routine) join pg_proc as p on p.oid = u.called
      where o.provolatile = 'i' and p.provolatile <> 'i'$$,
    'no immutable function calls a mutable one');
select is_empty(
    $$select u.routine, u.called::regprocedure from uses as u join ours as o using (routine) join pg_proc as p on p.oid = u.called
      where o.provolatile = 's' and p.provolatile = 'v'
        and (o.proname, p.proname) not in (('_permit_read', '_permit'), ('_mask_refuse', '_refuse'), ('_nearest_sampled', '_search_sample'))  -- permit checks and samples may write$$,
    'no stable function calls a volatile one');
select is_empty(
    $$select o.routine, f.message
      from ours as o cross join lateral plpgsql_check_function_tb(o.oid, performance_warnings => true) as f
      where o.lanname = 'plpgsql' and o.prorettype <> 'trigger'::regtype
        and f.message like 'routine is marked as IMMUTABLE, should be%'$$,
    'plpgsql_check agrees with every immutable function');
select is_empty(
    $$select routine from ours where lanname = 'plpython3u' and provolatile = 'i' and prosrc ~ '\mplpy\M'$$,
    'no immutable PL/Python function holds a database handle');
select is_empty(
    $$select u.routine, u.called::regprocedure from uses as u join ours as o using (routine) join pg_proc as p on p.oid = u.called
      where (o.proparallel = 's' and p.proparallel <> 's' or o.proparallel = 'r' and p.proparallel = 'u')
        and p.pronamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace)$$,
    'no function is more parallel than what it calls');
select is_empty(
    $$select routine from ours where provolatile = 'v' and proparallel = 's'$$,
    'no volatile function is parallel safe');
select is_empty(
    $$select o.proname from ours as o where o.proname !~ '^_' and o.pronamespace = 'hartonomous'::regnamespace group by o.proname having count(*) > 1$$,
    'no public function is overloaded');
select is_empty(
    $$select routine from ours where lanname = 'plpython3u' and (prosrc !~ '^\s*import sys; ' or array_length(regexp_split_to_array(btrim(prosrc, E'\n'), E'\n'), 1) > 5)$$,
    'a PL/Python body is a boot line, an import and a call');

-- comments
select is_empty(
    $$select routine from ours where coalesce(obj_description(oid, 'pg_proc'), '') = ''$$, 'every function has a comment');
select is_empty(
    $$select relation from ours_relation
      where relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition and coalesce(obj_description(oid, 'pg_class'), '') = ''$$,
    'every table and view has a comment');
select is_empty(
    $$select t.oid::regtype from pg_type as t left join pg_class as c on c.oid = t.typrelid
      where t.typnamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace)
        and coalesce(c.relkind, 'c') = 'c' and t.typelem = 0 and coalesce(obj_description(t.oid, 'pg_type'), '') = ''$$,
    'every type has a comment');
select is_empty(
    $$select n.nspname from pg_namespace as n
      where n.nspname in ('hartonomous', 'hartonomous_private') and coalesce(obj_description(n.oid, 'pg_namespace'), '') = ''$$,
    'both schemas have a comment');

-- privileges
select is_empty(
    $$select o.routine, a.* from ours as o cross join lateral aclexplode(coalesce(o.proacl, acldefault('f', o.proowner))) as a where a.grantee = 0$$,
    'PUBLIC may execute no function');
select is_empty(
    $$select r.relation, a.* from ours_relation as r cross join lateral aclexplode(r.relacl) as a where a.grantee = 0$$,
    'PUBLIC has no privilege on a table, view or sequence');
select is_empty(
    $$select n.nspname, a.* from pg_namespace as n cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
      where n.nspname in ('hartonomous', 'hartonomous_private') and a.grantee = 0$$,
    'PUBLIC has no privilege on the schemas');
select is_empty(
    $$select t.oid::regtype, a.* from pg_type as t cross join lateral aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as a
      where t.typnamespace = 'hartonomous_private'::regnamespace and t.typelem = 0 and a.grantee = 0$$,
    'PUBLIC has no privilege on a private type');
select is_empty(
    $$select r.relation, a.grantee::regrole from ours_relation as r cross join lateral aclexplode(r.relacl) as a
      where r.relispartition and pg_get_userbyid(a.grantee) not in ('hartonomous_owner', 'hartonomous_definer')$$,
    'nobody reaches a partition beside the policy of its table');
select is_empty(
    $$select c.castsource::regtype, c.casttarget::regtype
      from pg_cast as c join pg_depend as d on d.classid = 'pg_cast'::regclass and d.objid = c.oid and d.deptype = 'e'
      join pg_extension as e on e.oid = d.refobjid and e.extname = 'hartonomous'
      where not exists (select from pg_type as t where t.oid in (c.castsource, c.casttarget)
                        and t.typnamespace = 'hartonomous_private'::regnamespace)
         or c.castcontext <> 'e'$$,
    'every cast of ours passes through a private type, explicitly');
select is_empty(
    $$select t.oid::regtype, t.typinput, t.typreceive from pg_type as t
      where t.typnamespace = 'hartonomous_private'::regnamespace and t.typelem = 0
        and (t.typreceive <> 0 or (select p.prosrc from pg_proc as p where p.oid = t.typinput) not like 'pg\_%\_in')$$,
    'no private type can be made from text or from the wire: protocol parameters are typed by number, past every privilege');

-- security definer: a reviewed list; each takes the tenant from _permit, or is listed with its reason in CONTRIBUTING.md
select set_eq(
    'select proname from ours where prosecdef',
    array['_commit_time', '_permit', '_permit_read', '_tables_readable', '_vector', '_version_keep', 'atom_identity', 'atom_nearest', 'atom_parts', 'atom_path', 'spatial_summary', 'spatial_summary_refresh', 'attention', 'artifact_delete', 'artifact_deleted', 'artifact_restore', 'artifact_show', 'access_policy_drop', 'access_policy_list', 'access_policy_put', 'api_key_create', 'api_key_list',
          'artifact_shapes', 'artifact_overlap', 'audio_samples', 'image_pixels', 'sensor_samples', 'text_lines',
          'api_key_revoke', 'api_key_rotate', 'audit_collect', 'audit_list', 'audit_seal', 'audit_verify', 'authenticate', 'authenticate_jwt', 'content',
          'content_slice', 'current_tenant', 'detokenize', 'embed', 'embed_artifacts', 'embed_many', 'embedding_pending', 'generate', 'generate_many', 'generate_stream', 'impact',
          'ingest_abort', 'ingest_begin', 'ingest_commit', 'ingest_missing', 'ingest_part', 'upload_expire',
          'artifact_purge', 'atom_explode', 'atom_collect_garbage', 'atom_verify',
          'metadata_schema_put', 'metadata_schema_drop', 'metadata_schema_list', 'ingestion_log_error',
          'metadata_index_add', 'metadata_index_drop', 'metadata_index_list', '_metadata_index_build', '_embedding_index_build', 'embedding_index_add', 'embedding_index_drop', 'embedding_index_list',
          'embedding_model_register', 'embedding_put_many', 'embedding_model_analyze', 'embedding_basis_refresh', 'search_explain', 'search_spatial', 'search_ensemble', 'search_keyword', 'search_hybrid', 'search_suggest', 'related', 'key_phrases', 'duplicates', 'synonym_put', 'synonym_drop', 'synonym_list', 'recall_audit', 'recall_status', 'recall_watch', 'semantics_extract', 'semantics_pending',
          'ingest', 'ingest_document', 'ingest_many', 'jwt_issuer_drop', 'jwt_issuer_list', 'jwt_issuer_put', 'lineage', 'model_begin', 'model_commit', 'model_deploy', 'model_drop', 'model_files',
          'model_archive', 'model_rollback', 'model_train_head', 'model_retrain', 'model_validate', 'model_student', 'predict', 'predict_many',
          'evaluation_put', 'evaluation_list', 'evaluation_drop',
          'model_list', 'model_storage', 'project', 'rate_limit_drop', 'rate_limit_list', 'rate_limit_put', 'search', 'search_vector', 'secret_drop',
          'secret_get', 'secret_list', 'secret_put', 'secret_rotate',
          'server_check', 'tenant_close', 'tenant_create', 'tenant_erase', 'tenant_export', 'tenant_role_add', 'tenant_role_remove',
          'coefficient_set', 'tensor_delta_add', 'tensor_footprints', 'tensor_list', 'tensor_missing', 'tensor_put', 'tensor_slice', 'tokenize', 'transaction_time_resolve',
          'system_versioning_retain', 'history_prune', 'model_collect_garbage']::name[],
    'SECURITY DEFINER functions are the reviewed ones');
select is_empty(
    $$select routine, prosecdef, proowner::regrole from ours
      where lanname <> 'internal' and proowner <> case when prosecdef and proname not in ('_metadata_index_build', '_embedding_index_build') then 'hartonomous_definer' else 'hartonomous_owner' end::regrole$$,
    'definers'' functions belong to hartonomous_definer, all others, and those that make indexes, to hartonomous_owner');
select is_empty(
    $$select relation, relowner::regrole from ours_relation
      where relkind in ('r', 'p', 'v', 'm', 'S') and relowner <> case relkind when 'm' then 'hartonomous_definer' else 'hartonomous_owner' end::regrole$$,
    'tables, views and sequences belong to hartonomous_owner, materialized views to hartonomous_definer, as whom they are filled');
select results_eq(
    $$select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname like 'hartonomous\_%' order by rolname$$,
    $$values ('hartonomous_admin'::name, false, false, false), ('hartonomous_definer', false, true, false), ('hartonomous_owner', false, false, false),
             ('hartonomous_reader', false, false, false), ('hartonomous_worker', false, false, false), ('hartonomous_writer', false, false, false)$$,
    'no role of ours logs in or is superuser; only the definer bypasses row security');

-- tenants
select set_eq(
    $$select r.oid from ours_relation as r join pg_attribute as a on a.attrelid = r.oid and a.attname = 'tenant_id' and not a.attisdropped
      where r.relkind in ('r', 'p') and not r.relispartition$$,
    'select relation::oid from hartonomous.tenant_table',
    'the tables with a tenant_id are the registered tenant tables');
select is_empty(
    $$select c.oid::regclass, c.relrowsecurity, c.relforcerowsecurity
      from hartonomous.tenant_table as t
      cross join lateral (select t.relation union select relid from pg_partition_tree(t.relation)) as p (relid)
      join pg_class as c on c.oid = p.relid
      where not (c.relrowsecurity and c.relforcerowsecurity)
      union all
      select c.oid::regclass, c.relrowsecurity, c.relforcerowsecurity from hartonomous.tenant_table as t join pg_class as c on c.oid = t.relation
      where not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy as p where p.polrelid = c.oid))$$,
    'row security is enabled and forced on every tenant table and its partitions');
-- these are read by a key of theirs that is unique among all tenants, or are too small for an index to matter
select is_empty(
    $$select t.relation from hartonomous.tenant_table as t
      where not exists (select from pg_index as i join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                        where i.indrelid = t.relation and a.attname = t.tenant_column)
        and t.relation <> all (array['hartonomous.atom', 'hartonomous.atom_reference_change', 'hartonomous.graph_node', 'hartonomous.graph_edge', 'hartonomous.ingestion_log',
            'hartonomous.model_layer', 'hartonomous.model_layer_history', 'hartonomous.model_tensor', 'hartonomous.model_tensor_history',
            'hartonomous.tensor_atom_coefficient', 'hartonomous.tensor_footprint',
            'hartonomous.tensor_atom_coefficient_history']::regclass[])$$,
    'the tenant leads an index of every tenant table that is searched');
select is_empty(
    $$with stored as (
          select t.relation from hartonomous.tenant_table as t where t.relation <> 'hartonomous.atom'::regclass
          union select p.relid from pg_partition_tree('hartonomous.atom') as p where p.isleaf
          union all select unnest(array['hartonomous.transaction_time', 'hartonomous.version_retention']::regclass[])
      ), sequences as (
          select d.objid::regclass as relation from stored as s join pg_depend as d on d.refobjid = s.relation and d.classid = 'pg_class'::regclass
          join pg_class as c on c.oid = d.objid and c.relkind = 'S'
      )
      select r.relation from (table stored union all table sequences) as r
      join pg_extension as e on e.extname = 'hartonomous' and r.relation::oid <> all (e.extconfig)$$,
    'pg_dump takes the rows and sequences of every tenant table');

-- every other kind of object
select is_empty(
    $$select d.classid::regclass, pg_describe_object(d.classid, d.objid, 0) from pg_depend as d
      join pg_extension as e on e.oid = d.refobjid and e.extname = 'hartonomous'
      where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
        and d.classid <> all (array['pg_class', 'pg_proc', 'pg_type', 'pg_cast', 'pg_namespace']::regclass[])$$,
    'the extension is made of relations, functions, types, casts and schemas: no operator, collation, language or event trigger');
select is_empty(
    $$select pg_describe_object(c.classid, c.objid, 0) from (
          select 'pg_class'::regclass, oid from ours_relation where relkind in ('r', 'p', 'v', 'm', 'S') and not relispartition
          union all select 'pg_proc'::regclass, oid from pg_proc where pronamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace)
          union all select 'pg_type'::regclass, t.oid from pg_type as t left join pg_class as r on r.oid = t.typrelid
                    where t.typnamespace in ('hartonomous'::regnamespace, 'hartonomous_private'::regnamespace)
                      and t.typelem = 0 and coalesce(r.relkind, 'c') = 'c'
      ) as c (classid, objid)
      where not exists (select from pg_depend as d join pg_extension as e on e.oid = d.refobjid and e.extname = 'hartonomous'
                        where d.classid = c.classid and d.objid = c.objid and d.deptype = 'e')$$,
    'nothing stands in our schemas that is not the extension''s');
select is_empty(
    $$select p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive from pg_policy as p join ours_relation as r on r.oid = p.polrelid
      where (p.polname, p.polcmd, p.polpermissive) not in (('tenant_read', 'r', true), ('access', 'r', false), ('admin_read', 'r', true))
         or (p.polname = 'admin_read') <> (p.polroles = array['hartonomous_admin'::regrole::oid])
         or (p.polname <> 'admin_read') <> (p.polroles = '{0}')$$,
    'policies let a tenant read, an access policy narrow that, an administrator read: none lets anybody write');
select is_empty(
    $$select t.relation from hartonomous.tenant_table as t
      where not exists (select from pg_policy as p where p.polrelid = t.relation and p.polname = 'tenant_read')
         or has_table_privilege('hartonomous_reader', t.relation, 'select') and not exists (select from pg_policy as p where p.polrelid = t.relation and p.polname = 'access')$$,
    'every tenant table has both policies');
select is_empty(
    $$select t.tgrelid::regclass, t.tgname, t.tgfoid::regprocedure, t.tgenabled from pg_trigger as t join ours_relation as r on r.oid = t.tgrelid
      where not t.tgisinternal and (t.tgenabled not in ('O', 'A') or not exists (select from ours as o where o.oid = t.tgfoid))$$,
    'triggers on our tables are on, and call our functions');
select is_empty(
    $$select r.ev_class::regclass, r.rulename from pg_rewrite as r join ours_relation as o on o.oid = r.ev_class where r.rulename <> '_RETURN'$$,
    'no table has a rule');
select is_empty(
    $$select r.relation from ours_relation as r
      where r.relkind = 'v' and not coalesce(r.reloptions @> '{security_invoker=true}', false)
        and exists (select from pg_rewrite as w join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                    join hartonomous.tenant_table as t on t.relation = d.refobjid where w.ev_class = r.oid)
      union all
      select r.relation from ours_relation as r cross join lateral aclexplode(r.relacl) as a
      where r.relkind = 'm' and a.grantee <> 'hartonomous_definer'::regrole$$,
    'a view of tenants'' rows reads them as its caller, or is materialized and nobody''s to read');
select is_empty(
    $$select d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclacl from pg_default_acl as d
      where d.defaclrole::regrole::text like 'hartonomous\_%' or d.defaclnamespace::regnamespace::text like 'hartonomous%'$$,
    'no default privileges are given in our schemas or by our roles');
select is_empty(
    $$select r.relation, a.grantee::regrole, a.privilege_type from ours_relation as r
      cross join lateral aclexplode(r.relacl) as a
      where r.relkind = 'S' and pg_get_userbyid(a.grantee) not in ('hartonomous_owner', 'hartonomous_definer')
      union all
      select a.attrelid::regclass, x.grantee::regrole, x.privilege_type from pg_attribute as a join ours_relation as r on r.oid = a.attrelid
      cross join lateral aclexplode(a.attacl) as x where x.grantee = 0 or x.privilege_type <> 'SELECT'$$,
    'sequences are the definer''s, and no column is granted to PUBLIC or for writing');
select is_empty(
    $$select t.relation, p.role from hartonomous.tenant_table as t cross join unnest(array['hartonomous_reader', 'hartonomous_worker']) as p (role)
      where has_table_privilege(p.role, t.relation, 'select')$$,
    'tenants read tables by columns: ctid and xmin would count the rows of others');
select is_empty(
    $$select a.attrelid::regclass, a.attname, a.attstattarget from hartonomous.tenant_table as t
      cross join lateral (select t.relation union select relid from pg_partition_tree(t.relation)) as p (relid)
      join pg_attribute as a on a.attrelid = p.relid and a.attnum > 0 and not a.attisdropped
      where a.atttypid in ('text'::regtype, 'bytea'::regtype, 'name'::regtype)
        and a.attstattarget is distinct from (a.attname = 'content_hash')::int::smallint$$,
    'no sample of a text is in the statistics, from which EXPLAIN would spell it out');
select is_empty(
    $$select routine from ours
      where prosecdef and lanname = 'sql' and prosqlbody is null$$,
    'a SQL definer''s body is bound when it is created');

-- opaque ids: what is estimated from their density, and drawn by chance, needs each bit to be chance
create temp sequence numbers;
create temp table drawn as select hartonomous._opaque_id('numbers', 7) as id from generate_series(1, 4000);
select is_empty('select bit, avg((id >> bit) & 1) from drawn cross join generate_series(0, 39) as bit group by bit having abs(avg((id >> bit) & 1) - 0.5) > 0.04',
                'each bit of an opaque id is 1 in half of them');

select * from finish();
rollback;
