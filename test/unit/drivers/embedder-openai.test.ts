import { readFile } from 'node:fs/promises'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { createOpenAiEmbedder, type OpenAiEmbedderOptions } from '../../../src/drivers/embedder/openai-embedder.ts'
import type { Embedder } from '../../../src/ports/embedder.ts'
import {
  type EmbeddingFault,
  type EmbeddingServer,
  type EmbeddingServerOptions,
  startEmbeddingServer,
} from '../../support/embedding-server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close()
})

const logLines: string[] = []
const logger = pino({ level: 'trace' }, { write: (line) => logLines.push(line) })

type Given = { readonly server?: EmbeddingServerOptions; readonly embedder?: Partial<OpenAiEmbedderOptions> }

const connect = async ({ server: serverOptions = {}, embedder: options = {} }: Given = {}) => {
  const server = await startEmbeddingServer(serverOptions)
  open.push(server)
  const embedder = await createOpenAiEmbedder({
    url: server.url,
    model: server.model,
    backoffMs: 1,
    logger,
    ...options,
  })
  open.push(embedder)
  const atStart = server.requests.length
  return { server, embedder, sent: () => server.requests.slice(atStart) }
}

const failureOf = (embedder: Embedder, texts: readonly string[] = ['hello']) =>
  embedder.embed(texts, 'query').then(
    () => 'no failure',
    (error) => error,
  )

describe('what is sent', () => {
  it('dimensions, input_type and prefixes are not mentioned unless configured', async () => {
    const { server, embedder } = await connect()
    await embedder.embed(['hello'], 'query')
    expect(server.requests.at(-1)?.body).toEqual({ model: 'stand-in', input: ['hello'], encoding_format: 'base64' })
  })

  it('the purpose chooses the prefix and the input type', async () => {
    const options = { inputType: 'query-passage', queryPrefix: 'query: ', passagePrefix: 'passage: ' } as const
    const { embedder, sent } = await connect({ embedder: options })
    await embedder.embed(['a'], 'query')
    await embedder.embed(['b'], 'passage')
    expect(sent().map(({ body }) => [body.input, body.input_type])).toEqual([
      [['query: a'], 'query'],
      [['passage: b'], 'passage'],
    ])
  })

  it('blank texts and empty lists are never sent', async () => {
    const { embedder, sent } = await connect({ embedder: { queryPrefix: 'query: ' } })
    await embedder.embed(['', ' ', 'a', '\n'], 'query')
    await embedder.embed([], 'query')
    await embedder.embed(['\t'], 'query')
    expect(sent().map(({ body }) => body.input)).toEqual([['query: a']])
  })

  it('no request has more texts than configured, and settings of the vectors are part of the model name', async () => {
    const { embedder, sent } = await connect({ embedder: { batchTextsMax: 10, passagePrefix: 'passage: ' } })
    await embedder.embed(
      Array.from({ length: 25 }, (_, index) => `text ${index}`),
      'passage',
    )
    expect(sent().map(({ body }) => body.input.length)).toEqual([10, 10, 5])
    expect(embedder.model).toMatch(/^stand-in@[0-9a-f]{8}$/)
  })

  it('no request has more characters than its bound, so that long texts do not miss the deadline together', async () => {
    const { embedder, sent } = await connect({ server: { tokensMax: 1_000_000 } })
    await embedder.embed(
      ['a', 20_000, 'b', 20_000, 90_000, 'c'].map((it) => (typeof it === 'string' ? it : 'x'.repeat(it))),
      'passage',
    )
    expect(sent().map(({ body }) => body.input.map((text) => text.length))).toEqual([
      [1, 20_000, 1],
      [20_000],
      [32_768],
      [1],
    ])
  })

  it('no more requests are on their way than configured, and who waits may give up', async () => {
    const { server, embedder, sent } = await connect({ embedder: { requestsMax: 2, requestsPerTenantMax: 2 } })
    server.fail('hang')
    const giveUp = new AbortController()
    const calls = ['a', 'b', 'c'].map((text) =>
      embedder.embed([text], 'query', { signal: giveUp.signal }).catch(() => text),
    )
    await expect.poll(() => sent().length).toBe(2)
    giveUp.abort()
    expect(await Promise.all(calls)).toEqual(['a', 'b', 'c'])
    server.fail(null)
    await Promise.all(['d', 'e', 'f'].map((text) => embedder.embed([text], 'query')))
    expect(sent().map(({ body }) => body.input[0])).toEqual(['a', 'b', 'd', 'e', 'f'])
  })
})

