import { describe, expect, it } from 'vitest'
import { anyVersion, codeOf, expectStatus, idMatching, moment, once, readPages, useApp } from '../support/http.ts'

describe('one memory over HTTP', () => {
  const { http, app } = useApp()

  const memories = '/v1/agents/one/memories'
  const add = (payload: object | string, headers = {}) => http.post(memories, payload, headers)
  const stored = async (payload: object) => {
    const { data } = expectStatus(await add(payload), 201)
    const memory: Record<string, unknown> = data
    return { memory, url: `${memories}/${data.memory_id}` }
  }
  const nowIn = (seconds: number) => Date.now() + seconds * 1_000

  it('addMemory answers 201 with the memory, where it is and which version', async () => {
    const payload = {
      content: 'Prefers tea',
      memory_type: 'preference',
      metadata: { topic: 'drinks', nested: { deep: [1, null, true] } },
      occurred_at: '2024-05-01T12:00:00+02:00',
      source: { source_id: 'dialogue-1', position: 7 },
      ttl_seconds: 3_600,
    }
    const answer = expectStatus(await add(payload), 201)
    const { ttl_seconds: _, ...given } = payload
    expect(answer.data).toEqual({
      ...given,
      occurred_at: '2024-05-01T10:00:00.000Z',
      occurred_offset_minutes: 120,
      memory_id: idMatching('mem'),
      agent_id: 'one',
      version: 1,
      index_state: 'pending',
      tokens: expect.any(Number),
      created_at: moment,
      updated_at: moment,
      expires_at: moment,
      duplicate_check: 'near',
    })
    expect(Date.parse(String(answer.data.expires_at))).toBeGreaterThan(nowIn(3_500))
    expect(answer.headers).toMatchObject({ location: `${memories}/${answer.data.memory_id}`, etag: '"v1"' })
    const read = expectStatus(await http.get(String(answer.headers.location)), 200)
    expect(read.headers.etag).toBe('"v1"')
    const { duplicate_check: _check, ...stored } = answer.data
    expect({ ...read.data, index_state: 'pending' }).toEqual(stored)
  })

  it('a memory of content alone has null for what it may lack, and nothing for what it has not', async () => {
    const { data } = expectStatus(await add({ content: 'Bare' }), 201)
    expect(data).toMatchObject({ memory_type: null, metadata: {}, expires_at: null })
    for (const name of ['source', 'occurred_at', 'duplicate_of']) expect(data).not.toHaveProperty(name)
  })

  it('duplicate_of names the memory with the same words', async () => {
    const first = await stored({ content: 'Said twice' })
    const second = await stored({ content: 'Said twice' })
    expect(second.memory.duplicate_of).toEqual({ memory_id: first.memory.memory_id, similarity: 1 })
    expect((await http.get(second.url)).data).not.toHaveProperty('duplicate_of')
  })

  it.each([
    [{ content: '' }],
    [{ content: 'x'.repeat(32_769) }],
    [{ content: 'x', memory_type: '' }],
    [{ content: 'x', memory_type: null }],
    [{ content: 'x', metadata: [] }],
    [{ content: 'x', metadata: null }],
    [{ content: 'x', ttl_seconds: 0 }],
    [{ content: 'x', ttl_seconds: 1.5 }],
    [{ content: 'x', occurred_at: 'yesterday' }],
    [{ content: 'x', source: { source_id: 'a' } }],
    [{ content: 'x', source: { source_id: 'a', position: -1 } }],
    [{ content: 'x', source: { source_id: 'a', position: 1, extra: 1 } }],
    [{ content: 'x', memory_id: 'mem_1' }],
    [{ memory_type: 'x' }],
  ])('refuses %j as a request of another form', async (payload) => {
    expect(codeOf(await add(payload))).toEqual([400, 'request.invalid'])
  })

  it.each([
    [' \n\t ', {}, '/content'],
    ['\u200b\u200d', {}, '/content'],
    ['too large metadata', { a: 'x'.repeat(8_192) }, '/metadata'],
    ['too deep metadata', { a: { b: { c: { d: { e: {} } } } } }, '/metadata'],
  ])('refuses what cannot be stored: %j', async (content, metadata, pointer) => {
    const answer = await add({ content, metadata })
    expect(codeOf(answer)).toEqual([422, 'memory.invalid'])
    expect(answer.data.errors).toMatchObject([{ pointer }])
  })

  it('refuses a blank memory_type, when it is new and when it changes', async () => {
    const { url } = await stored({ content: 'Typed', memory_type: 'fact' })
    const blank = { memory_type: ' \u200b' }
    for (const answer of [await add({ content: 'x', ...blank }), await http.patch(url, blank, anyVersion)]) {
      expect(codeOf(answer)).toEqual([422, 'memory.invalid'])
      expect(answer.data.errors).toMatchObject([{ pointer: '/memory_type' }])
    }
  })

  it('takes the longest content, the largest and the deepest metadata', async () => {
    const largest = { a: 'x'.repeat(8_192 - '{"a":""}'.length) }
    for (const metadata of [largest, { a: { b: { c: { d: [] } } } }])
      expectStatus(await add({ content: '𝒳'.repeat(32_768), metadata }), 201)
  })

  it.each(['2016-12-31T23:59:60Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-12:00', '2024-02-30T00:00:00Z'])(
    'stores or refuses the moment %s, and never fails over it',
    async (occurred_at) => {
      const answer = await add({ content: 'When?', occurred_at })
      expect([201, 400, 422]).toContain(answer.statusCode)
      const batch = await http.post(`${memories}/batch`, { memories: [{ content: 'When?', occurred_at }] })
      expect(batch.statusCode).toBe(200)
    },
  )

  it('a memory is gone at the end of its time', async () => {
    const { url } = await stored({ content: 'Fleeting', ttl_seconds: 60 })
    expectStatus(await http.get(url), 200)
    app().modules.clock.advance(61_000)
    expect(codeOf(await http.get(url))).toEqual([404, 'memory.not_found'])
    expect(codeOf(await http.patch(url, { content: 'Back' }, anyVersion))).toEqual([404, 'memory.not_found'])
    expect(codeOf(await http.delete(url, anyVersion))).toEqual([404, 'memory.not_found'])
  })

  it('updateMemory replaces what is given, keeps the rest, and makes a version', async () => {
    const { url, memory } = await stored({ content: 'Old', memory_type: 'fact', metadata: { a: 1, b: 2 } })
    const answer = expectStatus(await http.patch(url, { metadata: { a: 3 } }, { 'if-match': '"v1"' }), 200)
    expect(answer.headers.etag).toBe('"v2"')
    const { duplicate_check: _, ...kept } = memory
    expect(answer.data).toEqual({ ...kept, metadata: { a: 3 }, version: 2, updated_at: moment })
    const more = { content: 'New', memory_type: null, ttl_seconds: 60 }
    const again = expectStatus(await http.patch(url, more, { 'if-match': '"v2"' }), 200)
    expect(again.data).toMatchObject({ content: 'New', memory_type: null, version: 3, expires_at: moment })
    expect((await http.patch(url, { ttl_seconds: null }, anyVersion)).data).toMatchObject({ expires_at: null })
  })

  it('M2: updateMemory under one Idempotency-Key is done once, and answers again as it did', async () => {
    const { url } = await stored({ content: 'Lives in Bonn' })
    const headers = { 'if-match': '"v1"', ...once('moved') }
    const send = (content: string) => http.patch(url, { content }, headers)
    const first = expectStatus(await send('Lives in Ulm'), 200)
    const again = expectStatus(await send('Lives in Ulm'), 200)
    expect([again.payload, again.headers.etag]).toEqual([first.payload, '"v2"'])
    expect(codeOf(await send('Lives in Jena'))).toEqual([422, 'idempotency.key_reused'])
    expect((await http.get(url)).data).toMatchObject({ content: 'Lives in Ulm', version: 2 })
    expect(codeOf(await http.patch(url, { content: 'Lives in Kiel' }, { ...headers, ...once('late') }))).toEqual([
      412,
      'memory.version_mismatch',
    ])
    const malformed = { 'if-match': '"v2"', 'idempotency-key': 'two words' }
    const refused = await http.patch(url, { content: 'x' }, malformed)
    expect(codeOf(refused)).toEqual([400, 'request.invalid_idempotency_key'])
    expectStatus(await http.delete(url, anyVersion), 204)
    expect(codeOf(await send('Lives in Ulm'))).toEqual([410, 'idempotency.answer_gone'])
  })

  it('M2: of equal updates at once under one Idempotency-Key one is done', async () => {
    const { url } = await stored({ content: 'Plays chess' })
    const headers = { ...anyVersion, ...once('at-once') }
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => http.patch(url, { content: 'Plays go' }, headers)),
    )
    for (const answer of answers) expect([200, 409]).toContain(answer.statusCode)
    expect((await http.get(url)).data).toMatchObject({ content: 'Plays go', version: 2 })
  })

  it.each(['PATCH', 'DELETE'] as const)('%s wants If-Match, and the version that is there', async (method) => {
    const { url } = await stored({ content: `For ${method}` })
    const send = (headers: Record<string, string>) =>
      method === 'PATCH' ? http.patch(url, { content: 'Changed' }, headers) : http.delete(url, headers)
    expect(codeOf(await send({}))).toEqual([428, 'request.if_match_required'])
    expect(codeOf(await send({ 'if-match': '"v2"' }))).toEqual([412, 'memory.version_mismatch'])
    for (const header of ['W/"v1"', '"1"', '"v2", "v3"'])
      expect(codeOf(await send({ 'if-match': header }))).toEqual([412, 'memory.version_mismatch'])
    for (const header of ['v1', ''])
      expect(codeOf(await send({ 'if-match': header }))).toEqual([400, 'request.invalid_if_match'])
    expectStatus(await send({ 'if-match': '"v2", "v1"' }), method === 'PATCH' ? 200 : 204)
  })

  it('of two updates of one version, one is told that it is late', async () => {
    const { url } = await stored({ content: 'Contested' })
    const send = (content: string) => http.patch(url, { content }, { 'if-match': '"v1"' })
    const answers = await Promise.all([send('Left'), send('Right')])
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([200, 412])
  })

  it.each([
    [{}],
    [{ content: null }],
    [{ version: 2 }],
    [{ metadata: null }],
    [{ ttl_seconds: 0 }],
    [{ memory_type: '' }],
  ])('refuses the change %j', async (payload) => {
    const { url } = await stored({ content: 'Unchanged' })
    expect(codeOf(await http.patch(url, payload, anyVersion))).toEqual([400, 'request.invalid'])
    expect((await http.get(url)).data).toMatchObject({ version: 1 })
  })

  it('a deleted memory answers 204 without a body, then is not found', async () => {
    const { url } = await stored({ content: 'Short-lived' })
    expect((await http.delete(url, anyVersion)).payload).toBe('')
    for (const again of [await http.get(url), await http.delete(url, anyVersion), await http.get(`${url}/versions`)])
      expect(codeOf(again)).toEqual([404, 'memory.not_found'])
  })

  it('versions are listed from the newest, and a revert makes an older one the newest', async () => {
    const { url } = await stored({ content: 'First', memory_type: 'fact', metadata: { a: 1 } })
    await http.patch(url, { content: 'Second', metadata: { a: 2 }, memory_type: null }, anyVersion)
    const stale = await http.post(`${url}/revert`, { version: 1 }, { 'if-match': '"v1"' })
    expect(codeOf(stale)).toEqual([412, 'memory.version_mismatch'])
    const reverted = expectStatus(await http.post(`${url}/revert`, { version: 1 }, { 'if-match': '"v2"' }), 200)
    expect(reverted.headers.etag).toBe('"v3"')
    expect(reverted.data).toMatchObject({ content: 'First', memory_type: 'fact', metadata: { a: 1 }, version: 3 })
    const versions = await readPages(http, `${url}/versions`)
    expect(versions.map(({ version, content }) => [version, content])).toEqual([
      [3, 'First'],
      [2, 'Second'],
      [1, 'First'],
    ])
    expect(versions[1]).toEqual({
      version: 2,
      content: 'Second',
      memory_type: null,
      metadata: { a: 2 },
      changed_by: idMatching('key'),
      created_at: moment,
    })
    for (const version of [9, 2_147_483_646, 2_147_483_647])
      expect(codeOf(await http.post(`${url}/revert`, { version }))).toEqual([404, 'memory.version_not_found'])
    for (const payload of [{}, { version: 0 }, { version: '1' }, { version: 1, force: true }])
      expect(codeOf(await http.post(`${url}/revert`, payload))).toEqual([400, 'request.invalid'])
  })

  it('an id of another form is refused, one that is not there is not found', async () => {
    for (const id of ['mem_1', 'x', `ses_${'0'.repeat(32)}`])
      expect(codeOf(await http.get(`${memories}/${id}`))).toEqual([400, 'request.invalid'])
    const { memory } = await stored({ content: 'Of agent one' })
    for (const url of [`${memories}/mem_${'0'.repeat(32)}`, `/v1/agents/two/memories/${memory.memory_id}`])
      expect(codeOf(await http.get(url))).toEqual([404, 'memory.not_found'])
  })
})
