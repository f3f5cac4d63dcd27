/** M2 by every door: one Idempotency-Key, one request, one effect; another request is another effect or is refused. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Database, TenantTransaction } from '../../src/ports/database.ts'
import { AppError } from '../../src/shared/errors.ts'
import { sql } from '../../src/shared/sql.ts'
import { type Answer, createTestApp } from '../support/app.ts'
import { codeOf, createHttp, expectStatus, type Http, once } from '../support/http.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'

const accept = 'application/json, text/event-stream'
const adding = (content: string) => ({ name: 'Add_memory', arguments: { content } })
const outputOf = (...contents: readonly string[]) => ({
  output: `<think>x</think><tool_call>${JSON.stringify(contents.map(adding))}</tool_call>`,
})

const connectionBroke = () =>
  new AppError({
    ...{ code: 'database.unavailable', status: 503, detail: 'The connection broke.' },
    ...{ retryable: true, retryAfterSeconds: 1 },
  })

/** A database that breaks off the transaction in which the call of this ordinal is recorded. */
const createBreaking = () => {
  let brokenOrdinal: number | null = null
  const breaking = (tx: TenantTransaction): TenantTransaction => ({
    ...tx,
    query: (statement) => {
      if (statement.text.includes('insert into tool_call') && statement.values.includes(brokenOrdinal))
        return Promise.reject(connectionBroke())
      return tx.query(statement)
    },
  })
  return {
    breakAt: (ordinal: number | null) => {
      brokenOrdinal = ordinal
    },
    wrapDatabase: (database: Database): Database => ({
      ...database,
      transact: (tenantId, work, options) => database.transact(tenantId, (tx) => work(breaking(tx)), options),
    }),
  }
}

