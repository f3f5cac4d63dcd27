import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CallRecord } from '../../../src/drivers/language-model/call-record.ts'
import type { ChatMessage } from '../../../src/ports/language-model.ts'
import { collect, makeChatRequest, unended } from '../../contract/language-model.suite.ts'
import { type ChatServer, startChatServer } from '../../support/chat-server.ts'
import { createVllmModels } from '../../support/vllm-models.ts'

const { open, closeAll } = createVllmModels()
let server: ChatServer

beforeEach(async () => {
  server = await startChatServer({ windowTokens: 200 })
  server.reply(() => ({ text: 'one two three four five six seven eight' }))
})
afterEach(async () => {
  await closeAll()
  await server.close()
})

const wordsOf = (count: number): ChatMessage => ({ role: 'user', content: 'w '.repeat(count).trim() })

describe('what is asked of the server', () => {
  it('a turn asks for ids and log-probabilities, under the salt of its tenant, and sends what was given alone', async () => {
    const model = await open(server)
    const sampling = { temperature: 0.7, topP: 0.9, tokensMax: 5, seed: 3, stop: ['six'] }
    await model.complete(makeChatRequest({ sampling }), unended())
    const cache_salt = createHmac('sha256', 'a secret').update('ten_1').digest('base64url')
    const { messages } = makeChatRequest()
    const body = {
      ...{ model: 'stand-in', messages, temperature: 0.7, top_p: 0.9, max_tokens: 5, seed: 3, stop: ['six'] },
      ...{ return_token_ids: true, logprobs: true, cache_salt },
    }
    expect(server.turns().map((turn) => turn.body)).toEqual([body])
    await collect(model.stream(makeChatRequest({ sampling }), unended()))
    expect(server.turns()[1]?.body).toEqual({ ...body, stream: true, stream_options: { include_usage: true } })
  })

  it('neither a seed nor stops nor tools are mentioned when there are none', async () => {
    const model = await open(server)
    await model.complete(makeChatRequest({ sampling: { seed: null } }), unended())
    for (const field of ['seed', 'stop', 'tools', 'tool_choice'])
      expect(server.turns()[0]?.body).not.toHaveProperty(field)
  })

  it('the headers are the key and types, whatever the environment says to the client', async () => {
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'x-leak: 1')
    vi.stubEnv('OPENAI_ORG_ID', 'org')
    const model = await open(server, { apiKey: 'secret-key', url: `${server.url}/v1/` })
    await model.complete(makeChatRequest(), unended())
    vi.unstubAllEnvs()
    const { headers } = server.turns()[0] ?? {}
    expect(headers).toMatchObject({ authorization: 'Bearer secret-key' })
    expect(Object.keys(headers ?? {}).filter((name) => /^x-|openai/.test(name))).toEqual([])
  })
})

describe('the window', () => {
  it('an answer is asked for in the room that its prompt leaves', async () => {
    const model = await open(server)
    const request = makeChatRequest({ messages: [wordsOf(190)], sampling: { tokensMax: 150 } })
    const { usage } = await model.complete(request, unended())
    expect(server.turns()[0]?.body.max_tokens).toBe(200 - usage.promptTokens)
  })

  it('a prompt that fits for sure is not counted before', async () => {
    await server.close()
    server = await startChatServer({ windowTokens: 8_192 })
    const model = await open(server)
    await model.complete(makeChatRequest(), unended())
    expect(server.requests.map(({ path }) => path)).toEqual(['/v1/models', '/v1/chat/completions'])
  })

  it('a prompt that leaves no room is refused before it is sent', async () => {
    const model = await open(server)
    const tooLong = { code: 'inference.prompt_too_long', detail: expect.stringContaining('200 tokens') }
    await expect(model.complete(makeChatRequest({ messages: [wordsOf(300)] }), unended())).rejects.toMatchObject(
      tooLong,
    )
    expect(server.turns()).toEqual([])
  })

  it('a server that does not count decides itself what fits', async () => {
    const model = await open(server)
    server.fail({ status: 404, body: { detail: 'Not Found' } }, { path: '/tokenize' })
    const fits = makeChatRequest({ messages: [wordsOf(20)] })
    expect((await model.complete(fits, unended())).finishReason).toBe('stop')
    const long = makeChatRequest({ messages: [wordsOf(300)] })
    await expect(model.complete(long, unended())).rejects.toMatchObject({ code: 'inference.prompt_too_long' })
  })
})

