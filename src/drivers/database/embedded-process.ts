/**
 * Processes of the embedded database: running commands as an account, telling who a pid is, stopping a server. Three
 * answers are told apart: it is there, it is gone, and nobody knows (no file descriptor is left, /proc cannot be read).
 * The last is an error and never taken for "gone", since what is gone is cleared away and started again.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { codeOf, embeddedFailed, ifGone, isGoneError, reasonOf } from './embedded-failure.ts'

const execute = promisify(execFile)

/** Nothing of the service's own environment: it holds secrets, and PG* variables would change what runs. */
export const commandEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
}

/** Whom PostgreSQL runs as. Absent ids mean the service's own. */
export type Account = {
  readonly label: string
  /** Command that the server's own command line is appended to, and that becomes the server. */
  readonly prefix: readonly string[]
  readonly ids: { readonly uid: number; readonly gid: number } | undefined
}

export type Command = {
  readonly account: Account
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

export const commandLine = (account: Account, command: readonly string[]): { file: string; args: string[] } => {
  const [file = '', ...args] = [...account.prefix, ...command]
  return { file, args }
}

/** @returns what it printed. @throws with `stderr` on a failure or after `timeoutMs` */
export const run = async ({ account, command, cwd, timeoutMs, signal }: Command): Promise<string> => {
  const { file, args } = commandLine(account, command)
  const options = { cwd, env: commandEnvironment, timeout: timeoutMs, killSignal: 'SIGKILL' as const, ...account.ids }
  const { stdout } = await execute(file, args, { ...options, ...(signal && { signal }) })
  return stdout
}

/** Polls until `condition` holds. @returns false when `timeoutMs` passed first */
export const waitUntil = async (
  condition: () => Promise<boolean>,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<boolean> => {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() >= deadline) return false
    await sleep(20, undefined, signal && { signal })
  }
  return true
}

export type ProcessFacts = {
  /** Together with the pid, names one process for as long as the machine is up. */
  readonly startedAt: string
  readonly command: string
}

/** By the kernel itself, which needs no file for it. EPERM is another account's process, and there. */
const isPidTaken = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

const statusOf = async (pid: number): Promise<readonly string[] | undefined> => {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(ifGone(undefined))
  if (status !== undefined) return status.slice(status.lastIndexOf(')') + 2).split(' ')
  return undefined
}

/** @throws unless it is there, or gone for certain: a /proc that is not mounted, or hides others, lacks it too */
const inspectProc = async (pid: number): Promise<ProcessFacts | undefined> => {
  if (!isPidTaken(pid)) return undefined
  const fields = await statusOf(pid)
  if (fields === undefined) {
    if (!isPidTaken(pid)) return undefined
    throw new Error(`/proc does not show process ${pid}, which is there`)
  }
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(ifGone(undefined))
  if (command === undefined) return undefined
  return { startedAt: fields[19] ?? '', command: command.replace(/\0$/, '').replaceAll('\0', ' ') }
}

const inspectPs = async (pid: number): Promise<ProcessFacts | undefined> => {
  if (!isPidTaken(pid)) return undefined
  const args = ['-ww', '-o', 'stat=', '-o', 'lstart=', '-o', 'command=', '-p', String(pid)]
  const options = { env: commandEnvironment, timeout: 5_000 }
  const { stdout } = await execute('ps', args, options).catch((error: unknown) => {
    // `ps` that finds nothing prints nothing and exits with 1; what could not be run at all says nothing of the process.
    if (codeOf(error) === 1) return { stdout: '' }
    throw error
  })
  const [, state, startedAt, command] = /^\s*(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\d{4})\s+(.*)/.exec(stdout) ?? []
  if (state === undefined || startedAt === undefined || state.startsWith('Z')) return undefined
  return { startedAt, command: command ?? '' }
}

const inspect = process.platform === 'linux' ? inspectProc : inspectPs

