/**
 * Erasing an agent, and deleting a tenant, while keyed writes, tool calls and runs of it are under way: afterwards no text
 * of it in any table, statistic, answer or log.
 */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { findInTables } from '../support/cluster.ts'
import { type Answer, listAt, textAt } from '../support/door.ts'
import type { Random } from '../support/random.ts'
import type { Service, Tenant } from '../support/service.ts'
import { startEmbeddings, startModel } from '../support/stand-ins.ts'
import { createTally, someOf } from '../support/tally.ts'
import { forSeconds, sleep, waitUntil } from '../support/wait.ts'

const writers = 8
const erasedWithinMs = 90_000

type Target = { readonly tenant: Tenant; readonly agent: string; readonly session: string; readonly canary: string }

type Ask = () => Promise<Answer>

const writesOf = ({ tenant, agent, session, canary }: Target, random: Random) => {
  const text = () => `${canary} ${random.hex(8)} ${random.words(5)}`
  const ask = (path: string, body: object) =>
    tenant.ask({ path, body, headers: { 'idempotency-key': `erase-${random.hex(20)}` }, timeoutMs: 30_000 })
  const argumentsOf = () => JSON.stringify({ content: text() })
  const call = () => ({
    id: `call_${random.hex(8)}`,
    type: 'function',
    function: { name: 'Add_memory', arguments: argumentsOf() },
  })
  const path = `/v1/sessions/${session}`
  const ofAgent: readonly Ask[] = [
    () => ask(`/v1/agents/${agent}/memories`, { content: text(), metadata: { note: text() } }),
    () => ask(`/v1/agents/${agent}/memories/batch`, { memories: [{ content: text() }, { content: text() }] }),
  ]
  /** Refused when the session is gone; the others would make the agent anew, and rightly. */
  const ofSession: readonly Ask[] = [
    () => ask(`${path}/messages`, { messages: [{ role: 'user', content: text() }] }),
    () => ask(`${path}/tools/add_memory`, { content: text() }),
    () => ask(`${path}/tool_calls`, { tool_calls: [call()], append: true }),
    () => ask(`${path}/tools/summary_context`, { span: 'all' }),
    () => ask(`${path}/tools/retrieve_memory`, { query: text() }),
    () => ask(`${path}/policy/run`, { input: text(), steps_max: 1 }),
    () => ask(`${path}/rewards`, { key: 'outcome', value: 1 }),
  ]
  return { ofAgent, ofSession }
}

/** The writes go on past the erasure for a moment, so that some are in the middle of it. */
const race = async (
  { random, signal }: ChaosContext,
  { writes, erase }: { writes: readonly Ask[]; erase: () => Promise<unknown> },
): Promise<string> => {
  const statuses = createTally()
  const count = ({ status, fields }: Answer) => statuses.add(`${status} ${textAt(fields, 'code')}`.trim())
  const over = new AbortController()
  const writing = forSeconds(
    { seconds: 30, workers: writers, signal: AbortSignal.any([signal, over.signal]) },
    async () => count(await random.pick(writes)()),
  )
  await sleep(500 + random.below(600))
  await erase()
  await sleep(100 + random.below(300))
  over.abort()
  await writing
  return String(statuses)
}

const lookFor = async (service: Service, canary: string, what: string): Promise<readonly Finding[]> => {
  const found = await findInTables(service.dataDir, canary)
  return [
    ...(found.length === 0 ? [] : [{ guarantee: 'M7', what: `${what}: text of it in ${someOf(found)}` }]),
    ...(service.output().includes(canary) ? [{ guarantee: 'M7', what: `${what}: text of it in the log` }] : []),
  ]
}

const makeTarget = async (
  service: Service,
  { name, agent, canary }: { name: string; agent: string; canary: string },
) => {
  const tenant = await service.makeTenant(name)
  const target: Target = { tenant, agent, session: `talk-${agent}`, canary }
  await tenant.ask({ path: '/v1/sessions', body: { agent_id: agent, session_id: target.session } })
  return target
}

