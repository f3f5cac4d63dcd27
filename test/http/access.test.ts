import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Scope, tenantScopes } from '../../src/shared/caller.ts'
import { createTestApp, type TestApp } from '../support/app.ts'

type Operation = {
  readonly operationId: string
  readonly method: string
  readonly url: string
  readonly isPublic: boolean
}

/** The only operations that need no key. */
const publicList = ['getLiveness', 'getReadiness']

describe('who may call what', () => {
  let test: TestApp
  let operations: readonly Operation[]

  beforeAll(async () => {
    test = await createTestApp()
    const { paths } = (await test.request(null, { url: '/openapi.json' })).json()
    operations = Object.entries(
      paths as Record<string, Record<string, { operationId: string; security?: [] }>>,
    ).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId, security }]) => ({
        operationId,
        method: method.toUpperCase(),
        isPublic: security?.length === 0,
        url: path
          .replace('{memory_id}', `mem_${'0'.repeat(32)}`)
          .replace('{message_id}', `msg_${'0'.repeat(32)}`)
          .replace('{edit_id}', `edt_${'0'.repeat(32)}`)
          .replace('{key_id}', `key_${'0'.repeat(32)}`)
          .replace('{tenant_id}', `ten_${'0'.repeat(32)}`)
          .replace('{erasure_id}', `era_${'0'.repeat(32)}`)
          .replace(/\{(agent|session)_id\}/g, 'nobody'),
      })),
    )
  })
  afterAll(() => test.close())

  const call = ({ method, url }: Operation, key: string | null) =>
    test.request(key, { method: method as NonNullable<InjectOptions['method']>, url })

  it('T5: every operation that is not on the public list answers 401 without a key', async () => {
    expect(operations.length).toBeGreaterThan(40)
    for (const operation of operations) {
      const { statusCode, data } = await call(operation, null)
      if (publicList.includes(operation.operationId))
        expect([operation.operationId, statusCode]).toEqual([operation.operationId, 200])
      else
        expect([operation.operationId, statusCode, data.code]).toEqual([operation.operationId, 401, 'auth.invalid_key'])
    }
    expect(
      operations
        .filter(({ isPublic }) => isPublic)
        .map(({ operationId }) => operationId)
        .sort(),
    ).toEqual(publicList)
  })

  it('T5: every operation answers 403 to a key without its scope', async () => {
    const keys = new Map<Scope, string>()
    for (const missing of tenantScopes) {
      const scopes = tenantScopes.filter((scope) => scope !== missing)
      keys.set(missing, (await test.makeKey({ scopes })).key)
    }
    for (const operation of operations.filter(({ isPublic }) => !isPublic)) {
      const answers = await Promise.all([...keys.values()].map((key) => call(operation, key)))
      const refused = answers.filter(({ statusCode }) => statusCode === 403)
      const isOperators = operation.url.startsWith('/v1/admin')
      expect([operation.operationId, refused.length]).toEqual([operation.operationId, isOperators ? keys.size : 1])
    }
  })

  it('T5: /mcp, which is no operation of the reference, needs a key with one of its scopes', async () => {
    const ping = { method: 'POST', url: '/mcp', payload: { jsonrpc: '2.0', id: 1, method: 'ping' } } as const
    const headers = { accept: 'application/json, text/event-stream' }
    const statusOf = async (key: string | null) => (await test.request(key, { ...ping, headers })).statusCode
    expect(operations.map(({ url }) => url)).not.toContain('/mcp')
    expect([await statusOf(null), await statusOf(test.operatorKey)]).toEqual([401, 403])
    for (const scope of tenantScopes) {
      const { key } = await test.makeKey({ scopes: [scope] })
      const isOfTheDoor = scope === 'session:write' || scope === 'memory:read'
      expect([scope, await statusOf(key)]).toEqual([scope, isOfTheDoor ? 200 : 403])
    }
  })

  it("T5: the operator's key reads no tenant's content", async () => {
    for (const operation of operations.filter(({ isPublic, url }) => !isPublic && !url.startsWith('/v1/admin'))) {
      const { statusCode, data } = await call(operation, test.operatorKey)
      expect([operation.operationId, statusCode, data.code]).toEqual([operation.operationId, 403, 'auth.tenant_needed'])
    }
  })

  it('an expired, a revoked and a made-up key answer 401', async () => {
    const expiresAt = new Date(test.modules.clock.nowMs() + 60_000).toISOString()
    const { key: expiring, tenantId } = await test.makeKey({ expiresAt })
    test.modules.clock.advance(60_000)
    const { key: manager } = await test.makeKey({ tenantId })
    const made = await test.request(manager, {
      method: 'POST',
      url: '/v1/keys',
      payload: { name: 'x', scopes: ['usage:read'] },
    })
    const revoked = String(made.data.key)
    expect((await test.request(revoked, { url: '/v1/usage' })).statusCode).toBe(200)
    await test.request(manager, { method: 'DELETE', url: `/v1/keys/${made.data.key_id}` })
    for (const key of [expiring, revoked, `${manager.slice(0, -4)}AAAA`, 'agm_short', 'Basic x'])
      expect((await test.request(key, { url: '/v1/usage' })).statusCode).toBe(401)
  })

  it('a key that is bound to agents reaches those and no other', async () => {
    const { key } = await test.makeKey({ agentIds: ['mine'] })
    const add = (agent: string) =>
      test.request(key, { method: 'POST', url: `/v1/agents/${agent}/memories`, payload: { content: 'x' } })
    expect((await add('mine')).statusCode).toBe(201)
    const other = await add('other')
    expect([other.statusCode, other.data.code]).toEqual([403, 'auth.agent_not_allowed'])
    const session = await test.request(key, { method: 'POST', url: '/v1/sessions', payload: { agent_id: 'other' } })
    expect(session.statusCode).toBe(403)
    const { data } = (await test.request(key, { url: '/v1/agents' })).json()
    expect(data.map(({ agent_id }: { agent_id: string }) => agent_id)).toEqual(['mine'])
  })

  it('a key cannot grant a scope or an agent that it does not have', async () => {
    const { key } = await test.makeKey({ scopes: ['keys:manage', 'memory:read'], agentIds: ['mine'] })
    const create = (payload: object) => test.request(key, { method: 'POST', url: '/v1/keys', payload })
    expect((await create({ name: 'a', scopes: ['memory:write'], agent_ids: ['mine'] })).data.code).toBe(
      'key.scope_not_grantable',
    )
    expect((await create({ name: 'a', scopes: ['memory:read'] })).statusCode).toBe(403)
    expect((await create({ name: 'a', scopes: ['memory:read'], agent_ids: ['mine'] })).statusCode).toBe(201)
  })

  it('a rotated key lives on for its grace, its successor has the same rights, and a retry answers with the same key', async () => {
    const { key } = await test.makeKey()
    const made = await test.request(key, {
      method: 'POST',
      url: '/v1/keys',
      payload: { name: 'a', scopes: ['usage:read'] },
    })
    const rotate = () =>
      test.request(key, {
        method: 'POST',
        url: `/v1/keys/${made.data.key_id}/rotate`,
        payload: { grace_seconds: 60 },
        headers: { 'idempotency-key': 'rotate-1' },
      })
    const [first, second] = [await rotate(), await rotate()]
    expect([first.statusCode, second.data.key]).toEqual([201, first.data.key])
    for (const live of [made.data.key, first.data.key])
      expect((await test.request(String(live), { url: '/v1/usage' })).statusCode).toBe(200)
    test.modules.clock.advance(61_000)
    expect((await test.request(String(made.data.key), { url: '/v1/usage' })).statusCode).toBe(401)
    expect((await test.request(String(first.data.key), { url: '/v1/usage' })).statusCode).toBe(200)
  })

  it("T1: another tenant's ids are the same 404 as missing ones, on every operation that takes one", async () => {
    const { key: mine } = await test.makeKey()
    const { key: theirs } = await test.makeKey()
    const post = (url: string, payload: object) => test.request(mine, { method: 'POST', url, payload })
    const memory = (await post('/v1/agents/a/memories', { content: 'secret of mine' })).data.memory_id
    await post('/v1/sessions', { agent_id: 'a', session_id: 'my-session', messages: [{ role: 'user', content: 'hi' }] })
    const message = (await test.request(mine, { url: '/v1/sessions/my-session/messages' })).json().data[0].message_id
    const edit = (await post('/v1/sessions/my-session/context/reset', {})).json().edit.edit_id
    const found: InjectOptions[] = [
      { method: 'GET', url: '/v1/agents/a' },
      { method: 'PATCH', url: '/v1/agents/a', payload: { metadata: {} } },
      { method: 'DELETE', url: '/v1/agents/a' },
      { method: 'GET', url: `/v1/agents/a/memories/${memory}` },
      {
        method: 'PATCH',
        url: `/v1/agents/a/memories/${memory}`,
        payload: { content: 'x' },
        headers: { 'if-match': '*' },
      },
      { method: 'DELETE', url: `/v1/agents/a/memories/${memory}`, headers: { 'if-match': '*' } },
      { method: 'GET', url: `/v1/agents/a/memories/${memory}/versions` },
      { method: 'POST', url: `/v1/agents/a/memories/${memory}/revert`, payload: { version: 1 } },
      { method: 'GET', url: '/v1/sessions/my-session' },
      { method: 'POST', url: '/v1/sessions/my-session/close' },
      { method: 'GET', url: '/v1/sessions/my-session/context' },
      { method: 'GET', url: '/v1/sessions/my-session/messages' },
      {
        method: 'POST',
        url: '/v1/sessions/my-session/messages',
        payload: { messages: [{ role: 'user', content: 'x' }] },
      },
      { method: 'PATCH', url: `/v1/sessions/my-session/messages/${message}`, payload: { pinned: true } },
      { method: 'POST', url: '/v1/sessions/my-session/context/reset' },
      { method: 'GET', url: '/v1/sessions/my-session/edits' },
      { method: 'POST', url: `/v1/sessions/my-session/edits/${edit}/undo` },
      { method: 'POST', url: '/v1/sessions/my-session/tools/add_memory', payload: { content: 'x' } },
      { method: 'POST', url: '/v1/sessions/my-session/tools/summary_context', payload: { span: 'all' } },
      { method: 'POST', url: '/v1/sessions/my-session/tool_calls', payload: { output: '<answer>x</answer>' } },
    ]
    for (const options of found) {
      const foreign = await test.request(theirs, options)
      const missing = await test.request(theirs, {
        ...options,
        url: String(options.url).replace('my-session', 'no-session').replace('/agents/a', '/agents/none'),
      })
      const shown = ({ statusCode, data }: typeof foreign) => [
        options.method,
        options.url,
        statusCode,
        data.code,
        data.detail,
      ]
      expect(shown(foreign)).toEqual(shown(missing))
      expect(foreign.statusCode).toBe(404)
      expect(foreign.payload).not.toContain('secret of mine')
    }
    expect((await test.request(theirs, { url: '/v1/agents/a/memories' })).json().data).toEqual([])
  })
})
