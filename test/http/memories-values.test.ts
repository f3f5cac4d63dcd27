/** What is taken is read back as it was sent, by every door; what cannot be is refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sql } from '../../src/shared/sql.ts'
import { expectStatus, once, useApp } from '../support/http.ts'

const long = '1234567890123456789'

describe('values of memories', () => {
  const { http, app } = useApp()
  const urlOf = (agent: string) => `/v1/agents/${agent}/memories`
  const json = { 'content-type': 'application/json' }
  const ndjson = { 'content-type': 'application/x-ndjson' }

  const exported = async (agent: string): Promise<readonly Record<string, unknown>[]> => {
    const { payload } = expectStatus(await http.get(`${urlOf(agent)}/export`), 200)
    return payload.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }

  const part = (max: number) => fc.integer({ min: 0, max })
  const moment = fc
    .tuple(fc.integer({ min: 2, max: 9_998 }), part(11), part(27), part(86_399), part(999_999), part(2_878))
    .map(([year, month, day, second, micros, zone]) => {
      const date = new Date(0)
      date.setUTCFullYear(year, month, day + 1)
      date.setUTCSeconds(second)
      const [offset, size] = [zone - 1_439, Math.abs(zone - 1_439)]
      const two = (value: number) => String(value).padStart(2, '0')
      const text = `${two(Math.floor(size / 60))}:${two(size % 60)}`
      return `${date.toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}${offset < 0 ? '-' : '+'}${text}`
    })
  const text = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 40 })
    .filter((value) => !value.includes('\u0000') && /[\p{L}\p{N}]/u.test(value))
  const key = text.filter((name) => !['__proto__', 'constructor'].includes(name))
  const scalar = fc.oneof(
    text,
    fc.constant(''),
    fc.boolean(),
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }).map((value) => value + 0),
  )
  const memory = fc.record(
    {
      content: text,
      memory_type: text,
      metadata: fc.dictionary(
        fc.oneof(key, fc.constant('')),
        fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(key, scalar, { maxKeys: 3 })),
        { maxKeys: 5 },
      ),
      occurred_at: moment,
      source: fc.record({ source_id: text, position: fc.maxSafeNat() }),
    },
    { requiredKeys: ['content'] },
  )

  it('the name of an unknown member is shortened at a whole character, by body, query and import', async () => {
    const name = `${'a'.repeat(63)}👩‍🚀`
    const errors = [{ pointer: `/${'a'.repeat(63)}`, detail: 'is not known here' }]
    const url = urlOf('shortened')
    const body = { content: 'x', [name]: 1 }
    for (const answer of [await http.post(url, body), await http.get(`${url}?${encodeURIComponent(name)}=1`)])
      expect(answer.data).toMatchObject({ status: 400, errors })
    const imported = await http.post(`${url}/import`, JSON.stringify(body), ndjson)
    expect(imported.data).toMatchObject({ rejected: [{ line: 1, problem: { errors } }] })
  })

  it('V1: any memory is read back as it was sent, and goes through an export and an import to the byte', async () => {
    const memories = fc.sample(memory, 120)
    const { results } = expectStatus(await http.post(`${urlOf('origin')}/batch`, { memories }), 200).json()
    expect(results.filter(({ status }: { status: string }) => status !== 'created')).toEqual([])
    for (const [at, { memory: stored }] of results.entries()) {
      const { occurred_at, ...sent } = memories[at] ?? { content: '' }
      const { data } = expectStatus(await http.get(`${urlOf('origin')}/${stored.memory_id}`), 200)
      expect(data).toMatchObject(JSON.parse(JSON.stringify(sent)))
      expect(data.metadata).toEqual(sent.metadata ?? {})
      if (occurred_at === undefined) continue
      const [ms, micros] = [Date.parse(occurred_at.slice(0, 23) + occurred_at.slice(26)), occurred_at.slice(23, 26)]
      const utc = new Date(ms).toISOString().replace('Z', `${micros === '000' ? '' : micros}Z`)
      expect(data.occurred_at).toBe(utc)
    }
    const lines = await exported('origin')
    const payload = lines.map((line) => JSON.stringify(line)).join('\n')
    expectStatus(await http.post(`${urlOf('copy')}/import`, payload, ndjson), 200)
    const withoutIds = (all: readonly Record<string, unknown>[]) =>
      all.map(({ memory_id, agent_id, updated_at, index_state, ...rest }) => JSON.stringify(rest)).sort()
    expect(withoutIds(await exported('copy'))).toEqual(withoutIds(lines))
  })

  it('early moments hold up nobody: get, list, search, change and delete go on', async () => {
    for (const occurred_at of ['0024-05-01T12:00:00Z', '0001-01-01T00:00:00Z', '0099-12-31T23:59:59.999999Z']) {
      const added = expectStatus(await http.post(urlOf('early'), { content: `In ${occurred_at}`, occurred_at }), 201)
      expect(String(added.data.occurred_at).slice(0, 19)).toBe(occurred_at.slice(0, 19))
    }
    await app().modules.indexer.drain()
    expect((await exported('early')).map(({ occurred_at }) => String(occurred_at).slice(0, 4)).sort()).toEqual([
      '0001',
      '0024',
      '0099',
    ])
    const { results } = (await http.post(`${urlOf('early')}/search`, { query: 'May 24', mode: 'keyword' })).json()
    expect(results[0].memory.occurred_at).toBe('0024-05-01T12:00:00.000Z')
  })

  it('a moment that cannot be told cannot be put into the table, even by hand', async () => {
    const { tenantId } = await app().makeKey()
    for (const value of ['infinity', '-infinity', '0044-03-15 BC', '10000-01-01'])
      await expect(
        app().modules.database.transact(tenantId, (tx) =>
          tx.query(sql`
            insert into memory (tenant_id, agent_id, memory_id, content, revision, content_revision, content_hash, tokens,
              changed_by, created_at, updated_at, occurred_at)
            values (${tenantId}, 'a', 'm', 'x', 1, 1, 1, 1, 'k', now(), now(), ${value}::timestamptz)`),
        ),
      ).rejects.toMatchObject({ status: 500, cause: { constraint: 'memory_has_moments_that_can_be_told' } })
  })

  it('a memory is found by the day of the clock that it was told with, also after a copy', async () => {
    await http.post(urlOf('days'), { content: 'Dinner', occurred_at: '2024-03-15T00:30:00+09:00' })
    const [line] = await exported('days')
    expect(line).toMatchObject({ occurred_at: '2024-03-14T15:30:00.000Z', occurred_offset_minutes: 540 })
    await http.post(`${urlOf('days-copy')}/import`, JSON.stringify(line), ndjson)
    for (const agent of ['days', 'days-copy']) {
      await app().modules.indexer.drain()
      const found = async (query: string) =>
        (await http.post(`${urlOf(agent)}/search`, { query, mode: 'keyword' })).json().results.length
      expect([await found('15'), await found('14')]).toEqual([1, 0])
    }
  })

  it('V1: a number that would be stored as another is refused by every door, and named', async () => {
    const { session_id } = (await http.post('/v1/sessions', { agent_id: 'exact' })).data
    const metadata = `"metadata":{"discord_id":${long}}`
    const tools = `/v1/sessions/${session_id}/tools`
    const doors: readonly [url: string, body: string, pointer: string][] = [
      [urlOf('exact'), `{"content":"x",${metadata}}`, '/metadata/discord_id'],
      [`${urlOf('exact')}/batch`, `{"memories":[{"content":"x",${metadata}}]}`, '/memories/0/metadata/discord_id'],
      [
        `${urlOf('exact')}/search`,
        `{"query":"x","metadata_filter":{"discord_id":${long}}}`,
        '/metadata_filter/discord_id',
      ],
      [`${tools}/add_memory`, `{"content":"x",${metadata}}`, '/metadata/discord_id'],
      ['/v1/sessions', `{"agent_id":"exact",${metadata}}`, '/metadata/discord_id'],
      [
        `/v1/sessions/${session_id}/tool_calls`,
        `{"tool_calls":[{"function":{"name":"Add_memory","arguments":{"content":"x",${metadata}}}}]}`,
        '/tool_calls/0/function/arguments/metadata/discord_id',
      ],
      [
        '/mcp',
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"Add_memory","arguments":{"content":"x",${metadata}}}}`,
        '/params/arguments/metadata/discord_id',
      ],
    ]
    for (const [url, body, pointer] of doors) {
      const { statusCode, data } = await http.post(url, body, json)
      expect([url, statusCode, data.code, data.errors]).toEqual([
        url,
        400,
        'request.unsafe_text',
        [{ pointer, detail: expect.stringContaining('as text') }],
      ])
    }
    const listed = await http.get(`${urlOf('exact')}?metadata=${encodeURIComponent(`{"discord_id":${long}}`)}`)
    expect([listed.statusCode, listed.data.errors]).toEqual([
      400,
      [{ pointer: '/metadata/discord_id', detail: expect.any(String) }],
    ])
    const imported = await http.post(`${urlOf('exact')}/import`, `{"content":"x",${metadata}}\n{"content":"y"}`, ndjson)
    expect(imported.data).toMatchObject({
      created: 1,
      rejected: [{ line: 1, problem: { errors: [{ pointer: '/metadata/discord_id' }] } }],
    })
  })

  it('V1: what a model wrote is kept as it wrote it: long numbers, leading zeros and backslashes, with a note', async () => {
    const { session_id } = (await http.post('/v1/sessions', { agent_id: 'model' })).data
    const call = String.raw`{"name":"Add_memory","arguments":{"content":"C:\Users\me\notes and \d+\s*\w","metadata":{"id":${long},"zip":01234}}}`
    const sent = [{ output: `<think>x</think><tool_call>[${call}]</tool_call>` }]
    for (const body of sent) {
      const { violations } = expectStatus(await http.post(`/v1/sessions/${session_id}/tool_calls`, body), 200).json()
      expect(violations.map(({ code }: { code: string }) => code).sort()).toEqual(['bare_backslash', 'number_as_text'])
    }
    expect(await exported('model')).toMatchObject([
      { content: String.raw`C:\Users\me\notes and \d+\s*\w`, metadata: { id: long, zip: '01234' } },
    ])
  })

  it('an ADD tells a duplicate from what is about the same, of fresh and of indexed memories alike (M4)', async () => {
    const agent = '/v1/agents/similar'
    expectStatus(await http.post(urlOf('similar'), { content: 'first' }), 201)
    expectStatus(await http.patch(agent, { defaults: { duplicate_threshold: 0.6 } }), 200)
    const { session_id } = (await http.post('/v1/sessions', { agent_id: 'similar' })).data
    const tell = async (content: string) => {
      const answer = await http.post(`/v1/sessions/${session_id}/tools/add_memory`, { content })
      return expectStatus(answer, 200).json().result
    }
    const asked = await tell('Nadia may have penicillin in the hospital.')
    expect(await tell('In the hospital Nadia may have penicillin.')).toMatchObject({
      duplicate_of: { memory_id: asked.memory_id },
    })
    const fresh = await tell('Nadia must not have penicillin in the hospital.')
    expect(fresh.related_to).toMatchObject({ differs: expect.arrayContaining(['negation']) })
    expect(fresh).not.toHaveProperty('duplicate_of')
    await app().modules.indexer.drain()
    const told = expectStatus(
      await http.post(urlOf('similar'), { content: 'Nadia may have penicillin in this hospital.' }, once('s')),
      201,
    )
    expect(told.data.duplicate_of).toMatchObject({ similarity: expect.any(Number) })
    const again = await http.post(urlOf('similar'), { content: 'Nadia may have aspirin in the hospital.' })
    expect(again.data).not.toHaveProperty('duplicate_of')
    expect(again.data.related_to).toMatchObject({ differs: ['word'] })
  })
})
