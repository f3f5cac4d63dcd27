import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createVllmModel } from '../../../src/drivers/language-model/vllm-model.ts'
import type { ChatUsage, LanguageModel } from '../../../src/ports/language-model.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import { collect, makeChatRequest, unended } from '../../contract/language-model.suite.ts'
import { type ChatServer, startChatServer } from '../../support/chat-server.ts'
import type { ChatFault } from '../../support/chat-server-faults.ts'
import { createVllmModels } from '../../support/vllm-models.ts'

const { open, closeAll } = createVllmModels()
const unavailable = { code: 'inference.unavailable', status: 503, retryable: true }
const deadline = { code: 'inference.deadline', status: 503, retryable: true }
const refused = { code: 'inference.refused', status: 502, retryable: false }
const misbehaved = { code: 'inference.misbehaved', status: 502, retryable: false }
let server: ChatServer

beforeEach(async () => {
  server = await startChatServer()
  server.reply(() => ({ text: 'one two three four five six seven eight', reasoning: 'let me count' }))
})
afterEach(async () => {
  await closeAll()
  await server.close()
})

const complete = (model: LanguageModel) => model.complete(makeChatRequest(), unended())
const stream = (model: LanguageModel) => collect(model.stream(makeChatRequest(), unended()))
const ways = [
  ['whole', complete],
  ['streamed', stream],
] as const

describe.each(ways)('a %s turn', (_way, ask) => {
  const faults: readonly (readonly [string, ChatFault, object])[] = [
    ['a refused key', 'unauthorized', { ...refused, detail: expect.stringContaining('key') }],
    ['a model that is not served', 'no-model', { ...refused, detail: expect.stringContaining('name of the model') }],
    [
      'another path',
      { status: 404, body: { detail: 'Not Found' } },
      { ...refused, detail: expect.stringMatching(/url/) },
    ],
    ['a redirect', 'redirect', refused],
    ['a refused field', { status: 400, body: { error: { message: 'x', param: 'seed' } } }, refused],
    ['a failure inside', { status: 500 }, unavailable],
    ['a server too busy', { status: 429 }, unavailable],
    ['a closed connection', 'down', unavailable],
    ['a connection that closes in the middle', 'close-early', unavailable],
    ["another model's answer", 'other-model', misbehaved],
    ['no choice', 'no-choices', misbehaved],
    ['values of wrong types', 'wrong-types', misbehaved],
    ['no finish reason', 'no-finish-reason', misbehaved],
    ['no usage', 'no-usage', misbehaved],
    ['what is not JSON', 'not-json', misbehaved],
  ]

  it.each(faults)('with %s is told as what it is, and not asked twice', async (_what, fault, expected) => {
    const model = await open(server)
    server.fail(fault)
    await expect(ask(model)).rejects.toMatchObject(expected)
    expect(server.turns()).toHaveLength(1)
  })

  it.each(['no-token-ids', 'lost-token-ids', 'unequal-logprobs'] as const)(
    'with %s has neither ids nor log-probabilities',
    async (fault) => {
      const model = await open(server)
      server.fail(fault)
      const result = await ask(model)
      const reply = 'text' in result ? result : result.at(-1)
      expect(reply).toMatchObject('text' in result ? { tokenIds: null, logprobs: null } : { reply: { tokenIds: null } })
    },
  )

  it('is tried once more when the server says when to come back', async () => {
    const model = await open(server)
    server.fail({ status: 429, retryAfter: '0' }, { times: 1 })
    await ask(model)
    expect(server.turns()).toHaveLength(2)
  })

  it('is not tried again when that is after its deadline, and says when it may be', async () => {
    const model = await open(server, { timeoutMs: 5_000 })
    server.fail({ status: 503, retryAfter: '30' })
    await expect(ask(model)).rejects.toMatchObject({ ...unavailable, retryAfterSeconds: 30 })
    expect(server.turns()).toHaveLength(1)
  })

  it('without an answer ends at its deadline, and the server sees it go', async () => {
    const model = await open(server, { timeoutMs: 500 })
    server.fail('stall-first')
    await expect(ask(model)).rejects.toMatchObject(deadline)
    await expect.poll(() => server.turns()[0]?.isAborted).toBe(true)
  })

  it('that its caller ends is closed at the server', async () => {
    const model = await open(server)
    server.fail('stall-first')
    const controller = new AbortController()
    const { signal } = controller
    const call =
      ask === complete
        ? model.complete(makeChatRequest(), { signal })
        : collect(model.stream(makeChatRequest(), { signal }))
    const ended = expect(call).rejects.toThrow('the client went away')
    await expect.poll(() => server.turns()).toHaveLength(1)
    controller.abort(new Error('the client went away'))
    await ended
    await expect.poll(() => server.turns()[0]?.isAborted).toBe(true)
  })
})

