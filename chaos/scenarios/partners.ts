/** Embedding server, vector index and model that hang, never end, lie or die: bounded memory, bounded answers, and told so. */
import { startChatServer } from '../../test/support/chat-server.ts'
import { startEmbeddingServer } from '../../test/support/embedding-server.ts'
import { startQdrantStandIn } from '../../test/support/qdrant-stand-in.ts'
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { waitForBacklog } from '../support/backlog.ts'
import { type Answer, at } from '../support/door.ts'
import { type Evil, type EvilProxy, evils, startEvilProxy } from '../support/evil-proxy.ts'
import type { Lab } from '../support/lab.ts'
import { judgePhases, type Phase, startNeighbour } from '../support/neighbour.ts'
import type { Random } from '../support/random.ts'
import type { Service, Tenant } from '../support/service.ts'
import { someOf } from '../support/tally.ts'
import { forSeconds, sleep, waitUntil } from '../support/wait.ts'

type PartnerName = 'embedder' | 'index' | 'model'
type Partners = Readonly<Record<PartnerName, EvilProxy>>

const requestTimeoutMs = 12_000
const answerWithinMs = requestTimeoutMs + 6_000
const growthBytesMax = 400 * 2 ** 20
const asksAtOnce = 4
const catchUpMs = 120_000

const settings = {
  AGEMEM_REQUEST_TIMEOUT_MS: String(requestTimeoutMs),
  AGEMEM_EMBED_TIMEOUT_MS: '2000',
  AGEMEM_INDEX_TIMEOUT_MS: '2000',
  AGEMEM_VLLM_TIMEOUT_MS: '6000',
  AGEMEM_SUMMARY_TIMEOUT_MS: '3000',
}

const startPartners = async (
  lab: Lab,
): Promise<{ readonly partners: Partners; readonly env: Record<string, string> }> => {
  const [embeddings, qdrant, chat] = await Promise.all([
    startEmbeddingServer(),
    startQdrantStandIn(),
    startChatServer(),
  ])
  chat.reply(() => ({ text: '<answer>Yes.</answer>' }))
  lab.defer(() => Promise.all([embeddings.close(), qdrant.stop(), chat.close()]))
  const noted: { length: number }[] = [embeddings.requests, qdrant.requests, chat.requests]
  const timer = setInterval(() => {
    for (const list of noted) list.length = 0
  }, 2_000)
  lab.defer(() => clearInterval(timer))
  const partners = {
    embedder: await startEvilProxy(lab, embeddings.url),
    index: await startEvilProxy(lab, qdrant.url),
    model: await startEvilProxy(lab, chat.url),
  }
  const env = {
    AGEMEM_EMBEDDER_URL: partners.embedder.url,
    AGEMEM_EMBEDDER_MODEL: embeddings.model,
    AGEMEM_QDRANT_URL: partners.index.url,
    AGEMEM_VLLM_URL: partners.model.url,
    AGEMEM_VLLM_MODEL: chat.model,
  }
  return { partners, env }
}

/** What needs the partner, each with a text that no cache holds. */
const asksOf = (tenant: Tenant, random: Random, partner: PartnerName): readonly (() => Promise<Answer>)[] => {
  const text = () => `${random.hex(8)} ${random.words(6)}`
  const ask = (path: string, body: object) => tenant.ask({ path, body, timeoutMs: answerWithinMs * 2 })
  const search = () => ask('/v1/agents/own/memories/search', { query: text(), mode: 'hybrid' })
  if (partner === 'model')
    return [
      () => ask('/v1/sessions/own/policy/run', { input: text(), steps_max: 1 }),
      () => ask('/v1/chat/completions', { model: 'agemem', messages: [{ role: 'user', content: text() }] }),
      () => ask('/v1/sessions/own/tools/summary_context', { span: 'all' }),
    ]
  return [
    search,
    () => ask('/v1/agents/own/memories', { content: text() }),
    () => ask('/v1/sessions/own/tools/retrieve_memory', { query: text() }),
  ]
}

const problemOf = (answer: Answer): string | null => {
  if (answer.status === 0 || answer.ms > answerWithinMs) return `no answer in ${answerWithinMs} ms`
  if (answer.status === 500) return `${answer.status} ${answer.text.slice(0, 140)}`
  return null
}

/** A search while the partner is away has to say so. */
const isSaid = (answer: Answer, partner: PartnerName): boolean =>
  answer.status !== 200 || JSON.stringify(at(answer.fields, 'degraded') ?? []).includes(partner)

type Trial = {
  readonly service: Service
  readonly tenant: Tenant
  readonly partners: Partners
  readonly seconds: number
}

