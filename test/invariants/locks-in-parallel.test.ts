import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sql } from '../../src/shared/sql.ts'
import { type Answer, createTestApp } from '../support/app.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { countDeadlocks, countWaiting } from '../support/deadlocks.ts'
import { createHttp, expectStatus, type Http, once } from '../support/http.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'
import { connect } from '../support/postgres.ts'

const session = 's'
const url = `/v1/sessions/${session}`
const accept = 'application/json, text/event-stream'

/** What a client may be told of a call that met others: each is honest, and none is a failure of the service. */
const honest = new Set([
  '409 context.version_conflict',
  '409 session.busy',
  '422 context.nothing_to_summarize',
  '422 context.summary_not_shorter',
  '422 context.summary_empty',
  '409 context.edit_already_undone',
  '409 context.edit_depended_on',
  '404 memory.not_found',
])

describe('A4: calls in parallel on one session', () => {
  let database: TestDatabase
  let test: PolicyTest
  let http: Http
  let tenantId: string
  let count = 0

  beforeAll(async () => {
    database = await createTestDatabase()
    test = await createPolicyTest({ databaseUrl: database.url, poolMax: 10 })
    test.server.reply(() =>
      count % 2 === 0 ? calling({ name: 'Add_memory', arguments: { content: 'By the model' } }) : answering('Fine.'),
    )
    const made = await test.makeKey()
    tenantId = made.tenantId
    http = createHttp(test, made.key)
    test.modules.indexer.start()
    expectStatus(await http.post('/v1/sessions', { agent_id: 'a', session_id: session }), 201)
  })
  afterAll(() => database.drop())

  const talk = (at: number) => ({ role: 'user', content: `The weather in city ${at} was rather fine on day ${at}.` })
  const tool = (name: string, args: object) => http.post(`${url}/tools/${name}`, args)
  const turn = (...calls: readonly object[]) =>
    http.post(`${url}/tool_calls`, {
      output: `<think>x</think><tool_call>${JSON.stringify(calls)}</tool_call>`,
      append: count % 2 === 0,
    })
  const byMcp = (name: string, args: object) => {
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }
    return http.post('/mcp', message, { accept, 'agemem-session': session })
  }

  /** Every way to change a session, one after another, for ever. */
  const calls: readonly ((at: number) => Promise<Answer>)[] = [
    (at) => tool('add_memory', { content: `Fact ${at}` }),
    (at) => turn({ name: 'Add_memory', arguments: { content: `Fact ${at} of a turn` } }),
    () => tool('retrieve_memory', { query: 'what of the weather?' }),
    (at) => http.post(`${url}/messages`, { messages: [talk(at), talk(at + 1)] }, once(`append-${at}`)),
    () => tool('filter_context', { criteria: 'weather in city' }),
    () => turn({ name: 'Summary_context', arguments: { span: 'all' } }),
    (at) => byMcp('Add_memory', { content: `Fact ${at} by MCP` }),
    () => tool('summary_context', { span: 4 }),
    () => http.post(`${url}/policy/step`, { input: 'How was the weather?' }),
    (at) => http.post('/v1/agents/a/memories', { content: `Fact ${at} by REST` }, once(`rest-${at}`)),
    (at) => http.post(`${url}/rewards`, { key: 'judge', value: at }),
    (at) =>
      turn(
        { name: 'Add_memory', arguments: { content: `Fact ${at} of two` } },
        { name: 'Retrieve_memory', arguments: { query: 'facts' } },
        { name: 'Filter_context', arguments: { criteria: 'weather in city' } },
      ),
    () => http.post(`${url}/context/reset`),
    () =>
      http.post(
        '/v1/chat/completions',
        { model: 'agemem', messages: [{ role: 'user', content: 'Hello?' }] },
        { 'agemem-session': session },
      ),
    async () => {
      const { data } = await http.get(`${url}/edits?limit=1`)
      const [edit] = data.data as unknown as readonly { edit_id: string }[]
      return edit === undefined ? http.get(url) : http.post(`${url}/edits/${edit.edit_id}/undo`)
    },
    async (at) => {
      const { data } = await http.get('/v1/agents/a/memories?limit=5')
      const memory = (data.data as unknown as readonly { memory_id: string }[] | undefined)?.[at % 5]
      if (memory === undefined) return http.get(url)
      const { memory_id } = memory
      return at % 2 === 0
        ? tool('update_memory', { memory_id, content: `Fact ${at} anew` })
        : byMcp('Delete_memory', { memory_id, confirmation: true })
    },
  ]

  const burst = (size: number): Promise<readonly Answer[]> =>
    Promise.all(
      Array.from({ length: size }, async () => {
        count += 1
        const call = calls[count % calls.length]
        if (call === undefined) throw new Error('There is a call for every place.')
        return call(count)
      }),
    )

  type Problem = { readonly code?: string; readonly status?: number }
  type McpResult = { readonly structuredContent?: { readonly error?: Problem } }

  const problemOf = ({ statusCode, data }: Answer): Problem | undefined => {
    if (statusCode < 300) return (data.result as McpResult | undefined)?.structuredContent?.error
    return { status: statusCode, code: String(data.code ?? (data.error as Problem | undefined)?.code) }
  }
  const outcomeOf = (answer: Answer): string => {
    const problem = problemOf(answer)
    return problem === undefined ? 'ok' : `${problem.status} ${problem.code}`
  }

  it.each([16, 100])('%i at once of every kind all succeed, or are told honestly why not', async (size) => {
    const outcomes = (await burst(size)).map(outcomeOf)
    expect(outcomes.filter((outcome) => outcome !== 'ok' && !honest.has(outcome))).toEqual([])
    expect(outcomes.filter((outcome) => outcome === 'ok').length).toBeGreaterThan(size / 2)
  })

  it('C4: the context that they leave is whole: its tokens are the sum of its messages', async () => {
    const { context } = await test.modules.contexts.readSnapshot(await test.modules.makeCaller({ tenantId }), session)
    expect(context.tokens).toBe(context.messages.reduce((sum, { tokens }) => sum + tokens, 0))
  })

  it('M7: with the erasure of the agent among them each is done or finds its agent gone, and nothing is left of it', async () => {
    const [outcomes, erased] = await Promise.all([
      burst(40).then((answers) => answers.map(outcomeOf)),
      http.delete('/v1/agents/a'),
    ])
    expectStatus(erased, 202)
    const rest = outcomes.filter((outcome) => outcome !== 'ok' && !honest.has(outcome))
    const gone = new Set(['404 session.not_found', '409 idempotency.agent_erased'])
    expect(rest.filter((outcome) => !gone.has(outcome))).toEqual([])
    expect((await http.get(url)).statusCode).toBe(404)
    const left = await test.modules.database.read(tenantId, (tx) =>
      tx.query(sql`
        select session_id from session union all select session_id from message union all select session_id from step
        union all select session_id from tool_call union all select session_id from context_edit
        union all select session_id from reward`),
    )
    expect(left).toEqual([])
  })

  it('PostgreSQL has counted no deadlock', async () => {
    await test.close()
    expect(await countDeadlocks(database.url)).toBe(0)
  })
})

