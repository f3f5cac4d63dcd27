/**
 * Texts at the size limits by all doors, while a neighbour is watched: no text stops the event loop of the service for more
 * than 100 ms. A door that takes several texts in one request is given several; where the loop stands, each is given again
 * alone. A stop is what the loop's own thread computed, so that a busy machine is not blamed on it.
 */
import { type AdversarialText, adversarialTexts as hardTexts } from '../../test/support/adversarial-texts.ts'
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import type { Answer, Asked } from '../support/door.ts'
import { judgePhases, type NeighbourTiming, startNeighbour } from '../support/neighbour.ts'
import type { Service, Tenant } from '../support/service.ts'
import { createTally, someOf } from '../support/tally.ts'
import { sleep } from '../support/wait.ts'

const contentMax = 32_768
const messageMax = 131_072
const stopMsMax = 100
/** Stops of less are told apart from nothing by the machine alone. */
const toldFromMs = 60
const restMs = 60
/** A stop of this length is no accident, and not worth another. */
const sureFromMs = 1_000

type DoorOf = {
  readonly what: string
  /** Texts of one try. */
  readonly together: number
  ask(texts: readonly AdversarialText[], serial: number): readonly Asked[]
}

/** In UTF-8, which is what a message is measured in. */
const fitting = ({ make }: AdversarialText, bytesMax: number, charactersMax = bytesMax): string => {
  const text = make(charactersMax)
  const bytes = Buffer.byteLength(text)
  const cut = bytes <= bytesMax ? text : text.slice(0, Math.floor((text.length * bytesMax) / bytes) - 4)
  // Neither the limit nor this cut may leave half a sign.
  return cut.replace(/[\ud800-\udbff]$/, '').replace(/^[\udc00-\udfff]/, '')
}

const callsOf = (hard: AdversarialText, path: string): readonly Asked[] => {
  const content = fitting(hard, messageMax)
  const call = {
    id: 'call_1',
    type: 'function',
    function: { name: 'Add_memory', arguments: content.slice(0, 100_000) },
  }
  const text = content.slice(0, 60_000)
  return [
    { path, body: { output: content } },
    { path, body: { output: `<think>${text}` } },
    { path, body: { output: `<tool_call>{"name":"Add_memory","arguments":{"content":"${text}` } },
    { path, body: { tool_calls: [call] } },
  ]
}

const doors: readonly DoorOf[] = [
  {
    what: 'ADD and search',
    together: 1,
    ask: (hard) =>
      hard.flatMap((one) => {
        const text = fitting(one, 4 * contentMax, contentMax)
        return [
          { path: '/v1/agents/hard/memories', body: { content: text } },
          { path: '/v1/agents/hard/memories/search', body: { query: text } },
        ]
      }),
  },
  {
    what: 'batch and import',
    together: 20,
    ask: (hard) => {
      const memories = Array.from({ length: 20 }, (_, at) => {
        const one = hard[at % hard.length]
        return { content: `${at} ${one === undefined ? '' : fitting(one, 4 * contentMax, contentMax - 8)}` }
      })
      const lines = memories.map((memory) => JSON.stringify(memory)).join('\n')
      return [
        { path: '/v1/agents/hard-batch/memories/batch', body: { memories } },
        {
          path: '/v1/agents/hard-import/memories/import',
          body: lines,
          headers: { 'content-type': 'application/x-ndjson' },
        },
        { path: '/v1/agents/hard-batch/memories/search', body: { query: 'something else' } },
      ]
    },
  },
  {
    what: 'append, SUMMARY, FILTER',
    together: 8,
    ask: (hard, serial) => {
      const session = `hard-${serial}`
      const messages = hard
        .map((one) => fitting(one, messageMax))
        .flatMap((content) => [
          { role: 'user', content },
          { role: 'assistant', content },
          { role: 'user', content: 'And now?' },
        ])
      return [
        { path: '/v1/sessions', body: { agent_id: 'hard-talk', session_id: session, budget_tokens: 1_000_000 } },
        { path: `/v1/sessions/${session}/messages`, body: { messages } },
        { path: `/v1/sessions/${session}/context` },
        { path: `/v1/sessions/${session}/tools/summary_context`, body: { span: 'all' } },
        { path: `/v1/sessions/${session}/messages`, body: { messages } },
        ...hard.map((one) => ({
          path: `/v1/sessions/${session}/tools/filter_context`,
          body: { criteria: fitting(one, 4 * contentMax, contentMax) },
        })),
      ]
    },
  },
  {
    what: 'tool_calls',
    together: 4,
    ask: (hard, serial) => {
      const session = `hard-calls-${serial}`
      const path = `/v1/sessions/${session}/tool_calls`
      return [
        { path: '/v1/sessions', body: { agent_id: 'hard-talk', session_id: session } },
        ...hard.flatMap((one) => callsOf(one, path)),
      ]
    },
  },
]

type Seen = { readonly what: string; readonly stopMs: number; readonly wallMs: number; readonly slowestMs: number }

