/**
 * One tenant floods the service with each kind of work in turn, while a neighbour is watched. What it stored is erased and
 * worked off before the next kind and before the neighbour's quiet readings, so that each figure is of its own kind of work.
 */
import type { ChaosContext, Outcome, Scenario } from '../scenario.ts'
import { waitForBacklog } from '../support/backlog.ts'
import type { Answer } from '../support/door.ts'
import { judgePhases, type NeighbourTiming, type Phase, startNeighbour } from '../support/neighbour.ts'
import type { Random } from '../support/random.ts'
import type { Service, Tenant } from '../support/service.ts'
import { createTally } from '../support/tally.ts'
import { forSeconds } from '../support/wait.ts'

const clients = 48
const bigMessages = 600
const appendMax = 200
const agents = 8
const quietWithinMs = 120_000
const storing = Array.from({ length: agents }, (_, at) => `greedy-stored-${at}`)

type Flood = { readonly what: string; readonly ask: () => Promise<Answer> }

const floodsOf = (tenant: Tenant, random: Random): readonly Flood[] => {
  const ask = (path: string, body?: object) =>
    tenant.ask({ path, timeoutMs: 30_000, ...(body === undefined ? {} : { body }) })
  const text = (words: number) => `${random.hex(6)} ${random.words(words)}`
  const agent = () => `greedy-${random.below(agents)}`
  const storingAgent = () => `greedy-stored-${random.below(agents)}`
  const lines = () => Array.from({ length: 500 }, () => JSON.stringify({ content: text(40) })).join('\n')
  const importLines = () => {
    const headers = { 'content-type': 'application/x-ndjson' }
    return tenant.ask({
      path: `/v1/agents/${storingAgent()}/memories/import`,
      body: lines(),
      headers,
      timeoutMs: 60_000,
    })
  }
  return [
    { what: 'requests', ask: () => ask('/v1/usage') },
    { what: 'requests for what is not there', ask: () => ask(`/v1/agents/${random.hex(6)}`) },
    { what: 'searches', ask: () => ask(`/v1/agents/${agent()}/memories/search`, { query: text(12), top_k: 100 }) },
    { what: 'ADDs', ask: () => ask(`/v1/agents/${storingAgent()}/memories`, { content: text(60) }) },
    { what: 'ADDs to one agent', ask: () => ask('/v1/agents/greedy-stored-0/memories', { content: text(20) }) },
    {
      what: 'appends to one session',
      ask: () => ask('/v1/sessions/greedy-small/messages', { messages: [{ role: 'user', content: text(20) }] }),
    },
    { what: 'imports', ask: importLines },
    {
      what: 'FILTER on a big context',
      ask: () => ask('/v1/sessions/greedy-big/tools/filter_context', { criteria: text(12) }),
    },
    {
      what: 'SUMMARY of a big context',
      ask: () => ask('/v1/sessions/greedy-big/tools/summary_context', { span: 'all' }),
    },
    { what: 'contexts read', ask: () => ask('/v1/sessions/greedy-big/context') },
    {
      what: 'embeddings of long texts',
      ask: () => ask(`/v1/agents/${agent()}/memories/search`, { query: text(2_000), mode: 'semantic' }),
    },
    { what: 'sessions', ask: () => ask('/v1/sessions', { agent_id: agent(), session_id: `s-${random.hex(16)}` }) },
  ]
}

const prepare = async (tenant: Tenant, random: Random): Promise<void> => {
  for (const name of ['greedy-big', 'greedy-small'])
    await tenant.ask({
      path: '/v1/sessions',
      body: { agent_id: 'greedy-talk', session_id: name, budget_tokens: 1_000_000 },
    })
  for (let at = 0; at < bigMessages; at += appendMax) {
    const messages = Array.from({ length: appendMax }, () => ({
      role: 'user',
      content: `${random.words(30)}. ${random.words(20)}.`,
    }))
    await tenant.ask({ path: '/v1/sessions/greedy-big/messages', body: { messages } })
  }
  const memories = Array.from({ length: 400 }, () => ({ content: random.words(12) }))
  await tenant.ask({ path: '/v1/agents/greedy-0/memories/batch', body: { memories } })
}

/** @throws Error when the service does not come to rest, since nothing that is measured then says anything */
const settle = async (service: Service, tenant: Tenant): Promise<void> => {
  for (const agent of storing) await tenant.ask({ method: 'DELETE', path: `/v1/agents/${agent}`, timeoutMs: 60_000 })
  if (!(await waitForBacklog(service, tenant, { withinMs: quietWithinMs })))
    throw new Error('the index does not catch up while nobody is greedy')
}

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, random, seconds, say, signal } = context
  const service = await lab.start({ connectionsMax: clients })
  const tenant = await service.makeTenant('greedy')
  await prepare(tenant, random)
  const neighbour = await startNeighbour(context, service)
  const floods = floodsOf(tenant, random)
  const phaseSeconds = Math.max(4, (seconds * 0.75) / floods.length)
  const quietSeconds = Math.max(5, seconds * 0.1)
  await settle(service, tenant)
  const quiet: NeighbourTiming[] = [await neighbour.measureQuiet(quietSeconds)]
  const phases: Phase[] = []
  const done: string[] = []
  for (const { what, ask } of floods) {
    if (signal.aborted) break
    const statuses = createTally()
    const timing = await neighbour.measureWhile(() =>
      forSeconds({ seconds: phaseSeconds, workers: clients, signal }, async () => statuses.add((await ask()).status)),
    )
    phases.push({ what, guarantee: 'A2', timing })
    done.push(`${what} ${statuses.total()} (${statuses})`)
    say(`${what}: ${statuses}, neighbour p99 ${Math.round(timing.p99)} ms ${JSON.stringify(timing.refusals)}`)
    await settle(service, tenant)
  }
  quiet.push(await neighbour.measureQuiet(quietSeconds))
  const judged = judgePhases(quiet, phases)
  return {
    figures: [{ what: `asked by ${clients} clients`, value: done.join('; ') }, ...judged.figures],
    findings: judged.findings,
  }
}

export const greedy: Scenario = { name: 'greedy', guards: ['A2'], run: play }
