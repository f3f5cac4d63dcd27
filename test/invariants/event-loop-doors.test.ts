/**
 * A3: no request within the limits, and no answer, stops the event loop. The client is a thread of its own: what the loop
 * computes between sending and the end of the answer is the service's work alone.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChatReply, LanguageModel } from '../../src/ports/language-model.ts'
import { adversarialTexts } from '../support/adversarial-texts.ts'
import { createTestApp, type TestApp } from '../support/app.ts'
import {
  type ClientThread,
  createClientThread,
  type ThreadAnswer,
  type ThreadRequest,
} from '../support/client-thread.ts'
import { expectShortStops } from '../support/short-stops.ts'

const contentCharacters = 32_768
const make = (kind: string, characters: number): string =>
  adversarialTexts.find((text) => text.kind === kind)?.make(characters) ?? ''

const tokens = Array.from({ length: 30_000 }, (_, index) => 100_000 + index)

const reply: ChatReply = {
  ...{
    text: '<think>So.</think><answer>Yes.</answer>',
    reasoning: null,
    toolCalls: [],
    finishReason: 'stop',
    model: 'said',
  },
  ...{ usage: { promptTokens: 40, completionTokens: 3, cachedTokens: null }, promptTokenIds: tokens, tokenIds: tokens },
  logprobs: tokens.map((token) => -1 / token),
}

const model: LanguageModel = {
  model: 'said',
  windowTokens: 100_000_000,
  complete: async () => reply,
  stream: () => {
    throw new Error('Nobody watches.')
  },
  countTokens: async () => 0,
  checkHealth: async () => ({ ready: true, detail: 'ok' }),
  close: async () => {},
}

describe('A3: no request within the limits stops the event loop', () => {
  let test: TestApp
  let client: ClientThread

  beforeAll(async () => {
    test = await createTestApp({ model })
    const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
    client = createClientThread(url, { authorization: `Bearer ${(await test.makeKey()).key}` })
  })
  afterAll(async () => {
    await client.close()
    await test.close()
  })

  const post = (path: string, json: unknown, headers = {}): ThreadRequest => ({ method: 'POST', path, json, headers })
  const get = (path: string): ThreadRequest => ({ method: 'GET', path })

  const ask = async (request: ThreadRequest): Promise<ThreadAnswer> => {
    const answer = await (await client.load(request))()
    expect([answer.status < 300, answer.text]).toEqual([true, answer.text])
    return answer
  }

  /** A request for each try; the bytes of the last answer. */
  const expectBriefly = async (requestOf: (tries: number) => ThreadRequest): Promise<number> => {
    let tries = 0
    let last: ThreadAnswer | undefined
    const prepare = async () => {
      const send = await client.load(requestOf(tries))
      tries += 1
      return async () => {
        last = await send()
      }
    }
    await expectShortStops(() => undefined, prepare)
    expect([(last?.status ?? 0) < 300, last?.text]).toEqual([true, last?.text])
    return last?.bytes ?? 0
  }

  const memoriesOf = (kind: string, count: number) => {
    const content = make(kind, contentCharacters - 8)
    return { memories: Array.from({ length: count }, (_, index) => ({ content: `${index} ${content.slice(index)}` })) }
  }

  it('a batch of long texts, and a search with a long query through what the index does not hold yet', async () => {
    await expectBriefly((tries) =>
      post(`/v1/agents/hanzi-${tries}/memories/batch`, memoriesOf('Chinese without blanks', 24)),
    )
    const query = make('Chinese without blanks', contentCharacters)
    for (const mode of ['keyword', 'hybrid'])
      await expectBriefly(() => post('/v1/agents/hanzi-0/memories/search', { query, mode, top_k: 24 }))
  })

  it('a batch of many small values, with a key and sent again', async () => {
    const labels = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k${index}`, index]))
    const memories = Array.from({ length: 500 }, (_, index) => ({ content: `${index}`, metadata: labels }))
    await expectBriefly((tries) => post(`/v1/agents/many-${tries}/memories/batch`, { memories }))
    const long = memoriesOf('minified JavaScript', 120)
    const keyed = (tries: number) =>
      post(`/v1/agents/keyed-${tries}/memories/batch`, long, { 'idempotency-key': 'one' })
    await expectBriefly(keyed)
    await expectBriefly(() => keyed(0))
  })

  it('a page of long memories, a search that finds many, and an export', async () => {
    for (const part of [0, 1]) {
      const { memories } = memoriesOf('minified JavaScript', 100)
      await ask(
        post('/v1/agents/pages/memories/batch', {
          memories: memories.map(({ content }) => ({ content: part + content })),
        }),
      )
    }
    expect(await expectBriefly(() => get('/v1/agents/pages/memories?limit=200'))).toBeGreaterThan(6_000_000)
    await expectBriefly(() =>
      post('/v1/agents/pages/memories/search', { query: 'function', mode: 'keyword', top_k: 100 }),
    )
    await expectBriefly(() => get('/v1/agents/pages/memories/export'))
  })

  it('a context of many messages and of long ones, its pages and its summary', async () => {
    await ask(post('/v1/sessions', { agent_id: 'a', session_id: 'long', budget_tokens: 9_000_000 }))
    const words = make('words, all different', 38_000)
    const long = Array.from({ length: 100 }, (_, index) => ({ role: 'user', content: `${index} ${words}` }))
    await expectBriefly(() => post('/v1/sessions/long/messages', { messages: long }))
    const short = Array.from({ length: 200 }, (_, index) => ({ role: 'user', content: `Nr ${index} of the list.` }))
    for (let round = 0; round < 10; round += 1) await ask(post('/v1/sessions/long/messages', { messages: short }))
    expect(await expectBriefly(() => get('/v1/sessions/long/context'))).toBeGreaterThan(3_500_000)
    await expectBriefly(() => get('/v1/sessions/long/messages?limit=200'))
    await expectBriefly(() => post('/v1/sessions/long/tools/summary_context', { span: 'all' }))
  })

  it('calls over MCP: the list of tools, a long memory, what is found of many, and a body of four megabytes', async () => {
    const rpc = (method: string, params: object) =>
      post(
        '/mcp',
        { jsonrpc: '2.0', id: 1, method, params },
        { accept: 'application/json, text/event-stream', 'agemem-agent': 'pages' },
      )
    const call = (name: string, args: object) => rpc('tools/call', { name, arguments: args })
    await expectBriefly(() => rpc('tools/list', {}))
    await expectBriefly(() => call('Add_memory', { content: make('Chinese without blanks', contentCharacters) }))
    await expectBriefly(() => call('Retrieve_memory', { query: 'function', top_k: 100 }))
    await expectBriefly(() => call('Add_memory', { content: make('escaped quotes', 1_300_000) }))
    await expectBriefly(() => rpc('resources/list', {}))
  })

  it('a chat of four megabytes, all of it new and most of it known, and the trajectory that it leaves', async () => {
    const place = (tries: number) => ({ 'agemem-session': `chat-${tries}`, 'agemem-agent': 'chatty' })
    const text = make('names in pairs', 9_700)
    const messages = Array.from({ length: 399 }, (_, index) => ({
      ...{ role: index % 2 === 0 ? 'user' : 'assistant', content: index % 4 < 2 ? text : `${index} ${text}` },
    }))
    const chat = (tries: number, more: readonly object[]) =>
      post(
        '/v1/chat/completions',
        { model: 'agemem', messages: [...messages.slice(more.length), ...more] },
        place(tries),
      )
    await expectBriefly((tries) => chat(tries, []))
    await expectBriefly((tries) =>
      chat(0, [
        { role: 'assistant', content: 'Yes.' },
        { role: 'user', content: `And ${tries}?` },
      ]),
    )
    for (const include of ['all', 'tokens'])
      await expectBriefly(() => get(`/v1/sessions/chat-0/trajectory?include=${include}`))
    await expectBriefly(() => get('/v1/trajectories/export'))
  })
})
