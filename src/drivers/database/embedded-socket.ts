/** How the embedded server is reached: a private folder for its socket, a URL, and the first answer. */
import { chown, mkdir, mkdtemp, rm, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { superuser } from './embedded-cluster.ts'
import { ifGone } from './embedded-failure.ts'
import type { Account } from './embedded-process.ts'

export const port = 5432
/** Replaying the log after a crash is progress, and giving up on it would only begin it again. */
const recoveryTimeoutMs = 600_000
const connectTimeoutMs = 5_000
const queryTimeoutMs = 20_000
/** Of `sun_path`, with its end, on the strictest system; Linux has 108. */
const socketPathBytesMax = 104
const socketPrefix = 'agemem-pg-'

export type Address = {
  /** Absent: the superuser. */
  readonly login?: string
  readonly password: string
  readonly socketDir: string
  readonly database: string
}

/** Port and sslmode are there so that PGPORT and PGSSLMODE of the service do not count. */
export const makeUrl = ({ login = superuser, password, socketDir, database }: Address): string => {
  const host = socketDir.split('/').map(encodeURIComponent).join('/')
  return `postgresql://${login}:${password}@/${database}?host=${host}&port=${port}&sslmode=disable`
}

export const query = async (url: string, text: string): Promise<number> => {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(text)).rows.length
  } finally {
    await client.end().catch(() => undefined)
  }
}

export type Waiting = {
  readonly isAlive: () => Promise<boolean>
  /** Not counted while the server replays its log. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** @throws the last error when the server ends, refuses the login or is not up in time */
export const waitForAnswer = async (url: string, { isAlive, timeoutMs, signal }: Waiting): Promise<void> => {
  const begun = performance.now()
  for (;;) {
    signal?.throwIfAborted()
    try {
      await query(url, 'select 1')
      return
    } catch (error) {
      const state = String((error as { code?: unknown }).code)
      const waitMs = state === '57P03' ? recoveryTimeoutMs : timeoutMs
      if (state.startsWith('28') || performance.now() - begun > waitMs || !(await isAlive())) throw error
    }
    await sleep(10, undefined, signal && { signal })
  }
}

const socketIn = (folder: string) => join(folder, `.s.PGSQL.${port}`)

export const hasSocket = async (folder: string): Promise<boolean> =>
  stat(socketIn(folder)).then(() => true, ifGone(false))

/** Only what PostgreSQL puts there, and only from a folder of ours: the path may come from a file. */
const clearSocketFolder = async (folder: string): Promise<void> => {
  if (!basename(folder).startsWith(socketPrefix)) return
  await rm(socketIn(folder), { force: true })
  await rm(`${socketIn(folder)}.lock`, { force: true })
}

/** With its folder, unless that is to be used again. */
export const removeSocket = async (folder: string, kept?: string): Promise<void> => {
  await clearSocketFolder(folder)
  if (basename(folder).startsWith(socketPrefix) && folder !== kept) await rmdir(folder).catch(() => undefined)
}

const isFolder = (path: string): Promise<boolean> => stat(path).then((found) => found.isDirectory(), ifGone(false))

/** The kept one, or a new one. Private by its mode 0700. The option takes a list, hence no commas; `/tmp` where the usual place does not do. */
export const makeSocketFolder = async ({ ids }: Account, kept?: string): Promise<string> => {
  if (kept !== undefined && (await isFolder(kept))) return kept
  const usual = resolve(tmpdir())
  const bytes = Buffer.byteLength(socketIn(join(usual, `${socketPrefix}XXXXXX`)))
  const fits = bytes < socketPathBytesMax && !/[,"]/.test(usual)
  const folder = kept ?? (await mkdtemp(join(fits ? usual : '/tmp', socketPrefix)))
  if (kept !== undefined) await mkdir(kept, { mode: 0o700 })
  if (ids) await chown(folder, ids.uid, ids.gid)
  return folder
}
