import { beforeAll, describe, expect, it } from 'vitest'
import { encodeCursor } from '../../src/shared/page.ts'
import { codeOf, expectProblem, expectStatus, idMatching, once, readPages, useApp } from '../support/http.ts'

describe('many memories over HTTP', () => {
  const { http, app } = useApp()

  const batch = (agent: string, memories: readonly unknown[], headers = {}) =>
    http.post(`/v1/agents/${agent}/memories/batch`, { memories }, headers)

  describe('addMemories', () => {
    it('stores what is good and says why the rest is not, each at its place', async () => {
      const given = [
        { content: 'Good' },
        { content: '' },
        { content: 'x', typo: 1 },
        5,
        { content: ' ' },
        { content: 'Too' },
      ]
      const { results } = expectStatus(await batch('batch', given), 200).json()
      expect(results.map(({ index, status }: { index: number; status: string }) => [index, status])).toEqual([
        [0, 'created'],
        [1, 'rejected'],
        [2, 'rejected'],
        [3, 'rejected'],
        [4, 'rejected'],
        [5, 'created'],
      ])
      expect(results[0]).toEqual({ index: 0, status: 'created', memory: expect.objectContaining({ content: 'Good' }) })
      expect(results[2]).toEqual({
        index: 2,
        status: 'rejected',
        problem: expect.objectContaining({ status: 422, code: 'memory.invalid', errors: [expect.any(Object)] }),
      })
      expect((await http.get('/v1/agents/batch')).data).toMatchObject({ memory_count: 2, revision: 1 })
    })

    it('takes 1 to 500 memories', async () => {
      expectStatus(
        await batch(
          'many',
          Array.from({ length: 500 }, (_, at) => ({ content: `Fact ${at}` })),
        ),
        200,
      )
      for (const memories of [[], Array.from({ length: 501 }, () => ({ content: 'x' }))])
        expect(codeOf(await batch('many', memories))).toEqual([400, 'request.invalid'])
      expect((await http.get('/v1/agents/many')).data.memory_count).toBe(500)
      expect(await readPages(http, '/v1/agents/many/memories', { limit: 200 })).toHaveLength(500)
    })

    it('a retry answers as the first time did and stores nothing', async () => {
      const given = [{ content: 'Once' }, { content: '' }]
      const first = expectStatus(await batch('again', given, { ...once('b'), 'x-request-id': 'same' }), 200)
      const second = await batch('again', given, { ...once('b'), 'x-request-id': 'same' })
      expect(second.payload).toBe(first.payload)
      expect((await http.get('/v1/agents/again')).data.memory_count).toBe(1)
    })
  })

  describe('listMemories', () => {
    const kinds: readonly (readonly [string, Record<string, unknown>])[] = [
      ['fact', { topic: 'tea', strong: true, cups: 2, note: null, nested: { a: [1, { b: 2 }] } }],
      ['fact', { topic: 'coffee', strong: false, cups: 2.5, note: '' }],
      ['task', { topic: 'tea', cups: '2', nested: { a: [1, { b: 3 }] } }],
    ]
    const url = '/v1/agents/listed/memories'
    const listed = async (query: string) =>
      (await readPages(http, `${url}?${query}`)).map(({ content }) => String(content).at(-1)).join('')
    const where = (filter: unknown) => listed(`order=asc&metadata=${encodeURIComponent(JSON.stringify(filter))}`)

    beforeAll(async () => {
      for (const [at, [memory_type, metadata]] of kinds.entries())
        expectStatus(await http.post(url, { content: `Memory ${at}`, memory_type, metadata }), 201)
    })

    it('has both orders by creation, the newest first unless asked otherwise', async () => {
      expect([await listed(''), await listed('order=desc'), await listed('order=asc')]).toEqual(['210', '210', '012'])
    })

    it('filters by type', async () => {
      expect([
        await listed('memory_type=fact'),
        await listed('memory_type=task'),
        await listed('memory_type=x'),
      ]).toEqual(['10', '2', ''])
    })

    it.each([
      [{ topic: 'tea' }, '02'],
      [{ topic: 'tea', strong: true }, '0'],
      [{ strong: false }, '1'],
      [{ cups: 2 }, '0'],
      [{ cups: 2.5 }, '1'],
      [{ cups: '2' }, '2'],
      [{ note: null }, '0'],
      [{ note: '' }, '1'],
      [{ nested: { a: [1, { b: 2 }] } }, '0'],
      [{ nested: { a: [1] } }, ''],
      [{ type: 'task' }, '2'],
      [{ unknown: 1 }, ''],
      [{}, '012'],
    ])('filters by metadata %j', async (filter, expected) => {
      expect(await where(filter)).toBe(expected)
    })

    it('filters by time of creation, exclusively', async () => {
      const all = await readPages(http, `${url}?order=asc`)
      const at = (index: number) => encodeURIComponent(String(all[index]?.created_at))
      expect(await listed('created_after=2000-01-01T00:00:00Z')).toBe('210')
      expect(await listed('created_before=2000-01-01T00:00:00%2B01:00')).toBe('')
      expect(await listed(`created_before=${at(0)}`)).toBe('')
      expect(await listed(`created_after=${at(2)}`)).toBe('')
    })

    it('filters by index_state', async () => {
      await app().modules.indexer.drain()
      expect([await listed('index_state=indexed'), await listed('index_state=pending')]).toEqual(['210', ''])
      await http.post('/v1/agents/fresh/memories', { content: 'poison 9' })
      await app().modules.indexer.drain()
      const failed = await http.get('/v1/agents/fresh/memories?index_state=failed')
      expect(failed.json().data).toMatchObject([{ content: 'poison 9', index_state: 'failed' }])
    })

    it.each([
      'order=up',
      'index_state=done',
      'created_after=monday',
      'memory_type=',
      'limit=0',
      'limit=201',
      'cursor=',
      'cursor=x',
      'agent_id=a',
    ])('refuses ?%s', async (query) => {
      expect((await http.get(`${url}?${query}`)).statusCode).toBe(400)
    })

    it.each(['tea', '[]', 'null', '{"a":', '5'])('refuses ?metadata=%s', async (text) => {
      expect(codeOf(await http.get(`${url}?metadata=${encodeURIComponent(text)}`))).toEqual([
        422,
        'memory.invalid_filter',
      ])
    })

    it.each(['2016-12-31T23:59:60Z', '0000-01-01T00:00:00Z'])('refuses ?created_after=%s', async (text) => {
      expect(codeOf(await http.get(`${url}?created_after=${text}`))).toEqual([422, 'request.invalid_moment'])
    })

    it('never fails over text that cannot be stored, or is nested deep', async () => {
      const deep = `{"a":${'['.repeat(4_000)}${']'.repeat(4_000)}}`
      for (const text of ['{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"__proto__":1}', deep])
        expect([200, 400, 422]).toContain((await http.get(`${url}?metadata=${encodeURIComponent(text)}`)).statusCode)
    })

    it('of an agent that is not there is empty', async () => {
      expect((await http.get('/v1/agents/nobody/memories')).data).toEqual({ data: [], next_cursor: null })
    })
  })

  describe('export and import', () => {
    const ndjson = { 'content-type': 'application/x-ndjson' }
    const send = (agent: string, lines: readonly unknown[], headers = {}) =>
      http.post(
        `/v1/agents/${agent}/memories/import`,
        lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
        { ...ndjson, ...headers },
      )
    const exported = async (agent: string): Promise<readonly Record<string, unknown>[]> => {
      const answer = expectStatus(await http.get(`/v1/agents/${agent}/memories/export`), 200)
      expect(answer.headers['content-type']).toBe('application/x-ndjson')
      return answer.payload.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
    }

    it('what was exported can be imported, with its times, types, metadata and sources', async () => {
      const memories = [
        { content: 'One', memory_type: 'fact', metadata: { a: { b: 1 } }, occurred_at: '2024-01-01T00:00:00Z' },
        { content: 'Two', source: { source_id: 's', position: 3 }, ttl_seconds: 600 },
      ]
      await batch('origin', memories)
      const origin = await exported('origin')
      expect(origin.map(({ content }) => content)).toEqual(['One', 'Two'])
      expect(expectStatus(await send('copy', origin), 200).data).toEqual({
        created: 2,
        rejected: [],
        rejected_count: 0,
      })
      const copies = await exported('copy')
      for (const [at, copy] of copies.entries()) {
        const { memory_id, agent_id, index_state, updated_at, ...rest } = copy
        expect(origin[at]).toMatchObject(rest)
        expect([memory_id, agent_id]).toEqual([idMatching('mem'), 'copy'])
        expect(memory_id).not.toBe(origin[at]?.memory_id)
      }
    })

    it('says of each line that cannot be stored which and why, and stores the others', async () => {
      const lines = [
        '{"content":"Good"}',
        'no json',
        '',
        '{"content":""}',
        '{"content":"x","typo":1}',
        '{"content":"Fine"}',
      ]
      const { created, rejected, rejected_count } = (await send('lines', lines)).json()
      expect([created, rejected_count]).toEqual([2, 3])
      expect(rejected.map(({ line }: { line: number }) => line)).toEqual([2, 4, 5])
      expect(rejected[0].problem).toMatchObject({ code: 'memory.invalid', status: 422, request_id: expect.any(String) })
      expect((await send('lines', [])).data).toEqual({ created: 0, rejected: [], rejected_count: 0 })
    })

    it.each(['created_at', 'expires_at', 'occurred_at'])('rejects a line whose %s cannot be stored', async (field) => {
      const answer = await send('moments', [{ content: 'x', [field]: '0000-01-01T00:00:00Z' }, { content: 'y' }])
      expect(answer.data).toMatchObject({ created: 1, rejected: [{ line: 1 }] })
    })

    it('with an Idempotency-Key, sent again it is answered as before, and other lines are another request (M2)', async () => {
      const lines = [{ content: 'First' }, { content: 'Second' }]
      const first = expectStatus(await send('resumed', lines, once('i')), 200)
      expect(expectStatus(await send('resumed', lines, once('i')), 200).data).toEqual(first.data)
      for (const others of [[{ content: 'Other' }], lines.slice(0, 1), [...lines, { content: 'Third' }]])
        expectProblem(await send('resumed', others, once('i')), 422, 'idempotency.key_reused')
      expect((await exported('resumed')).map(({ content }) => content).sort()).toEqual(['First', 'Second'])
    })

    it('an imported memory stands in a list, and in an export, where its creation puts it', async () => {
      await http.post('/v1/agents/mixed/memories', { content: 'Now' })
      const lines = [2021, 2019, 2020].map((year) => ({ content: `${year}`, created_at: `${year}-05-01T00:00:00Z` }))
      await send('mixed', [...lines, { content: '2020 too', created_at: '2020-05-01T00:00:00Z' }])
      const years = (items: readonly object[]) =>
        items.map((item) => String('content' in item && item.content).slice(0, 4))
      const oldestFirst = ['2019', '2020', '2020', '2021', 'Now']
      expect(years(await readPages(http, '/v1/agents/mixed/memories?order=asc'))).toEqual(oldestFirst)
      expect(years(await readPages(http, '/v1/agents/mixed/memories'))).toEqual([...oldestFirst].reverse())
      expect(years(await exported('mixed'))).toEqual(oldestFirst)
    })

    it.each([
      [['2020-01-01', 'mem_1']],
      [['2021-02-30T00:00:00Z', 'mem_1']],
      [['0000-01-01T00:00:00Z', 'mem_1']],
      [['infinity', '']],
      [['mem_1']],
    ])('a forged cursor %j of a list is a 400', async (keys) => {
      const cursor = encodeCursor('memories desc mixed', keys)
      expect(codeOf(await http.get(`/v1/agents/mixed/memories?cursor=${cursor}`))).toEqual([
        400,
        'request.invalid_cursor',
      ])
    })

    it('is refused without NDJSON, and for an agent_id of another form', async () => {
      expect((await http.post('/v1/agents/a/memories/import')).statusCode).toBe(415)
      expect(codeOf(await send('-bad', [{ content: 'x' }]))).toEqual([400, 'request.invalid'])
    })

    it('an export of an agent that is not there is empty', async () => {
      expect(await exported('nobody')).toEqual([])
    })
  })
})