const tryOne = async (
  { random, signal }: ChaosContext,
  { service, tenant, partners, seconds }: Trial,
  { partner, evil }: { partner: PartnerName; evil: Evil },
): Promise<{ readonly findings: readonly Finding[]; readonly residentMax: number; readonly grownBy: number }> => {
  const asks = asksOf(tenant, random, partner)
  const problems = new Set<string>()
  const before = await service.residentBytes()
  let residentMax = before
  let isOver = false
  const watch = async () => {
    for (; !isOver; await sleep(200)) residentMax = Math.max(residentMax, await service.residentBytes())
  }
  const watching = watch()
  partners[partner].set(evil)
  let unsaid = 0
  await forSeconds({ seconds, workers: asksAtOnce, signal }, async (worker) => {
    const place = random.below(asks.length)
    const answer = await (asks[place] ?? asks[0])?.()
    if (answer === undefined) return
    const problem = problemOf(answer)
    if (problem !== null) problems.add(problem)
    // The first ask of the embedder and the index is a search, and each has a text of its own.
    if (worker === 0 && partner !== 'model' && place === 0 && !isSaid(answer, partner)) unsaid += 1
  })
  partners[partner].set('honest')
  isOver = true
  await watching
  const name = `${partner}, ${evil}`
  return {
    residentMax,
    grownBy: residentMax - before,
    findings: [
      ...(problems.size === 0 ? [] : [{ guarantee: 'A5', what: `${name}: ${someOf(problems, 2)}` }]),
      // A count that is wrong may be seen only where texts go several at a time.
      ...(unsaid === 0 || evil === 'wrong count'
        ? []
        : [{ guarantee: 'A5', what: `${name}: ${unsaid} searches say nothing of it` }]),
    ],
  }
}

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, seconds, say, signal } = context
  const { partners, env } = await startPartners(lab)
  const service = await lab.start({ env: { ...env, ...settings } })
  const tenant = await service.makeTenant('own')
  await tenant.ask({ path: '/v1/sessions', body: { agent_id: 'own', session_id: 'own' } })
  await tenant.ask({ path: '/v1/agents/own/memories', body: { content: 'The first thing that is known' } })
  const trials = (['embedder', 'index', 'model'] as const).flatMap((partner) =>
    evils.map((evil) => ({ partner, evil })),
  )
  const trialSeconds = Math.max(2, (seconds * 0.8) / trials.length)
  const neighbour = await startNeighbour(context, service)
  const quietSeconds = Math.max(4, seconds * 0.1)
  const quiet = [await neighbour.measureQuiet(quietSeconds)]
  const before = await service.residentBytes()
  const findings: Finding[] = []
  const phases: Phase[] = []
  let residentMax = 0
  for (const { partner, evil } of trials) {
    if (signal.aborted) break
    const what = `${partner}, ${evil}`
    // What the index has to make up for after its own faults is none of the model's.
    if (partner === 'model' && phases.length === 0) await waitForBacklog(service, tenant, { withinMs: catchUpMs })
    let told: Awaited<ReturnType<typeof tryOne>> = { findings: [], residentMax: 0, grownBy: 0 }
    const timing = await neighbour.measureWhile(async () => {
      told = await tryOne(context, { service, tenant, partners, seconds: trialSeconds }, { partner, evil })
    })
    findings.push(...told.findings)
    if (told.grownBy > growthBytesMax)
      findings.push({
        guarantee: 'A5',
        what: `${what}: memory grew by ${Math.round(told.grownBy / 2 ** 20)} MiB`,
      })
    residentMax = Math.max(residentMax, told.residentMax)
    // The neighbour searches too, so only a partner that it does not need leaves it its speed.
    if (partner === 'model') phases.push({ what, guarantee: 'A5', timing })
    else if (Object.keys(timing.refusals).length > 0)
      findings.push({ guarantee: 'A5', what: `${what}: a neighbour is refused, ${JSON.stringify(timing.refusals)}` })
    const residentMiB = Math.round(told.residentMax / 2 ** 20)
    say(`${what}: ${told.findings.length} findings, ${residentMiB} MiB, neighbour p99 ${Math.round(timing.p99)} ms`)
  }
  const isBack = await waitUntil(async () => (await tenant.ask({ path: '/v1/agents/own' })).fields.index_lag === 0, {
    withinMs: catchUpMs,
    everyMs: 500,
  })
  if (!isBack) findings.push({ guarantee: 'A6', what: 'the index does not catch up when all partners are well again' })
  quiet.push(await neighbour.measureQuiet(quietSeconds))
  const judged = judgePhases(quiet, phases)
  return {
    figures: [
      { what: 'trials', value: String(trials.length) },
      {
        what: 'requests to partners',
        value: Object.entries(partners)
          .map(([name, one]) => `${name}: ${one.asked()}`)
          .join(', '),
      },
      {
        what: 'resident memory',
        value: `${Math.round(before / 2 ** 20)} MiB before, at most ${Math.round(residentMax / 2 ** 20)} MiB`,
      },
      ...judged.figures,
    ],
    findings: [...findings, ...judged.findings],
  }
}

export const partners: Scenario = { name: 'partners', guards: ['A5', 'A6'], run: play }
