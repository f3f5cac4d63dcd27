/**
 * The server process. It runs in a session of its own, so neither Ctrl-C nor the death of the service ends it; a service
 * that was killed leaves an orphan, warm and with no recovery to do. The next start adopts it when it has the very
 * command line that would be used now and answers a query, and replaces it otherwise. Invariants: the caller holds the
 * folder's lock; a process is signalled only after it was seen to be a PostgreSQL on this cluster; a launch that fails
 * leaves no server and no socket behind.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClusterOptions, handOver } from './embedded-cluster.ts'
import { codeOf, ifGone, isExhaustion, reasonOf } from './embedded-failure.ts'
import {
  commandEnvironment,
  commandLine,
  inspectProcess,
  isServerOf,
  stopServer,
  waitForBackends,
} from './embedded-process.ts'
import { hasSocket, makeSocketFolder, makeUrl, port, removeSocket, waitForAnswer } from './embedded-socket.ts'

const startTimeoutMs = 30_000
const adoptTimeoutMs = 10_000
const launchesMax = 3
const logBytesMax = 10 * 1024 * 1024

/** Durable first, then small. The log carries neither statements nor values. */
const settings = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '60',
  shared_buffers: '128MB',
  huge_pages: 'off',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  max_wal_size: '1GB',
  checkpoint_timeout: '10min',
  // A young database has no statistics, and plans without them are poor: they are gathered soon.
  autovacuum_naptime: '5s',
  // Parallel plans take shared memory that containers limit, and do little on few cores.
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  max_logical_replication_workers: '0',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  log_autovacuum_min_duration: '-1',
}

export type ServerOptions = ClusterOptions & {
  readonly password: string
  /** Where an earlier server of this service had its socket, and the next one is to have it. */
  readonly socketDir?: string
}
export type Server = { readonly pid: number; readonly socketDir: string; readonly adopted: boolean }

const serverCommand = ({ cluster, runtime }: ClusterOptions, socketDir: string): string[] => [
  ...[runtime.postgres, '-D', cluster, '-k', socketDir, '-p', String(port)],
  ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
]

type Found = { readonly pid: number; readonly socketDir: string }

const serverFile = (cluster: string) => join(cluster, 'postmaster.pid')

/** Lines of postmaster.pid: pid, data folder, start, port, socket folder. One that a full disk cut short has no pid. */
const readServerFile = async (cluster: string): Promise<Found | undefined> => {
  const text = await readFile(serverFile(cluster), 'utf8').catch(ifGone(undefined))
  if (text === undefined) return undefined
  const lines = text.split('\n')
  return { pid: Number(lines[0]) || 0, socketDir: lines[4] ?? '' }
}

/** Of this process or machine, or of a server that is full: they say nothing about whether the server is well. */
const saysNothing = (error: unknown): boolean =>
  isExhaustion(error) || /^(EACCES|EPERM|53\d{3})$/.test(String(codeOf(error)))

/** @throws when that cannot be known: what cannot be asked is not replaced */
const canAdopt = async (context: ServerOptions, { pid, socketDir }: Found): Promise<boolean> => {
  const { cluster, password, signal } = context
  if ((await inspectProcess(pid))?.command !== serverCommand(context, socketDir).join(' ')) return false
  const isAlive = async () => (await hasSocket(socketDir)) && isServerOf(pid, cluster)
  const waiting = { isAlive, timeoutMs: adoptTimeoutMs, signal }
  try {
    await waitForAnswer(makeUrl({ password, socketDir, database: 'postgres' }), waiting)
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (saysNothing(error)) throw error
    return false
  }
}

const openLog = async (dataDir: string) => {
  const path = join(dataDir, 'postgres.log')
  const handle = await open(path, 'a', 0o600)
  if ((await handle.stat()).size > logBytesMax) await truncate(path)
  return { handle, path, begin: (await handle.stat()).size }
}

const launch = async (context: ServerOptions): Promise<Server> => {
  const { cluster, dataDir, logger, password, runtime, signal } = context
  const log = await openLog(dataDir)
  const socketDir = await makeSocketFolder(runtime.account, context.socketDir)
  const { file, args } = commandLine(runtime.account, serverCommand(context, socketDir))
  const stdio: ['ignore', number, number] = ['ignore', log.handle.fd, log.handle.fd]
  const options = { cwd: cluster, env: commandEnvironment, detached: true, stdio, ...runtime.account.ids }
  const child = spawn(file, args, options)
  try {
    await once(child, 'spawn')
    child.unref()
    const pid = child.pid ?? 0
    child.once('exit', (code, name) =>
      logger.info({ postgresPid: pid, code, signal: name }, 'the embedded database ended'),
    )
    const timeoutMs = startTimeoutMs
    const isAlive = async () => child.exitCode === null && child.signalCode === null
    await waitForAnswer(makeUrl({ password, socketDir, database: 'postgres' }), { isAlive, timeoutMs, signal })
    return { pid, socketDir, adopted: false }
  } catch (error) {
    if (child.pid) await stopServer(child.pid, cluster)
    await removeSocket(socketDir, context.socketDir)
    signal?.throwIfAborted()
    const said = (await readFile(log.path)).subarray(log.begin).toString('utf8')
    throw new Error(reasonOf(said === '' ? error : new Error(said)), { cause: error })
  } finally {
    await log.handle.close()
  }
}

const isServed = async (cluster: string): Promise<boolean> => {
  const found = await readServerFile(cluster)
  return found !== undefined && isServerOf(found.pid, cluster)
}

/** @throws Error with the words of PostgreSQL when it does not start */
export const adoptOrLaunch = async (context: ServerOptions): Promise<Server> => {
  const { cluster, logger, signal } = context
  for (let launches = 1; ; launches += 1) {
    const found = await readServerFile(cluster)
    if (found && (await isServerOf(found.pid, cluster))) {
      if (await canAdopt(context, found)) return { ...found, adopted: true }
      logger.warn({ postgresPid: found.pid }, 'replacing the database server that an earlier service left running')
      await stopServer(found.pid, cluster)
    }
    await waitForBackends(cluster, signal)
    if (found) {
      await removeSocket(found.socketDir, context.socketDir)
      await rm(serverFile(cluster), { force: true })
    }
    await handOver(context)
    try {
      return await launch(context)
    } catch (error) {
      // A server that was launched a moment before its service was killed shows itself only now.
      if (launches === launchesMax || !(await isServed(cluster).catch(() => false))) throw error
    }
  }
}

export const endServer = async ({ pid, socketDir }: Server, cluster: string): Promise<void> => {
  await stopServer(pid, cluster)
  await waitForBackends(cluster)
  await removeSocket(socketDir)
}
