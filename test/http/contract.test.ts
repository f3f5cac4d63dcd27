/** What holds for every operation of a kind: retries, pages, unknown fields and parameters, types, sizes. */
import { beforeAll, describe, expect, it } from 'vitest'
import { codeOf, createHttp, expectStatus, type Http, once, readPages, useApp } from '../support/http.ts'

type Post = { readonly url: string; readonly payload?: object; readonly other?: object }

describe('the contract of every operation', () => {
  const { http, app } = useApp()
  let operator: Http
  let memory: string
  let edit: string

  const messages = [{ role: 'user', content: 'Hello' }]

  beforeAll(async () => {
    operator = createHttp(app(), app().operatorKey)
    for (const session_id of ['s', 'closing', 'resetting', 'undoing'])
      expectStatus(await http.post('/v1/sessions', { agent_id: 'a', session_id, messages }), 201)
    memory = String((await http.post('/v1/agents/a/memories', { content: 'Ana drinks tea' })).data.memory_id)
    edit = (await http.post('/v1/sessions/undoing/context/reset')).json().edit.edit_id
  })

  const writes = (): Readonly<Record<string, Post>> => ({
    addMemory: { url: '/v1/agents/a/memories', payload: { content: 'x' }, other: { content: 'y' } },
    addMemories: {
      url: '/v1/agents/a/memories/batch',
      payload: { memories: [{ content: 'x' }] },
      other: { memories: [{ content: 'y' }] },
    },
    revertMemory: { url: `/v1/agents/a/memories/${memory}/revert`, payload: { version: 1 }, other: { version: 2 } },
    createSession: { url: '/v1/sessions', payload: { agent_id: 'a', messages }, other: { agent_id: 'b' } },
    closeSession: { url: '/v1/sessions/closing/close' },
    appendMessages: {
      url: '/v1/sessions/s/messages',
      payload: { messages },
      other: { messages: [...messages, ...messages] },
    },
    resetContext: { url: '/v1/sessions/resetting/context/reset' },
    undoEdit: { url: `/v1/sessions/undoing/edits/${edit}/undo` },
    callAddMemory: { url: '/v1/sessions/s/tools/add_memory', payload: { content: 'x' }, other: { content: 'y' } },
    callRetrieveMemory: {
      url: '/v1/sessions/s/tools/retrieve_memory',
      payload: { query: 'tea' },
      other: { query: 'x' },
    },
    callFilterContext: {
      url: '/v1/sessions/s/tools/filter_context',
      payload: { criteria: 'hello' },
      other: { criteria: 'x' },
    },
    callTools: {
      url: '/v1/sessions/s/tool_calls',
      payload: {
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'Add_memory', arguments: '{"content":"x"}' } }],
      },
      other: { output: '<answer>x</answer>' },
    },
    createKey: {
      url: '/v1/keys',
      payload: { name: 'k', scopes: ['usage:read'] },
      other: { name: 'l', scopes: ['usage:read'] },
    },
    createTenant: { url: '/v1/admin/tenants', payload: { name: 'T' }, other: { name: 'U' } },
  })
  const senderOf = (url: string) => (url.startsWith('/v1/admin') ? operator : http)

  it('M2: a retry under its Idempotency-Key has the same status, headers and body, and another body is a 422', async () => {
    for (const [name, { url, payload, other }] of Object.entries(writes())) {
      const send = (body?: object) => senderOf(url).post(url, body, once(`${name}-1`))
      const [first, again] = [await send(payload), await send(payload)]
      expect(first.statusCode, `${name} ${first.payload}`).toBeLessThan(300)
      expect([name, again.statusCode, again.payload]).toEqual([name, first.statusCode, first.payload])
      for (const header of ['etag', 'location'])
        expect([name, again.headers[header]]).toEqual([name, first.headers[header]])
      if (other !== undefined)
        expect([name, ...codeOf(await send(other))]).toEqual([name, 422, 'idempotency.key_reused'])
    }
  })

  it('an unknown field, another type of body and a body that is too large are refused', async () => {
    for (const [name, { url, payload }] of Object.entries(writes())) {
      const sender = senderOf(url)
      const unknown = await sender.post(url, { ...payload, surprise: 1 })
      expect([name, [400, 422].includes(unknown.statusCode)]).toEqual([name, true])
      const text = await sender.post(url, 'hello', { 'content-type': 'text/plain' })
      expect([name, ...codeOf(text)]).toEqual([name, 415, 'request.unsupported_media_type'])
      if (payload === undefined) continue
      const broken = await sender.post(url, '{"a":', { 'content-type': 'application/json' })
      expect([name, ...codeOf(broken)]).toEqual([name, 400, 'request.malformed_json'])
    }
    const large = { content: 'x'.repeat(4 * 1024 * 1024) }
    expect(codeOf(await http.post('/v1/agents/a/memories', large))).toEqual([413, 'request.too_large'])
  })

  it('an unknown query parameter is refused by every operation that takes a key', async () => {
    const { paths } = (await http.get('/openapi.json')).json()
    for (const [path, methods] of Object.entries<Record<string, { operationId: string; security?: readonly [] }>>(
      paths,
    )) {
      const url = path.replace(/\{(agent|session)_id\}/g, 's').replace(/\{([a-z]+)_id\}/g, (_, name) => {
        return `${{ memory: 'mem', message: 'msg', edit: 'edt', key: 'key', tenant: 'ten', erasure: 'era' }[String(name)]}_${'0'.repeat(32)}`
      })
      for (const [method, { operationId, security }] of Object.entries(methods)) {
        if (security?.length === 0) continue
        const key = path.startsWith('/v1/admin') ? app().operatorKey : (await app().makeKey()).key
        const answer = await app().request(key, { method: method.toUpperCase() as 'GET', url: `${url}?surprise=1` })
        expect([operationId, answer.statusCode]).toEqual([operationId, 400])
      }
    }
  })

  it('every list is read to its end page by page, no item twice or lost, also while items are added', async () => {
    const add = (content: string) => http.post('/v1/agents/pages/memories', { content })
    for (const content of ['a', 'b', 'c']) await add(content)
    const url = `/v1/agents/pages/memories/${(await add('d')).data.memory_id}`
    await http.patch(url, { content: 'e' }, { 'if-match': '*' })
    let more = 0
    const addMore = async () => {
      more += 1
      if (more > 3) return
      await add('later')
      await http.post('/v1/sessions', { agent_id: `z-${more}`, session_id: `z-${more}` })
      await http.post('/v1/sessions/s/messages', { messages })
      await http.post('/v1/keys', { name: 'later', scopes: ['usage:read'] })
    }
    const lists = {
      '/v1/agents': 'agent_id',
      '/v1/sessions': 'session_id',
      '/v1/keys': 'key_id',
      '/v1/audit_events': 'audit_event_id',
      '/v1/agents/pages/memories': 'memory_id',
      '/v1/agents/pages/memories?order=asc': 'memory_id',
      [`${url}/versions`]: 'version',
      '/v1/sessions/s/messages': 'message_id',
      '/v1/sessions/s/edits': 'edit_id',
    }
    for (const [list, id] of Object.entries(lists)) {
      more = 0
      const idsOf = (items: readonly Readonly<Record<string, unknown>>[]) => items.map((item) => item[id])
      const before = idsOf(await readPages(http, list, { limit: 200 }))
      const seen = idsOf(await readPages(http, list, { between: addMore }))
      expect([list, new Set(seen).size]).toEqual([list, seen.length])
      expect(seen).toEqual(expect.arrayContaining(before))
      for (const limit of ['0', '201', '-1', '1.5', 'x'])
        expect((await http.get(`${list}${list.includes('?') ? '&' : '?'}limit=${limit}`)).statusCode).toBe(400)
    }
  })

  it("T1: another tenant's id is byte for byte the 404 of a missing one", async () => {
    const stranger = createHttp(app(), (await app().makeKey()).key)
    const same = { 'x-request-id': 'same' }
    const pairs = [
      ['/v1/agents/a', '/v1/agents/nobody'],
      [`/v1/agents/a/memories/${memory}`, `/v1/agents/a/memories/mem_${'0'.repeat(32)}`],
      [`/v1/agents/a/memories/${memory}/versions`, `/v1/agents/a/memories/mem_${'0'.repeat(32)}/versions`],
      ...['', '/context', '/messages', '/edits'].map((path) => [`/v1/sessions/s${path}`, `/v1/sessions/nobody${path}`]),
    ]
    for (const [foreign = '', missing = ''] of pairs) {
      const [one, other] = [await stranger.get(foreign, same), await stranger.get(missing, same)]
      expect([foreign, one.statusCode, one.payload]).toEqual([foreign, 404, other.payload])
    }
  })
})
