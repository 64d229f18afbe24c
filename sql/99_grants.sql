-- Owners: tables and plain functions belong to hartonomous_owner, SECURITY DEFINER functions to hartonomous_definer, but for those
-- that make indexes, which only the owner of a table can. Nothing is
-- executable by PUBLIC; what each group role may call is listed here and held by a golden matrix in the tests.
grant usage on schema hartonomous to hartonomous_owner, hartonomous_definer, hartonomous_reader, hartonomous_worker, hartonomous_admin;
grant create on schema hartonomous to hartonomous_owner, hartonomous_definer;
grant usage, create on schema hartonomous_private to hartonomous_owner, hartonomous_definer;
grant hartonomous_reader to hartonomous_writer, hartonomous_worker;
grant hartonomous_writer to hartonomous_admin;

do $$
declare
    item record;
begin
    for item in
        select c.oid::pg_catalog.regclass as relation, c.relkind
        from pg_catalog.pg_class as c
        where c.relnamespace = 'hartonomous'::pg_catalog.regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and not (c.relkind = 'S' and exists (select from pg_catalog.pg_depend as d where d.objid = c.oid and d.deptype in ('a', 'i')))  -- goes with its table
    loop
        -- a materialized view is filled as its owner
        execute pg_catalog.format('alter %s %s owner to %s',
            case item.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end, item.relation,
            case item.relkind when 'm' then 'hartonomous_definer' else 'hartonomous_owner' end);
    end loop;
    for item in
        select p.oid::pg_catalog.regprocedure as routine, p.prosecdef and p.proname not in ('_metadata_index_build', '_embedding_index_build') as prosecdef
        from pg_catalog.pg_proc as p
        where p.pronamespace in ('hartonomous'::pg_catalog.regnamespace, 'hartonomous_private'::pg_catalog.regnamespace)
    loop
        execute pg_catalog.format('alter routine %s owner to %s', item.routine,
                                  case when item.prosecdef then 'hartonomous_definer' else 'hartonomous_owner' end);
        execute pg_catalog.format('revoke all on routine %s from public', item.routine);
        execute pg_catalog.format('grant execute on routine %s to hartonomous_owner, hartonomous_definer', item.routine);
    end loop;
end
$$;
alter type hartonomous_private.vector_image owner to hartonomous_definer;
revoke all on type hartonomous_private.vector_image from public;
grant all on all tables in schema hartonomous to hartonomous_definer;
grant all on all sequences in schema hartonomous to hartonomous_definer;
grant select on all tables in schema hartonomous to hartonomous_reader;
revoke select on hartonomous.permit_check, hartonomous.transaction_time, hartonomous.context_secret, hartonomous.api_key,
    hartonomous.jwt_issuer, hartonomous.audit_log, hartonomous.audit_unsealed, hartonomous.audit_seal, hartonomous.access_policy,
    hartonomous.secret, hartonomous.atom, hartonomous.atom_reference_change, hartonomous.atom_spatial_summary, hartonomous.metadata_index, hartonomous.search_sample, hartonomous.recall_state from hartonomous_reader;
grant select (tenant_id, name, key_version, created_at, updated_at) on hartonomous.secret to hartonomous_reader;
-- what the configuration of the server says of the key file
grant select on pg_catalog.pg_file_settings to hartonomous_definer;
grant execute on function pg_catalog.pg_show_all_file_settings() to hartonomous_definer;
revoke delete, truncate on hartonomous.audit_log, hartonomous.audit_seal from hartonomous_definer;
grant select on hartonomous.audit_log, hartonomous.audit_seal, hartonomous.access_policy to hartonomous_admin;
do $$
declare
    part pg_catalog.regclass;
begin
    -- the policies of a partitioned table do not guard its partitions
    for part in select c.oid from pg_catalog.pg_class as c
                where c.relnamespace = 'hartonomous'::pg_catalog.regnamespace and c.relispartition and c.relkind = 'r' loop
        execute pg_catalog.format('revoke all on %s from hartonomous_reader', part);
    end loop;
end
$$;
-- column by column, so that ctid and xmin are left out: between two rows of one's own stand those that others wrote meanwhile
do $$
declare
    tenants record;
begin
    for tenants in
        select t.relation, pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ') as columns
        from hartonomous.tenant_table as t
        join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
        where pg_catalog.has_table_privilege('hartonomous_reader', t.relation, 'select')
        group by t.relation
    loop
        execute pg_catalog.format('revoke select on %s from hartonomous_reader', tenants.relation);
        execute pg_catalog.format('grant select (%s) on %s to hartonomous_reader', tenants.columns, tenants.relation);
    end loop;
