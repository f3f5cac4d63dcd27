/**
 * What a turn of the policy costs beside a bare call to the same scripted model server, alone and with many runs at once,
 * and how many prompt tokens a long talk takes beside sending all of it each time. With VLLM_URL and VLLM_MODEL, also the
 * share of the prompt that a real server takes from its prefix cache.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startChatServer } from '../../test/support/chat-server.ts'
import type { Client } from '../client.ts'
import { ms, rate } from '../figures.ts'
import type { Bench } from '../service.ts'
import type { BenchOptions, Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { interleave, repeat } from '../timing.ts'

const rounds = 100
const manyRuns = 64
/** What a small model on a GPU takes for a short turn. */
const thinkingMs = 500
const talkTurns = 20
const longTalkTurns = 100
/** Tokens of vLLM's cache block on a CPU; on a GPU it is smaller. */
const blockTokens = 128

type Step = { readonly usage: { readonly prompt_tokens: number; readonly cached_tokens: number | null } }

const startSession = (client: Client, session: string, more: object = {}) =>
  client.post('/v1/sessions', { agent_id: 'policy', session_id: session, ...more })

const takeStep = (client: Client, session: string, input?: string): Promise<Step> =>
  client.post(`/v1/sessions/${session}/policy/step`, {
    ...(input === undefined ? {} : { input }),
    sampling: { max_tokens: 16, temperature: 0 },
  })

const overhead = async (
  client: Client,
  { bare, setThinking }: { bare: () => Promise<unknown>; setThinking: (ms: number) => void },
  { report, seconds }: BenchOptions,
) => {
  const messages = [{ role: 'user', content: 'Hello' }]
  for (let round = 0; round <= rounds; round += 1) await startSession(client, `alone-${round}`, { messages })
  const alone = await interleave(rounds, { step: (round) => takeStep(client, `alone-${round}`), bare })
  const over = alone.step.p50 - alone.bare.p50
  report.add({
    what: 'turn of the policy, one client',
    figure: `p50 ${ms(alone.step.p50)}`,
    floor: `bare call of the model p50 ${ms(alone.bare.p50)}`,
    ratio: alone.step.p50 / alone.bare.p50,
    target: { text: `5 ms above (${ms(over)})`, isMet: over <= 5 },
  })
  setThinking(thinkingMs)
  const bareMany = await repeat({ seconds, connections: manyRuns }, bare)
  const sessions = Array.from({ length: manyRuns }, (_, at) => `many-${at}`)
  for (const own of sessions) await startSession(client, own)
  const free = [...sessions]
  const many = await repeat({ seconds, connections: manyRuns }, async () => {
    const own = free.pop() ?? ''
    await takeStep(client, own)
    free.push(own)
  })
  setThinking(0)
  report.add({
    what: `turn of the policy, ${manyRuns} at once, a model that takes ${thinkingMs} ms`,
    figure: `${rate(many.perSecond)}, p50 ${ms(many.p50)}`,
    floor: `bare calls ${rate(bareMany.perSecond)}, p50 ${ms(bareMany.p50)}`,
    ratio: many.p50 / bareMany.p50,
    target: { text: 'within 10 %', isMet: many.p50 <= bareMany.p50 * 1.1 },
  })
}

/** A talk of so many turns; answers what each turn's prompt took. */
const talk = async (
  client: Client,
  { session, turns, options = {} }: { session: string; turns: number; options?: object },
): Promise<readonly Step['usage'][]> => {
  await startSession(client, session, options)
  const usages: Step['usage'][] = []
  for (let turn = 0; turn < turns; turn += 1) usages.push((await takeStep(client, session, textAt(turn))).usage)
  return usages
}

const meanPrompt = (usages: readonly Step['usage'][]): number =>
  usages.reduce((sum, { prompt_tokens: tokens }) => sum + tokens, 0) / usages.length

/** A context that is summarised when it fills, beside one that keeps everything. */
const promptTokens = async (client: Client, { report }: BenchOptions) => {
  const kept = meanPrompt(await talk(client, { session: 'kept', turns: longTalkTurns }))
  const options = { budget_tokens: 1_024, options: { auto_summary_at: 0.7 } }
  const tended = meanPrompt(await talk(client, { session: 'tended', turns: longTalkTurns, options }))
  report.add({
    what: `prompt tokens a turn, ${longTalkTurns} turns, summarised at 70 % of 1,024`,
    figure: `${Math.round(tended)} tokens`,
    floor: `whole history ${Math.round(kept)} tokens`,
    ratio: tended / kept,
  })
}

const prefixShare = async (bench: Bench, { report }: BenchOptions, [url, model]: readonly [string, string]) => {
  const { client, stop } = await bench.startBeside({ AGEMEM_VLLM_URL: url, AGEMEM_VLLM_MODEL: model })
  const usages = await talk(client, { session: 'prefix', turns: talkTurns })
  await stop()
  const rest = usages.slice(1)
  const cached = rest.reduce((sum, { cached_tokens: tokens }) => sum + (tokens ?? 0), 0)
  const full = usages
    .slice(0, -1)
    .reduce((sum, { prompt_tokens: tokens }) => sum + Math.floor(tokens / blockTokens) * blockTokens, 0)
  report.add({
    what: `prompt tokens from the server's prefix cache, ${talkTurns} turns`,
    figure: `${((100 * cached) / full).toFixed(1)} % of full blocks`,
    target: { text: '95 %', isMet: cached / full >= 0.95 },
  })
}

export const benchPolicy: Subject = async (bench, options) => {
  const server = await startChatServer({ windowTokens: 32_768 })
  let delayMs = 0
  server.reply(async () => {
    if (delayMs > 0) await sleep(delayMs)
    return { text: '<think>Nothing to do.</think><answer>Yes.</answer>' }
  })
  const { client, stop } = await bench.startBeside({
    AGEMEM_VLLM_URL: server.url,
    AGEMEM_VLLM_MODEL: server.model,
    AGEMEM_VLLM_CONCURRENCY_PER_TENANT_MAX: String(manyRuns),
  })
  try {
    await startSession(client, 'prompt')
    await takeStep(client, 'prompt', 'Hello')
    const body = JSON.stringify(server.turns().at(-1)?.body)
    const bare = async () => {
      const headers = { 'content-type': 'application/json' }
      const signal = AbortSignal.timeout(60_000)
      await (await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body, signal })).text()
    }
    const setThinking = (ms: number) => {
      delayMs = ms
    }
    await overhead(client, { bare, setThinking }, options)
    await promptTokens(client, options)
  } finally {
    await stop()
    await server.close()
  }
  const { VLLM_URL: url, VLLM_MODEL: model } = process.env
  if (url !== undefined && model !== undefined) await prefixShare(bench, options, [url, model])
}