describe('a server that tenants share', () => {
  it("A2: one tenant's texts that hang leave places to the others", async () => {
    const { server, embedder, sent } = await connect({ embedder: { requestsMax: 4 } })
    const giveUp = new AbortController()
    const hanging = Array.from({ length: 10 }, () =>
      embedder.embed([server.mire], 'passage', { tenantId: 'ten_a', signal: giveUp.signal }).catch(() => 'given up'),
    )
    await expect.poll(() => sent().length).toBe(2)
    expect(await embedder.embed(['mine'], 'query', { tenantId: 'ten_b' })).toHaveLength(1)
    giveUp.abort()
    expect(await Promise.all(hanging)).toEqual(hanging.map(() => 'given up'))
  })

  it('A6: what came before a call was cut short or refused has been handed on, by the place of its text', async () => {
    const { server, embedder } = await connect({ embedder: { batchTextsMax: 2 } })
    const heard = async (texts: readonly string[]) => {
      const positions: number[] = []
      const signal = AbortSignal.timeout(500)
      await embedder
        .embed(texts, 'passage', { signal, onVector: (position) => positions.push(position) })
        .catch(() => {})
      return positions
    }
    expect(await heard(['a', '', 'b', 'c', 'd', server.mire, 'e'])).toEqual([0, 2, 3, 4])
    expect(await heard(['a', server.poison, 'c'])).toEqual([0, 2])
  })
})

describe('an answer that is too long', () => {
  it.each(['endless', 'endless-gzip', 'endless-error'] as const)(
    'A5: %s ends at its bound, long before the deadline, and is not kept',
    async (fault) => {
      const { server, embedder, sent } = await connect({ embedder: { retriesMax: 0 } })
      server.fail(fault)
      const code = fault === 'endless-error' ? 'embedder.unavailable' : 'embedder.misbehaved'
      expect(await failureOf(embedder)).toMatchObject({ code, retryable: true })
      expect(sent()).toHaveLength(1)
      expect(server.sentBytes()).toBeLessThan(8 * 1_024 * 1_024)
    },
  )

  it('A5: one that trickles is left at the deadline', async () => {
    const { server, embedder } = await connect({ embedder: { timeoutMs: 300 } })
    server.fail('trickle')
    expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.unavailable', retryable: true })
  })
})

