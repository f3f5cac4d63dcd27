/**
 * A real PostgreSQL, started by the service from the binaries that npm ships: unix socket only, everything under one
 * folder. Start: lock the folder -> choose binaries and account -> make the cluster if there is none -> adopt the
 * server that a killed service left, or launch one -> create the database and the logins -> watch the server. Invariants: at most one service and one
 * server per folder; whatever fails on the way leaves no server, socket or lock behind.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { type ClusterOptions, ensureCluster, superuser } from './embedded-cluster.ts'
import { explainFailure } from './embedded-failure.ts'
import { acquireOwnerLock } from './embedded-lock.ts'
import { chooseRuntime, locatePackage } from './embedded-runtime.ts'
import { adoptOrLaunch, endServer } from './embedded-server.ts'
import { makeUrl, query } from './embedded-socket.ts'
import { watchServer } from './embedded-watch.ts'

const databaseName = 'agemem'
const serviceLogin = 'agemem_service'
const backgroundLogin = 'agemem_worker'

export type EmbeddedPostgresOptions = {
  /** Folder of all the data; made if missing, relative to the working folder if not absolute. */
  readonly dataDir: string
  readonly logger: Logger
  /** Ends the start, not what was started. */
  readonly signal?: AbortSignal | undefined
}

export type EmbeddedPostgres = {
  /** Superuser login of the database `agemem`, for node-postgres and libpq, to migrate with. Holds a password. */
  readonly url: string
  /** Login of requests. Its password is new at each start and stored nowhere. */
  readonly serviceUrl: string
  /** Login of what belongs to no tenant; as above. */
  readonly backgroundUrl: string
  /** Of the server that runs now: one that ends unasked is replaced, under the same URL. */
  readonly pid: number
  /** True when the server outlived an earlier service and was taken over as it ran. */
  readonly adopted: boolean
  /** Ends the server within 20 s, committed data safe, and frees the folder. May be called again. */
  stop(): Promise<void>
}

const createDatabase = async (url: string): Promise<void> => {
  const found = await query(url, `select 1 from pg_database where datname = '${databaseName}'`)
  if (found === 0) await query(url, `create database ${databaseName}`)
}

/** Logins that can do nothing until the migrations say what each is for. */
const renewLogins = async (url: string, passwords: Readonly<Record<string, string>>): Promise<void> => {
  for (const [login, password] of Object.entries(passwords)) {
    const found = await query(url, `select 1 from pg_roles where rolname = '${login}'`)
    await query(
      url,
      `${found === 0 ? 'create' : 'alter'} role ${login} with login nosuperuser nocreatedb nocreaterole noreplication
        nobypassrls password '${password}'`,
    )
  }
}

const createPassword = (): string => randomBytes(24).toString('hex')

const startLocked = async ({ dataDir, logger, signal }: EmbeddedPostgresOptions) => {
  const cluster = join(dataDir, 'postgres')
  const runtime = await chooseRuntime({ dataDir, cluster, signal })
  const options: ClusterOptions = { dataDir, cluster, runtime, logger, signal }
  const password = await ensureCluster(options)
  const serverOptions = { ...options, password }
  const server = await adoptOrLaunch(serverOptions)
  const { socketDir } = server
  const passwords: Readonly<Record<string, string>> = {
    [serviceLogin]: createPassword(),
    [backgroundLogin]: createPassword(),
  }
  const urlOf = (login: string) =>
    makeUrl({ login, password: passwords[login] ?? password, socketDir, database: databaseName })
  try {
    const url = makeUrl({ password, socketDir, database: 'postgres' })
    await createDatabase(url)
    await renewLogins(url, passwords)
    signal?.throwIfAborted()
  } catch (error) {
    await endServer(server, cluster)
    throw error
  }
  return {
    url: urlOf(superuser),
    serviceUrl: urlOf(serviceLogin),
    backgroundUrl: urlOf(backgroundLogin),
    adopted: server.adopted,
    watched: watchServer(serverOptions, server),
  }
}

/**
 * Starts the embedded database on a folder, or takes over the one that a killed service left running on it.
 * @throws AppError database.embedded_failed when there are no binaries for this system, the folder is in use or not
 * usable, or PostgreSQL does not start; the abort's reason when `signal` fires
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const { logger, signal } = options
  const folder = resolve(options.dataDir)
  try {
    signal?.throwIfAborted()
    // First, since without binaries there is no use in advice about the folder.
    locatePackage()
    await mkdir(folder, { recursive: true })
    const dataDir = await realpath(folder)
    const lock = await acquireOwnerLock(dataDir, signal)
    try {
      const { adopted, watched, ...urls } = await startLocked({ dataDir, logger, signal })
      logger.info({ postgresPid: watched.pid(), adopted }, 'the embedded database is up')
      let stopped: Promise<void> | undefined
      const stopOnce = () => {
        stopped ??= watched.stop().then(lock.release)
        return stopped
      }
      return {
        ...urls,
        get pid() {
          return watched.pid()
        },
        adopted,
        stop: stopOnce,
      }
    } catch (error) {
      await lock.release()
      throw error
    }
  } catch (error) {
    throw explainFailure(error, { folder, signal })
  }
}