/**
 * Nothing for a pid that is gone, or that is dead and not yet reaped; nor for 0 and below, which name groups.
 * @throws when that cannot be known
 */
export const inspectProcess = async (pid: number): Promise<ProcessFacts | undefined> =>
  pid > 0 ? inspect(pid) : undefined

/** PostgreSQL serves no folder of another account, so one that may not be looked into for that is no server of ours. */
const isOfAnotherAccount = async (pid: number, cluster: string): Promise<boolean> => {
  const [files, process_] = await Promise.all([stat(cluster), stat(`/proc/${pid}`)])
  return files.uid !== process_.uid
}

/**
 * By the working folder, which every process of a server keeps, also after the folder was moved.
 * @throws when that cannot be known
 */
const isPostgresIn = async (pid: number, cluster: string): Promise<boolean> => {
  if ((await readFile(`/proc/${pid}/comm`, 'utf8').catch(ifGone(''))) !== 'postgres\n') return false
  const own = await stat(cluster).catch(ifGone(undefined))
  if (own === undefined) return false
  try {
    const other = await stat(`/proc/${pid}/cwd`)
    return own.ino === other.ino && own.dev === other.dev
  } catch (error) {
    if (isGoneError(error)) return false
    const isRefused = codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM'
    if (isRefused && (await isOfAnotherAccount(pid, cluster).catch(ifGone(true)))) return false
    throw error
  }
}

/**
 * True only for a live PostgreSQL on this very cluster, so that a pid used anew by a stranger is never signalled.
 * @throws when that cannot be known
 */
export const isServerOf = async (pid: number, cluster: string): Promise<boolean> => {
  const facts = await inspectProcess(pid)
  if (facts === undefined) return false
  return `${facts.command} `.includes(`postgres -D ${cluster} `) || isPostgresIn(pid, cluster)
}

/**
 * Backends outlive a killed server until their statement ends, and a new server beside them would damage the data.
 * Where there is no /proc only PostgreSQL's own check of its shared memory stands guard.
 */
export const waitForBackends = async (cluster: string, signal?: AbortSignal): Promise<void> => {
  let left: number[] = []
  const isEmpty = async () => {
    const pids = (await readdir('/proc').catch(ifGone([]))).map(Number).filter(Number.isInteger)
    left = []
    // One after another: together they would take a file descriptor each.
    for (const pid of pids) if (await isPostgresIn(pid, cluster)) left.push(pid)
    return left.length === 0
  }
  if (await waitUntil(isEmpty, { timeoutMs: 10_000, signal })) return
  throw embeddedFailed(`PostgreSQL processes (${left.join(', ')}) still work on ${cluster}: end them`)
}

/** Fast shutdown; then immediate, where PostgreSQL itself kills what hangs after 5 s; then nothing is asked. 20 s. */
const stopSteps = [
  { name: 'SIGINT', timeoutMs: 12_000 },
  { name: 'SIGQUIT', timeoutMs: 6_000 },
  { name: 'SIGKILL', timeoutMs: 2_000 },
] as const

export const stopServer = async (pid: number, cluster: string): Promise<void> => {
  let unknown: unknown
  /** Not, as long as nobody knows: the next look may tell. */
  const isGone = async () => {
    try {
      const isThere = await isServerOf(pid, cluster)
      unknown = undefined
      return !isThere
    } catch (error) {
      unknown = error
      return false
    }
  }
  for (const { name, timeoutMs } of stopSteps) {
    if (await isGone()) return
    // A signal goes only to what was seen to be the server.
    if (unknown === undefined)
      try {
        process.kill(pid, name)
      } catch (error) {
        if (codeOf(error) !== 'ESRCH') throw error
      }
    if (await waitUntil(isGone, { timeoutMs })) return
  }
  if (unknown !== undefined)
    throw embeddedFailed(`Whether the embedded database (pid ${pid}) has stopped cannot be known: ${reasonOf(unknown)}`)
  throw embeddedFailed(`The embedded database (pid ${pid}) does not stop: end it`)
}
