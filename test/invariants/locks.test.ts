import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lockSessionWithAgent } from '../../src/modules/session/session.repository.ts'
import { sql } from '../../src/shared/sql.ts'
import type { Answer } from '../support/app.ts'
import { createHttp, expectStatus, type Http, once } from '../support/http.ts'
import { type LockOrder, lockedTables, watchLockOrder } from '../support/lock-order.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'

const anyVersion = { 'if-match': '*' }
const ndjson = { 'content-type': 'application/x-ndjson' }

describe('A4: every transaction takes its locks in one order', () => {
  let order: LockOrder
  let test: PolicyTest
  let http: Http
  let operator: Http
  let tenantId: string
  const covered = new Set<string>()

  /** Notes that the operation of this template has written. */
  const wrote = (operation: string, answer: Answer): Record<string, never> & Record<string, unknown> => {
    expect([operation, answer.statusCode < 300 ? '' : answer.payload]).toEqual([operation, ''])
    covered.add(operation)
    return answer.data
  }

  const add = async (agent: string, content: string) =>
    wrote(
      'POST /v1/agents/{agent_id}/memories',
      await http.post(`/v1/agents/${agent}/memories`, { content }, once(content.replaceAll(' ', '-'))),
    ).memory_id

  const writeMemories = async () => {
    const base = '/v1/agents/a/memories'
    const [one, two] = [await add('a', 'Ana lives in Porto'), await add('a', 'Bob is seven')]
    const memory = '/v1/agents/{agent_id}/memories/{memory_id}'
    wrote(`PATCH ${memory}`, await http.patch(`${base}/${one}`, { content: 'Ana lives in Faro' }, anyVersion))
    wrote(`POST ${memory}/revert`, await http.post(`${base}/${one}/revert`, { version: 1 }, anyVersion))
    wrote(`DELETE ${memory}`, await http.delete(`${base}/${two}`, anyVersion))
    const many = { memories: [{ content: 'Cleo sings' }, { content: 'Dora runs' }] }
    wrote('POST /v1/agents/{agent_id}/memories/batch', await http.post(`${base}/batch`, many, once('batch')))
    const lines = '{"content":"Eve cooks"}\n{"content":"Finn swims"}\n'
    wrote('POST /v1/agents/{agent_id}/memories/import', await http.post(`${base}/import`, lines, ndjson))
    wrote('POST /v1/agents/{agent_id}/memories/search', await http.post(`${base}/search`, { query: 'Ana' }))
    wrote('PATCH /v1/agents/{agent_id}', await http.patch('/v1/agents/a', { metadata: { plan: 'pro' } }))
  }

  const useTools = async (session: string) => {
    const memoryId = await add('a', 'Gil paints')
    const tools: readonly (readonly [string, object])[] = [
      ['add_memory', { content: 'Hal writes' }],
      ['update_memory', { memory_id: memoryId, content: 'Gil draws' }],
      ['retrieve_memory', { query: 'who draws?' }],
      ['filter_context', { criteria: 'weather in city' }],
      ['summary_context', { span: 'all' }],
      ['delete_memory', { memory_id: memoryId, confirmation: true }],
    ]
    for (const [tool, args] of tools) {
      const url = `/v1/sessions/${session}/tools/${tool}`
      wrote(`POST /v1/sessions/{session_id}/tools/${tool}`, await http.post(url, args, once(tool)))
    }
    const named = (name: string, args: object) => ({ name, arguments: args })
    const calls = [named('Add_memory', { content: 'Ida skis' }), named('Retrieve_memory', { query: 'who skis?' })]
    const output = `<think>x</think><tool_call>${JSON.stringify([...calls, named('Fly', {})])}</tool_call>`
    const turn = await http.post(`/v1/sessions/${session}/tool_calls`, { output, append: true }, once('turn'))
    wrote('POST /v1/sessions/{session_id}/tool_calls', turn)
    const params = named('Add_memory', { content: 'Jon by MCP' })
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params }
    const accept = 'application/json, text/event-stream'
    const byMcp = { accept, 'agemem-agent': 'a', 'idempotency-key': 'by-mcp' }
    expect((await http.post('/mcp', message, byMcp)).json().result).not.toHaveProperty('isError')
  }

  const talk = (at: number) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: `Weather in city ${at}: fine.` })

  const editContext = async (session: string) => {
    const url = `/v1/sessions/${session}`
    const messages = Array.from({ length: 8 }, (_, at) => talk(at))
    const appended = wrote(
      'POST /v1/sessions/{session_id}/messages',
      await http.post(`${url}/messages`, { messages }, once('append')),
    )
    const [first] = appended.messages as unknown as readonly { message_id: string }[]
    const pinned = await http.patch(`${url}/messages/${first?.message_id}`, { pinned: true })
    wrote('PATCH /v1/sessions/{session_id}/messages/{message_id}', pinned)
  }

  const undoAndReset = async (session: string) => {
    const url = `/v1/sessions/${session}`
    const reset = wrote(
      'POST /v1/sessions/{session_id}/context/reset',
      await http.post(`${url}/context/reset`, undefined, once('reset')),
    )
    const { edit_id: editId } = reset.edit as unknown as { edit_id: string }
    const undone = await http.post(`${url}/edits/${editId}/undo`, undefined, once('undo'))
    wrote('POST /v1/sessions/{session_id}/edits/{edit_id}/undo', undone)
  }

  const runPolicy = async (session: string) => {
    const url = `/v1/sessions/${session}/policy`
    for (const kind of ['run', 'step'] as const) {
      test.server.reply(calling({ name: 'Add_memory', arguments: { content: `Kim by a ${kind}` } }))
      const answer = await http.post(`${url}/${kind}`, { input: 'Who is Kim?' }, once(kind))
      wrote(`POST /v1/sessions/{session_id}/policy/${kind}`, answer)
    }
    const body = { model: 'agemem', messages: [{ role: 'user', content: 'And who is Lea?' }] }
    const headers = { 'agemem-session': 'chat', 'agemem-agent': 'a', ...once('chat') }
    wrote('POST /v1/chat/completions', await http.post('/v1/chat/completions', body, headers))
    const reward = await http.post(`/v1/sessions/${session}/rewards`, { key: 'judge', value: 1 }, once('reward'))
    wrote('POST /v1/sessions/{session_id}/rewards', reward)
  }

  const keepKeys = async () => {
    const payload = { name: 'another', scopes: ['memory:read'] }
    const { key_id: keyId } = wrote('POST /v1/keys', await http.post('/v1/keys', payload, once('key')))
    wrote('POST /v1/keys/{key_id}/rotate', await http.post(`/v1/keys/${keyId}/rotate`, {}, once('rotate')))
    wrote('DELETE /v1/keys/{key_id}', await http.delete(`/v1/keys/${keyId}`))
    const tenants = '/v1/admin/tenants'
    const made = await operator.post(tenants, { name: 'Short-lived' }, once('tenant'))
    const other = String(wrote('POST /v1/admin/tenants', made).tenant_id)
    const keyOf = await operator.post(`${tenants}/${other}/keys`, payload, once('key-of-a-tenant'))
    wrote('POST /v1/admin/tenants/{tenant_id}/keys', keyOf)
    const ofKey = `${tenants}/${other}/keys/${keyOf.data.key_id}`
    wrote('DELETE /v1/admin/tenants/{tenant_id}/keys/{key_id}', await operator.delete(ofKey))
    wrote('PATCH /v1/admin/tenants/{tenant_id}', await operator.patch(`${tenants}/${other}`, { name: 'Shorter' }))
    wrote('POST /v1/admin/reindex', await operator.post('/v1/admin/reindex'))
    const repaired = await operator.post('/v1/admin/consistency/repair')
    wrote('POST /v1/admin/consistency/repair', repaired)
  }

  beforeAll(async () => {
    order = watchLockOrder()
    test = await createPolicyTest({ wrapDatabase: order.wrapDatabase })
    test.server.reply(() => answering('Nobody we know.'))
    const made = await test.makeKey()
    tenantId = made.tenantId
    http = createHttp(test, made.key)
    operator = createHttp(test, test.operatorKey)
  })
  afterAll(() => test.close())

  it('whatever writes: every route, the indexer, maintenance, the erasure of an agent and of a tenant', async () => {
    const { indexer, maintenance, modelTokens } = test.modules
    await writeMemories()
    const session = 'talk'
    const created = await http.post('/v1/sessions', { agent_id: 'a', session_id: session }, once('session'))
    wrote('POST /v1/sessions', created)
    await editContext(session)
    await useTools(session)
    await undoAndReset(session)
    await runPolicy(session)
    wrote('POST /v1/sessions/{session_id}/close', await http.post(`/v1/sessions/${session}/close`, {}, once('close')))
    await keepKeys()
    await indexer.drain()
    const brief = { content: 'Gone in a second', ttl_seconds: 1 }
    expectStatus(await http.post('/v1/agents/a/memories', brief), 201)
    const isPurged = async () => {
      await maintenance.runOnce()
      return (await http.get('/v1/agents/a')).data.memory_count
    }
    const before = (await http.get('/v1/agents/a')).data.memory_count as unknown as number
    await expect.poll(isPurged).toBe(before - 1)
    wrote('DELETE /v1/agents/{agent_id}', await http.delete('/v1/agents/a'))
    await add('b', 'Goes with its tenant')
    wrote('DELETE /v1/admin/tenants/{tenant_id}', await operator.delete(`/v1/admin/tenants/${tenantId}`))
    await expect
      .poll(async () => (await operator.get(`/v1/admin/tenants/${tenantId}`)).data.status, { timeout: 10_000 })
      .toBe('deleted')
    await modelTokens.flush()

    const { paths } = test.app.swagger() as unknown as { paths: Record<string, object> }
    const writing = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => method !== 'get')
        .map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(writing.filter((operation) => !covered.has(operation))).toEqual([])
    expect(order.breaches).toEqual([])
    expect(order.orders).toContain('agent > session > the rest > idempotency_key')
  })

  it('a transaction that takes a session before its agent is named, so this file would fail for it', async () => {
    const watch = watchLockOrder()
    const watched = watch.wrapDatabase(test.modules.database)
    await watched.transact('ten_nobody', async (tx) => {
      await tx.query(sql`update session set next_step = next_step + 1 where tenant_id = ${tx.tenantId}`)
      await tx.query(sql`select 1 from agent where tenant_id = ${tx.tenantId} for no key update`)
    })
    expect(watch.breaches).toEqual([expect.stringMatching(/^takes agent while it holds session: select 1 from agent/)])
  })

  it.each([
    ['insert into agent as kept (a) select 1 on conflict (a) do update set b = 1', ['agent']],
    [
      'select * from (select 1 from agent for no key update) as x join session on true for update of session',
      ['agent', 'session'],
    ],
    ['with gone as (delete from memory where a = 1) update agent set revision = 1', ['memory', 'agent']],
    ['insert into message (a) values (1)', []],
  ])('reads of a statement which rows it locks: %s', (text, tables) => {
    expect(lockedTables(text)).toEqual(tables)
  })

  it("the lock of an agent with its session takes the agent's row first, and the session's only when it has that", async () => {
    const { database, sessions, contexts, makeCaller } = test.modules
    const caller = await makeCaller()
    await sessions.create(caller, { agentId: 'a', sessionId: 's' }, contexts.startContext([]))
    const inTenant = <T>(work: Parameters<typeof database.transact<T>>[1]) => database.transact(caller.tenantId, work)
    const freeRows = () =>
      inTenant(async (tx) => {
        const agents = await tx.query(
          sql`select 1 from agent where tenant_id = ${caller.tenantId} for update skip locked`,
        )
        const open = await tx.query(
          sql`select 1 from session where tenant_id = ${caller.tenantId} for update skip locked`,
        )
        return { agent: agents.length, session: open.length }
      })
    for (const [held, free] of [
      ['agent', { agent: 0, session: 1 }],
      ['session', { agent: 0, session: 0 }],
    ] as const) {
      let waiting: Promise<unknown> = Promise.resolve()
      await inTenant(async (tx) => {
        await (held === 'agent'
          ? tx.query(sql`select 1 from agent where tenant_id = ${caller.tenantId} for update`)
          : tx.query(sql`select 1 from session where tenant_id = ${caller.tenantId} for update`))
        waiting = inTenant((other) => lockSessionWithAgent(other, { sessionId: 's', agentId: 'a' }))
        await expect.poll(freeRows).toEqual(free)
      })
      expect(await waiting).toMatchObject({ sessionId: 's', agentId: 'a' })
    }
  })
})