describe('a stream', () => {
  it.each(['stall-first', 'stall-middle'] as const)('with a %s ends after the pause that is allowed', async (fault) => {
    const model = await open(server, { stallMs: 100 })
    server.fail(fault)
    await expect(stream(model)).rejects.toMatchObject({ ...deadline, detail: expect.stringContaining('100 ms') })
    await expect.poll(() => server.turns()[0]?.isAborted).toBe(true)
  })

  it('whose iteration ends early is closed at the server', async () => {
    const model = await open(server)
    server.fail('stall-middle')
    for await (const event of model.stream(makeChatRequest(), unended())) {
      expect(event).toEqual({ kind: 'reasoning', text: 'let' })
      break
    }
    await expect.poll(() => server.turns()[0]?.isAborted).toBe(true)
  })

  it('that is dropped without an end gives its place back at the deadline', async () => {
    const model = await open(server, { concurrencyMax: 1, timeoutMs: 1_000 })
    server.fail('stall-middle', { times: 1 })
    await model.stream(makeChatRequest(), unended())[Symbol.asyncIterator]().next()
    const late = await complete(model).catch((error: unknown) => error)
    expect(isAppError(late) ? late.code : 'answered').toMatch(/answered|inference.deadline/)
    expect((await complete(model)).text).toContain('one')
  })

  it.each(['no-done', 'error-in-stream'] as const)('with %s may be asked for again', async (fault) => {
    const model = await open(server)
    server.fail(fault)
    await expect(
      fault === 'no-done' ? stream(model).then((events) => events.at(-1)) : stream(model),
    ).rejects.toMatchObject(unavailable)
  })

  it('keeps reasoning apart from the answer', async () => {
    const events = await stream(await open(server))
    expect(events.at(-1)).toMatchObject({
      reply: { reasoning: 'let me count', text: expect.stringContaining(' eight') },
    })
  })
})

describe('a server that is away', () => {
  it('does not keep the model from opening, which learns its window when the server comes', async () => {
    const { port } = server
    await server.close()
    const model = await open(server)
    expect([model.windowTokens, (await model.checkHealth()).ready]).toEqual([null, false])
    await expect(complete(model)).rejects.toMatchObject({ ...unavailable, detail: expect.stringContaining('url') })
    server = await startChatServer({ port, windowTokens: 4_096 })
    await expect.poll(async () => (await model.checkHealth()).ready).toBe(true)
    expect(model.windowTokens).toBe(4_096)
  })

  it('that comes back with another window is asked for it again', async () => {
    const model = await open(server)
    const { port } = server
    await server.close()
    await expect(complete(model)).rejects.toMatchObject(unavailable)
    server = await startChatServer({ port, windowTokens: 1_000 })
    await complete(model)
    expect(model.windowTokens).toBe(1_000)
  })

  it('costs no deadline once it did not answer three times, and is tried again after a second', async () => {
    let nowMs = 0
    const model = await open(server, { clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } })
    server.fail({ status: 500 }, { path: 'all' })
    for (let call = 0; call < 3; call += 1) await complete(model).catch(() => {})
    const { length } = server.requests
    await expect(complete(model)).rejects.toMatchObject({ ...unavailable, detail: expect.stringContaining('a second') })
    expect(server.requests).toHaveLength(length)
    server.fail(null)
    nowMs += 1_001
    expect((await complete(model)).text).toContain('one')
  })
})

describe('what is configured wrongly', () => {
  it.each([
    ['no such model', { model: 'nope' }, /serves: stand-in/],
    ['a wrong key', { apiKey: 'wrong' }, /key/],
  ])('%s is said by the health and by each call', async (_what, changes, detail) => {
    await server.close()
    server = await startChatServer({ apiKey: 'right' })
    const model = await open(server, { apiKey: 'right', ...changes })
    expect(await model.checkHealth()).toEqual({ ready: false, detail: expect.stringMatching(detail) })
    await expect(complete(model)).rejects.toMatchObject({ ...refused, detail: expect.stringMatching(detail) })
    expect(server.turns()).toEqual([])
  })

  it.each([{ url: 'not an address' }, { url: 'http://user:pass@localhost' }, { apiKey: 'a key' }, { saltSecret: '' }])(
    '%o keeps the model from opening',
    async (changes) => {
      await expect(open(server, changes)).rejects.toMatchObject({ code: 'inference.misconfigured' })
    },
  )

  it('neither errors nor logs repeat a prompt, a key or what the server says', async () => {
    const lines: string[] = []
    const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
    const { url, model: name } = server
    const model = await createVllmModel({
      ...{ url, model: name, apiKey: 'key-ABC', saltSecret: 'salt-ABC', timeoutMs: 5_000, logger },
      ...{ concurrencyMax: 2, concurrencyPerTenantMax: 2, queueMax: 2 },
    })
    const messages = [{ role: 'user', content: 'prompt-ABC' }] as const
    const bodies = ['message', 'param'].map((field) => ({ error: { [field]: 'prompt-ABC', code: 400 } }))
    for (const body of [...bodies, { error: 'prompt-ABC' }])
      for (const status of [400, 404, 429, 500]) {
        server.fail({ status, body }, { times: 1 })
        const error = await model.complete(makeChatRequest({ messages }), unended()).catch((thrown: unknown) => thrown)
        logger.error({ err: error }, 'as a caller would')
      }
    await model.close()
    expect(lines.length).toBeGreaterThan(10)
    expect(lines.join('')).not.toContain('ABC')
  })
})

