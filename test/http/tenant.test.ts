import type { InjectOptions } from 'fastify'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sql } from '../../src/shared/sql.ts'
import { createTestApp, type TestApp } from '../support/app.ts'
import { codeOf, once } from '../support/http.ts'

type Data = Record<string, unknown>

/** Every row of every table, as text: what a thief of the database would read. */
const dump = async (url: string): Promise<string> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query("select tablename from pg_tables where schemaname = 'public'")
    const texts: string[] = []
    for (const { tablename } of rows) {
      const content = await client.query(`select t::text as text from ${pg.escapeIdentifier(tablename)} as t`)
      texts.push(...content.rows.map(({ text }) => `${tablename}: ${text}`))
    }
    return texts.join('\n')
  } finally {
    await client.end()
  }
}

describe('tenants and keys', () => {
  let test: TestApp

  beforeAll(async () => {
    test = await createTestApp()
  })
  afterAll(() => test.close())

  const ask = (
    key: string | null,
    operation: string,
    { payload, headers }: Pick<InjectOptions, 'payload' | 'headers'> = {},
  ) => {
    const [method, url] = operation.split(' ') as [NonNullable<InjectOptions['method']>, string]
    return test.request(key, {
      method,
      url,
      ...(payload === undefined ? {} : { payload }),
      ...(headers === undefined ? {} : { headers }),
    })
  }
  const operate = (operation: string, options?: Pick<InjectOptions, 'payload' | 'headers'>) =>
    ask(test.operatorKey, operation, options)

  it('the operator creates, reads, lists and changes tenants', async () => {
    const created = await operate('POST /v1/admin/tenants', { payload: { name: 'Harbour', quotas: { memories: 5 } } })
    expect(created.statusCode).toBe(201)
    const url = String(created.headers.location)
    expect(created.data).toMatchObject({ name: 'Harbour', status: 'active' })
    expect(created.data.quotas).toEqual({
      requests_per_second: null,
      memories: 5,
      stored_bytes: null,
      model_tokens_per_day: null,
    })
    expect((await operate(`GET ${url}`)).data).toEqual(created.data)

    const changed = await operate(`PATCH ${url}`, { payload: { quotas: { stored_bytes: 10, memories: null } } })
    expect(changed.data).toMatchObject({ name: 'Harbour', quotas: { memories: null, stored_bytes: 10 } })

    const seen: unknown[] = []
    for (let cursor: unknown = ''; cursor !== null; ) {
      const page = (await operate(`GET /v1/admin/tenants?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)).json()
      expect(page.data.length).toBeLessThanOrEqual(1)
      seen.push(...page.data.map(({ tenant_id }: Data) => tenant_id))
      cursor = page.next_cursor
    }
    expect(seen).toContain(created.data.tenant_id)
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('a tenant that is not there is a 404, a body of another form a 400', async () => {
    const missing = `/v1/admin/tenants/ten_${'0'.repeat(32)}`
    const key = { name: 'a', scopes: ['usage:read'] }
    for (const [operation, payload] of [
      [`GET ${missing}`, undefined],
      [`PATCH ${missing}`, { name: 'x' }],
      [`DELETE ${missing}`, undefined],
      [`POST ${missing}/keys`, key],
    ] as const)
      expect(codeOf(await operate(operation, payload === undefined ? {} : { payload }))).toEqual([
        404,
        'tenant.not_found',
      ])
    for (const payload of [{}, { name: '' }, { name: 'a', quotas: { memories: -1 } }, { name: 'a', tenant_id: 'x' }])
      expect((await operate('POST /v1/admin/tenants', { payload })).statusCode).toBe(400)
    const { key: mine } = await test.makeKey()
    for (const payload of [
      { name: 'a', scopes: [] },
      { name: 'a', scopes: ['admin'] },
      { ...key, expires_at: 'soon' },
    ])
      expect((await ask(mine, 'POST /v1/keys', { payload })).statusCode).toBe(400)
  })

  it("M2: the operator's retries make one tenant and one key, and answer with the same key", async () => {
    const create = (name: string) => operate('POST /v1/admin/tenants', { payload: { name }, headers: once('t-1') })
    const [first, again] = [await create('Once'), await create('Once')]
    expect([again.statusCode, again.data]).toEqual([201, first.data])
    expect(codeOf(await create('Twice'))).toEqual([422, 'idempotency.key_reused'])

    const payload = { name: 'a', scopes: ['usage:read'] }
    const makeKey = () =>
      operate(`POST /v1/admin/tenants/${first.data.tenant_id}/keys`, { payload, headers: once('k-1') })
    const [key, same] = [await makeKey(), await makeKey()]
    expect([same.statusCode, same.data]).toEqual([201, key.data])
    expect((await ask(String(key.data.key), 'GET /v1/usage')).statusCode).toBe(200)
    const own = await ask(String(key.data.key), 'GET /v1/usage', { headers: once('k-1') })
    expect(own.statusCode).toBe(200)
  })

  it('M2: a retried key is the same key, though no table holds it', async () => {
    const { key } = await test.makeKey()
    const create = () =>
      ask(key, 'POST /v1/keys', { payload: { name: 'a', scopes: ['usage:read'] }, headers: once('k') })
    const [first, again] = [await create(), await create()]
    expect(again.data).toEqual(first.data)
    const secret = String(first.data.key)
    expect((await ask(secret, 'GET /v1/usage')).statusCode).toBe(200)
    const content = await dump(test.modules.url)
    expect(content).toContain(String(first.data.key_id))
    for (const one of [secret, key, test.operatorKey]) {
      expect(content).not.toContain(one)
      expect(content).not.toContain(Buffer.from(one.slice(one.indexOf('_') + 1), 'base64url').toString('hex'))
    }
  })

  it("another key's Idempotency-Key never answers with a key", async () => {
    const { key, tenantId } = await test.makeKey()
    const { key: colleague } = await test.makeKey({ tenantId })
    const send = (by: string) =>
      ask(by, 'POST /v1/keys', { payload: { name: 'a', scopes: ['usage:read'] }, headers: once('k') })
    const [first, other] = [await send(key), await send(colleague)]
    expect(other.statusCode).toBe(201)
    expect([other.data.key_id, other.data.key]).not.toEqual([first.data.key_id, first.data.key])
    expect((await ask(key, 'GET /v1/keys')).json().data).toHaveLength(4)
  })

  it("M2: Idempotency-Keys of two API keys never meet, and a successor goes on with its predecessor's", async () => {
    const { key: root, tenantId } = await test.makeKey()
    const [a, b] = await Promise.all(['a', 'b'].map((agent) => test.makeKey({ tenantId, agentIds: [agent] })))
    const add = (by: string, agent: string) =>
      ask(by, `POST /v1/agents/${agent}/memories`, { payload: { content: `Of ${agent}` }, headers: once('1') })
    for (const [made, agent] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const first = await add(String(made?.key), agent)
      expect([first.statusCode, (await add(String(made?.key), agent)).data]).toEqual([201, first.data])
    }
    const payload = { name: 'rotated', scopes: ['memory:write', 'memory:read'] }
    const { data: old } = await ask(root, 'POST /v1/keys', { payload })
    const before = await add(String(old.key), 'c')
    const rotate = async (keyId: unknown) => (await ask(root, `POST /v1/keys/${keyId}/rotate`, { payload: {} })).data
    const successor = await rotate(old.key_id)
    for (const { key } of [successor, await rotate(successor.key_id)]) {
      const retried = await add(String(key), 'c')
      expect([retried.statusCode, retried.data]).toEqual([201, before.data])
    }
    expect((await ask(root, 'GET /v1/agents/c')).data.memory_count).toBe(1)
  })

  it('a key that is bound to agents sees the audit of keys of these agents, and their usage', async () => {
    const { key: root, tenantId } = await test.makeKey()
    const { key: bound } = await test.makeKey({ tenantId, agentIds: ['mine'] })
    for (const agent_ids of [['mine'], ['theirs'], ['mine', 'theirs']])
      await ask(root, 'POST /v1/keys', { payload: { name: agent_ids.join(), scopes: ['usage:read'], agent_ids } })
    for (const agent of ['mine', 'theirs'])
      await ask(root, `POST /v1/agents/${agent}/memories`, { payload: { content: agent } })
    const events: Data[] = (await ask(bound, 'GET /v1/audit_events')).json().data
    expect(events.map(({ details }) => (details as Data).name)).toEqual(['mine', 'test'])
    expect((await ask(bound, 'GET /v1/usage')).data).toMatchObject({ agents: 1, memories: 1, stored_bytes: 4 })
  })

  it('the operator says how long is kept what nobody deletes; what is not given stays', async () => {
    const retention = { sessions_days: 90, answers_hours: 2 }
    const created = await operate('POST /v1/admin/tenants', { payload: { name: 'Kept', retention } })
    const url = String(created.headers.location)
    const rest = { steps_days: null, messages_days: null, audit_days: null }
    expect(created.data.retention).toEqual({ ...retention, ...rest })
    await operate(`PATCH ${url}`, { payload: { retention: { sessions_days: null, audit_days: 30 } } })
    const changed = { sessions_days: null, answers_hours: 2, steps_days: null, messages_days: null, audit_days: 30 }
    expect((await operate(`GET ${url}`)).data.retention).toEqual(changed)
    const listed: Data[] = (await operate('GET /v1/admin/tenants?limit=200')).json().data
    expect(listed.find(({ tenant_id }) => tenant_id === created.data.tenant_id)?.retention).toEqual(changed)
    for (const wrong of [{ sessions_days: 0 }, { answers_hours: 25 }, { days: 1 }, { audit_days: 1.5 }])
      expect((await operate(`PATCH ${url}`, { payload: { retention: wrong } })).statusCode).toBe(400)
  })

  it('keys are listed without the keys themselves, page by page', async () => {
    const { key } = await test.makeKey()
    for (const name of ['a', 'b', 'c']) await ask(key, 'POST /v1/keys', { payload: { name, scopes: ['usage:read'] } })
    const first = (await ask(key, 'GET /v1/keys?limit=3')).json()
    const second = (await ask(key, `GET /v1/keys?limit=3&cursor=${first.next_cursor}`)).json()
    const listed: Data[] = [...first.data, ...second.data]
    expect(listed.map(({ name }) => name)).toEqual(['test', 'a', 'b', 'c'])
    expect(second.next_cursor).toBeNull()
    for (const one of listed) expect(one).not.toHaveProperty('key')
  })

  it('a key cannot raise itself by rotating a mightier one', async () => {
    const { key: mighty, tenantId } = await test.makeKey()
    const { key: manager } = await test.makeKey({ tenantId, scopes: ['keys:manage'] })
    const { key: bound } = await test.makeKey({ tenantId, agentIds: ['mine'] })
    const [{ key_id: keyId }] = (await ask(mighty, 'GET /v1/keys')).json().data
    const rotate = (by: string) => ask(by, `POST /v1/keys/${keyId}/rotate`, { payload: {} })
    expect(codeOf(await rotate(manager))).toEqual([403, 'key.scope_not_grantable'])
    expect(codeOf(await rotate(bound))).toEqual([404, 'key.not_found'])
    expect((await ask(mighty, 'GET /v1/keys')).json().data).toHaveLength(3)
  })

  it('a key that is bound to agents sees and revokes no key that reaches further', async () => {
    const { key: mighty, tenantId } = await test.makeKey()
    const { key: bound } = await test.makeKey({ tenantId, agentIds: ['mine', 'ours'] })
    await test.makeKey({ tenantId, agentIds: ['theirs'] })
    const { data: own } = await ask(bound, 'POST /v1/keys', {
      payload: { name: 'own', scopes: ['usage:read'], agent_ids: ['mine'] },
    })
    const ids = async (by: string): Promise<readonly string[]> =>
      (await ask(by, 'GET /v1/keys')).json().data.map(({ key_id }: Data) => key_id)
    const [all, seen] = [await ids(mighty), await ids(bound)]
    expect([all.length, seen.length]).toEqual([4, 2])
    expect(seen).toContain(own.key_id)
    for (const keyId of all.filter((id) => !seen.includes(id)))
      expect(codeOf(await ask(bound, `DELETE /v1/keys/${keyId}`))).toEqual([404, 'key.not_found'])
    expect((await ask(bound, `DELETE /v1/keys/${own.key_id}`)).statusCode).toBe(204)
    expect((await ask(mighty, 'GET /v1/usage')).statusCode).toBe(200)
  })

  it('a key is not made when it has expired already', async () => {
    const { key, tenantId } = await test.makeKey()
    const payload = { name: 'late', scopes: ['usage:read'], expires_at: new Date(Date.now() - 1_000).toISOString() }
    expect(codeOf(await ask(key, 'POST /v1/keys', { payload }))).toEqual([422, 'key.expiry_passed'])
    const made = await operate(`POST /v1/admin/tenants/${tenantId}/keys`, { payload })
    expect(codeOf(made)).toEqual([422, 'key.expiry_passed'])
    expect((await ask(key, 'GET /v1/keys')).json().data).toHaveLength(1)
  })

  it('a successor inherits the own expiry of a key, also of one that is in its grace', async () => {
    const { key } = await test.makeKey()
    const expiry = new Date(Date.now() + 30 * 86_400_000).toISOString()
    for (const expires_at of [undefined, expiry]) {
      const payload = { name: 'a', scopes: ['usage:read'], ...(expires_at === undefined ? {} : { expires_at }) }
      const { data: old } = await ask(key, 'POST /v1/keys', { payload })
      const rotate = async (graceSeconds: number) =>
        (await ask(key, `POST /v1/keys/${old.key_id}/rotate`, { payload: { grace_seconds: graceSeconds } })).data
      const first = await rotate(60)
      const second = await rotate(3_600)
      expect([first.expires_at, second.expires_at]).toEqual([expires_at ?? null, expires_at ?? null])
      const listed: Data[] = (await ask(key, 'GET /v1/keys?limit=200')).json().data
      const end = String(listed.find(({ key_id }) => key_id === old.key_id)?.expires_at)
      expect(Date.parse(end)).toBeLessThan(Date.now() + 61_000)
      expect((await ask(String(old.key), 'GET /v1/usage')).statusCode).toBe(200)
      await rotate(0)
      expect((await ask(String(old.key), 'GET /v1/usage')).statusCode).toBe(401)
    }
  })

  it('a revoked key is dead at once, and cannot be rotated back to life', async () => {
    const { key } = await test.makeKey()
    const made = await ask(key, 'POST /v1/keys', { payload: { name: 'a', scopes: ['usage:read'] } })
    expect((await ask(String(made.data.key), 'GET /v1/usage')).statusCode).toBe(200)
    expect((await ask(key, `DELETE /v1/keys/${made.data.key_id}`)).statusCode).toBe(204)
    expect((await ask(String(made.data.key), 'GET /v1/usage')).statusCode).toBe(401)
    expect(codeOf(await ask(key, `POST /v1/keys/${made.data.key_id}/rotate`, { payload: {} }))).toEqual([
      409,
      'key.not_live',
    ])
    const missing = `/v1/keys/key_${'0'.repeat(32)}`
    expect(codeOf(await ask(key, `DELETE ${missing}`))).toEqual([404, 'key.not_found'])
    expect(codeOf(await ask(key, `POST ${missing}/rotate`, { payload: {} }))).toEqual([404, 'key.not_found'])
  })

  it("T1: another tenant's key id is the same 404 as a missing one", async () => {
    const { key: mine } = await test.makeKey()
    const { key: theirs } = await test.makeKey()
    const [{ key_id: keyId }] = (await ask(mine, 'GET /v1/keys')).json().data
    expect(codeOf(await ask(theirs, `DELETE /v1/keys/${keyId}`))).toEqual([404, 'key.not_found'])
    expect(codeOf(await ask(theirs, `POST /v1/keys/${keyId}/rotate`, { payload: {} }))).toEqual([404, 'key.not_found'])
    expect((await ask(mine, 'GET /v1/usage')).statusCode).toBe(200)
  })

  it('a key made of one tenant and the random part of another opens neither', async () => {
    const [one, other] = [await test.makeKey(), await test.makeKey()]
    const bytesOf = (key: string) => Buffer.from(key.slice('agm_'.length), 'base64url')
    const mixed = Buffer.concat([bytesOf(one.key).subarray(0, 16), bytesOf(other.key).subarray(16)])
    expect((await ask(`agm_${mixed.toString('base64url')}`, 'GET /v1/usage')).statusCode).toBe(401)
  })

  it('usage counts what is stored, beside the quotas', async () => {
    const { key } = await test.makeKey({ quotas: { memoriesMax: 3 } })
    for (const content of ['one', 'two']) await ask(key, 'POST /v1/agents/a/memories', { payload: { content } })
    await ask(key, 'POST /v1/sessions', { payload: { agent_id: 'b' } })
    const { data } = await ask(key, 'GET /v1/usage')
    expect(data).toMatchObject({ agents: 2, sessions: 1, memories: 2, quotas: { memories: 3, stored_bytes: null } })
    expect(data.stored_bytes).toBeGreaterThanOrEqual(6)
  })

  it('a quota lets in what fits, refuses the rest with a 429, and holds for requests at once', async () => {
    const { key, tenantId } = await test.makeKey({ quotas: { memoriesMax: 3 } })
    const add = (content: string) => ask(key, 'POST /v1/agents/a/memories', { payload: { content } })
    const answers = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(add))
    expect(answers.filter(({ statusCode }) => statusCode === 201)).toHaveLength(3)
    const refused = answers.find(({ statusCode }) => statusCode === 429)
    expect([refused?.data.code, refused?.headers['retry-after']]).toEqual(['quota.memories', '60'])

    await operate(`PATCH /v1/admin/tenants/${tenantId}`, { payload: { quotas: { memories: null, stored_bytes: 40 } } })
    expect((await add('x'.repeat(10))).statusCode).toBe(201)
    expect(codeOf(await add('x'.repeat(100)))).toEqual([429, 'quota.stored_bytes'])
  })

  it('deletions make room in a quota', async () => {
    const { key } = await test.makeKey({ quotas: { memoriesMax: 1 } })
    const add = () => ask(key, 'POST /v1/agents/a/memories', { payload: { content: 'x' } })
    const first = await add()
    expect((await add()).statusCode).toBe(429)
    await ask(key, `DELETE /v1/agents/a/memories/${first.data.memory_id}`, { headers: { 'if-match': '*' } })
    expect((await add()).statusCode).toBe(201)
  })

  it('every action on keys and tenants is in the audit, with who did it, the newest first', async () => {
    const created = await operate('POST /v1/admin/tenants', { payload: { name: 'Audited' } })
    const tenant = `/v1/admin/tenants/${created.data.tenant_id}`
    const payload = { name: 'first', scopes: ['keys:manage', 'audit:read', 'usage:read'] }
    const { data: first } = await operate(`POST ${tenant}/keys`, {
      payload,
      headers: { 'x-request-id': 'by-operator' },
    })
    const key = String(first.key)
    await operate(`PATCH ${tenant}`, { payload: { quotas: { memories: 9 } } })
    const { data: second } = await ask(key, 'POST /v1/keys', { payload: { name: 'second', scopes: ['usage:read'] } })
    const { data: third } = await ask(key, `POST /v1/keys/${second.key_id}/rotate`, { payload: {} })
    await ask(key, `DELETE /v1/keys/${third.key_id}`)

    const events: Data[] = []
    for (let cursor: unknown = ''; cursor !== null; ) {
      const page = (await ask(key, `GET /v1/audit_events?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)).json()
      events.push(...page.data)
      cursor = page.next_cursor
    }
    expect(events.map(({ action, actor, target }) => [action, actor, target])).toEqual([
      ['key.revoke', first.key_id, third.key_id],
      ['key.rotate', first.key_id, third.key_id],
      ['key.create', first.key_id, second.key_id],
      ['tenant.update', 'operator', created.data.tenant_id],
      ['key.create', 'operator', first.key_id],
      ['tenant.create', 'operator', created.data.tenant_id],
    ])
    expect(events[4]).toMatchObject({ request_id: 'by-operator', details: { scopes: payload.scopes } })
  })

  it('a refused action leaves no trace in the audit', async () => {
    const { key } = await test.makeKey({ scopes: ['keys:manage', 'audit:read'] })
    await ask(key, 'POST /v1/keys', { payload: { name: 'a', scopes: ['memory:read'] } })
    const events: Data[] = (await ask(key, 'GET /v1/audit_events')).json().data
    expect(events.map(({ action }) => action)).toEqual(['key.create', 'tenant.create'])
  })

  it('M7: a deleted tenant has no live key from that moment, and soon no content', async () => {
    const { key, tenantId } = await test.makeKey()
    const { key: other } = await test.makeKey()
    await ask(key, 'POST /v1/agents/a/memories', { payload: { content: 'gone-with-the-tenant' }, headers: once('m') })
    await ask(key, 'POST /v1/sessions', {
      payload: { agent_id: 'b', messages: [{ role: 'user', content: 'gone-with-the-tenant' }] },
    })
    const names = { name: 'canary-key', scopes: ['usage:read'], agent_ids: ['canary-agent'] }
    await ask(key, 'POST /v1/keys', { payload: names, headers: { 'x-request-id': 'canary-request' } })
    await ask(key, 'POST /v1/agents/canary-agent/memories', { payload: { content: 'x' } })
    await ask(key, 'DELETE /v1/agents/canary-agent')
    const deleted = await operate(`DELETE /v1/admin/tenants/${tenantId}`)
    expect([deleted.statusCode, deleted.data.status]).toEqual([202, 'deleting'])
    expect((await ask(key, 'GET /v1/usage')).statusCode).toBe(401)
    await expect.poll(async () => (await operate(`GET /v1/admin/tenants/${tenantId}`)).data.status).toBe('deleted')
    const left = await dump(test.modules.url)
    for (const canary of ['gone-with-the-tenant', 'canary-']) expect(left).not.toContain(canary)
    expect(left).toMatch(new RegExp(`erasure: .*${tenantId}.*memories`))
    expect(left).toMatch(new RegExp(`audit_event: .*${tenantId}.*key.create`))
    const change = await operate(`PATCH /v1/admin/tenants/${tenantId}`, { payload: { name: 'back' } })
    expect(codeOf(change)).toEqual([409, 'tenant.not_active'])
    const payload = { name: 'a', scopes: ['usage:read'] }
    expect(codeOf(await operate(`POST /v1/admin/tenants/${tenantId}/keys`, { payload }))).toEqual([
      409,
      'tenant.not_active',
    ])
    expect((await operate(`DELETE /v1/admin/tenants/${tenantId}`)).statusCode).toBe(202)
    expect((await ask(other, 'GET /v1/usage')).statusCode).toBe(200)
  })

  it('M7: a key that another process still believes writes nothing of a tenant that is being deleted', async () => {
    const { key, tenantId } = await test.makeKey()
    const other = await createTestApp({ databaseUrl: test.modules.url, settings: { keyCacheMs: 60_000 } })
    const send = (url: string, payload: object, type = 'application/json') =>
      other.request(key, { method: 'POST', url, payload: JSON.stringify(payload), headers: { 'content-type': type } })
    expect((await send('/v1/agents/a/memories', { content: 'Before' })).statusCode).toBe(201)
    await operate(`DELETE /v1/admin/tenants/${tenantId}`)
    await expect.poll(async () => (await operate(`GET /v1/admin/tenants/${tenantId}`)).data.status).toBe('deleted')
    const late = [
      await send('/v1/agents/a/memories', { content: 'orphan' }),
      await send('/v1/agents/a/memories/batch', { memories: [{ content: 'orphan' }] }),
      await send('/v1/agents/a/memories/import', { content: 'orphan' }, 'application/x-ndjson'),
      await send('/v1/sessions', { agent_id: 'orphan' }),
    ]
    expect(late.map(codeOf)).toEqual(late.map(() => [409, 'tenant.not_active']))
    const lateKey = await send('/v1/keys', { name: 'orphan', scopes: ['usage:read'] })
    expect(codeOf(lateKey)).toEqual([401, 'key.maker_not_live'])
    expect(await dump(test.modules.url)).not.toContain('orphan')
    await other.close()
  })

  it('M7: maintenance goes on with an interrupted deletion, also in two processes at once, and leaves others alone', async () => {
    const { key, tenantId } = await test.makeKey()
    const { key: other } = await test.makeKey()
    for (const agent of ['a', 'b', 'c'])
      await ask(key, `POST /v1/agents/${agent}/memories`, { payload: { content: 'left-by-a-crash' } })
    await ask(other, 'POST /v1/agents/a/memories', { payload: { content: 'of another tenant' } })
    await test.modules.database.transact(tenantId, (tx) =>
      tx.query(sql`update tenant set status = 'deleting' where tenant_id = ${tenantId}`),
    )
    await Promise.all([test.modules.maintenance.runOnce(), test.modules.maintenance.runOnce()])
    expect((await operate(`GET /v1/admin/tenants/${tenantId}`)).data.status).toBe('deleted')
    const left = await dump(test.modules.url)
    expect(left).not.toContain('left-by-a-crash')
    expect(left).toContain('of another tenant')
  })
})