describe('counts', () => {
  it('the same prompt is counted once, also when it is asked for side by side', async () => {
    const model = await open(server)
    const prompt = { tenantId: 'ten_1', messages: [wordsOf(3)], tools: [] }
    const counts = await Promise.all([1, 2, 3].map(() => model.countTokens(prompt, unended())))
    expect(new Set([...counts, await model.countTokens(prompt, unended())]).size).toBe(1)
    expect(server.requests.filter(({ path }) => path === '/tokenize')).toHaveLength(1)
    expect(server.requests.at(-1)?.body).toMatchObject({ add_generation_prompt: true })
  })

  it('one that gives up waiting does not spoil the count of the others', async () => {
    const model = await open(server)
    const controller = new AbortController()
    const prompt = { tenantId: 'ten_1', messages: [wordsOf(4)], tools: [] }
    const aborted = model.countTokens(prompt, { signal: controller.signal })
    const other = model.countTokens(prompt, unended())
    controller.abort(new Error('the client went away'))
    await expect(aborted).rejects.toThrow('the client went away')
    expect(await other).toBeGreaterThan(4)
  })
})

describe('places', () => {
  it('no more calls run than may, overall and of a tenant, and none is lost', async () => {
    const model = await open(server, { concurrencyMax: 3, concurrencyPerTenantMax: 2 })
    const gates: { readonly salt: unknown; readonly open: () => void }[] = []
    server.reply(async ({ cache_salt: salt }) => {
      await new Promise<void>((resolve) => gates.push({ salt, open: resolve }))
      return { text: 'done' }
    })
    const call = (tenantId: string) => model.complete(makeChatRequest({ tenantId }), unended())
    const calls = ['a', 'a', 'a', 'a', 'b'].map(call)
    await expect.poll(() => gates).toHaveLength(3)
    expect(new Set(gates.map(({ salt }) => salt)).size).toBe(2)
    for (let left = calls.length; left > 0; left -= 1) {
      await expect.poll(() => gates.length).toBeGreaterThan(0)
      expect(gates.length).toBeLessThanOrEqual(3)
      gates.shift()?.open()
    }
    expect(await Promise.all(calls)).toHaveLength(5)
  })

  it('a full queue is refused at once, and a streamed reply gives its place back before it is read', async () => {
    const model = await open(server, { concurrencyMax: 1, concurrencyPerTenantMax: 1, queueMax: 0 })
    for await (const event of model.stream(makeChatRequest(), unended())) {
      const other = model.complete(makeChatRequest(), unended())
      if (event.kind === 'reply') expect((await other).text).toContain('one')
      else await expect(other).rejects.toMatchObject({ code: 'inference.unavailable', retryAfterSeconds: 1 })
    }
  })
})

describe('what is told of a call', () => {
  it('each generation is told once, with its tokens and how it ended', async () => {
    const records: CallRecord[] = []
    const model = await open(server, { onCall: (record) => records.push(record) })
    const reply = await model.complete(makeChatRequest(), unended())
    await collect(model.stream(makeChatRequest(), unended()))
    for await (const _event of model.stream(makeChatRequest(), unended())) break
    server.fail({ status: 500 }, { times: 1 })
    await model.complete(makeChatRequest(), unended()).catch(() => {})
    const { promptTokens, completionTokens } = reply.usage
    expect(records).toMatchObject([
      { outcome: 'answered', promptTokens, completionTokens },
      { outcome: 'answered', promptTokens, completionTokens },
      { outcome: 'aborted', promptTokens: 0 },
      { outcome: 'unavailable', promptTokens: 0 },
    ])
    for (const { seconds } of records) expect(seconds).toBeGreaterThan(0)
  })
})