end
$$;
grant execute on function hartonomous.embed_artifacts(bigint[], text), hartonomous.semantics_extract(bigint[]) to hartonomous_worker;
-- an index is known to a session as whoever read its table first may inline its expressions: to others it would not be of use
grant execute on function hartonomous._metadata_key(jsonb), hartonomous._leaf_point(@extschema:postgis@.geometry), hartonomous._trigrams(int, text) to hartonomous_reader;
grant execute on function hartonomous._history_refuse(regclass, timestamptz, timestamptz), hartonomous._history_reaches_snapshot(regclass, pg_snapshot),
    hartonomous._commit_time(bigint), hartonomous._stamp(), hartonomous._version_epoch(), hartonomous._stamp_own(bigint), hartonomous._version_history(regclass),
    hartonomous._stamp_visible(bigint, pg_snapshot), hartonomous._tables_readable() to hartonomous_reader;  -- the readers of versions run as their caller

do $$
declare
    reader constant text[] := array['version', 'current_tenant', 'authenticate', 'authenticate_jwt', 'hilbert_encode', 'hilbert_decode', 'atom_identity', 'content', 'content_slice',
        'artifact_show', 'artifact_deleted', 'atom_nearest', 'atom_parts', 'atom_path', 'spatial_summary', 'model_list', 'model_files', 'model_storage', 'tensor', 'tensor_list', 'tensor_slice', 'tensor_footprints', 'tokenize', 'detokenize',
        'attention', 'embed', 'project', 'search', 'search_vector', 'search_spatial', 'search_ensemble', 'search_keyword', 'search_hybrid', 'search_suggest', 'related', 'key_phrases', 'duplicates', 'synonym_list', 'search_explain', 'recall_audit', 'recall_status', 'lineage', 'impact', 'server_check', 'embedding_pending', 'tensor_missing',
        'metadata_schema_list', 'semantics_pending', 'evaluation_list', 'model_validate',
        'artifact_shapes', 'artifact_overlap', 'image_pixels', 'audio_samples', 'sensor_samples', 'text_lines'];
    writer constant text[] := array['ingest', 'ingest_many', 'ingest_text', 'ingest_document', 'artifact_delete', 'artifact_restore',
        'embed_many', 'embed_artifacts', 'embedding_model_register', 'embedding_put_many', 'embedding_model_analyze', 'embedding_basis_refresh', 'synonym_put', 'synonym_drop', 'generate', 'generate_many', 'generate_stream', 'model_begin', 'tensor_put', 'model_commit', 'model_deploy',
        'model_archive', 'model_rollback', 'model_drop', 'tensor_delta_add', 'coefficient_set', 'model_train_head', 'model_retrain', 'predict', 'predict_many',
        'evaluation_put', 'evaluation_drop', 'model_student',
        'ingest_begin', 'ingest_part', 'ingest_missing', 'ingest_commit', 'ingest_abort', 'artifact_purge', 'atom_explode',
        'secret_put', 'secret_get', 'secret_list', 'secret_drop',
        'metadata_schema_put', 'metadata_schema_drop', 'ingestion_log_error', 'semantics_extract'];
    admin  constant text[] := array['tenant_create', 'tenant_role_add', 'api_key_create', 'api_key_list',
        'api_key_rotate', 'api_key_revoke', 'jwt_issuer_put', 'access_policy_put', 'access_policy_drop',
        'access_policy_list', 'transaction_time_resolve', 'system_versioning_retain', 'history_prune', 'model_collect_garbage', 'tenant_role_remove', 'jwt_issuer_list', 'jwt_issuer_drop', 'audit_collect', 'audit_seal', 'audit_list', 'audit_verify', 'rate_limit_put',
        'rate_limit_drop', 'rate_limit_list', 'tenant_export', 'tenant_erase', 'tenant_close',
        'upload_expire', 'atom_collect_garbage', 'atom_verify', 'spatial_summary_refresh', 'secret_rotate',
        'metadata_index_add', 'metadata_index_drop', 'metadata_index_list',
        'embedding_index_add', 'embedding_index_drop', 'embedding_index_list', 'recall_watch'];
    item   record;
begin
    for item in
        select p.oid::pg_catalog.regprocedure as routine,
               case when p.proname = any (reader) then 'hartonomous_reader'
                    when p.proname = any (writer) then 'hartonomous_writer'
                    when p.proname = any (admin)  then 'hartonomous_admin' end as grantee
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'hartonomous'::pg_catalog.regnamespace and p.proname = any (reader || writer || admin)
    loop
        execute pg_catalog.format('grant execute on routine %s to %I', item.routine, item.grantee);
    end loop;
end
$$;
