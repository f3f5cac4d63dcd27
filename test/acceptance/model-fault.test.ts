/** A model server that is away or wrong, as the operator of the whole service sees it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ChatServer, startChatServer } from '../support/chat-server.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { answering } from '../support/policy.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { call } from '../support/service-process.ts'

const metricsKey = 'scraper-0123456789'

describe('a model server that fails', () => {
  let database: TestDatabase
  let server: ChatServer
  let service: TestService

  beforeAll(async () => {
    database = await createTestDatabase()
    server = await startChatServer()
    server.reply(() => answering('Paris.'))
    service = await startTestService({
      embedder: createFakeEmbedder(),
      env: {
        ...database.env,
        AGEMEM_METRICS_KEY: metricsKey,
        AGEMEM_VLLM_URL: server.url,
        AGEMEM_VLLM_MODEL: server.model,
      },
    })
    await call(service, '/v1/sessions', { body: { agent_id: 'a', session_id: 's' } })
  })
  afterAll(async () => {
    await service?.close()
    await server?.close()
    await database?.drop()
  })

  const ask = async () => (await call(service, '/v1/sessions/s/policy/run', { body: { input: 'Hello' } })).status
  const readMetrics = async () => (await call({ ...service, key: metricsKey }, '/metrics')).text()
  const metric = async (name: string, label: string): Promise<number> => {
    const lines = (await readMetrics()).split('\n')
    return Number(lines.find((line) => line.startsWith(`${name}{${label}}`))?.split(' ')[1] ?? 0)
  }

  it('metrics tell of each generation by outcome, with its time and tokens, and name no tenant', async () => {
    expect(await ask()).toBe(200)
    server.fail({ status: 500 }, { times: 1 })
    expect(await ask()).toBe(503)
    expect(await metric('agemem_model_seconds_count', 'outcome="answered"')).toBe(1)
    expect(await metric('agemem_model_seconds_count', 'outcome="unavailable"')).toBe(1)
    expect(await metric('agemem_model_seconds_sum', 'outcome="answered"')).toBeGreaterThan(0)
    expect(await metric('agemem_model_tokens_total', 'kind="prompt"')).toBeGreaterThan(10)
    expect(await metric('agemem_model_tokens_total', 'kind="completion"')).toBeGreaterThan(1)
    expect(await readMetrics()).not.toMatch(/ten_|tenant/)
  })

  it('readiness tells whether the model answers, and serves without it', async () => {
    const readiness = async () => {
      const response = await call(service, '/health/ready')
      return { code: response.status, body: await response.json() }
    }
    server.fail('down', { path: 'all' })
    expect(await readiness()).toMatchObject({
      code: 200,
      body: { status: 'degraded', parts: { model: { ready: false } } },
    })
    server.fail(null)
    expect(await readiness()).toMatchObject({ code: 200, body: { status: 'ready', parts: { model: { ready: true } } } })
  })
})
