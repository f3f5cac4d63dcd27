/**
 * Is what the service runs as unable to do harm? Asked of the login and not of the role in use alone: a role that was
 * taken at the start of a session is given back by `set role none`, so what the login may do, an injected statement may.
 */
import type { SqlStatement } from '../../shared/sql.ts'
import { sql } from '../../shared/sql.ts'

export type HealthRow = {
  readonly login: string
  readonly role: string
  readonly danger: string | null
  readonly is_read_only: boolean
  /** Null: this process is not told which migrations it knows. */
  readonly process_min: number | null
}

/** With every role that the login is a member of, by whatever way: it can become each, or grant itself the way. */
export const healthStatement: SqlStatement = sql`
  select session_user::text as login, current_user::text as role,
    pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as is_read_only,
    (select process_min from schema_contract) as process_min,
    (select case
        when rolsuper then 'is a superuser'
        when rolbypassrls then 'bypasses row level security'
        when rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
          then 'reaches the files of the server'
        else 'owns what row level security guards'
      end
      from pg_roles as reachable
      where pg_has_role(session_user, reachable.oid, 'member')
        and (rolsuper or rolbypassrls
          or rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
          or exists (select from pg_database where datname = current_database() and datdba = reachable.oid)
          or exists (select from pg_namespace where nspname = 'public' and nspowner = reachable.oid
            and rolname <> 'pg_database_owner')
          or exists (select from pg_class where relowner = reachable.oid and relnamespace = 'public'::regnamespace)
          or exists (select from pg_proc where proowner = reachable.oid and pronamespace = 'public'::regnamespace))
      order by rolsuper desc, rolbypassrls desc limit 1) as danger`

/** Null: all is well. */
export const findFault = (
  row: HealthRow | undefined,
  expected: { readonly role: string; readonly schemaVersion: number | null },
): string | null => {
  if (row === undefined) return 'does not tell what it runs as'
  if (row.danger !== null)
    return (
      `the login ${row.login} ${row.danger}, or is a member of a role that does. Wanted is a login of its own that is a ` +
      `member of ${expected.role} alone: row level security, which keeps tenants apart, does not hold such a login`
    )
  if (row.role !== expected.role) return `runs as ${row.role} and not as ${expected.role}`
  const { process_min: needed } = row
  if (expected.schemaVersion !== null && needed !== null && needed > expected.schemaVersion)
    return `was migrated for processes that know migration ${needed}; this one knows ${expected.schemaVersion}: start the newer release`
  return row.is_read_only ? 'takes no writes, as during a failover' : null
}
