/** An embedding server that is away, slow or wrong, through the whole service. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type EmbeddingFault, type EmbeddingServer, startEmbeddingServer } from '../support/embedding-server.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { type CallOptions, call } from '../support/service-process.ts'

type Body = Record<string, never> & Record<string, unknown>

describe('an embedder that fails', () => {
  let database: TestDatabase
  let server: EmbeddingServer
  let service: TestService

  beforeAll(async () => {
    database = await createTestDatabase()
    server = await startEmbeddingServer()
    service = await startTestService({
      env: {
        ...database.env,
        AGEMEM_EMBEDDER_URL: server.url,
        AGEMEM_EMBEDDER_MODEL: server.model,
        AGEMEM_EMBED_TIMEOUT_MS: '300',
      },
    })
  })
  afterAll(async () => {
    await service?.close()
    await server?.close()
    await database?.drop()
  })

  const ask = async (path: string, options: CallOptions = {}) => {
    const response = await call(service, path, options)
    return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await readBody(response) }
  }
  const readBody = async (response: Response): Promise<Body> => (await response.json()) as Body
  const lagOf = async (agent: string) => (await ask(`/v1/agents/${agent}`)).body.index_lag

  const startSession = async (agent: string) => {
    const messages = [
      { role: 'user', content: 'The kitchen tap drips' },
      { role: 'user', content: 'Old chatter about the weather' },
      { role: 'user', content: 'What about the tap?' },
    ]
    const { body } = await ask('/v1/sessions', { body: { agent_id: agent, messages } })
    return `/v1/sessions/${body.session_id}`
  }

  const faults: readonly (readonly [string, EmbeddingFault, RegExp])[] = [
    ['down', 'down', /^(request\.deadline|embedder\.unavailable)$/],
    ['slower than the deadline', 'hang', /^(request\.deadline|embedder\.unavailable)$/],
    ['of another dimension', 'wrong-dimension', /^embedder\.misbehaved$/],
  ]

  it.each(faults)(
    '%s: ADD stores, RETRIEVE goes by words, FILTER changes nothing, and all is indexed later',
    async (name, fault, code) => {
      const agent = name.replaceAll(' ', '-')
      const session = await startSession(agent)
      const before = await ask(`${session}/context`)
      const content = `Ana likes quokkas, ${name}`
      server.fail(fault)

      const added = await ask(`/v1/agents/${agent}/memories`, { body: { content } })
      const { duplicate_check: check, ...memory } = added.body
      expect([added.status, memory.index_state, check]).toEqual([201, 'pending', 'skipped'])
      const found = await ask(`/v1/agents/${agent}/memories/search`, { body: { query: `quokkas ${name}` } })
      expect(found).toMatchObject({ status: 200, body: { degraded: ['embedder'], results: [{ memory }] } })
      const recalled = await ask(`${session}/tools/retrieve_memory`, { body: { query: `which quokkas ${name}?` } })
      expect(recalled).toMatchObject({ status: 200, body: { degraded: ['embedder'] } })
      const context = await ask(`${session}/context`)
      expect(Number(context.body.version)).toBeGreaterThan(Number(before.body.version))

      const filtered = await ask(`${session}/tools/filter_context`, { body: { criteria: `chatter, ${name}` } })
      expect(filtered).toMatchObject({ status: 503, body: { code: expect.stringMatching(code), status: 503 } })
      expect((await ask(`${session}/context`)).body).toEqual(context.body)
      await expect
        .poll(async () => (await ask('/health/ready')).body)
        .toMatchObject({ status: 'degraded', parts: { embedder: { ready: false } } })

      // The indexer has met the fault too; a request that hangs it meets only once.
      const timesAsked = () => server.requests.filter(({ body }) => body.input.includes(content)).length
      await expect.poll(timesAsked).toBeGreaterThanOrEqual(fault === 'hang' ? 1 : 2)
      // It comes back as servers do: started again, so that what hung there is cut off.
      const { port } = new URL(server.url)
      await server.close()
      server = await startEmbeddingServer({ port: Number(port) })
      await expect.poll(() => lagOf(agent)).toBe(0)
      const again = await ask(`/v1/agents/${agent}/memories/search`, { body: { query: 'quokkas', mode: 'semantic' } })
      expect(again.body).toMatchObject({ degraded: [], results: [{ memory: { index_state: 'indexed' } }] })
      expect((await ask('/health/ready')).body.status).toBe('ready')
    },
  )

  it('M7: an erased agent leaves no vector in the cache: its texts are asked of the server anew', async () => {
    const query = 'unheard-of axolotl'
    const search = () => ask('/v1/agents/erased/memories/search', { body: { query } })
    const timesAsked = () => server.requests.filter(({ body }) => body.input.includes(query)).length
    await ask('/v1/agents/erased/memories', { body: { content: 'An axolotl' } })
    await search()
    await search()
    expect(timesAsked()).toBe(1)
    expect((await ask('/v1/agents/erased', { method: 'DELETE' })).status).toBe(202)
    await search()
    expect(timesAsked()).toBe(2)
  })
})