describe('a request that is sent again', () => {
  const { breakAt, wrapDatabase } = createBreaking()
  let test: PolicyTest
  let http: Http
  let key: string
  let tenantId: string
  let count = 0
  let agent = ''
  let url = ''
  /** What the model is to save next. */
  let wanted: string | null = null

  beforeAll(async () => {
    test = await createPolicyTest({ wrapDatabase })
    test.server.reply(() => {
      const reply = wanted === null ? answering('Noted.') : calling(adding(wanted))
      wanted = null
      return reply
    })
    ;({ key, tenantId } = await test.makeKey())
    http = createHttp(test, key)
  })
  afterAll(() => test.close())
  beforeEach(async () => {
    breakAt(null)
    count += 1
    agent = `agent-${count}`
    url = `/v1/sessions/s-${count}`
    expectStatus(await http.post('/v1/sessions', { agent_id: agent, session_id: `s-${count}` }), 201)
  })

  const stored = async (): Promise<readonly string[]> => {
    const { data } = await http.get(`/v1/agents/${agent}/memories`)
    return (data.data as unknown as readonly { content: string }[]).map(({ content }) => content).sort()
  }
  /** As when its hours are over. */
  const forget = (name: string) =>
    test.modules.database.transact(tenantId, (tx) =>
      tx.query(sql`delete from idempotency_key where tenant_id = ${tenantId} and idempotency_key like ${`%${name}`}`),
    )
  const withModel = (content: string, ask: () => Promise<Answer>) => {
    wanted = content
    return ask()
  }

  const doors: Readonly<Record<string, (content: string, headers: Record<string, string>) => Promise<Answer>>> = {
    memories: (content, headers) => http.post(`/v1/agents/${agent}/memories`, { content }, headers),
    'tools/add_memory': (content, headers) => http.post(`${url}/tools/add_memory`, { content }, headers),
    tool_calls: (content, headers) => http.post(`${url}/tool_calls`, outputOf(content), headers),
    'tool_calls, appended': (content, headers) =>
      http.post(`${url}/tool_calls`, { ...outputOf(content), append: true }, headers),
    MCP: (content, headers) => {
      const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: adding(content) }
      return http.post('/mcp', message, { accept, 'agemem-session': `s-${count}`, ...headers })
    },
    'policy/run': (content, headers) =>
      withModel(content, () => http.post(`${url}/policy/run`, { input: `Keep this: ${content}` }, headers)),
    'chat/completions': (content, headers) => {
      const body = { model: 'agemem', messages: [{ role: 'user', content: `Keep this: ${content}` }] }
      const session = { 'agemem-session': `s-${count}` }
      return withModel(content, () => http.post('/v1/chat/completions', body, { ...session, ...headers }))
    },
  }
  const problemOf = ({ statusCode, data }: Answer): unknown => {
    const error = (data.result as { structuredContent?: { error?: { code: string; status: number } } } | undefined)
      ?.structuredContent?.error
    if (error !== undefined) return [error.status, error.code]
    return [statusCode, data.code ?? (data.error as { code?: string } | undefined)?.code]
  }

  it.each(Object.entries(doors))(
    'M2: by %s: once with its key; with another body refused, and done once the key is forgotten',
    async (_door, send) => {
      const claim = once(`key-${count}`)
      const first = await send('Ana lives in Porto', claim)
      expect([first.statusCode < 300, await stored()]).toEqual([true, ['Ana lives in Porto']])
      expect((await send('Ana lives in Porto', claim)).data).toEqual(first.data)
      expect(problemOf(await send('Bob is seven', claim))).toEqual([422, 'idempotency.key_reused'])
      expect(await stored()).toEqual(['Ana lives in Porto'])
      await forget(`key-${count}`)
      const later = await send('Bob is seven', claim)
      expect([problemOf(later), later.statusCode < 300]).toEqual([[later.statusCode, undefined], true])
      expect(await stored()).toEqual(['Ana lives in Porto', 'Bob is seven'])
    },
  )

  it('M2: a turn that broke off is completed by the same request, whose first call is not run again', async () => {
    const claim = once(`key-${count}`)
    const send = () => http.post(`${url}/tool_calls`, { ...outputOf('One', 'Two'), append: true }, claim)
    breakAt(1)
    expect((await send()).statusCode).toBe(503)
    expect(await stored()).toEqual(['One'])
    breakAt(null)
    const step = expectStatus(await send(), 200).json()
    expect(step.calls).toMatchObject([{ status: 'ok' }, { status: 'ok' }])
    expect((await send()).json()).toEqual(step)
    expect(await stored()).toEqual(['One', 'Two'])
    const { data } = await http.get(`${url}/messages`)
    expect((data.data as unknown as readonly object[]).length).toBe(3)
  })

  it('M2: a turn that broke off is not completed by another request with its key, which does what it says', async () => {
    const claim = once(`key-${count}`)
    breakAt(1)
    const broken = await http.post(`${url}/tool_calls`, outputOf('One', 'Two'), claim)
    breakAt(null)
    expect(broken.statusCode).toBe(503)
    expectStatus(await http.post(`${url}/tool_calls`, outputOf('Three', 'Four'), claim), 200)
    expect(await stored()).toEqual(['Four', 'One', 'Three'])
    const again = await http.post(`${url}/tool_calls`, outputOf('One', 'Two'), claim)
    expect(codeOf(again)).toEqual([422, 'idempotency.key_reused'])
  })

  it("M1: the answer of a turn is stored with its last call's effect, or neither is", async () => {
    const claim = once(`key-${count}`)
    const answers = () =>
      test.modules.database.read(tenantId, (tx) =>
        tx.query(sql`select 1 from idempotency_key where idempotency_key = ${`key-${count}`}`),
      )
    breakAt(0)
    expect((await http.post(`${url}/tool_calls`, outputOf('One'), claim)).statusCode).toBe(503)
    breakAt(null)
    expect([await stored(), (await answers()).length]).toEqual([[], 0])
    expectStatus(await http.post(`${url}/tool_calls`, outputOf('One'), claim), 200)
    expect([await stored(), (await answers()).length]).toEqual([['One'], 1])
  })

  it('M2: two processes that are sent the same turn at once do each of its calls once', async () => {
    const second = await createTestApp({ databaseUrl: test.modules.url })
    const claim = once(`key-${count}`)
    const send = (by: Http) => by.post(`${url}/tool_calls`, outputOf('One', 'Two', 'Three'), claim)
    const both = await Promise.all([send(http), send(createHttp(second, key))])
    for (const answer of both)
      expect(answer.statusCode === 200 || answer.data.code === 'idempotency.in_flight', answer.payload).toBe(true)
    const again = expectStatus(await send(http), 200).json()
    expect(again.calls).toHaveLength(3)
    expect(await stored()).toEqual(['One', 'Three', 'Two'])
    await second.close()
  })
})
