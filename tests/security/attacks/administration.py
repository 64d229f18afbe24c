"""What PostgreSQL keeps to superusers and administrators; the weakening makes the attacker one."""

from __future__ import annotations

import psycopg

from attacks import attack
from attacks.session import Session, Victim

SUPERUSER = "alter role {attacker} superuser; alter role {pool} superuser"
NO_SUPERUSER = "alter role {attacker} nosuperuser; alter role {pool} nosuperuser"


@attack(SUPERUSER, NO_SUPERUSER)
def the_servers_files_and_programs(session: Session, victim: Victim) -> bool:
    session.plain("create table attack.t (line text)")
    return session.tries("copy attack.t from program 'id'", "copy (select 1) to program 'cat >/dev/null'",
                         "copy attack.t from '/etc/passwd'", "copy attack.t to '/tmp/attack'",
                         "select pg_read_file('postgresql.conf')", "select pg_ls_dir('.')",
                         "select lo_import('/etc/passwd')",
                         "select pg_read_binary_file('global/pg_control')", "select * from pg_hba_file_rules",
                         "select * from pg_file_settings", "select * from pg_config", "select pg_current_logfile()",
                         "select * from pg_ls_tmpdir()", "select * from pg_ls_logdir()")  # fmt: skip


@attack(SUPERUSER, NO_SUPERUSER)
def code_in_the_interpreter(session: Session, victim: Victim) -> bool:
    """PL/Python would reach its dictionaries, the weights it keeps and the server's memory."""
    return session.tries("do language plpython3u $$ plpy.info(GD, SD) $$", "load 'auto_explain'",
                         "load 'plpgsql_check'",
                         "create function attack.f() returns int language plpython3u as 'return 1'",
                         "create function attack.f() returns int language c as 'pg_stat_statements', 'f'",
                         "create function attack.f() returns cstring language internal as 'byteaout'",
                         "create extension pg_buffercache", "create language plperl")  # fmt: skip


@attack(SUPERUSER, NO_SUPERUSER)
def settings_kept_to_superusers(session: Session, victim: Victim) -> bool:
    return session.tries("set session_replication_role = replica", "set log_statement = 'all'",
                         "set log_min_messages = debug5",
                         "set log_min_duration_statement = 0", "set lo_compat_privileges = on",
                         "set session_preload_libraries = 'auto_explain'", "alter system set log_statement = 'all'",
                         "set allow_system_table_mods = on", "set zero_damaged_pages = on",
                         "alter database current_database set search_path = attack",
                         "set log_parser_stats = on", "set track_activities = off")  # fmt: skip


@attack(SUPERUSER, NO_SUPERUSER)
def objects_kept_to_superusers(session: Session, victim: Victim) -> bool:
    session.plain("create function attack.f() returns event_trigger language plpgsql as $$begin end$$",
                  "create function attack.leak(text) returns boolean language sql return true")  # fmt: skip
    try:
        return session.tries("create event trigger spy on ddl_command_end execute function attack.f()",
                             "alter function attack.leak(text) leakproof", "create publication spy for all tables",
                             "alter function hartonomous.content(bigint) security invoker",
                             "select pg_create_logical_replication_slot('spy', 'test_decoding')")  # fmt: skip
    finally:
        session.operator("drop event trigger if exists spy", "drop publication if exists spy")
        session.operator("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'spy'")


@attack("grant execute on all functions in schema hartonomous to public")
def functions_that_are_not_granted(session: Session, victim: Victim) -> bool:
    """Private helpers and administrators' functions take a tenant as an argument."""
    calls = ("_embedding_stale({tenant}, 1)", "_artifact_root({tenant}, {artifact})", "_model_own({tenant}, 'tiny')",
             "_document_current({tenant}, 'page.md')", "_trace({tenant}, {artifact}, 3, true)",
             "_node_detail('artifact', {artifact})", "_graph_node_put({tenant}, 'artifact', array[1])",
             "_context_bind({tenant}, null, '{{read,write}}')", "api_key_list({tenant})", "_permit('ingest')",
             "_search_text({tenant}, 1, '{{a}}', null, 10, '{{}}', null, null, null)",
             "tenant_role_add({tenant}, current_user)",
             "tenant_create('mine')", "_secret_open({tenant}, 'x', 'x', 1)", "_secret_key('/etc/passwd', 1)",
             "_tensor_parts(1, null)", "_content(1, 2, 3, 'x')", "_policy_verdict({tenant}, 'content')",
             "_audit('forged', {tenant}, '{{}}')", "system_versioning_add('attack.t')")  # fmt: skip
    filled = [call.format(tenant=victim.tenant, artifact=victim.artifact) for call in calls]
    with session.connection.transaction(force_rollback=True):
        for call in filled:
            try:
                with session.connection.transaction():
                    session.connection.execute(f"select hartonomous.{call}")
                    return True
            except psycopg.Error:
                pass
    return False


@attack("grant pg_signal_backend to {attacker}, {pool}", "revoke pg_signal_backend from {attacker}, {pool}")
def ending_the_victims_sessions(session: Session, victim: Victim) -> bool:
    with session.as_victim() as other:
        pid = other.info.backend_pid
        session.tries(f"select pg_cancel_backend({pid})", f"select pg_terminate_backend({pid}, 1000)")
        try:
            other.execute("select 1")
            return False
        except psycopg.OperationalError:
            return True
