/** Applies the SQL files of migrations/, forward only. Several processes may start at once: one migrates, all wait. */
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Logger } from 'pino'
import { isAppError } from '../../shared/errors.ts'
import { connectionFailed, migrationFailed } from './migration-failure.ts'
import { appRole } from './postgres.ts'

const migrationsFolder = fileURLToPath(new URL('../../../migrations', import.meta.url))

export type MigrateOptions = {
  /** Login that owns the tables; may create roles. */
  readonly ownerUrl: string
  /** Login that requests use; made a member of the app's role when it is another one. */
  readonly appUrl: string
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

const runMigrations = async (dbClient: pg.Client, logger: Logger): Promise<void> => {
  const applied = await runner({
    dbClient,
    dir: migrationsFolder,
    direction: 'up',
    migrationsTable: 'migration',
    advisoryLockMode: 'wait',
    checkOrder: true,
    logger: {
      debug: () => {},
      info: () => {},
      warn: (text) => logger.warn(text),
      error: (text) => logger.error(text),
    },
  })
  if (applied.length > 0) logger.info({ migrations: applied.map(({ name }) => name) }, 'migrated the database')
}

/** @throws AppError database.migration_failed with what is wrong and which setting to look at */
export const migrate = async ({ ownerUrl, appUrl, ...options }: MigrateOptions): Promise<void> => {
  const isOneLogin = ownerUrl === appUrl
  const app = { url: appUrl, setting: 'AGEMEM_DATABASE_URL' }
  const owner = isOneLogin ? app : { url: ownerUrl, setting: 'AGEMEM_DATABASE_OWNER_URL' }
  await withClient(owner, options, async (client) => {
    await runMigrations(client, options.logger)
    if (isOneLogin) return
    const login = await withClient(app, options, readLogin)
    await client.query(`grant ${appRole} to ${pg.escapeIdentifier(login)}`)
  })
}
