/**
 * The files of the database. A cluster is made in a folder beside and renamed into place when it is whole, with its
 * password in it, so whatever `postgres` holds is whole or was not made here. What is plainly no cluster is moved
 * aside, never deleted; what looks like a damaged one is left alone for people to decide.
 */
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { embeddedFailed } from './embedded-failure.ts'
import { run } from './embedded-process.ts'
import type { Runtime } from './embedded-runtime.ts'

export const superuser = 'agemem'
const initdbTimeoutMs = 60_000
const chownTimeoutMs = 60_000
const passwordFile = 'agemem-password'
const stagingPrefix = 'postgres.init-'

export type ClusterOptions = {
  readonly dataDir: string
  readonly cluster: string
  readonly runtime: Runtime
  readonly logger: Logger
  readonly signal: AbortSignal | undefined
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** A rename outlives a power cut only once its folder is on the disk. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const writePassword = async (path: string, runtime: Runtime): Promise<void> => {
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(randomBytes(24).toString('hex'))
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (runtime.account.ids) await chown(path, runtime.account.ids.uid, runtime.account.ids.gid)
}

/** The built-in locale sorts by code point and knows Unicode's cases, the same on every system and after its updates. */
const initdbArguments = (folder: string, password: string): string[] => [
  ...['-D', folder, '--username', superuser, '--pwfile', password, '--auth', 'scram-sha-256'],
  ...['--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
  ...['--no-instructions', '--set', 'huge_pages=off'],
]

const makeCluster = async ({ dataDir, cluster, runtime, signal }: ClusterOptions): Promise<void> => {
  const staging = await mkdtemp(join(dataDir, stagingPrefix))
  try {
    const { account } = runtime
    if (account.ids) await chown(staging, account.ids.uid, account.ids.gid)
    const made = join(staging, 'cluster')
    const password = join(staging, passwordFile)
    await writePassword(password, runtime)
    const command: [string, ...string[]] = [runtime.initdb, ...initdbArguments(made, password)]
    await run({ account, command, cwd: staging, timeoutMs: initdbTimeoutMs, signal })
    await rename(password, join(made, passwordFile))
    await syncFolder(made)
    await rename(made, cluster)
    await syncFolder(dataDir)
  } finally {
    await rm(staging, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined)
  }
}

/** An initdb whose service was killed may still write there for a moment; the next start then clears the rest. */
const clearStaging = async ({ dataDir, logger }: ClusterOptions): Promise<void> => {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith(stagingPrefix)) continue
    logger.warn({ folder: name }, 'clearing a database that was never finished')
    await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5 }).catch((error: unknown) =>
      logger.warn({ err: error, folder: name }, 'could not clear it all'),
    )
  }
}

type Contents = 'nothing' | 'half-made' | 'damaged' | 'whole'

const judgeContents = async (cluster: string): Promise<Contents> => {
  if (!(await exists(cluster)) || (await readdir(cluster)).length === 0) return 'nothing'
  const [isVersioned, isControlled, isOurs] = await Promise.all(
    ['PG_VERSION', 'global/pg_control', passwordFile].map((name) => exists(join(cluster, name))),
  )
  if (isVersioned && isControlled && isOurs) return 'whole'
  return isOurs || (isVersioned && isControlled) ? 'damaged' : 'half-made'
}

const ensureVersion = async ({ cluster, runtime }: ClusterOptions): Promise<void> => {
  const version = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim()
  if (version === runtime.major) return
  throw embeddedFailed(
    `${cluster} was made by PostgreSQL ${version} and this release runs ${runtime.major}: ` +
      'start the release that made it and move the data with pg_dump',
  )
}

/**
 * Makes the cluster unless it is there whole.
 * @returns the superuser's password. @throws AppError database.embedded_failed for a damaged or older cluster
 */
export const ensureCluster = async (options: ClusterOptions): Promise<string> => {
  const { dataDir, cluster, logger } = options
  await clearStaging(options)
  const contents = await judgeContents(cluster)
  if (contents === 'damaged')
    throw embeddedFailed(
      `${cluster} lacks PG_VERSION, global/pg_control or ${passwordFile}: restore it from a backup, ` +
        'move it away to start with an empty database',
    )
  if (contents === 'half-made') {
    const aside = await mkdtemp(join(dataDir, 'postgres.broken-'))
    await rename(cluster, aside)
    logger.warn({ folder: aside }, 'moved a half-made database aside')
  }
  if (contents !== 'whole') await makeCluster(options)
  await ensureVersion(options)
  return (await readFile(join(cluster, passwordFile), 'utf8')).trim()
}

/** Hands the files to the account that will run the server, with the mode that PostgreSQL insists on. */
export const handOver = async ({ cluster, runtime, signal }: ClusterOptions): Promise<void> => {
  await chmod(cluster, 0o700)
  const { uid, gid } = runtime.account.ids ?? { uid: process.geteuid?.(), gid: process.getegid?.() }
  if ((await stat(cluster)).uid === uid) return
  const self = { label: 'the service itself', prefix: [], ids: undefined }
  await run({
    account: self,
    command: ['chown', '-R', `${uid}:${gid}`, cluster],
    cwd: '/',
    timeoutMs: chownTimeoutMs,
    signal,
  })
}
