/**
 * Texts at the size limits by all doors, one at a time, while a neighbour is watched: no text stops the event loop of the
 * service for more than 100 ms. A stop is what the loop's own thread computed, so that a busy machine is not blamed on it.
 */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { type HardText, hardTexts } from '../support/adversarial-texts.ts'
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

type DoorOf = { readonly what: string; ask(hard: HardText, serial: number): readonly Asked[] }

/** In UTF-8, which is what a message is measured in. */
const fitting = ({ make }: HardText, bytesMax: number, charactersMax = bytesMax): string => {
  const text = make(charactersMax)
  const bytes = Buffer.byteLength(text)
  const cut = bytes <= bytesMax ? text : text.slice(0, Math.floor((text.length * bytesMax) / bytes) - 4)
  // Neither the limit nor this cut may leave half a sign.
  return cut.replace(/[\ud800-\udbff]$/, '').replace(/^[\udc00-\udfff]/, '')
}

const doors: readonly DoorOf[] = [
  {
    what: 'ADD and search',
    ask: (hard) => {
      const text = fitting(hard, 4 * contentMax, contentMax)
      return [
        { path: '/v1/agents/hard/memories', body: { content: text } },
        { path: '/v1/agents/hard/memories/search', body: { query: text } },
        { path: '/v1/agents/hard/memories/search', body: { query: 'something else' } },
      ]
    },
  },
  {
    what: 'batch and import',
    ask: (hard) => {
      const memories = Array.from({ length: 20 }, (_, at) => ({
        content: `${at} ${fitting(hard, 4 * contentMax, contentMax - 8)}`,
      }))
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
    ask: (hard, serial) => {
      const session = `hard-${serial}`
      const content = fitting(hard, messageMax)
      const messages = [
        { role: 'user', content },
        { role: 'assistant', content },
        { role: 'user', content: 'And now?' },
      ]
      return [
        { path: '/v1/sessions', body: { agent_id: 'hard-talk', session_id: session, budget_tokens: 1_000_000 } },
        { path: `/v1/sessions/${session}/messages`, body: { messages } },
        { path: `/v1/sessions/${session}/context` },
        { path: `/v1/sessions/${session}/tools/summary_context`, body: { span: 'all' } },
        { path: `/v1/sessions/${session}/messages`, body: { messages } },
        {
          path: `/v1/sessions/${session}/tools/filter_context`,
          body: { criteria: fitting(hard, 4 * contentMax, contentMax) },
        },
      ]
    },
  },
  {
    what: 'tool_calls',
    ask: (hard, serial) => {
      const session = `hard-calls-${serial}`
      const content = fitting(hard, messageMax)
      const call = {
        id: 'call_1',
        type: 'function',
        function: { name: 'Add_memory', arguments: content.slice(0, 100_000) },
      }
      const path = `/v1/sessions/${session}/tool_calls`
      return [
        { path: '/v1/sessions', body: { agent_id: 'hard-talk', session_id: session } },
        { path, body: { output: content } },
        { path, body: { output: `<think>${content.slice(0, 60_000)}` } },
        {
          path,
          body: { output: `<tool_call>{"name":"Add_memory","arguments":{"content":"${content.slice(0, 60_000)}` },
        },
        { path, body: { tool_calls: [call] } },
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
  const tryOne = async (door: DoorOf, hard: HardText): Promise<Seen> => {
    serial += 1
    const what = `${hard.what}, ${door.what}`
    let slowestMs = 0
    for (const asked of door.ask(hard, serial)) {
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

const shuffled = (items: readonly HardText[], { random }: ChaosContext): readonly HardText[] =>
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
  const endMs = performance.now() + seconds * 800
  const timing = await neighbour.measureWhile(async () => {
    for (const hard of shuffled(hardTexts, context))
      for (const door of doors) {
        if (performance.now() > endMs || signal.aborted) return
        seen.push(await tryTwice(() => tryOne(door, hard)))
        if (seen.length % 25 === 0)
          say(`${seen.length} of ${wanted}, longest stop ${Math.max(...seen.map(({ stopMs }) => stopMs))} ms`)
      }
  })
  quiet.push(await neighbour.measureQuiet(quietSeconds))
  const judged = judgePhases(quiet, [{ what: 'hard texts', guarantee: 'A2', timing }])
  const longest = (stops: readonly { readonly cpuMs: number; readonly wallMs: number }[]) =>
    `${Math.max(0, ...stops.map(({ cpuMs }) => cpuMs))} ms of its own, ${Math.max(0, ...stops.map(({ wallMs }) => wallMs))} ms by the clock`
  return {
    figures: [
      { what: 'texts and doors', value: `${seen.length} of ${wanted}` },
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