describe('what comes back', () => {
  it.each(['floats', 'reversed'] as const)('vectors sent as %s are the vectors of their texts', async (fault) => {
    const { server, embedder } = await connect()
    const expected = await embedder.embed(['one', 'two words', 'three'], 'query')
    server.fail(fault)
    expect(await embedder.embed(['one', 'two words', 'three'], 'query')).toEqual(expected)
  })

  it.each([
    ['wrong-dimension', true],
    ['fewer', true],
    ['not-json', true],
    ['zero', false],
    ['not-a-number', false],
  ] as const)(
    'a server that answers %s misbehaves and is not asked twice; later again (%s) unless one text is to blame',
    async (fault, retryable) => {
      const { server, embedder, sent } = await connect()
      server.fail(fault)
      expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.misbehaved', retryable })
      expect(sent()).toHaveLength(1)
    },
  )

  const passing: readonly EmbeddingFault[] = ['down', 'hang-up', { status: 429, retryAfter: '0' }, { status: 500 }]
  it.each(passing)('%j passes: the request is repeated until it succeeds', async (fault) => {
    const { server, embedder, sent } = await connect()
    server.fail(fault, 2)
    expect(await embedder.embed(['hello'], 'query')).toHaveLength(1)
    expect(sent()).toHaveLength(3)
  })

  it.each(passing)('%j that stays is unavailable and can be retried', async (fault) => {
    const { server, embedder, sent } = await connect()
    server.fail(fault)
    expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.unavailable', retryable: true })
    expect(sent()).toHaveLength(3)
    expect((await embedder.checkHealth()).ready).toBe(false)
  })

  it.each<EmbeddingFault>([{ status: 401 }, { status: 403 }, { status: 404 }, 'redirect'])(
    '%j needs an operator: unavailable at once, and a redirect is not followed',
    async (fault) => {
      const { server, embedder, sent } = await connect()
      server.fail(fault)
      expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.unavailable' })
      expect(sent()).toHaveLength(1)
    },
  )

  it('a pause longer than the deadline is not waited for but handed on', async () => {
    const { server, embedder, sent } = await connect()
    server.fail({ status: 429, retryAfter: '50' })
    expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.unavailable', retryAfterSeconds: 50 })
    expect(sent()).toHaveLength(1)
  })

  it('a server that hangs is left at the deadline, and not asked again', async () => {
    const { server, embedder, sent } = await connect({ embedder: { timeoutMs: 1_000 } })
    server.fail('hang')
    expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.unavailable', retryable: true })
    expect(sent()).toHaveLength(1)
  })

  it('an abort ends a request that hangs and a pause before a retry', async () => {
    const { server, embedder } = await connect({ embedder: { backoffMs: 10_000 } })
    for (const fault of ['hang', 'down'] as const) {
      server.fail(fault)
      const controller = new AbortController()
      const before = server.requests.length
      const call = embedder.embed(['hello'], 'query', { signal: controller.signal })
      await expect.poll(() => server.requests.length).toBe(before + 1)
      controller.abort(new Error('gone'))
      await expect(call).rejects.toThrow('gone')
    }
  })
})

describe('texts that the server does not want', () => {
  it('are named by position, and the others are not blamed', async () => {
    const { server, embedder } = await connect()
    const texts = Array.from({ length: 40 }, (_, index) =>
      index === 7 || index === 31 ? server.poison : `fine ${index}`,
    )
    const error = await failureOf(embedder, ['', ...texts])
    expect(error).toMatchObject({ code: 'embedder.refused', retryable: false, status: 422 })
    expect(error.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(['/8', '/32'])
    expect(await embedder.embed(['fine'], 'passage')).toHaveLength(1)
  })

  it('a text over the window of the model is refused', async () => {
    const { embedder } = await connect()
    expect(await failureOf(embedder, ['word '.repeat(300)])).toMatchObject({ code: 'embedder.refused' })
  })

  it('a server that takes fewer texts a request is served with fewer from then on', async () => {
    const { embedder, sent } = await connect({ server: { textsMax: 8 } })
    await embedder.embed(
      Array.from({ length: 32 }, (_, index) => `text ${index}`),
      'passage',
    )
    expect(sent().map(({ body }) => body.input.length)).toEqual([8, 8, 8, 8])
  })
})

describe('a server that is away at the start', () => {
  it('does not keep the embedder from being made; it connects when the server is there', async () => {
    const first = await startEmbeddingServer()
    const port = Number(new URL(first.url).port)
    await first.close()
    const options = { url: first.url, model: first.model, backoffMs: 1, logger }
    const embedder = await createOpenAiEmbedder(options)
    open.push(embedder)
    expect(await embedder.checkHealth()).toMatchObject({ ready: false })
    expect(() => embedder.dimensions).toThrow('embedder.unavailable')
    expect(() => embedder.thresholds).toThrow('embedder.unavailable')
    expect(await failureOf(embedder)).toMatchObject({ code: 'embedder.unavailable', retryable: true })
    open.push(await startEmbeddingServer({ port }))
    expect(await embedder.embed(['hello', ''], 'query')).toHaveLength(2)
    expect(embedder.dimensions).toBe(64)
    expect(await embedder.checkHealth()).toMatchObject({ ready: true })
  })

  it('calls that wait for it share one attempt to connect', async () => {
    const server = await startEmbeddingServer()
    open.push(server)
    server.fail('down')
    const options = { url: server.url, model: server.model, retriesMax: 0, logger }
    const embedder = await createOpenAiEmbedder(options)
    open.push(embedder)
    server.fail(null)
    const atStart = server.requests.length
    await Promise.all(['a', 'b', 'c'].map((text) => embedder.embed([text], 'query')))
    const [criteria, passages, ...own] = server.requests.slice(atStart)
    expect([criteria, passages].map((request) => request?.body.input.length)).toEqual([10, 34])
    expect(own.map(({ body }) => body.input)).toEqual([['a'], ['b'], ['c']])
  })

  it('dimensions that the model refuses are told by the health check', async () => {
    const { embedder } = await connect({ embedder: { dimensions: 32 } })
    const { ready, detail } = await embedder.checkHealth()
    expect(ready).toBe(false)
    expect(detail).toContain('dimensions')
  })
})

describe('secrets', () => {
  it('T1: neither key nor text nor reply is in an error or in the log', async () => {
    logLines.length = 0
    const { server, embedder } = await connect({ server: { apiKey: 'key-5f2a' }, embedder: { apiKey: 'key-5f2a' } })
    const faults: EmbeddingFault[] = ['hang-up', 'not-json', 'wrong-dimension', { status: 401 }, { status: 400 }]
    for (const fault of faults) {
      server.fail(fault)
      const error = await failureOf(embedder, ['a private matter'])
      expect(error.code).toMatch(/^embedder\./)
      logger.error({ err: error }, 'as a caller would log it')
    }
    expect(logLines.length).toBeGreaterThan(faults.length)
    expect(logLines.join('')).not.toMatch(/key-5f2a|private|Welcome|as the test asked/)
  })

  it.each([
    { url: 'http://user:hunter2@127.0.0.1:1' },
    { url: 'ftp://hunter2' },
    { url: 'hunter2' },
    { apiKey: 'hunter2\nx' },
  ])('a url or key that cannot be used is an error that does not repeat it (%#)', async (options) => {
    const given = { url: 'http://127.0.0.1:9', model: 'm', logger, ...options }
    const error = await createOpenAiEmbedder(given).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'embedder.misconfigured' })
    expect(`${error.stack}${error.cause}`).not.toContain('hunter2')
  })
})