describe('an answer that does not end', () => {
  it.each(ways)('A5: a %s turn is ended at a bound in bytes, long before the deadline', async (_way, ask) => {
    const model = await open(server, { timeoutMs: 60_000 })
    server.fail('endless')
    await expect(ask(model)).rejects.toMatchObject(misbehaved)
    expect(server.turns()).toHaveLength(1)
  })

  it.each(ways)('A5: a %s turn whose answer trickles ends at the deadline', async (_way, ask) => {
    const model = await open(server, { timeoutMs: 400, stallMs: 60_000 })
    server.fail('trickle')
    const error = await ask(model).catch((failure: unknown) => failure)
    expect(isAppError(error) && ['inference.deadline', 'inference.misbehaved'].includes(error.code)).toBe(true)
  })

  it.each(['/v1/models', '/tokenize', '/health'])('A5: nor does %s', async (path) => {
    if (path === '/v1/models') server.fail('endless', { path })
    const model = await open(server, { timeoutMs: 60_000 })
    server.fail('endless', { path })
    const countTokens = () => model.countTokens({ ...makeChatRequest(), tenantId: 'ten_1' }, unended())
    if (path === '/tokenize') await expect(countTokens()).rejects.toMatchObject(misbehaved)
    else expect(await model.checkHealth()).toMatchObject({ ready: false })
  })
})

describe('what a call without a reply used', () => {
  const usageOf = async (run: (onUsage: (usage: ChatUsage) => void) => Promise<unknown>) => {
    const told: ChatUsage[] = []
    await run((usage) => told.push(usage)).catch(() => undefined)
    return told
  }

  it('is counted from what came when the reader of a stream leaves', async () => {
    const model = await open(server)
    const [whole] = await collect(model.stream(makeChatRequest(), unended())).then((events) =>
      events.flatMap((event) => (event.kind === 'reply' ? [event.reply.usage] : [])),
    )
    const told = await usageOf(async (onUsage) => {
      let seen = 0
      for await (const event of model.stream(makeChatRequest(), { ...unended(), onUsage })) {
        seen += event.kind === 'text' ? 1 : 0
        if (seen === 3) return
      }
    })
    expect(told).toHaveLength(1)
    expect(told[0]?.promptTokens).toBe(whole?.promptTokens)
    expect(told[0]?.completionTokens).toBeGreaterThanOrEqual(3)
    expect(told[0]?.completionTokens).toBeLessThan(whole?.completionTokens ?? 0)
  })

  it('is never nothing when a call is aborted that the server works on', async () => {
    const model = await open(server)
    for (const ask of ['whole', 'streamed'] as const) {
      server.fail('stall-first', { times: 1 })
      const before = server.turns().length
      const controller = new AbortController()
      const told = usageOf(async (onUsage) => {
        const options = { signal: controller.signal, onUsage }
        if (ask === 'whole') await model.complete(makeChatRequest(), options)
        else await collect(model.stream(makeChatRequest(), options))
      })
      await expect.poll(() => server.turns().length).toBe(before + 1)
      controller.abort(new Error('gone'))
      expect(await told).toHaveLength(1)
      expect((await told)[0]?.promptTokens).toBeGreaterThan(0)
    }
  })

  it('is counted too when the server breaks off in the middle, and nothing when it never began', async () => {
    const model = await open(server)
    const ask = (onUsage: (usage: ChatUsage) => void) =>
      collect(model.stream(makeChatRequest(), { ...unended(), onUsage }))
    server.fail('close-early', { times: 1 })
    expect(await usageOf(ask)).toMatchObject([{ completionTokens: expect.any(Number) }])
    for (const fault of ['down', 'unauthorized', { status: 429 }, { status: 500 }] as const) {
      server.fail(fault, { times: 1 })
      expect([fault, await usageOf(ask)]).toEqual([fault, []])
    }
    expect(await usageOf(ask)).toEqual([])
  })
})
