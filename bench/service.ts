/** Starts a PostgreSQL and, as a process of its own, the service over it; what every subject of the benchmarks is given. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import pino from 'pino'
import { startEmbeddedPostgres } from '../src/drivers/database/embedded-postgres.ts'
import { type Client, createClient } from './client.ts'
import { textAt } from './texts.ts'

export type ServiceStarted = { readonly url: string; readonly floorUrl: string; readonly key: string | null }

export type ProcessState = {
  readonly rss: number
  readonly heapUsed: number
  readonly heapTotal: number
  readonly external: number
  readonly arrayBuffers: number
  readonly longestPauseMs: number
}

export type Bench = {
  /** The service, as the first tenant. */
  readonly client: Client
  /** A bare route in the process of the service. */
  readonly floor: Client
  readonly databaseUrl: string
  /** As the owner of the database, beside the service. */
  readonly pool: pg.Pool
  readState(): Promise<ProcessState>
  /** Another process of the service over the same data: nothing is held in memory yet. */
  restart(): Promise<void>
  /** A second process of the service over the same data, with settings of its own. */
  startBeside(settings: Readonly<Record<string, string>>): Promise<{ readonly client: Client; stop(): Promise<void> }>
  /** The client of another key, with connections of its own. */
  clientOf(key: string): Client
  /** Fills the agent up to `count` memories, unless it has them, and waits until all are indexed; answers the rate. */
  ensureFilled(agent: string, count: number): Promise<number>
  close(): Promise<void>
}

const indexWaitMs = 900_000
const askEveryMs = 100
const startMs = 60_000

const startProcess = async (databaseUrl: string, settings: Readonly<Record<string, string>> = {}) => {
  const script = new URL('service-process.ts', import.meta.url)
  const child: ChildProcess = fork(script, [databaseUrl, JSON.stringify(settings)])
  const [started] = (await once(child, 'message', { signal: AbortSignal.timeout(startMs) })) as [ServiceStarted]
  return { child, started }
}

const stopProcess = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

const fill = async (client: Client, agent: string, count: number): Promise<number> => {
  const startedMs = performance.now()
  for (let at = 0; at < count; at += 500) {
    const memories = Array.from({ length: Math.min(500, count - at) }, (_, offset) => ({
      content: textAt(at + offset),
    }))
    await client.post(`/v1/agents/${agent}/memories/batch`, { memories })
  }
  return (count / (performance.now() - startedMs)) * 1_000
}

const waitUntilIndexed = async (client: Client, agent: string): Promise<void> => {
  for (const giveUpMs = Date.now() + indexWaitMs; Date.now() < giveUpMs; ) {
    const { index_lag: lag } = await client.get<{ index_lag: number }>(`/v1/agents/${agent}`)
    if (lag === 0) return
    await new Promise((resolve) => setTimeout(resolve, askEveryMs))
  }
  throw new Error(`the index of ${agent} did not catch up`)
}

export const startBench = async (): Promise<Bench> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'agemem-bench-'))
  const postgres = await startEmbeddedPostgres({ dataDir, logger: pino({ level: 'silent' }) })
  const pool = new pg.Pool({ connectionString: postgres.url, max: 10 })
  let { child, started } = await startProcess(postgres.url)
  const key = started.key ?? ''
  let client = createClient(started.url, key)
  let floor = createClient(started.floorUrl, key)
  const filled = new Map<string, number>()

  const restart = async () => {
    await stopProcess(child)
    ;({ child, started } = await startProcess(postgres.url))
    client = createClient(started.url, key)
    floor = createClient(started.floorUrl, key)
  }

  return {
    get client() {
      return client
    },
    get floor() {
      return floor
    },
    databaseUrl: postgres.url,
    pool,
    readState: async () => {
      child.send('state')
      const [state] = (await once(child, 'message', { signal: AbortSignal.timeout(startMs) })) as [ProcessState]
      return state
    },
    restart,
    startBeside: async (settings) => {
      const beside = await startProcess(postgres.url, settings)
      return { client: createClient(beside.started.url, key), stop: () => stopProcess(beside.child) }
    },
    clientOf: (other) => createClient(started.url, other),
    ensureFilled: async (agent, count) => {
      const known = filled.get(agent)
      if (known !== undefined) return known
      const perSecond = await fill(client, agent, count)
      filled.set(agent, perSecond)
      await waitUntilIndexed(client, agent)
      return perSecond
    },
    close: async () => {
      await stopProcess(child)
      await pool.end()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
