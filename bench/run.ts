/**
 * `npm run bench`: what the service costs above its parts. Each figure stands beside a floor measured in the same run on
 * the same machine, as a ratio, because absolute times say more about the machine than about the service.
 */
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import Fastify from 'fastify'
import pg from 'pg'
import { type BenchService, startBenchService } from './harness.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, memories: { type: 'string', default: '10000' } },
})
const seconds = Number(values.seconds)
const memoriesMax = Number(values.memories)

type Rate = { readonly perSecond: number; readonly p50: number; readonly p99: number }

const print = (name: string, text: string) => process.stdout.write(`${name.padEnd(44)} ${text}\n`)
const shown = ({ perSecond, p50, p99 }: Rate) =>
  `${Math.round(perSecond)}/s  p50 ${p50.toFixed(1)} ms  p99 ${p99.toFixed(1)} ms`

const load = async (
  service: { url: string; key: string },
  {
    path,
    body,
    method = 'POST',
    connections = 10,
  }: { path: string | (() => string); body: () => object; method?: 'GET' | 'POST'; connections?: number },
): Promise<Rate> => {
  const result = await autocannon({
    url: service.url,
    connections,
    duration: seconds,
    requests: [
      {
        method,
        path: typeof path === 'string' ? path : path(),
        headers: { authorization: `Bearer ${service.key}`, 'content-type': 'application/json' },
        setupRequest: (request) => ({
          ...request,
          path: typeof path === 'string' ? path : path(),
          body: JSON.stringify(body()),
        }),
      },
    ],
  })
  if (result.non2xx > 0) throw new Error(`${path}: ${result.non2xx} answers were not 2xx`)
  return { perSecond: result.requests.average, p50: result.latency.p50, p99: result.latency.p99 }
}

const bareRoute = async (): Promise<Rate> => {
  const app = Fastify()
  app.post('/', async () => ({ ok: true }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const rate = await load({ url, key: 'none' }, { path: '/', body: () => ({ content: 'x' }) })
  await app.close()
  return rate
}

/** One autocommitted insert of a row like a memory's, on ten connections. */
const bareInsert = async (databaseUrl: string): Promise<number> => {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  await pool.query(
    'create table bench_floor (id bigint generated always as identity primary key, content text, metadata jsonb)',
  )
  const endMs = Date.now() + seconds * 1000
  let count = 0
  const insert = { name: 'floor', text: 'insert into bench_floor (content, metadata) values ($1, $2)' }
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      while (Date.now() < endMs) {
        await pool.query({ ...insert, values: ['The quick brown fox likes tea', '{}'] })
        count += 1
      }
    }),
  )
  await pool.end()
  return count / seconds
}

const post = async ({ url, key }: BenchService, path: string, body: object) => {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  })
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  return response.json()
}

const words = 'river tea garden meeting budget Lisbon train doctor piano winter contract cousin invoice'.split(' ')
const sentence = (at: number) =>
  `On day ${at} ${words[at % 13]} and ${words[(at * 7) % 13]} came up with ${words[(at * 5 + 3) % 13]}`

const fill = async (service: BenchService, agent: string, count: number): Promise<number> => {
  const startedMs = performance.now()
  for (let at = 0; at < count; at += 500) {
    const memories = Array.from({ length: Math.min(500, count - at) }, (_, offset) => ({
      content: sentence(at + offset),
    }))
    await post(service, `/v1/agents/${agent}/memories/batch`, { memories })
  }
  return (count / (performance.now() - startedMs)) * 1000
}

const waitUntilIndexed = async ({ url, key }: BenchService, agent: string): Promise<void> => {
  const giveUpMs = Date.now() + 600_000
  while (Date.now() < giveUpMs) {
    const response = await fetch(`${url}/v1/agents/${agent}`, { headers: { authorization: `Bearer ${key}` } })
    if (((await response.json()) as { index_lag: number }).index_lag === 0) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`the index of ${agent} did not catch up`)
}

const benchSearch = async (service: BenchService, count: number): Promise<void> => {
  const agent = `search-${count}`
  await fill(service, agent, count)
  await waitUntilIndexed(service, agent)
  let at = 0
  const body = () => ({ query: sentence(at++ % 50), top_k: 5 })
  const path = `/v1/agents/${agent}/memories/search`
  await post(service, path, body())
  print(`RETRIEVE at ${count} memories, one client`, shown(await load(service, { path, body, connections: 1 })))
}

const benchContext = async (service: BenchService): Promise<void> => {
  const messages = Array.from({ length: 200 }, (_, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content: sentence(at),
  }))
  const timings: Record<string, number[]> = { 'context read': [], FILTER: [], SUMMARY: [] }
  const timed = async (name: string, work: () => Promise<unknown>) => {
    const startedMs = performance.now()
    await work()
    timings[name]?.push(performance.now() - startedMs)
  }
  for (let round = 0; round < 10; round += 1) {
    const session = `bench-${round}`
    await post(service, '/v1/sessions', { agent_id: 'context', session_id: session, messages })
    await post(service, `/v1/sessions/${session}/messages`, { messages })
    await post(service, `/v1/sessions/${session}/messages`, { messages: messages.slice(0, 100) })
    const headers = { authorization: `Bearer ${service.key}` }
    await timed('context read', async () =>
      (await fetch(`${service.url}/v1/sessions/${session}/context`, { headers })).text(),
    )
    await timed('FILTER', () =>
      post(service, `/v1/sessions/${session}/tools/filter_context`, { criteria: 'tea, garden' }),
    )
    await timed('SUMMARY', () => post(service, `/v1/sessions/${session}/tools/summary_context`, { span: 'all' }))
  }
  for (const [name, all] of Object.entries(timings)) {
    const sorted = [...all].sort((one, other) => one - other)
    print(`${name}, 500 messages`, `median ${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(1)} ms`)
  }
}

const service = await startBenchService()
try {
  const route = await bareRoute()
  print('floor: bare Fastify route', shown(route))
  const insert = await bareInsert(service.databaseUrl)
  print('floor: bare insert, 10 connections', `${Math.round(insert)}/s`)
  let at = 0
  const add = await load(service, {
    path: () => `/v1/agents/add-${at % 100}/memories`,
    body: () => ({ content: sentence(at++) }),
  })
  print('ADD, 10 connections, 100 agents', `${shown(add)}  ${(add.perSecond / insert).toFixed(2)} of a bare insert`)
  const spread = await load(service, {
    path: '/v1/agents/add-2/memories',
    body: () => ({ content: sentence(at++) }),
    connections: 1,
  })
  print('ADD, one client', shown(spread))
  print('batch ADD of 500, one client', `${Math.round(await fill(service, 'batch', 10_000))} memories/s`)
  for (const count of [1_000, 10_000, 100_000].filter((one) => one <= memoriesMax)) await benchSearch(service, count)
  await benchContext(service)
  print('memory of the process', `${Math.round(process.memoryUsage().rss / 1_048_576)} MB`)
} finally {
  await service.close()
}