/** Some of everything is there before, and the planner has looked at it. */
const fill = async ({ random }: ChaosContext, service: Service, target: Target): Promise<void> => {
  const { ofAgent, ofSession } = writesOf(target, random)
  for (let round = 0; round < 3; round += 1) for (const write of [...ofAgent, ...ofSession]) await write()
  await service.query('analyze')
}

const eraseAgent = async (context: ChaosContext, service: Service, round: number): Promise<readonly Finding[]> => {
  const canary = `zq${context.random.hex(14)}`
  const target = await makeTarget(service, { name: `erasing ${round}`, agent: `erased-${round}`, canary })
  await fill(context, service, target)
  const { tenant, agent } = target
  let erasureId = ''
  const statuses = await race(context, {
    writes: writesOf(target, context.random).ofSession,
    erase: async () => {
      const answer = await tenant.ask({ method: 'DELETE', path: `/v1/agents/${agent}`, timeoutMs: 60_000 })
      erasureId = textAt(answer.fields, 'erasure_id')
    },
  })
  context.say(`agent ${round}: ${statuses}`)
  const isDone = await waitUntil(
    async () => textAt((await tenant.ask({ path: `/v1/erasures/${erasureId}` })).fields, 'status') === 'completed',
    { withinMs: erasedWithinMs, everyMs: 250 },
  )
  const found = await tenant.ask({ path: `/v1/agents/${agent}/memories/search`, body: { query: canary, top_k: 50 } })
  return [
    ...(isDone ? [] : [{ guarantee: 'M7', what: `an erasure is not completed in ${erasedWithinMs / 1_000} s` }]),
    ...(listAt(found.fields, 'results').length === 0
      ? []
      : [{ guarantee: 'M7', what: 'a search finds what is erased' }]),
    ...(await lookFor(service, canary, 'an erased agent')),
  ]
}

const deleteTenant = async (context: ChaosContext, service: Service, round: number): Promise<readonly Finding[]> => {
  const canary = `zq${context.random.hex(14)}`
  const target = await makeTarget(service, { name: `${canary} Ltd`, agent: `deleted-${round}`, canary })
  await fill(context, service, target)
  const { ofAgent, ofSession } = writesOf(target, context.random)
  const path = `/v1/admin/tenants/${target.tenant.tenantId}`
  const asOperator = { key: service.operatorKey, timeoutMs: 60_000 }
  const statuses = await race(context, {
    writes: [...ofAgent, ...ofSession],
    erase: () => service.ask({ ...asOperator, method: 'DELETE', path }),
  })
  context.say(`tenant ${round}: ${statuses}`)
  const isDone = await waitUntil(
    async () => {
      const { status, fields } = await service.ask({ ...asOperator, path })
      return status === 404 || fields.status === 'deleted'
    },
    { withinMs: erasedWithinMs, everyMs: 250 },
  )
  const { status } = await target.tenant.ask({ path: '/v1/usage' })
  return [
    ...(isDone ? [] : [{ guarantee: 'M7', what: `a tenant is not deleted in ${erasedWithinMs / 1_000} s` }]),
    // Wrong keys by the hundred from one address are told to come later.
    ...([401, 403, 429].includes(status)
      ? []
      : [{ guarantee: 'M7', what: `the key of a deleted tenant gets ${status}` }]),
    ...(await lookFor(service, canary, 'a deleted tenant')),
  ]
}

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, seconds, signal } = context
  const env = { ...(await startEmbeddings(lab)), ...(await startModel(lab)), AGEMEM_MAINTENANCE_INTERVAL_MS: '1000' }
  const service = await lab.start({ env })
  const findings: Finding[] = []
  const endMs = performance.now() + seconds * 1_000
  let rounds = 0
  for (; (rounds === 0 || performance.now() < endMs) && !signal.aborted; rounds += 1) {
    findings.push(...(await eraseAgent(context, service, rounds)))
    findings.push(...(await deleteTenant(context, service, rounds)))
  }
  return {
    figures: [{ what: 'agents erased, tenants deleted', value: `${rounds}, ${rounds}` }],
    findings: findings.slice(0, 12),
  }
}

export const erasure: Scenario = { name: 'erasure', guards: ['M7'], run: play }