const createTrier = (service: Service, tenant: Tenant, firstByte: number) => {
  let from = firstByte
  let serial = 0
  const statuses = createTally()
  const wrong = new Set<string>()
  const note = (what: string, { path }: Asked, { status, text }: Answer) => {
    statuses.add(status)
    if (status === 500 || status === 0) wrong.add(`${what}, ${path}: ${status} ${text.slice(0, 120)}`)
  }
  const tryOne = async (door: DoorOf, texts: readonly AdversarialText[]): Promise<Seen> => {
    serial += 1
    const what = `${texts.map(({ kind }) => kind).join(' + ')}, ${door.what}`
    let slowestMs = 0
    for (const asked of door.ask(texts, serial)) {
      const answer = await tenant.ask({ timeoutMs: 45_000, ...asked })
      note(what, asked, answer)
      slowestMs = Math.max(slowestMs, answer.ms)
    }
    await sleep(restMs)
    const { stops, to } = await service.readStops(from)
    from = to
    return {
      what,
      slowestMs,
      stopMs: Math.max(0, ...stops.map(({ cpuMs }) => cpuMs)),
      wallMs: Math.max(0, ...stops.map(({ wallMs }) => wallMs)),
    }
  }
  return { tryOne, statuses, wrong }
}

/** What a text costs it costs each time; what the machine or the collector of garbage cost once is left out. */
const tryTwice = async (tryIt: () => Promise<Seen>): Promise<Seen> => {
  const first = await tryIt()
  if (first.stopMs <= stopMsMax || first.stopMs > sureFromMs) return first
  const second = await tryIt()
  return second.stopMs < first.stopMs ? second : first
}

/** A door with the texts that it is tried with at once. */
type Try = { readonly door: DoorOf; readonly texts: readonly AdversarialText[] }

const triesOf = (texts: readonly AdversarialText[]): readonly Try[] =>
  doors.flatMap((door) =>
    Array.from({ length: Math.ceil(texts.length / door.together) }, (_, at) => ({
      door,
      texts: texts.slice(at * door.together, (at + 1) * door.together),
    })),
  )

const shuffled = <Item>(items: readonly Item[], { random }: ChaosContext): readonly Item[] =>
  items
    .map((item) => [random.below(1e9), item] as const)
    .sort(([one], [other]) => one - other)
    .map(([, item]) => item)

const findingsOf = (seen: readonly Seen[], wrong: ReadonlySet<string>): readonly Finding[] => [
  ...seen
    .filter(({ stopMs }) => stopMs > stopMsMax)
    .sort((one, other) => other.stopMs - one.stopMs)
    .slice(0, 25)
    .map(({ what, stopMs }) => ({ guarantee: 'A3', what: `${what}: the event loop stood ${stopMs} ms` })),
  ...(wrong.size === 0 ? [] : [{ guarantee: 'never 500', what: someOf(wrong) }]),
]

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, seconds, say, signal } = context
  const service = await lab.start()
  const tenant = await service.makeTenant('hard')
  const neighbour = await startNeighbour(context, service)
  const quietSeconds = Math.max(5, seconds * 0.1)
  const started = await service.readStops()
  const quiet: NeighbourTiming[] = [await neighbour.measureQuiet(quietSeconds)]
  const { stops: quietStops, to } = await service.readStops(started.to)
  const { tryOne, statuses, wrong } = createTrier(service, tenant, to)
  const seen: Seen[] = []
  const wanted = doors.length * hardTexts.length
  let reached = 0
  const endMs = performance.now() + seconds * 800
  const timing = await neighbour.measureWhile(async () => {
    for (const { door, texts } of shuffled(triesOf(shuffled(hardTexts, context)), context)) {
      if (performance.now() > endMs || signal.aborted) return
      const first = await tryOne(door, texts)
      const alone = first.stopMs > stopMsMax ? texts : []
      for (const text of alone) seen.push(await tryTwice(() => tryOne(door, [text])))
      if (alone.length === 0) seen.push(first)
      reached += texts.length
      say(`${reached} of ${wanted}, longest stop ${Math.max(...seen.map(({ stopMs }) => stopMs))} ms`)
    }
  })
  quiet.push(await neighbour.measureQuiet(quietSeconds))
  const judged = judgePhases(quiet, [{ what: 'hard texts', guarantee: 'A2', timing }])
  const longest = (stops: readonly { readonly cpuMs: number; readonly wallMs: number }[]) =>
    `${Math.max(0, ...stops.map(({ cpuMs }) => cpuMs))} ms of its own, ${Math.max(0, ...stops.map(({ wallMs }) => wallMs))} ms by the clock`
  return {
    figures: [
      { what: 'texts and doors', value: `${reached} of ${wanted}` },
      { what: 'answers', value: String(statuses) },
      { what: 'longest stop when quiet', value: longest(quietStops) },
      { what: 'longest stop', value: longest(seen.map(({ stopMs, wallMs }) => ({ cpuMs: stopMs, wallMs }))) },
      {
        what: `stops from ${toldFromMs} ms`,
        value: someOf(
          seen.filter(({ stopMs }) => stopMs >= toldFromMs).map(({ what, stopMs }) => `${what}: ${stopMs} ms`),
          8,
        ),
      },
      ...judged.figures,
    ],
    findings: [...findingsOf(seen, wrong), ...judged.findings],
  }
}

export const adversarialTexts: Scenario = { name: 'adversarial-texts', guards: ['A3', 'A2'], run: play }
