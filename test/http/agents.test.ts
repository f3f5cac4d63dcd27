import { describe, expect, it } from 'vitest'
import { codeOf, expectStatus, idMatching, moment, useApp } from '../support/http.ts'

describe('agents and erasures over HTTP', () => {
  const { http, app } = useApp()

  const add = (agent: string, payload: object) => http.post(`/v1/agents/${agent}/memories`, payload)
  const createSession = async (payload: object) => expectStatus(await http.post('/v1/sessions', payload), 201).json()
  const setDefaults = async (agent: string, defaults: object) => {
    await add(agent, { content: `The agent ${agent} comes into being` })
    return expectStatus(await http.patch(`/v1/agents/${agent}`, { defaults }), 200)
  }

  it('an agent comes into being with its first memory or session, and shows what it has', async () => {
    const { data: memory } = await add('by-memory', { content: 'Lives in Porto' })
    expect((await http.get('/v1/agents/by-memory')).data).toEqual({
      agent_id: 'by-memory',
      metadata: {},
      defaults: {},
      memory_count: 1,
      session_count: 0,
      memory_tokens: memory.tokens,
      revision: 1,
      index_lag: expect.any(Number),
      created_at: moment,
      updated_at: moment,
    })
    await createSession({ agent_id: 'by-session' })
    expect((await http.get('/v1/agents/by-session')).data).toMatchObject({ memory_count: 0, session_count: 1 })
  })

  it('the index of an agent catches up', async () => {
    await add('lagging', { content: 'A first fact' })
    await app().modules.indexer.drain()
    expect((await http.get('/v1/agents/lagging')).data).toMatchObject({ revision: 1, index_lag: 0 })
  })

  it('a change replaces what is given and leaves the rest', async () => {
    await setDefaults('changed', { top_k: 7 })
    const answer = await http.patch('/v1/agents/changed', { metadata: { plan: 'pro' } })
    expect(answer.data).toMatchObject({ metadata: { plan: 'pro' }, defaults: { top_k: 7 } })
    const replaced = await http.patch('/v1/agents/changed', { defaults: { budget_tokens: 1_000 } })
    expect(replaced.data).toMatchObject({ metadata: { plan: 'pro' }, defaults: { budget_tokens: 1_000 } })
    expect(replaced.json().defaults).not.toHaveProperty('top_k')
    expect((await http.get('/v1/agents/changed')).data).toEqual(replaced.data)
  })

  it.each([
    [{}],
    [{ agent_id: 'x' }],
    [{ metadata: null }],
    [{ defaults: { budget_tokens: 255 } }],
    [{ defaults: { top_k: 0 } }],
    [{ defaults: { top_k: 101 } }],
    [{ defaults: { memory_ttl_seconds: 0 } }],
    [{ defaults: { filter_threshold: '0.5' } }],
    [{ defaults: { unknown: 1 } }],
  ])('refuses the change %j', async (payload) => {
    await add('refusing', { content: 'x' })
    expect(codeOf(await http.patch('/v1/agents/refusing', payload))).toEqual([400, 'request.invalid'])
  })

  it('refuses metadata that is too large or too deep', async () => {
    await add('refusing', { content: 'x' })
    for (const metadata of [{ a: 'x'.repeat(8_200) }, { a: { b: { c: { d: { e: {} } } } } }])
      expect(codeOf(await http.patch('/v1/agents/refusing', { metadata }))).toEqual([422, 'request.invalid_metadata'])
  })

  it('refuses an agent_id of another form', async () => {
    for (const id of ['-a', '%20', 'a'.repeat(129), 'a%2Fb', 'ä'])
      expect((await http.get(`/v1/agents/${encodeURIComponent(decodeURIComponent(id))}`)).statusCode).toBe(400)
    expect((await http.post('/v1/sessions', { agent_id: '-a' })).statusCode).toBe(400)
  })

  describe('defaults', () => {
    it('give a new session its budget, threshold and top_k, where it sets none of its own', async () => {
      await setDefaults('d1', { budget_tokens: 1_234, filter_threshold: 0.9, top_k: 2 })
      const session = await createSession({ agent_id: 'd1' })
      expect(session.context.budget_tokens).toBe(1_234)
      expect(session.options).toEqual({ filter_threshold: 0.9, top_k: 2 })
      const own = await createSession({ agent_id: 'd1', budget_tokens: 999, options: { top_k: 5 } })
      expect([own.context.budget_tokens, own.options]).toEqual([999, { filter_threshold: 0.9, top_k: 5 }])
    })

    it('of top_k bound a retrieval', async () => {
      await setDefaults('d2', { top_k: 2 })
      for (const name of ['Ana', 'Bo', 'Cy', 'Di']) await add('d2', { content: `${name} likes tea` })
      const { session_id } = await createSession({ agent_id: 'd2' })
      const call = (payload: object) => http.post(`/v1/sessions/${session_id}/tools/retrieve_memory`, payload)
      expect((await call({ query: 'likes tea' })).json().result.memories).toHaveLength(2)
      expect((await call({ query: 'likes tea', top_k: 1 })).json().result.already_in_context).toHaveLength(1)
    })

    it('of filter_threshold say what a filter removes', async () => {
      await setDefaults('d3', { filter_threshold: 2 })
      const messages = ['lunch plans', 'lunch plans', 'the question'].map((content) => ({ role: 'user', content }))
      const { session_id } = await createSession({ agent_id: 'd3', messages })
      const answer = await http.post(`/v1/sessions/${session_id}/tools/filter_context`, { criteria: 'lunch plans' })
      expect(answer.json().result).toMatchObject({ removed: [], threshold: 2 })
    })

    it('of duplicate_threshold say what is a near duplicate', async () => {
      const tell = async (agent: string, threshold: number) => {
        await setDefaults(agent, { duplicate_threshold: threshold })
        await add(agent, { content: 'Ana drinks green tea every morning' })
        await app().modules.indexer.drain()
        return (await add(agent, { content: 'Every morning Ana drinks green tea' })).data
      }
      expect((await tell('d4', 0.5)).duplicate_of).toEqual({
        memory_id: idMatching('mem'),
        similarity: expect.any(Number),
      })
      expect(await tell('d5', 1.5)).not.toHaveProperty('duplicate_of')
    })

    it('of duplicate_threshold above 1 turn it off, for identical contents too', async () => {
      await setDefaults('d6', { duplicate_threshold: 2 })
      const same = { content: 'Ana drinks green tea every morning' }
      await add('d6', same)
      const batch = (await http.post('/v1/agents/d6/memories/batch', { memories: [same, same] })).json()
      for (const memory of [
        (await add('d6', same)).data,
        ...batch.results.map((each: { memory: object }) => each.memory),
      ])
        for (const name of ['duplicate_of', 'related_to']) expect(memory).not.toHaveProperty(name)
    })
  })

  it('an erasure takes everything, and its receipt says what was where', async () => {
    await add('erased', { content: 'To be forgotten' })
    await createSession({ agent_id: 'erased', session_id: 'erased-session' })
    await app().modules.indexer.drain()
    const answer = expectStatus(await http.delete('/v1/agents/erased'), 202)
    expect(answer.data).toEqual({
      erasure_id: idMatching('era'),
      agent_id: 'erased',
      status: 'completed',
      requested_at: moment,
      completed_at: moment,
      stores: expect.arrayContaining([{ store: expect.any(String), removed: expect.any(Number) }]),
    })
    const url = `/v1/erasures/${answer.data.erasure_id}`
    expect(answer.headers.location).toBe(url)
    expect((await http.get(url)).data).toEqual(answer.data)
    for (const gone of ['/v1/agents/erased', '/v1/sessions/erased-session'])
      expect((await http.get(gone)).statusCode).toBe(404)
    expect(codeOf(await http.delete('/v1/agents/erased'))).toEqual([404, 'agent.not_found'])
    expect(codeOf(await http.get(`/v1/erasures/era_${'0'.repeat(32)}`))).toEqual([404, 'erasure.not_found'])
    expect(codeOf(await http.get('/v1/erasures/era_1'))).toEqual([400, 'request.invalid'])
  })
})
