/** What a tenant wants kept for a time only is removed by maintenance, and nothing else. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Caller } from '../../src/shared/caller.ts'
import { openTwoProcesses, type TwoProcesses } from '../support/two-processes.ts'

describe('retention', () => {
  let { one, two, database, close } = {} as TwoProcesses
  beforeAll(async () => {
    ;({ one, two, database, close } = await openTwoProcesses())
  })
  afterAll(() => close?.())

  const makeRetaining = async (retention: object): Promise<Caller> => {
    const caller = await one.makeCaller()
    await database.query('update tenant set retention = $2 where tenant_id = $1', [caller.tenantId, retention])
    return caller
  }
  const open = async (caller: Caller) =>
    (await one.sessions.create(caller, { agentId: 'a' }, one.contexts.startContext([]))).sessionId
  const append = (caller: Caller, sessionId: string, content: string) =>
    one.contexts.append(caller, { sessionId, messages: [{ role: 'user', content }], expected: null })
  const answer = (caller: Caller, sessionId: string) =>
    one.tools.callAll(caller, { sessionId, output: { output: '<answer>Yes.</answer>', append: true } })
  /** As if it had happened ten days before. */
  const age = (table: string, column: string, where: string, id: string) =>
    database.query(`update ${table} set ${column} = ${column} - interval '10 days' where ${where} = $1`, [id])
  const count = async (table: string, { tenantId }: Caller): Promise<number> =>
    (await database.query(`select count(*)::int as rows from ${table} where tenant_id = $1`, [tenantId])).rows[0].rows
  const maintain = () => Promise.all([one.maintenance.runOnce(), two.maintenance.runOnce()])

  it('sessions that did not change go whole, in two processes at once; others, and those with a run, stay', async () => {
    const caller = await makeRetaining({ sessions_days: 7 })
    const idle = await Promise.all(Array.from({ length: 25 }, () => open(caller)))
    const [fresh, running, stepped] = [await open(caller), await open(caller), await open(caller)]
    for (const sessionId of [...idle.slice(0, 3), fresh, running, stepped]) {
      await append(caller, sessionId, 'Hello')
      await answer(caller, sessionId)
    }
    for (const sessionId of [...idle, running, stepped]) await age('session', 'updated_at', 'session_id', sessionId)
    for (const sessionId of [...idle, running]) await age('step', 'created_at', 'session_id', sessionId)
    await database.query(`update session set run_until = now() + interval '1 minute' where session_id = $1`, [running])
    await maintain()
    const { data } = await one.sessions.list(caller, { agentId: null, status: null }, { cursor: null, limit: 50 })
    expect(data.map(({ sessionId }) => sessionId).sort()).toEqual([fresh, running, stepped].sort())
    expect([await count('message', caller), await count('step', caller)]).toEqual([6, 3])
    expect((await one.agents.get(caller, 'a')).sessionCount).toBe(3)
  })

  it('C1, C2: messages that left the context long ago go with their edits, and the live context stays as it is', async () => {
    const caller = await makeRetaining({ messages_days: 7 })
    const sessionId = await open(caller)
    await append(caller, sessionId, 'Left long ago')
    const { edit } = await one.contexts.reset(caller, { sessionId, expected: null })
    await age('context_edit', 'created_at', 'session_id', sessionId)
    await append(caller, sessionId, 'Left just now')
    const later = await one.contexts.reset(caller, { sessionId, expected: null })
    await append(caller, sessionId, 'In the context')
    await age('message', 'created_at', 'session_id', sessionId)
    await maintain()
    const { data } = await one.contexts.listMessages(caller, sessionId, { cursor: null, limit: 50 })
    expect(data.map(({ content }) => content)).toEqual(['Left just now', 'In the context'])
    const undo = (editId: string | undefined) =>
      one.contexts.undo(caller, { sessionId, editId: String(editId), expected: null })
    await expect(undo(edit?.editId)).rejects.toMatchObject({ code: 'context.edit_not_found' })
    await undo(later.edit?.editId)
    const { session, context } = await one.contexts.readSnapshot(caller, sessionId)
    expect(context.messages.map(({ content }) => content)).toEqual(['Left just now', 'In the context'])
    expect(session.context.tokens).toBe(context.messages.reduce((sum, { tokens }) => sum + tokens, 0))
  })

  it('steps go with their calls, and what is under way can go on', async () => {
    const caller = await makeRetaining({ steps_days: 7 })
    const sessionId = await open(caller)
    await append(caller, sessionId, 'Hello')
    const call = () =>
      one.tools.call(caller, { sessionId, key: 'add_memory', args: { content: 'A fact' }, door: 'http' })
    await call()
    await answer(caller, sessionId)
    await age('step', 'created_at', 'session_id', sessionId)
    await call()
    await maintain()
    expect([await count('step', caller), await count('tool_call', caller)]).toEqual([1, 1])
    const parts = { messages: true, tokens: false }
    const { steps } = await one.trajectories.get(caller, { sessionId, parts }, { cursor: null, limit: 10 })
    expect(steps).toHaveLength(1)
    await answer(caller, sessionId)
    expect((await one.agents.get(caller, 'a')).memoryCount).toBe(2)
  })

  it('audit, receipts and stored answers have their time; nobody else loses any of theirs', async () => {
    const caller = await makeRetaining({ audit_days: 7, answers_hours: 1 })
    const other = await one.makeCaller()
    for (const who of [caller, other]) {
      const key = { name: 'k', scopes: ['usage:read'] as const, agentIds: null, expiresAt: null }
      await one.tenants.createKey({ actor: 'operator', requestId: 'req_test' }, { tenantId: who.tenantId, key })
      await one.memories.add(who, { agentId: 'gone', memory: { content: 'Gone' } })
      await one.agents.erase(who, 'gone')
      const idempotency = { key: 'once', requestHash: Buffer.alloc(32) }
      await one.memories.add({ ...who, idempotency }, { agentId: 'a', memory: { content: 'Stays' } })
      await age('audit_event', 'created_at', 'tenant_id', who.tenantId)
      await age('erasure', 'completed_at', 'tenant_id', who.tenantId)
      await age('idempotency_key', 'created_at', 'tenant_id', who.tenantId)
    }
    await maintain()
    const left = (who: Caller) =>
      Promise.all(['audit_event', 'erasure', 'idempotency_key', 'memory'].map((table) => count(table, who)))
    expect([await left(caller), await left(other)]).toEqual([
      [0, 0, 0, 1],
      [3, 1, 1, 1],
    ])
  })

  it('rests while its tenant is suspended', async () => {
    const caller = await makeRetaining({ audit_days: 7 })
    const action = { actor: 'operator', requestId: 'req_test' }
    const setStatus = (status: 'active' | 'suspended') => {
      const unchanged = { name: undefined, quotas: {}, retention: {} }
      return one.tenants.update(action, { tenantId: caller.tenantId, ...unchanged, status })
    }
    await setStatus('suspended')
    await age('audit_event', 'created_at', 'tenant_id', caller.tenantId)
    const before = await count('audit_event', caller)
    await maintain()
    expect([before > 0, await count('audit_event', caller)]).toEqual([true, before])
    await setStatus('active')
    await maintain()
    expect(await count('audit_event', caller)).toBe(1)
  })

  it('stored answers past their time go in batches, with what they took of the quota, whoever else fails', async () => {
    const caller = await one.makeCaller()
    await database.query(
      `insert into idempotency_key (tenant_id, key_space, idempotency_key, request_hash, body, expires_at)
       select $1, 'k', at::text, 'x', '"old"', now() - interval '1 minute' from generate_series(1, 2500) as at`,
      [caller.tenantId],
    )
    const holder = await database.connect()
    await holder.query(`begin; select 1 from idempotency_key where idempotency_key = '7' for update`)
    await maintain()
    expect(await count('idempotency_key', caller)).toBe(1)
    await holder.query('rollback')
    holder.release()
    await maintain()
    expect((await one.tenants.getUsage(caller)).storedBytes).toBe(0)
  })
})