describe('the count of deadlocks', () => {
  it('sees one where two transactions take two agents in opposite orders', async () => {
    const test = await createTestDatabase()
    const database = connect(test.url)
    const clients = [0, 1].map(() => new pg.Client({ connectionString: test.url }))
    await Promise.all(clients.map((client) => client.connect()))
    await clients[0]?.query('create table row_of (id int primary key, n int)')
    await clients[0]?.query('insert into row_of values (0, 0), (1, 0)')
    const take = (client: number, row: number) =>
      clients[client]?.query('update row_of set n = n + 1 where id = $1', [row])
    await Promise.all(clients.map((client) => client.query('begin')))
    await Promise.all([take(0, 0), take(1, 1)])
    const circle = await Promise.allSettled([take(0, 1), take(1, 0)])
    expect(circle.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await Promise.all(clients.map((client) => client.end()))
    await database.close()
    expect(await countDeadlocks(test.url)).toBe(1)
    await test.drop()
  })
})

describe('who waits for the row of a session', () => {
  it("waits in the process: two of its calls stand in the database, and another tenant's calls go through", async () => {
    const test = await createTestApp({ poolMax: 4 })
    const { modules } = test
    const made = await test.makeKey()
    const [http, other] = [createHttp(test, made.key), createHttp(test, (await test.makeKey()).key)]
    expectStatus(await http.post('/v1/sessions', { agent_id: 'a', session_id: session }), 201)
    const holder = connect(modules.url)
    const append = () => http.post(`${url}/messages`, { messages: [{ role: 'user', content: 'Hello' }] })
    const waiting = () => countWaiting(modules.url)
    let appended: Promise<readonly Answer[]> = Promise.resolve([])
    await holder.transact(made.tenantId, async (tx) => {
      await tx.query(sql`select 1 from session where tenant_id = ${made.tenantId} for update`)
      appended = Promise.all(Array.from({ length: 24 }, append))
      await expect.poll(waiting).toBe(2)
      for (let at = 0; at < 5; at += 1)
        expectStatus(await other.post('/v1/agents/b/memories', { content: `Unhindered ${at}` }), 201)
      expect(await waiting()).toBe(2)
    })
    for (const answer of await appended) expectStatus(answer, 201)
    expect((await http.get(`${url}/context`)).data.version).toBe(24)
    await holder.close()
    await test.close()
  })
})
