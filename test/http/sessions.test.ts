import { describe, expect, it } from 'vitest'
import { codeOf, createHttp, expectStatus, idMatching, moment, readPages, useApp } from '../support/http.ts'

describe('sessions over HTTP', () => {
  const { http, app } = useApp()

  const create = (payload: object) => http.post('/v1/sessions', { agent_id: 'a', ...payload })
  const said = (...contents: readonly string[]) => contents.map((content) => ({ role: 'user', content }))

  it('createSession answers 201 with the session and where it is', async () => {
    const options = { filter_threshold: 0.7, top_k: 4, summary_style: 'prose', auto_summary_at: 0.9 }
    const given = { session_id: 'my:session-1', budget_tokens: 2_000, metadata: { channel: 'web' }, options }
    const answer = expectStatus(await create({ ...given, messages: said('Hello') }), 201)
    expect(answer.headers.location).toBe('/v1/sessions/my:session-1')
    expect(answer.data).toEqual({
      session_id: 'my:session-1',
      agent_id: 'a',
      status: 'open',
      options,
      metadata: { channel: 'web' },
      context: { version: 1, tokens: expect.any(Number), budget_tokens: 2_000, pressure: expect.any(Number) },
      created_at: moment,
      updated_at: moment,
      closed_at: null,
    })
    const { context } = answer.json()
    expect(context.pressure).toBeCloseTo(context.tokens / 2_000, 10)
    expect(expectStatus(await http.get('/v1/sessions/my:session-1'), 200).data).toEqual(answer.data)
  })

  it('a session of an agent_id alone has an id of its own, an empty context and the defaults', async () => {
    const { data } = expectStatus(await create({}), 201)
    expect(data).toMatchObject({ session_id: idMatching('ses'), options: {}, metadata: {} })
    expect(data.context).toEqual({ version: 0, tokens: 0, budget_tokens: 8_192, pressure: 0 })
  })

  it('a session_id that is taken is a 409, whoever of the tenant has it, and another tenant may have it too', async () => {
    expectStatus(await create({ session_id: 'taken' }), 201)
    for (const agent_id of ['a', 'b'])
      expect(codeOf(await create({ agent_id, session_id: 'taken' }))).toEqual([409, 'session.exists'])
    const other = createHttp(app(), (await app().makeKey()).key)
    expectStatus(await other.post('/v1/sessions', { agent_id: 'a', session_id: 'taken' }), 201)
  })

  it.each([
    [{ agent_id: '' }],
    [{ agent_id: 5 }],
    [{ session_id: '-x' }],
    [{ session_id: 'a b' }],
    [{ budget_tokens: 255 }],
    [{ budget_tokens: 1.5 }],
    [{ metadata: 'x' }],
    [{ options: { top_k: 101 } }],
    [{ options: { top_k: 0 } }],
    [{ options: { summary_style: 'verse' } }],
    [{ options: { auto_summary_at: 0 } }],
    [{ options: { filter_threshold: null } }],
    [{ options: { unknown: 1 } }],
    [{ messages: [{ role: 'user' }] }],
    [{ messages: [{ role: 'robot', content: 'x' }] }],
    [{ messages: [{ role: 'user', content: 'x', message_id: 'msg_1' }] }],
    [{ status: 'closed' }],
  ])('refuses %j', async (payload) => {
    expect(codeOf(await create(payload))).toEqual([400, 'request.invalid'])
  })

  it('refuses metadata that is too large, and a tool result without its call, and leaves nothing behind', async () => {
    const metadata = { a: 'x'.repeat(8_192) }
    expect(codeOf(await create({ session_id: 'none', metadata }))).toEqual([422, 'request.invalid_metadata'])
    const messages = [{ role: 'tool', content: 'x', tool_call_id: 'call_1' }]
    expect(codeOf(await create({ session_id: 'none', messages }))).toEqual([422, 'context.orphan_tool_result'])
    expect(codeOf(await http.get('/v1/sessions/none'))).toEqual([404, 'session.not_found'])
  })

  it('sessions are listed by agent and by status', async () => {
    for (const [agent_id, session_id] of [
      ['l1', 'l-1'],
      ['l1', 'l-2'],
      ['l2', 'l-3'],
    ])
      await create({ agent_id, session_id })
    await http.post('/v1/sessions/l-1/close')
    const listed = async (query: string) =>
      (await readPages(http, `/v1/sessions?${query}`)).map(({ session_id }) => session_id).join(' ')
    expect(await listed('agent_id=l1')).toBe('l-1 l-2')
    expect(await listed('agent_id=l1&status=open')).toBe('l-2')
    expect(await listed('agent_id=l1&status=closed')).toBe('l-1')
    expect(await listed('agent_id=nobody')).toBe('')
    for (const query of ['status=gone', 'agent_id=-', 'agent=a'])
      expect((await http.get(`/v1/sessions?${query}`)).statusCode).toBe(400)
    const [first] = await readPages(http, '/v1/sessions?agent_id=l1&status=open')
    expect(first).toEqual((await http.get('/v1/sessions/l-2')).data)
  })

  it('a closed session is read as before, and every write to it is a 409', async () => {
    await create({ session_id: 'closed', messages: said('First', 'Second', 'Third') })
    const reset = expectStatus(await http.post('/v1/sessions/closed/context/reset'), 200).json()
    const [message] = (await http.get('/v1/sessions/closed/messages')).json().data
    const closed = expectStatus(await http.post('/v1/sessions/closed/close'), 200)
    expect(closed.data).toMatchObject({ session_id: 'closed', status: 'closed', closed_at: moment })
    expect(expectStatus(await http.post('/v1/sessions/closed/close'), 200).data.closed_at).toBe(closed.data.closed_at)

    const tool = (name: string, payload: object) => http.post(`/v1/sessions/closed/tools/${name}`, payload)
    const memory_id = `mem_${'0'.repeat(32)}`
    const writes = [
      http.post('/v1/sessions/closed/messages', { messages: said('More') }),
      http.patch(`/v1/sessions/closed/messages/${message.message_id}`, { pinned: true }),
      http.post('/v1/sessions/closed/context/reset'),
      http.post(`/v1/sessions/closed/edits/${reset.edit.edit_id}/undo`),
      http.post('/v1/sessions/closed/tool_calls', { output: '<answer>x</answer>' }),
      tool('add_memory', { content: 'x' }),
      tool('update_memory', { memory_id, content: 'x' }),
      tool('delete_memory', { memory_id, confirmation: true }),
      tool('retrieve_memory', { query: 'x' }),
      tool('summary_context', { span: 'all' }),
      tool('filter_context', { criteria: 'x' }),
    ]
    for (const answer of await Promise.all(writes)) expect(codeOf(answer)).toEqual([409, 'session.closed'])
    for (const path of ['', '/messages', '/context', '/edits'])
      expectStatus(await http.get(`/v1/sessions/closed${path}`), 200)
  })

  describe('options', () => {
    it('auto_summary_at summarises after the append that reaches it, and not before', async () => {
      const line = 'The harbour office opens at nine and closes at five on every working day of the week. '
      await create({ session_id: 'auto', budget_tokens: 400, options: { auto_summary_at: 0.9 } })
      const append = async () =>
        expectStatus(await http.post('/v1/sessions/auto/messages', { messages: said(line.repeat(6)) }), 201).json()
      const first = await append()
      expect(first.context.pressure).toBeLessThan(0.9)
      let last = first
      for (let i = 0; i < 6 && (await http.get('/v1/sessions/auto/edits')).json().data.length === 0; i += 1)
        last = await append()
      const [edit] = (await http.get('/v1/sessions/auto/edits')).json().data
      expect(edit).toMatchObject({ kind: 'summary', context_version: last.context.version })
      expect(edit.tokens_before / 400).toBeGreaterThanOrEqual(0.9)
      expect(last.context.tokens).toBe(edit.tokens_after)
      const states = (await http.get('/v1/sessions/auto/messages')).json().data
      expect(states.map(({ state }: { state: string }) => state)).toContain('summarized')
    })

    it('summary_style is how a summary is written', async () => {
      const facts = ['Ana lives in Porto.', 'Bo sails in Bergen.', 'Cy bakes bread in Ghent.'].join(' ').repeat(8)
      const write = async (style: string) => {
        const session = {
          session_id: style,
          options: { summary_style: style },
          messages: said(facts, facts, 'What now?'),
        }
        expectStatus(await create(session), 201)
        return (await http.post(`/v1/sessions/${style}/tools/summary_context`, { span: 'all' })).json().result.summary
      }
      expect(await write('bullets')).toMatch(/^[-*•] /m)
      expect(await write('prose')).not.toMatch(/^[-*•] /m)
    })
  })
})
