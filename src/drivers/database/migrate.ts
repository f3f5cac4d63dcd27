/** Applies the SQL files of migrations/, forward only. Several processes may start at once: one migrates, all wait. */
import { fileURLToPath } from 'node:url'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import type { Logger } from 'pino'
import { AppError } from '../../shared/errors.ts'
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

const migrationFailed = (cause: unknown) =>
  new AppError({
    code: 'database.migration_failed',
    status: 503,
    detail:
      `The database could not be migrated: ${cause instanceof Error ? cause.message : String(cause)}. ` +
      'The owner needs to create tables and roles (CREATEROLE); give its login as AGEMEM_DATABASE_OWNER_URL.',
    cause,
  })

const loginOf = async (url: string, connectTimeoutMs: number): Promise<string> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs })
  await client.connect()
  try {
    const { rows } = await client.query('select session_user as login')
    return String(rows[0].login)
  } finally {
    await client.end()
  }
}

export const migrate = async ({ ownerUrl, appUrl, connectTimeoutMs, logger }: MigrateOptions): Promise<void> => {
  const client = new pg.Client({ connectionString: ownerUrl, connectionTimeoutMillis: connectTimeoutMs })
  client.on('error', (error) => logger.warn({ err: error }, 'the connection that migrates broke'))
  try {
    await client.connect()
    const applied = await runner({
      dbClient: client,
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
    if (ownerUrl !== appUrl) {
      const login = await loginOf(appUrl, connectTimeoutMs)
      await client.query(`grant ${appRole} to ${pg.escapeIdentifier(login)}`)
    }
  } catch (error) {
    throw migrationFailed(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}