describe('the stand-in', () => {
  const recorded = async (name: string) =>
    JSON.parse(await readFile(new URL(`../../fixtures/vllm/${name}.json`, import.meta.url), 'utf8'))

  const shapeOf = (value: unknown): unknown => {
    if (Array.isArray(value)) return typeof value[0] === 'number' ? 'numbers' : value.slice(0, 1).map(shapeOf)
    if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shapeOf(member)]))
  }

  it.each([
    ['emb_single', {}],
    ['emb_base64', {}],
    ['emb_dimensions', {}],
    ['emb_err_empty_list', {}],
    ['emb_err_encoding', {}],
    ['emb_err_overlong', {}],
    ['emb_err_wrong_model', { model: 'nope' }],
  ])('answers %s with the status and the shape of the recorded reply', async (name, overrides) => {
    const server: EmbeddingServer = await startEmbeddingServer()
    open.push(server)
    const { request, status, body } = await recorded(name)
    const sent = { ...request.body, model: server.model, ...overrides }
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(server.url + request.path, { method: 'POST', headers, body: JSON.stringify(sent) })
    expect(response.status).toBe(status)
    const answer = (await response.json()) as { error?: { type: string; code: number } }
    if (body.error === undefined) expect(Object.keys(answer)).toEqual(Object.keys(body))
    else expect(answer.error).toMatchObject({ type: body.error.type, code: body.error.code })
    expect(shapeOf((answer as { data?: unknown }).data)).toEqual(shapeOf(body.data))
  })

  it('answers a wrong key and an unknown path as recorded', async () => {
    const server = await startEmbeddingServer({ apiKey: 'k' })
    open.push(server)
    const refused = await fetch(`${server.url}/v1/embeddings`, { method: 'POST' })
    expect([refused.status, await refused.json()]).toEqual([401, (await recorded('err_bad_api_key')).body])
    const unknown = await fetch(`${server.url}/v2`, { headers: { authorization: 'Bearer k' } })
    expect([unknown.status, await unknown.json()]).toEqual([404, (await recorded('err_404_path')).body])
  })
})
