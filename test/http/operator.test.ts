import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { anyVersion, codeOf, createHttp, expectStatus, type Http, readPages } from '../support/http.ts'

type Data = Record<string, unknown>

describe('what the operator does with a tenant', () => {
  let test: TestApp
  let operator: Http

  beforeAll(async () => {
    test = await createTestApp()
    operator = createHttp(test, test.operatorKey)
  })
  afterAll(() => test.close())

  const makeTenant = async () => {
    const { key, tenantId } = await test.makeKey()
    return { key, tenantId, http: createHttp(test, key), url: `/v1/admin/tenants/${tenantId}` }
  }
  const setStatus = async (url: string, status: string) => expectStatus(await operator.patch(url, { status }), 200).data
  const auditOf = async (url: string): Promise<readonly Data[]> =>
    (await operator.get(`${url}/audit_events?limit=200`)).json().data

  it('suspends it: every key is refused at once, nothing is lost, and it goes on when it is active again', async () => {
    const { key, tenantId, http, url } = await makeTenant()
    const bound = createHttp(test, (await test.makeKey({ tenantId, agentIds: ['a'], scopes: ['memory:read'] })).key)
    const neighbour = await makeTenant()
    const { data: memory } = await http.post('/v1/agents/a/memories', { content: 'Mia has the spare key' })
    expect(await setStatus(url, 'suspended')).toMatchObject({ tenant_id: tenantId, status: 'suspended' })
    const refused = [
      await http.get('/v1/usage'),
      await bound.get('/v1/agents/a/memories'),
      await http.post('/v1/agents/a/memories', { content: 'x' }),
      await http.post('/v1/sessions', { agent_id: 'a' }),
      await http.get('/v1/admin/tenants'),
      await http.post('/mcp', { jsonrpc: '2.0', id: 1, method: 'ping' }),
    ]
    expect(refused.map(codeOf)).toEqual(refused.map(() => [403, 'tenant.suspended']))
    expect(codeOf(await createHttp(test, `${key.slice(0, -4)}AAAA`).get('/v1/usage'))).toEqual([
      401,
      'auth.invalid_key',
    ])
    expectStatus(await neighbour.http.get('/v1/usage'), 200)
    expect((await operator.get(url)).data.status).toBe('suspended')
    const renamed = expectStatus(await operator.patch(url, { name: 'In arrears' }), 200)
    expect(renamed.data).toMatchObject({ name: 'In arrears', status: 'suspended' })
    const listed: readonly Data[] = (await operator.get('/v1/admin/tenants?limit=200')).json().data
    expect(listed.find(({ tenant_id }) => tenant_id === tenantId)).toMatchObject({ status: 'suspended' })
    const another = expectStatus(await operator.post(`${url}/keys`, { name: 'new', scopes: ['usage:read'] }), 201)
    const fresh = createHttp(test, String(another.data.key))
    expect(codeOf(await fresh.get('/v1/usage'))).toEqual([403, 'tenant.suspended'])
    await test.modules.maintenance.runOnce()
    await test.modules.indexer.drain()
    expect((await operator.get(`${url}/usage`)).data).toMatchObject({ agents: 1, memories: 1 })
    expect(await setStatus(url, 'active')).toMatchObject({ status: 'active' })
    const read = await http.get(`/v1/agents/a/memories/${memory.memory_id}`)
    expectStatus(await fresh.get('/v1/usage'), 200)
    expect(expectStatus(read, 200).data).toMatchObject({ content: 'Mia has the spare key', index_state: 'indexed' })
  })

  it('suspends it for other processes once they look at the key again', async () => {
    const { key, url } = await makeTenant()
    const other = await createTestApp({ databaseUrl: test.modules.url, settings: { keyCacheMs: 60_000 } })
    const there = createHttp(other, key)
    expectStatus(await there.get('/v1/usage'), 200)
    await setStatus(url, 'suspended')
    other.modules.clock.advance(60_001)
    expect(codeOf(await there.get('/v1/usage'))).toEqual([403, 'tenant.suspended'])
    await setStatus(url, 'active')
    other.modules.clock.advance(60_001)
    expectStatus(await there.get('/v1/usage'), 200)
    await other.close()
  })

  it('suspends it: an import under way keeps what has come, and says how far that was', async () => {
    const { http, key, url } = await makeTenant()
    const line = (at: number) => `${JSON.stringify({ content: `Fact number ${at}` })}\n`
    async function* lines() {
      yield Array.from({ length: 500 }, (_, at) => line(at)).join('')
      await setStatus(url, 'suspended')
      yield Array.from({ length: 500 }, (_, at) => line(500 + at)).join('')
    }
    const headers = { 'content-type': 'application/x-ndjson', authorization: `Bearer ${key}` }
    const target = { method: 'POST', url: '/v1/agents/a/memories/import', headers } as const
    const answer = await test.app.inject({ ...target, payload: Readable.from(lines()) })
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'memory.import_broke_off'])
    await setStatus(url, 'active')
    const { memory_count: stored } = (await http.get('/v1/agents/a')).data
    expect(answer.json().detail).toContain(String(stored))
    expect(Number(stored)).toBeLessThanOrEqual(500)
    expect(Number(stored)).toBeGreaterThan(0)
  })

  it('of a suspension, a rename and a deletion at once, none undoes another', async () => {
    const { tenantId, url } = await makeTenant()
    const [suspended, renamed] = await Promise.all([
      operator.patch(url, { status: 'suspended' }),
      ...Array.from({ length: 8 }, (_, at) => operator.patch(url, { name: `Name ${at}` })),
    ])
    expect([suspended.statusCode, renamed?.statusCode]).toEqual([200, 200])
    expect((await operator.get(url)).data).toMatchObject({ status: 'suspended', name: expect.stringMatching(/^Name/) })
    await Promise.all([operator.delete(url), operator.patch(url, { status: 'active' })])
    await expect.poll(async () => (await operator.get(url)).data.status).toBe('deleted')
    expect(codeOf(await operator.patch(url, { status: 'active' }))).toEqual([409, 'tenant.not_active'])
    expect((await operator.get(url)).data).toMatchObject({ tenant_id: tenantId, status: 'deleted' })
  })

  it('takes no other status', async () => {
    const { url } = await makeTenant()
    for (const status of ['deleting', 'deleted', 'Active', '', null, 1])
      expect(codeOf(await operator.patch(url, { status }))).toEqual([400, 'request.invalid'])
  })

  it('sees what it uses and its keys, page by page and without the keys, and revokes any of them, also the last', async () => {
    const { key, tenantId, http, url } = await makeTenant()
    await test.makeKey({ tenantId, agentIds: ['a'] })
    await http.post('/v1/agents/a/memories', { content: 'x' })
    expect((await operator.get(`${url}/usage`)).data).toEqual((await http.get('/v1/usage')).data)
    const keys = await readPages(operator, `${url}/keys`)
    expect(keys).toEqual((await http.get('/v1/keys')).json().data)
    expect(keys).toHaveLength(2)
    expect(JSON.stringify(keys)).not.toContain(key)
    for (const { key_id: keyId } of keys) expectStatus(await operator.delete(`${url}/keys/${keyId}`), 204)
    expect(codeOf(await http.get('/v1/usage'))).toEqual([401, 'auth.invalid_key'])
    const [revoked] = await auditOf(url)
    expect(revoked).toMatchObject({ action: 'key.revoke', actor: 'operator', target: keys[1]?.key_id })
  })

  it("finds no tenant that is not there, and no key under another tenant's path", async () => {
    const [one, other] = [await makeTenant(), await makeTenant()]
    const [{ key_id: keyId }] = (await one.http.get('/v1/keys')).json().data
    expect(codeOf(await operator.delete(`${other.url}/keys/${keyId}`))).toEqual([404, 'key.not_found'])
    expectStatus(await one.http.get('/v1/usage'), 200)
    const nobody = `/v1/admin/tenants/ten_${'0'.repeat(32)}`
    for (const what of ['usage', 'keys', 'audit_events'])
      expect(codeOf(await operator.get(`${nobody}/${what}`))).toEqual([404, 'tenant.not_found'])
    expect(codeOf(await operator.delete(`${nobody}/keys/${keyId}`))).toEqual([404, 'tenant.not_found'])
  })

  it('reads its audit in the words of the API, newest first and page by page', async () => {
    const { http, url } = await makeTenant()
    const change = { quotas: { memories: 9 }, retention: { audit_days: 30 }, status: 'suspended' }
    expectStatus(await operator.patch(url, change), 200)
    await setStatus(url, 'active')
    const events = await readPages(operator, `${url}/audit_events`, { limit: 2 })
    expect(events).toEqual((await http.get('/v1/audit_events')).json().data)
    const actions = events.map(({ action }) => action)
    expect(actions).toEqual(['tenant.update', 'tenant.update', 'key.create', 'tenant.create'])
    expect(events[1]).toMatchObject({
      actor: 'operator',
      details: { status: 'suspended', quotas: { memories: 9, stored_bytes: null }, retention: { audit_days: 30 } },
    })
    expect(JSON.stringify(events)).not.toMatch(/memoriesMax|auditDays/)
  })

  it('finds in the audit who erased which agent, when it was done, and under which receipt', async () => {
    const { tenantId, http, url } = await makeTenant()
    await http.post('/v1/agents/gone/memories', { content: 'x' })
    await http.post('/v1/agents/kept/memories', { content: 'y' })
    const { data: erasure } = await http.delete('/v1/agents/gone', { 'x-request-id': 'by-request' })
    const [completed, requested] = await auditOf(url)
    const receipt = { erasure_id: erasure.erasure_id }
    const [own] = (await http.get('/v1/keys')).json().data
    expect(requested).toMatchObject({ action: 'agent.erase', actor: own.key_id, target: 'gone', details: receipt })
    expect(requested).toMatchObject({ request_id: 'by-request' })
    expect(completed).toMatchObject({ action: 'agent.erase.complete', actor: 'service', target: 'gone' })
    expect(completed?.details).toEqual({ ...receipt, stores: erasure.stores })
    const bound = createHttp(test, (await test.makeKey({ tenantId, agentIds: ['kept'] })).key)
    expect(JSON.stringify((await bound.get('/v1/audit_events')).json())).not.toContain('gone')
    expect(codeOf(await http.delete('/v1/agents/gone'))).toEqual([404, 'agent.not_found'])
    expect((await auditOf(url)).filter(({ action }) => String(action).startsWith('agent.erase'))).toHaveLength(2)
  })

  it('M7: reads the audit of a tenant that was deleted, and it names nobody', async () => {
    const { http, url, tenantId } = await makeTenant()
    await http.post('/v1/agents/canary-agent/memories', { content: 'x' }, { 'x-request-id': 'canary-request' })
    await http.post('/v1/agents/canary-other/memories', { content: 'x' })
    const created = await http.post('/v1/agents/canary-agent/memories', { content: 'canary-content' })
    await http.delete(`/v1/agents/canary-agent/memories/${created.data.memory_id}`, anyVersion)
    await http.delete('/v1/agents/canary-agent', { 'x-request-id': 'canary-erasure' })
    await operator.delete(url)
    await expect.poll(async () => (await operator.get(url)).data.status).toBe('deleted')
    const events = await auditOf(url)
    expect(events.map(({ action, target }) => [action, target])).toEqual([
      ['agent.erase.complete', ''],
      ['tenant.delete', tenantId],
      ['agent.erase.complete', ''],
      ['agent.erase', ''],
      ['key.create', ''],
      ['tenant.create', tenantId],
    ])
    expect(JSON.stringify(events)).not.toContain('canary')
    expect((await operator.get(`${url}/keys`)).json().data).toEqual([])
    expect((await operator.get(`${url}/usage`)).data).toMatchObject({ agents: 0, memories: 0, stored_bytes: 0 })
  })
})
