import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable, Writable } from 'node:stream'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Scope } from '../../src/shared/caller.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestApp, type TestApp } from '../support/app.ts'
import { expectProblem, expectStatus } from '../support/http.ts'

describe('what keys may do to keys', () => {
  let test: TestApp

  beforeAll(async () => {
    test = await createTestApp()
  })
  afterAll(() => test.close())

  const inSeconds = (seconds: number) => new Date(test.modules.clock.nowMs() + seconds * 1_000).toISOString()
  const create = (key: string, payload: object = {}) =>
    test.request(key, { method: 'POST', url: '/v1/keys', payload: { name: 'x', scopes: ['usage:read'], ...payload } })
  const rotate = (key: string, keyId: unknown, graceSeconds = 60) =>
    test.request(key, { method: 'POST', url: `/v1/keys/${keyId}/rotate`, payload: { grace_seconds: graceSeconds } })
  const revoke = (key: string, keyId: unknown) => test.request(key, { method: 'DELETE', url: `/v1/keys/${keyId}` })
  const manager = { scopes: ['keys:manage', 'usage:read'] }
  const idOf = async (key: string) => (await test.request(key, { url: '/v1/keys' })).json().data.at(-1).key_id as string

  it('a key that expires makes none that lives longer, and none that never expires', async () => {
    const { key } = await test.makeKey({ expiresAt: inSeconds(60) })
    for (const payload of [{}, { expires_at: inSeconds(61) }, { expires_at: inSeconds(86_400) }])
      expectProblem(await create(key, payload), 403, 'key.expiry_not_grantable')
    expectStatus(await create(key, { expires_at: inSeconds(30) }), 201)
  })

  it('a key that expires makes no longer-lived successor of another', async () => {
    const { key, tenantId } = await test.makeKey()
    const other = await create(key)
    const { key: expiring } = await test.makeKey({ tenantId, expiresAt: inSeconds(60) })
    expectProblem(await rotate(expiring, other.data.key_id), 403, 'key.expiry_not_grantable')
    expectStatus(await test.request(String(other.data.key), { url: '/v1/usage' }), 200)
  })

  it('a key that was rotated away makes nothing that outlives its grace, of itself neither', async () => {
    const { key } = await test.makeKey()
    const old = await create(key, manager)
    expectStatus(await rotate(key, old.data.key_id, 60), 201)
    expectProblem(await create(String(old.data.key)), 403, 'key.expiry_not_grantable')
    const again = expectStatus(await rotate(String(old.data.key), old.data.key_id), 201)
    expect(Date.parse(String(again.data.expires_at))).toBeLessThanOrEqual(test.modules.clock.nowMs() + 60_000)
  })

  it('the last live key that can make keys is not revoked, also not by two requests at once', async () => {
    const { key: first } = await test.makeKey()
    const firstId = await idOf(first)
    expectStatus(await create(first), 201)
    expectProblem(await revoke(first, firstId), 409, 'key.last_manager')
    const second = await create(first, manager)
    const answers = await Promise.all([revoke(first, second.data.key_id), revoke(String(second.data.key), firstId)])
    expect(answers.map(({ statusCode }) => statusCode).filter((status) => status === 204)).toHaveLength(1)
  })

  it('a manager that is bound, expired or rotated away does not count as another', async () => {
    const { key } = await test.makeKey()
    const keyId = await idOf(key)
    expectStatus(await create(key, { ...manager, agent_ids: ['a'] }), 201)
    const expiring = await create(key, { ...manager, expires_at: inSeconds(60) })
    const old = await create(key, manager)
    const successor = await rotate(key, old.data.key_id, 3_600)
    expectStatus(await revoke(key, successor.data.key_id), 204)
    expectStatus(await revoke(key, expiring.data.key_id), 204)
    expectProblem(await revoke(key, keyId), 409, 'key.last_manager')
  })

  it('a key that is bound to agents sees what was done to keys of those alone, and what those store', async () => {
    const { key, tenantId } = await test.makeKey()
    const { key: bound } = await test.makeKey({ tenantId, agentIds: ['a', 'b'] })
    for (const agentIds of [['a'], ['a', 'b'], ['a', 'c'], ['c']]) await create(key, { agent_ids: agentIds })
    for (const agent of ['a', 'c', 'c'])
      await test.request(key, { method: 'POST', url: `/v1/agents/${agent}/memories`, payload: { content: 'x' } })
    const seen = (await test.request(bound, { url: '/v1/audit_events' })).json().data
    const boundTo = seen.map(({ details }: { details: { agent_ids: unknown } }) => details.agent_ids)
    expect(boundTo).toEqual([['a', 'b'], ['a'], ['a', 'b']])
    const usageOf = async (given: string) => (await test.request(given, { url: '/v1/usage' })).data
    expect(await usageOf(bound)).toMatchObject({ agents: 1, memories: 1, model_tokens_today: null })
    expect(await usageOf(key)).toMatchObject({ agents: 2, memories: 3, model_tokens_today: 0 })
  })

  it('a clock that is set back makes no revoked key good again', async () => {
    const { key } = await test.makeKey()
    const made = await create(key)
    const status = async () => (await test.request(String(made.data.key), { url: '/v1/usage' })).statusCode
    expect(await status()).toBe(200)
    // By another process: this one is not told.
    const { database } = test.modules
    const tenantId = `ten_${Buffer.from(key.slice(4), 'base64url').subarray(0, 16).toString('hex')}`
    await database.transact(tenantId, (tx) =>
      tx.query(sql`update api_key set revoked_at = now() where key_id = ${String(made.data.key_id)}`),
    )
    test.modules.clock.setBack(3_600_000)
    test.modules.clock.advance(1_001)
    expect(await status()).toBe(401)
    test.modules.clock.setBack(-3_600_000)
  })
})

