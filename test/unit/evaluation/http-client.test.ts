import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createHttpClient } from '../../../src/cli/http-client.ts'
import { type HttpClientOptions, retryAfterMs } from '../../../src/cli/http-request.ts'

type Seen = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const startServer = async (answer: (count: number, response: ServerResponse) => void) => {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    })
    answer(seen.length, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { seen, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

const makeClient = (baseUrl: string, options: Partial<HttpClientOptions> = {}) => {
  const waits: number[] = []
  const sleep = async (ms: number) => void waits.push(ms)
  return { waits, client: createHttpClient({ baseUrl, key: 'k', sleep, ...options }) }
}

const problem = { code: 'limit.requests', status: 429, detail: 'Too many requests.', request_id: 'req_1' }
const signal = new AbortController().signal

describe('the HTTP client', () => {
  it('waits as long as the service asks, and repeats a write under the same idempotency key', async () => {
    const { seen, baseUrl } = await startServer((count, response) =>
      count < 3 ? json(response, 429, problem, { 'retry-after': '2' }) : json(response, 201, { session_id: 'ses_1' }),
    )
    const { client, waits } = makeClient(baseUrl)
    expect(await client.createSession({ agent_id: 'a' })).toEqual({ session_id: 'ses_1' })
    expect(waits).toEqual([2000, 2000])
    expect(new Set(seen.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
    expect(seen[0]?.headers.authorization).toBe('Bearer k')
  })

  it('takes another idempotency key for another write, and none for a search', async () => {
    const { seen, baseUrl } = await startServer((_, response) => json(response, 200, { results: [], degraded: [] }))
    const { client } = makeClient(baseUrl)
    await client.addMemories('a', [], { signal })
    await client.addMemories('a', [], { signal })
    await client.searchMemories('a', { query: 'q', top_k: 1, mode: 'hybrid' }, { signal })
    const keys = seen.map(({ headers }) => headers['idempotency-key'])
    expect(keys[0]).not.toBe(keys[1])
    expect(keys[2]).toBeUndefined()
  })

  it('does not repeat a 503 that names no time, such as a model that is not configured', async () => {
    const body = { code: 'inference.not_configured', detail: 'Set a model.' }
    const { seen, baseUrl } = await startServer((_, response) => json(response, 503, body))
    const { client } = makeClient(baseUrl)
    await expect(client.request('POST', '/v1/x')).rejects.toMatchObject({
      status: 503,
      code: 'inference.not_configured',
    })
    expect(seen).toHaveLength(1)
  })

  it('gives up in the end, with what the service said', async () => {
    const { seen, baseUrl } = await startServer((_, response) => json(response, 429, problem, { 'retry-after': '1' }))
    const { client } = makeClient(baseUrl, { attemptsMax: 3 })
    await expect(client.getContext('ses_1')).rejects.toThrow(
      'GET /v1/sessions/ses_1/context: 429 limit.requests: Too many requests. [req_1]',
    )
    expect(seen).toHaveLength(3)
  })

  it('reads a problem document, with its fields, as one sentence', async () => {
    const body = {
      code: 'request.invalid',
      detail: 'Look here.',
      errors: [{ pointer: '/top_k', detail: 'must be <= 100' }],
    }
    const { baseUrl } = await startServer((_, response) => json(response, 400, body))
    const { client } = makeClient(baseUrl)
    await expect(client.request('GET', '/v1/x')).rejects.toThrow(
      '400 request.invalid: Look here. (/top_k must be <= 100)',
    )
  })

  it('says so when an answer is no problem document', async () => {
    const { baseUrl } = await startServer((_, response) => response.writeHead(502).end('<h1>Bad gateway</h1>'))
    const { client } = makeClient(baseUrl)
    await expect(client.request('GET', '/v1/x')).rejects.toThrow('GET /v1/x: 502 <h1>Bad gateway</h1>')
  })

  it('names the deadline that passed without an answer', async () => {
    const { baseUrl } = await startServer(() => undefined)
    const { client } = makeClient(baseUrl, { timeoutMs: 30 })
    await expect(client.request('GET', '/v1/x')).rejects.toThrow('GET /v1/x: no answer within 30 ms')
  })

  it('names the address that nobody listens on, after a few attempts', async () => {
    const { baseUrl } = await startServer(() => undefined)
    for (const close of closers.splice(0)) await close()
    const { client, waits } = makeClient(baseUrl, { attemptsMax: 3 })
    await expect(client.request('GET', '/v1/x')).rejects.toThrow(`cannot reach ${baseUrl}`)
    expect(waits).toEqual([250, 500])
  })

  it('ends at once when its signal aborts', async () => {
    const controller = new AbortController()
    const { baseUrl } = await startServer(() => controller.abort())
    const { client, waits } = makeClient(baseUrl, { signal: controller.signal })
    await expect(client.request('GET', '/v1/x')).rejects.toMatchObject({ name: 'AbortError' })
    expect(waits).toEqual([])
  })

  it('erases an agent that is not there without complaint', async () => {
    const { baseUrl } = await startServer((_, response) => json(response, 404, { code: 'agent.not_found' }))
    const { client } = makeClient(baseUrl)
    await expect(client.eraseAgent('a', { signal })).resolves.toBeUndefined()
  })

  it('times the answered attempt alone', async () => {
    const { baseUrl } = await startServer((count, response) =>
      count === 1
        ? json(response, 429, problem, { 'retry-after': '1' })
        : json(response, 200, { results: [], degraded: [] }),
    )
    let timeMs = 0
    const sleep = async (ms: number) => {
      timeMs += ms
    }
    const { client } = makeClient(baseUrl, { sleep, nowMs: () => timeMs })
    const answer = await client.searchMemories('a', { query: 'q', top_k: 1, mode: 'hybrid' }, { signal })
    expect(timeMs).toBe(1000)
    expect(answer.elapsedMs).toBe(0)
  })
})

describe('retryAfterMs', () => {
  it('reads seconds and dates, and nothing else', () => {
    expect(retryAfterMs('3', 0)).toBe(3000)
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:10 GMT', 4000)).toBe(6000)
    expect(retryAfterMs('Thu, 01 Jan 1970 00:00:10 GMT', 40_000)).toBe(0)
    expect(retryAfterMs('soon', 0)).toBeNull()
    expect(retryAfterMs(null, 0)).toBeNull()
  })
})
