/** Two processes on one database, both written to at once: together never above a tenant's quota. */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { secondProcessSettings } from '../support/cluster.ts'
import type { Asked } from '../support/door.ts'
import type { Random } from '../support/random.ts'
import type { Service, Tenant } from '../support/service.ts'
import { startEmbeddings } from '../support/stand-ins.ts'
import { createTally } from '../support/tally.ts'
import { forSeconds } from '../support/wait.ts'

const writers = 12
const memoriesMax = 120
const bytesMax = 200_000
const triesAfterRefusal = 40

type Trial = { readonly name: string; readonly quota: Readonly<Record<string, number>>; next(random: Random): Asked }

const agents = (random: Random): string => `quota-${random.below(4)}`
const importOf = (random: Random): Asked => ({
  path: `/v1/agents/${agents(random)}/memories/import`,
  headers: { 'content-type': 'application/x-ndjson' },
  body: Array.from({ length: 7 }, () => JSON.stringify({ content: random.words(8) })).join('\n'),
})

const trials: readonly Trial[] = [
  {
    name: 'memories',
    quota: { memories: memoriesMax },
    next: (random) => {
      const path = `/v1/agents/${agents(random)}/memories`
      const memories = Array.from({ length: 5 }, () => ({ content: random.words(8) }))
      if (random.chance(0.2)) return importOf(random)
      return random.chance(0.3)
        ? { path: `${path}/batch`, body: { memories } }
        : { path, body: { content: random.words(8) } }
    },
  },
  {
    name: 'stored_bytes',
    quota: { stored_bytes: bytesMax },
    next: (random) => ({ path: `/v1/agents/${agents(random)}/memories`, body: { content: random.words(400) } }),
  },
]

type Pair = { readonly one: Service; readonly two: Service }

const playTrial = async (
  { random, signal }: ChaosContext,
  { one, two }: Pair,
  { trial, tenant, seconds }: { trial: Trial; tenant: Tenant; seconds: number },
): Promise<{ readonly used: Readonly<Record<string, number>>; readonly statuses: string }> => {
  const statuses = createTally()
  let refused = 0
  const isOver = new AbortController()
  await forSeconds({ seconds, workers: writers, signal: AbortSignal.any([signal, isOver.signal]) }, async (worker) => {
    const { status, fields } = await (worker % 2 === 0 ? one : two).ask({ key: tenant.key, ...trial.next(random) })
    const problem = String(fields.code ?? '')
    statuses.add(problem === '' ? status : `${status} ${problem}`)
    if (problem.startsWith('quota')) refused += 1
    if (refused > triesAfterRefusal) isOver.abort()
  })
  const usage = (await tenant.ask({ path: '/v1/usage' })).fields
  return {
    used: { memories: Number(usage.memories), stored_bytes: Number(usage.stored_bytes) },
    statuses: String(statuses),
  }
}

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, seconds, signal } = context
  const env = await startEmbeddings(lab)
  const one = await lab.start({ env })
  const second = { ...(await secondProcessSettings(one.dataDir)), AGEMEM_OPERATOR_KEY: one.operatorKey }
  const two = await lab.start({ env: { ...env, ...second } })
  const findings: Finding[] = []
  const figures: { what: string; value: string }[] = []
  const endMs = performance.now() + seconds * 1_000
  for (let round = 0; (round === 0 || performance.now() < endMs) && !signal.aborted; round += 1)
    for (const trial of trials) {
      const tenant = await one.makeTenant(`quota ${trial.name} ${round}`, trial.quota)
      const { used, statuses } = await playTrial(
        context,
        { one, two },
        { trial, tenant, seconds: Math.min(20, seconds) },
      )
      const limit = trial.quota[trial.name] ?? 0
      const taken = used[trial.name] ?? 0
      if (round === 0) figures.push({ what: `${trial.name}, quota ${limit}`, value: `${taken} taken; ${statuses}` })
      if (taken > limit) findings.push({ guarantee: 'quotas', what: `${trial.name}: ${taken} of ${limit}` })
      // A quota that refuses everything would be kept as well.
      if (taken < limit / 2)
        findings.push({ guarantee: 'quotas', what: `${trial.name}: only ${taken} of ${limit} let in; ${statuses}` })
    }
  return { figures, findings: findings.slice(0, 10) }
}

export const quotas: Scenario = { name: 'quotas', guards: ['quotas'], run: play }
