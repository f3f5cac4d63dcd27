/** Applies the SQL files of migrations/, forward only. Several processes may start at once: one migrates, all wait. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Logger } from 'pino'
import { isAppError } from '../../shared/errors.ts'
import { connectionFailed, describeFailedFile, migrationFailed } from './migration-failure.ts'
import { appRole, backgroundRole } from './postgres.ts'
import { listKnownMigrations, planMigration, readSchemaState, schemaVersionOf } from './schema-contract.ts'

const migrationsFolder = fileURLToPath(new URL('../../../migrations', import.meta.url))
/** Held while memberships are given, so that processes that start at once do not trip over each other. */
const grantsLock = 7_241_865_325

export type MigrateOptions = {
  /** Login that owns the tables; may create roles. */
  readonly ownerUrl: string
  /** Login that requests use; made a member of the app's role when it is another one. */
  readonly appUrl: string
  /** Login of what belongs to no tenant; absent: that of requests. */
  readonly backgroundUrl?: string | undefined
  /** With the migrations that this process knows; absent: those of this release. */
  readonly folder?: string | undefined
  readonly connectTimeoutMs: number
  readonly logger: Logger
}

type Login = { readonly url: string; readonly setting: string }
type ConnectOptions = Pick<MigrateOptions, 'connectTimeoutMs' | 'logger'>

const withClient = async <T>(
  { url, setting }: Login,
  { connectTimeoutMs, logger }: ConnectOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> => {
  let client: pg.Client | undefined
  try {
    client = new pg.Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs })
    client.on('error', (error) => logger.warn({ err: error }, 'the connection that migrates broke'))
    await client.connect()
  } catch (error) {
    await client?.end().catch(() => undefined)
    throw connectionFailed(error, setting)
  }
  try {
    return await work(client)
  } catch (error) {
    throw isAppError(error) ? error : migrationFailed(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}

const readLogin = async (client: pg.Client): Promise<string> =>
  String((await client.query('select session_user as login')).rows[0].login)

const runMigrations = async (dbClient: pg.Client, dir: string, logger: Logger): Promise<void> => {
  let file: string | undefined
  const note = (text: string) => {
    file = /^### MIGRATION (\S+) /.exec(text)?.[1] ?? file
  }
  try {
    const applied = await runner({
      dbClient,
      dir,
      direction: 'up',
      migrationsTable: 'migration',
      advisoryLockMode: 'wait',
      // What was applied and is not known here was judged before.
      checkOrder: true,
      logger: { debug: () => {}, info: note, warn: (text) => logger.warn(text), error: () => {} },
    })
    if (applied.length > 0) logger.info({ migrations: applied.map(({ name }) => name) }, 'migrated the database')
  } catch (error) {
    if (file === undefined) throw error
    const text = await readFile(join(dir, `${file}.sql`), 'utf8').catch(() => '')
    throw migrationFailed(error, describeFailedFile(error, { file, text }))
  }
}

type Membership = { readonly login: string; readonly role: string; readonly isWanted: boolean }

/** Gives each login what it is for and nothing of what the other is for. Nothing is changed where all is so. */
const grantMemberships = async (client: pg.Client, memberships: readonly Membership[]): Promise<void> => {
  const { rows } = await client.query<{ login: string; role: string }>(`
    select login.rolname as login, role.rolname as role from pg_auth_members
    join pg_roles as login on login.oid = member join pg_roles as role on role.oid = roleid`)
  const isThere = ({ login, role }: Membership) => rows.some((row) => row.login === login && row.role === role)
  const changes = memberships.filter((membership) => isThere(membership) !== membership.isWanted)
  if (changes.length === 0) return
  await client.query('begin')
  await client.query(`select pg_advisory_xact_lock(${grantsLock})`)
  for (const { login, role, isWanted } of changes)
    await client.query(
      isWanted ? `grant ${role} to ${pg.escapeIdentifier(login)}` : `revoke ${role} from ${pg.escapeIdentifier(login)}`,
    )
  await client.query('commit')
}

const membershipsOf = (app: string, background: string, owner: string): readonly Membership[] => {
  const isShared = app === background
  return [
    { login: app, role: appRole, isWanted: true },
    { login: app, role: backgroundRole, isWanted: isShared },
    ...(isShared
      ? []
      : [
          { login: background, role: backgroundRole, isWanted: true },
          { login: background, role: appRole, isWanted: false },
        ]),
    // The owner is a member of both by the first migration.
  ].filter(({ login }) => login !== owner)
}

/**
 * @returns the newest migration that this process knows
 * @throws AppError database.migration_failed with what is wrong and which setting to look at, database.schema_refused
 */
export const migrate = async (options: MigrateOptions): Promise<{ readonly schemaVersion: number }> => {
  const { ownerUrl, appUrl, backgroundUrl = appUrl, folder = migrationsFolder, ...connecting } = options
  const { logger } = options
  const app = { url: appUrl, setting: 'AGEMEM_DATABASE_URL' }
  const owner = ownerUrl === appUrl ? app : { url: ownerUrl, setting: 'AGEMEM_DATABASE_OWNER_URL' }
  const background = { url: backgroundUrl, setting: 'AGEMEM_DATABASE_BACKGROUND_URL' }
  const known = await listKnownMigrations(folder)
  const schemaVersion = schemaVersionOf(known)
  await withClient(owner, connecting, async (client) => {
    const before = await readSchemaState(client)
    if (planMigration(known, before) === 'migrate') {
      await runMigrations(client, folder, logger)
      // A newer process may have migrated while this one waited for its turn.
      planMigration(known, await readSchemaState(client))
    }
    const newer = before.applied.filter((name) => !known.includes(name))
    if (newer.length > 0) logger.warn({ newer }, 'the database is ahead of this process, which leaves it as it is')
    if (appUrl === ownerUrl && backgroundUrl === ownerUrl) return
    const ownerLogin = await readLogin(client)
    const appLogin = appUrl === ownerUrl ? ownerLogin : await withClient(app, connecting, readLogin)
    const backgroundLogin = backgroundUrl === appUrl ? appLogin : await withClient(background, connecting, readLogin)
    await grantMemberships(client, membershipsOf(appLogin, backgroundLogin, ownerLogin))
  })
  return { schemaVersion }
}
