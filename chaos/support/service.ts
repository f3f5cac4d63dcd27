/** One process of the service, started and killed as operators and kernels do, with what is needed to look at it. */

import type { ChildProcess } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { type createProcesses, endOf, hasEnded, type Launched } from '../../test/support/service-process.ts'
import { queryAs } from './cluster.ts'
import { type Answer, type Asked, createDoor, type Fields, textAt } from './door.ts'
import { waitUntil } from './wait.ts'

export type Processes = Pick<ReturnType<typeof createProcesses>, 'launch'>

export type ServiceOptions = {
  readonly env?: Readonly<Record<string, string>>
  /** A folder that is there already. */
  readonly dataDir?: string
  readonly connectionsMax?: number
}

export type LoopStop = { readonly wallMs: number; readonly cpuMs: number }

export type Tenant = {
  readonly tenantId: string
  readonly key: string
  /** As this tenant, unless another key is given. */
  ask(asked: Asked): Promise<Answer>
}

export type Service = {
  readonly url: string
  readonly child: ChildProcess
  readonly dataDir: string
  readonly operatorKey: string
  output(): string
  begin(): Promise<void>
  /** kill -9, waited for. */
  kill(): Promise<void>
  /** Ready within the time? */
  isReadyWithin(ms: number): Promise<boolean>
  ask(asked: Asked): Promise<Answer>
  /** As the operator. @throws Error when it is not made */
  makeTenant(name: string, quotas?: Readonly<Record<string, number>>): Promise<Tenant>
  makeKey(tenant: Tenant, options?: { agentIds?: readonly string[]; scopes?: readonly string[] }): Promise<string>
  query<Row extends object>(text: string): Promise<readonly Row[]>
  residentBytes(): Promise<number>
  /** Stops of its event loop, those of before `from` left out; `to` is where to go on from. */
  readStops(from?: number): Promise<{ readonly stops: readonly LoopStop[]; readonly to: number }>
  setClockOffset(ms: number): Promise<void>
}

export type ServicePlace = ServiceOptions & {
  readonly dataDir: string
  readonly operatorKey: string
  readonly files: { readonly loop: string; readonly clock: string }
}

const startMs = 120_000
/** Port 9 is that of nobody. */
const nowhere = 'http://127.0.0.1:9'

export const everyScope = [
  ...['memory:read', 'memory:write', 'session:read', 'session:write', 'policy:run', 'trajectory:read'],
  ...['trajectory:write', 'rollout:run', 'keys:manage', 'usage:read', 'audit:read'],
]

const hookOf = (name: string): string => `--import=${new URL(name, import.meta.url).href}`
const nodeOptions = [hookOf('loop-hook.mjs'), hookOf('clock-hook.mjs')].join(' ')

const environmentOf = ({ env = {}, dataDir, operatorKey, files }: ServicePlace): Record<string, string> => ({
  AGEMEM_DATA_DIR: dataDir,
  AGEMEM_OPERATOR_KEY: operatorKey,
  AGEMEM_LOG_LEVEL: 'error',
  NODE_OPTIONS: nodeOptions,
  CHAOS_LOOP_FILE: files.loop,
  CHAOS_CLOCK_FILE: files.clock,
  ...env,
})

const ensured = (answer: Answer, what: string): Fields => {
  if (answer.status >= 200 && answer.status < 300) return answer.fields
  throw new Error(`${what}: ${answer.status} ${answer.text.slice(0, 300)}`)
}

const readResident = async (pid: number): Promise<number> => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1_024
}

const readStopsOf = async (file: string, from: number) => {
  const bytes = await readFile(file)
  const lines = bytes
    .subarray(from)
    .toString()
    .split('\n')
    .filter((line) => line !== '')
  return { stops: lines.map((line) => JSON.parse(line) as LoopStop), to: bytes.length }
}

export const createService = (processes: Processes, place: ServicePlace): Service => {
  const { dataDir, operatorKey, files } = place
  let launched: Launched | null = null
  const current = (): Launched => {
    if (launched === null) throw new Error('It has not been started.')
    return launched
  }
  const urlOf = (): string => /listening on (\S+)/.exec(current().output())?.[1] ?? nowhere
  const door = createDoor(urlOf, { connectionsMax: place.connectionsMax ?? 64 })
  const operator = (asked: Asked) => door.ask({ key: operatorKey, ...asked })

  const begin = async (): Promise<void> => {
    const one = processes.launch({ env: environmentOf(place) })
    launched = one
    await waitUntil(() => hasEnded(one.child) || urlOf() !== nowhere, { withinMs: startMs, everyMs: 20 })
    if (urlOf() === nowhere) throw new Error(`the service did not start: ${one.output().slice(-500)}`)
  }
  const keyOf = async (tenantId: string, body: object) => {
    const path = `/v1/admin/tenants/${tenantId}/keys`
    return textAt(ensured(await operator({ path, body }), 'a key of a tenant'), 'key')
  }

  return {
    get url() {
      return urlOf()
    },
    get child() {
      return current().child
    },
    dataDir,
    operatorKey,
    output: () => launched?.output() ?? '',
    begin,
    kill: async () => {
      const { child } = current()
      if (!hasEnded(child)) child.kill('SIGKILL')
      await endOf(child)
    },
    isReadyWithin: (withinMs) =>
      waitUntil(async () => (await door.ask({ path: '/health/ready', timeoutMs: 5_000 })).status === 200, { withinMs }),
    ask: door.ask,
    makeTenant: async (name, quotas) => {
      const body = { name, ...(quotas === undefined ? {} : { quotas }) }
      const tenantId = textAt(ensured(await operator({ path: '/v1/admin/tenants', body }), 'a tenant'), 'tenant_id')
      const key = await keyOf(tenantId, { name: 'chaos', scopes: everyScope })
      return { tenantId, key, ask: (asked) => door.ask({ key, ...asked }) }
    },
    makeKey: ({ tenantId }, { agentIds, scopes = everyScope } = {}) =>
      keyOf(tenantId, { name: 'chaos', scopes, ...(agentIds === undefined ? {} : { agent_ids: agentIds }) }),
    query: (text) => queryAs(dataDir, text),
    residentBytes: () => readResident(current().child.pid ?? 0),
    readStops: (from = 0) => readStopsOf(files.loop, from),
    setClockOffset: async (ms) => {
      await writeFile(files.clock, String(ms))
      await new Promise((resolve) => setTimeout(resolve, 150))
    },
  }
}
