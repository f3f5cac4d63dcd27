import { beforeAll, describe, expect, it } from 'vitest'
import { codeOf, expectStatus, useApp } from '../support/http.ts'

type Result = { memory: { content: string }; score: number; scores: { semantic?: number; keyword?: number } }

describe('search over HTTP', () => {
  const { http, app } = useApp()

  const url = '/v1/agents/searched/memories'
  const search = (payload: object) => http.post(`${url}/search`, payload)
  const results = async (payload: object): Promise<readonly Result[]> =>
    expectStatus(await search(payload), 200).json().results
  const contents = async (payload: object) => (await results(payload)).map(({ memory }) => memory.content)

  const memories = [
    { content: 'Ana drinks green tea', memory_type: 'preference', metadata: { who: 'ana', cups: 3, hot: true } },
    { content: 'Bo drinks black coffee', memory_type: 'preference', metadata: { who: 'bo', cups: 1, hot: true } },
    { content: 'Cy drinks cold water', memory_type: 'habit', metadata: { who: 'cy', hot: false, glass: null } },
    { content: 'Di drinks green juice', metadata: { who: 'di', made: { of: ['kiwi', 1] } } },
  ]

  beforeAll(async () => {
    expectStatus(await http.post(`${url}/batch`, { memories }), 200)
  })

  describe.each([false, true])('with everything indexed: %s', (isIndexed) => {
    beforeAll(async () => {
      if (isIndexed) await app().modules.indexer.drain()
    })

    it.each(['hybrid', 'keyword'])('mode %s finds by words, the best first', async (mode) => {
      const found = await results({ query: 'green tea', mode })
      expect(found[0]?.memory.content).toBe('Ana drinks green tea')
      const scores = found.map(({ score }) => score)
      expect(scores).toEqual([...scores].sort((a, b) => b - a))
      expect(found[0]?.scores.keyword).toEqual(expect.any(Number))
    })

    it('a result has the whole memory, its score and the scores it is made of', async () => {
      const answer = expectStatus(await search({ query: 'green tea', top_k: 1 }), 200).json()
      expect(Object.keys(answer).sort()).toEqual(['degraded', 'results'])
      expect(answer.degraded).toEqual([])
      const [{ memory, ...rest }] = answer.results
      const { index_state: _, ...read } = (await http.get(`${url}/${memory.memory_id}`)).json()
      expect(memory).toMatchObject(read)
      expect(rest).toEqual({ score: expect.any(Number), scores: expect.any(Object) })
    })

    it.each([
      [{ who: 'bo' }, ['Bo drinks black coffee']],
      [{ cups: 3 }, ['Ana drinks green tea']],
      [{ hot: false }, ['Cy drinks cold water']],
      [{ glass: null }, ['Cy drinks cold water']],
      [{ made: { of: ['kiwi', 1] } }, ['Di drinks green juice']],
      [{ made: { of: ['kiwi'] } }, []],
      [{ who: 'ana', cups: 1 }, []],
      [{ type: 'habit' }, ['Cy drinks cold water']],
    ])('a metadata_filter %j holds before top_k', async (metadata_filter, expected) => {
      expect(await contents({ query: 'drinks green tea', top_k: 1, metadata_filter })).toEqual(expected)
    })

    it('memory_type and metadata_filter hold together', async () => {
      const query = 'drinks'
      expect(await contents({ query, memory_type: 'habit' })).toEqual(['Cy drinks cold water'])
      expect(await contents({ query, memory_type: 'habit', metadata_filter: { hot: true } })).toEqual([])
    })

    it('memory_type means the same as in a list, and not a type that metadata tells of', async () => {
      await http.post('/v1/agents/typed/memories/batch', {
        memories: [
          { content: 'Tea by type', memory_type: 'habit' },
          { content: 'Tea by label', metadata: { type: 'habit' } },
        ],
      })
      if (isIndexed) await app().modules.indexer.drain()
      const search = { query: 'tea', memory_type: 'habit' }
      const { results: found } = expectStatus(await http.post('/v1/agents/typed/memories/search', search), 200).json()
      const { data: listed } = (await http.get('/v1/agents/typed/memories?memory_type=habit')).json()
      const bodies = [found.map(({ memory }: Result) => memory), listed]
      for (const memories of bodies)
        expect(new Set(memories.map(({ content }: Result['memory']) => content))).toEqual(new Set(['Tea by type']))
    })

    it.each(['hybrid', 'keyword'])('min_score leaves out what scores lower in mode %s', async (mode) => {
      const all = await results({ query: 'green tea', mode })
      const bound = Number(all[0]?.score)
      const kept = await results({ query: 'green tea', mode, min_score: bound })
      expect(kept).toEqual(all.filter(({ score }) => score >= bound))
      expect(await results({ query: 'green tea', mode, min_score: bound + 1e-6 })).toEqual([])
    })

    it('top_k bounds the answer', async () => {
      for (const top_k of [1, 2, 100])
        expect(await results({ query: 'drinks', top_k })).toHaveLength(Math.min(top_k, 4))
    })
  })

  it('mode semantic finds by cosine alone', async () => {
    await app().modules.indexer.drain()
    const found = await results({ query: 'green tea', mode: 'semantic', top_k: 2 })
    expect(found[0]?.memory.content).toBe('Ana drinks green tea')
    for (const { score, scores } of found) {
      expect(score).toBeLessThanOrEqual(1 + 1e-6)
      expect(scores).toEqual({ semantic: score })
    }
    expect(await results({ query: 'green tea', mode: 'semantic', min_score: 1.01 })).toEqual([])
  })

  it('says when the embedder did not take part, and words stand in', async () => {
    app().modules.embedder.behaviour = 'unavailable'
    try {
      const answer = expectStatus(await search({ query: 'black coffee' }), 200).json()
      expect(answer.degraded).toEqual(['embedder'])
      expect(answer.results[0].memory.content).toBe('Bo drinks black coffee')
    } finally {
      app().modules.embedder.behaviour = 'answers'
    }
  })

  it.each([
    [{}],
    [{ query: '' }],
    [{ query: 'x'.repeat(32_769) }],
    [{ query: 'x', top_k: 0 }],
    [{ query: 'x', top_k: 101 }],
    [{ query: 'x', top_k: '3' }],
    [{ query: 'x', mode: 'fuzzy' }],
    [{ query: 'x', min_score: 'high' }],
    [{ query: 'x', memory_type: '' }],
    [{ query: 'x', metadata_filter: [] }],
    [{ query: 'x', filter: {} }],
  ])('refuses %j', async (payload) => {
    expect(codeOf(await search(payload))).toEqual([400, 'request.invalid'])
  })

  it('refuses a filter that no metadata can match', async () => {
    const metadata_filter = { a: { b: { c: { d: { e: {} } } } } }
    expect(codeOf(await search({ query: 'x', metadata_filter }))).toEqual([422, 'request.invalid_metadata'])
  })

  it.each([' ', '\n\t', '\u3000', '\u200b'])('refuses the blank query %j, as the tool does', async (query) => {
    expect(codeOf(await search({ query }))).toEqual([422, 'memory.invalid_query'])
  })

  it('of no words or of an agent that is not there does not fail', async () => {
    for (const query of ['!?', '\u{1f375}', 'x'.repeat(32_768)]) expectStatus(await search({ query }), 200)
    const nobody = await http.post('/v1/agents/nobody/memories/search', { query: 'tea' })
    expect(nobody.data).toEqual({ results: [], degraded: [] })
  })
})