describe('work that goes on for long', () => {
  const scopes: readonly Scope[] = ['memory:read', 'memory:write']
  const lines: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  let test: TestApp

  beforeAll(async () => {
    test = await createTestApp({ settings: { keyCacheMs: 0 }, app: { logger: pino({ level: 'info' }, sink) } })
  })
  afterAll(() => test.close())

  const revokeOf = (tenantId: string) =>
    test.modules.database.transact(tenantId, (tx) =>
      tx.query(sql`update api_key set revoked_at = now() where tenant_id = ${tenantId}`),
    )

  it('ends when its key is revoked, and says what it has stored', async () => {
    const { key, tenantId } = await test.makeKey({ scopes })
    const caller = { ...(await test.modules.makeCaller()), tenantId }
    const body = Array.from({ length: 1_200 }, (_, at) => `{"content":"fact ${at}"}\n`)
    async function* sent() {
      yield body.slice(0, 600).join('')
      await expect
        .poll(async () => (await test.modules.agents.list(caller, { cursor: null, limit: 1 })).data[0])
        .toMatchObject({ memoryCount: 500 })
      await revokeOf(tenantId)
      yield body.slice(600).join('')
    }
    const answer = await test.request(key, {
      method: 'POST',
      url: '/v1/agents/long/memories/import',
      headers: { 'content-type': 'application/x-ndjson' },
      payload: Readable.from(sent(), { objectMode: false }),
    })
    expectProblem(answer, 503, 'memory.import_broke_off')
    expect(answer.data.detail).toContain('1000 memories of them are stored')
  })

  it('of a client that leaves is no failure of the service', async () => {
    const { key } = await test.makeKey({ scopes })
    await test.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = test.app.server.address() as AddressInfo
    const start = (path: string, type: string, body: string) => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': type, 'content-length': 1_000 }
      const sent = httpRequest({ host: '127.0.0.1', port, method: 'POST', path, headers, agent: false })
      sent.on('error', () => {})
      sent.write(body)
      return sent
    }
    lines.length = 0
    for (const [path, type, body] of [
      ['/v1/agents/a/memories/import', 'application/x-ndjson', '{"content":"x"}\n'],
      ['/v1/agents/a/memories', 'application/json', '{"content":'],
      ['/mcp', 'application/json', '{"jsonrpc":'],
    ] as const) {
      const sent = start(path, type, body)
      // MCP needs another scope, and is refused before.
      if (path !== '/mcp') await expect.poll(test.life.inFlight).toBe(1)
      sent.destroy()
      await expect.poll(test.life.inFlight).toBe(0)
    }
    await expect.poll(() => lines.filter((line) => line.includes('went away')).length).toBeGreaterThanOrEqual(2)
    expect(lines.filter((line) => /broken_invariant|"level":[5-9]0/.test(line))).toEqual([])
  })
})
