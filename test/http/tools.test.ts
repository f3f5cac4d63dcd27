import { describe, expect, it } from 'vitest'
import { createTestApp } from '../support/app.ts'
import { anyVersion, codeOf, createHttp, expectStatus, idMatching, once, useApp, useSessions } from '../support/http.ts'

describe('tools over HTTP', () => {
  const { http } = useApp()
  const { session, agent, sessionId } = useSessions(http, 'tools')

  const call = (tool: string, payload: object) => http.post(`${session()}/tools/${tool}`, payload)
  const result = async (tool: string, payload: object) => expectStatus(await call(tool, payload), 200).json().result
  const say = (...contents: readonly string[]) =>
    http.post(`${session()}/messages`, { messages: contents.map((content) => ({ role: 'user', content })) })

  it('a tool answers with its result, the step, and the measure of the context', async () => {
    const answer = expectStatus(await call('add_memory', { content: 'Ana lives in Porto', memory_type: 'fact' }), 200)
    expect(answer.headers.etag).toBe('"v0"')
    expect(answer.data).toEqual({
      tool: 'add_memory',
      step_id: idMatching('stp'),
      result: { memory_id: idMatching('mem'), version: 1 },
      context: { version: 0, tokens: 0, budget_tokens: 8_192, pressure: 0 },
      degraded: [],
    })
    const { memory_id } = answer.json().result
    const memory = (await http.get(`${agent()}/memories/${memory_id}`)).data
    expect(memory).toMatchObject({ content: 'Ana lives in Porto', memory_type: 'fact' })
    expect(memory.source).toEqual({ source_id: sessionId(), position: expect.any(Number) })
    const again = await result('add_memory', { content: 'Ana lives in Porto' })
    expect(again.duplicate_of).toEqual({ memory_id, similarity: 1 })
  })

  it('update_memory replaces the content and merges the metadata, delete_memory takes it away', async () => {
    const { memory_id } = await result('add_memory', { content: 'Old', metadata: { a: 1, b: 1 } })
    expect(await result('update_memory', { memory_id, content: 'New', metadata: { b: 2 } })).toEqual({
      memory_id,
      version: 2,
    })
    const url = `${agent()}/memories/${memory_id}`
    expect((await http.get(url)).data).toMatchObject({ content: 'New', metadata: { a: 1, b: 2 }, version: 2 })
    expect(await result('delete_memory', { memory_id, confirmed: true })).toEqual({ memory_id, deleted: true })
    expect((await http.get(url)).statusCode).toBe(404)
    for (const [tool, payload] of [
      ['update_memory', { memory_id, content: 'Back' }],
      ['delete_memory', { memory_id, confirmation: true }],
    ] as const)
      expect(codeOf(await call(tool, payload))).toEqual([404, 'memory.not_found'])
  })

  it('retrieve_memory puts what it finds into the context once', async () => {
    const { memory_id } = await result('add_memory', {
      content: 'Ana drinks tea',
      memory_type: 'habit',
      metadata: { x: 1 },
    })
    await result('add_memory', { content: 'Bo drinks tea' })
    const answer = expectStatus(
      await call('retrieve_memory', { query: 'drinks tea', metadata_filter: { type: 'habit' } }),
      200,
    )
    expect(answer.headers.etag).toBe('"v1"')
    expect(answer.json().result).toEqual({
      memories: [
        {
          ...{ memory_id, version: 1, content: 'Ana drinks tea' },
          ...{ metadata: { x: 1, type: 'habit' }, score: expect.any(Number) },
        },
      ],
      already_in_context: [],
      message_id: idMatching('msg'),
    })
    const again = await result('retrieve_memory', { query: 'drinks tea', top_k: 1, metadata_filter: { x: 1 } })
    expect(again).toEqual({ memories: [], already_in_context: [memory_id], message_id: null })
    await result('update_memory', { memory_id, content: 'Ana drinks tea no more' })
    const changed = await result('retrieve_memory', { query: 'drinks tea', top_k: 1, metadata_filter: { x: 1 } })
    expect(changed).toMatchObject({
      memories: [{ memory_id, version: 2, content: 'Ana drinks tea no more' }],
      already_in_context: [],
    })
    const { messages } = (await http.get(`${session()}/context`)).json()
    expect(messages.at(-1).content).toContain('Ana drinks tea no more')
  })

  it('what a client appends of a RETRIEVE shows the version that it carries', async () => {
    const { memory_id } = await result('add_memory', { content: 'Ana drinks tea' })
    const retrieve = (id: string) => ({
      ...{ id, type: 'function' },
      function: { name: 'Retrieve_memory', arguments: '{"query":"tea"}' },
    })
    const ask = async (id: string) => {
      const tool_calls = [retrieve(id)]
      const step = expectStatus(await http.post(`${session()}/tool_calls`, { tool_calls }), 200).json()
      const [{ content }] = step.messages
      const answer = { role: 'tool', name: 'Retrieve_memory', tool_call_id: id, content }
      await http.post(`${session()}/messages`, { messages: [{ role: 'assistant', content: null, tool_calls }, answer] })
      return JSON.parse(content)
    }
    await result('update_memory', { memory_id, content: 'Ana drinks green tea' })
    expect((await ask('c1')).memories).toMatchObject([{ memory_id, version: 2 }])
    expect(await ask('c2')).toMatchObject({ memories: [], already_in_context: [memory_id] })
    await result('update_memory', { memory_id, content: 'Ana drinks black tea' })
    expect((await ask('c3')).memories).toMatchObject([{ memory_id, version: 3 }])
  })

  it('summary_context replaces the span by a shorter summary', async () => {
    const facts = 'Ana lives in Porto and sails on Sundays. '.repeat(20)
    await say(facts, facts, 'What now?')
    const before = (await http.get(`${session()}/context`)).data
    const answer = await result('summary_context', { span: 'all' })
    expect(answer).toEqual({
      edit_id: idMatching('edt'),
      summary_message_id: idMatching('msg'),
      summary: expect.any(String),
      replaced_message_ids: [idMatching('msg'), idMatching('msg')],
      tokens_before: before.tokens,
      tokens_after: expect.any(Number),
      written_by: 'extractive',
    })
    expect(answer.tokens_after).toBeLessThan(answer.tokens_before)
    expect(codeOf(await call('summary_context', { span: 1 }))).toEqual([422, 'context.nothing_to_summarize'])
  })

  it('filter_context removes what matches, and says what and by which threshold', async () => {
    await say('lunch plans', 'the harbour in Porto', 'What now?')
    const answer = await result('filter_context', { criteria: 'lunch plans' })
    expect(answer).toEqual({
      edit_id: idMatching('edt'),
      removed: [{ message_id: idMatching('msg'), similarity: expect.closeTo(1, 5) }],
      tokens_before: expect.any(Number),
      tokens_after: expect.any(Number),
      threshold: 0.5,
    })
    const nothing = await result('filter_context', { criteria: 'zeppelins' })
    expect(nothing).toMatchObject({ removed: [], threshold: 0.5, tokens_before: answer.tokens_after })
    expect(nothing).not.toHaveProperty('edit_id')
  })

  it.each([
    ['add_memory', {}],
    ['add_memory', { content: ' ' }],
    ['add_memory', { content: 'x', typo: 1 }],
    ['add_memory', { content: 'x', metadata: { a: 'x'.repeat(8_192) } }],
    ['update_memory', { memory_id: 'mem_1' }],
    ['update_memory', { content: 'x' }],
    ['delete_memory', { memory_id: 'mem_1' }],
    ['delete_memory', { memory_id: 'mem_1', confirmation: false }],
    ['retrieve_memory', { query: '' }],
    ['retrieve_memory', { query: 'x', top_k: 0 }],
    ['retrieve_memory', { query: 'x', top_k: 101 }],
    ['retrieve_memory', { query: 'x', metadata_filter: [] }],
    ['summary_context', { span: 'some' }],
    ['summary_context', { span: 0 }],
    ['filter_context', { criteria: '' }],
    ['filter_context', { criteria: 'x', threshold: 0.1 }],
  ])('%s refuses %j', async (tool, payload) => {
    const answer = await call(tool, payload)
    expect(codeOf(answer)).toEqual([422, 'tool.invalid_arguments'])
    expect(answer.data.errors).not.toEqual([])
  })

  describe('with If-Match', () => {
    const facts = 'Ana lives in Porto and sails on Sundays. '.repeat(20)
    const made = { id: 'c1', type: 'function', function: { name: 'Add_memory', arguments: '{"content":"x"}' } }
    const writes = [
      ['tools/add_memory', { content: 'x' }],
      ['tools/update_memory', { memory_id: `mem_${'0'.repeat(32)}`, content: 'x' }],
      ['tools/delete_memory', { memory_id: `mem_${'0'.repeat(32)}`, confirmation: true }],
      ['tools/retrieve_memory', { query: 'x' }],
      ['tools/summary_context', { span: 'all' }],
      ['tools/filter_context', { criteria: 'x' }],
      ['tool_calls', { tool_calls: [made], append: true }],
    ] as const

    it('a stale version is a 412 for every tool and turn, another form a 400, and nothing is done', async () => {
      await say(facts, 'What now?')
      const read = async () => [(await http.get(`${session()}/context`)).payload, (await http.get(agent())).payload]
      const before = await read()
      for (const [path, payload] of writes) {
        const send = (ifMatch: string) => http.post(`${session()}/${path}`, payload, { 'if-match': ifMatch })
        expect([path, ...codeOf(await send('"v7"'))]).toEqual([path, 412, 'context.version_mismatch'])
        expect([path, ...codeOf(await send('7'))]).toEqual([path, 400, 'request.invalid_if_match'])
      }
      expect(await read()).toEqual(before)
    })

    it('the version that is there, or any, goes through', async () => {
      await say(facts, facts, 'What now?')
      const at = (version: number) => ({ 'if-match': `"v${version}"` })
      expectStatus(await http.post(`${session()}/tools/add_memory`, { content: 'x' }, at(1)), 200)
      expectStatus(await http.post(`${session()}/tools/summary_context`, { span: 'all' }, at(1)), 200)
      expectStatus(await http.post(`${session()}/tool_calls`, { tool_calls: [made], append: true }, at(2)), 200)
      expectStatus(await http.post(`${session()}/tools/add_memory`, { content: 'y' }, anyVersion), 200)
    })
  })

  it('M2: what is sent again after the session was closed, or under a version that has passed, is answered as before', async () => {
    const made = { id: 'c1', type: 'function', function: { name: 'Add_memory', arguments: '{"content":"x"}' } }
    const tool = () =>
      http.post(`${session()}/tools/add_memory`, { content: 'Kept' }, { ...once(`${session()}.1`), 'if-match': '"v0"' })
    const turn = () =>
      http.post(
        `${session()}/tool_calls`,
        { tool_calls: [made], append: true },
        { ...once(`${session()}.2`), 'if-match': '"v0"' },
      )
    const first = [expectStatus(await tool(), 200).payload, expectStatus(await turn(), 200).payload]
    expectStatus(await http.post(`${session()}/close`), 200)
    expect([(await tool()).payload, (await turn()).payload]).toEqual(first)
    expect((await http.get(agent())).data.memory_count).toBe(2)
    expect(codeOf(await call('add_memory', { content: 'Late' }))).toEqual([409, 'session.closed'])
  })

  it('filter_context without an embedder, or with a slow one, says so and changes nothing', async () => {
    const slow = await createTestApp({ settings: { embedTimeoutMs: 50 } })
    const client = createHttp(slow, (await slow.makeKey()).key)
    const messages = [{ role: 'user', content: 'lunch plans' }, ...[{ role: 'user', content: 'What now?' }]]
    await client.post('/v1/sessions', { agent_id: 'a', session_id: 's', messages })
    const before = (await client.get('/v1/sessions/s/context')).payload
    for (const behaviour of ['unavailable', 'hangs'] as const) {
      slow.modules.embedder.behaviour = behaviour
      const answer = await client.post('/v1/sessions/s/tools/filter_context', { criteria: 'lunch' })
      expect([behaviour, ...codeOf(answer)]).toEqual([behaviour, 503, 'embedder.unavailable'])
      expect((await client.get('/v1/sessions/s/context')).payload).toBe(before)
      expect(answer.headers['retry-after']).toBe('1')
      const turn = {
        tool_calls: [
          { id: 'c', type: 'function', function: { name: 'Filter_context', arguments: '{"criteria":"x"}' } },
        ],
      }
      const step = expectStatus(await client.post('/v1/sessions/s/tool_calls', turn), 200).json()
      expect(step.calls[0].problem.code).toBe('embedder.unavailable')
    }
    await slow.close()
  })

  it('refuses no body, an unknown tool, and a session_id of another form', async () => {
    expect(codeOf(await http.post(`${session()}/tools/add_memory`))).toEqual([422, 'tool.invalid_arguments'])
    expect(codeOf(await call('clear_memory', {}))).toEqual([404, 'request.route_not_found'])
    expect(codeOf(await http.post('/v1/sessions/-x/tools/add_memory', { content: 'x' }))).toEqual([
      400,
      'request.invalid',
    ])
  })
})
