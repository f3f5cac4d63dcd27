import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewMessage } from '../../src/modules/context/plan-append.ts'
import { findCalls } from '../../src/modules/trajectory/step.repository.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

const chatter: readonly NewMessage[] = Array.from({ length: 12 }, (_, at) => ({
  role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
  content: `Message ${at}: the weather in city ${at} was rather fine, and Ana said she would pay ${at * 10} euros on May ${at + 1}.`,
}))

describe('the context of a session', () => {
  let modules: TestModules
  let caller: Caller

  beforeAll(async () => {
    modules = await createTestModules()
    caller = await modules.makeCaller()
  })
  afterAll(() => modules.close())

  const startSession = async (messages: readonly NewMessage[] = chatter, options = {}) => {
    const start = modules.contexts.startContext(messages)
    return (await modules.sessions.create(caller, { agentId: 'bot', options }, start)).sessionId
  }
  const call = (sessionId: string, key: Parameters<typeof modules.tools.call>[1]['key'], args: unknown) =>
    modules.tools.call(caller, { sessionId, key, args, door: 'http' })
  const read = async (sessionId: string) => (await modules.contexts.readSnapshot(caller, sessionId)).context

  it('C4: the stored token count equals the sum of the messages, and each change makes one version', async () => {
    const sessionId = await startSession(chatter, { filterThreshold: 0.2 })
    const versions = [(await read(sessionId)).version]
    await call(sessionId, 'summary_context', { span: 6 })
    versions.push((await read(sessionId)).version)
    await modules.contexts.append(caller, {
      sessionId,
      messages: [{ role: 'user', content: 'And now?' }],
      expected: null,
    })
    await call(sessionId, 'filter_context', { criteria: 'weather in city' })
    const context = await read(sessionId)
    versions.push(context.version)
    expect(versions).toEqual([1, 2, 4])
    expect(context.tokens).toBe(context.messages.reduce((sum, { tokens }) => sum + tokens, 0))
  })

  it('C5: every message can be found again, with the edit that took it out', async () => {
    const sessionId = await startSession()
    const { result } = await call(sessionId, 'summary_context', { span: 'all' })
    const { data } = await modules.contexts.listMessages(caller, sessionId, { cursor: null, limit: 100 })
    expect(data).toHaveLength(chatter.length + 1)
    const summarized = data.filter(({ state }) => state === 'summarized')
    expect(summarized.map(({ messageId }) => messageId)).toEqual(result.replaced_message_ids)
    expect(new Set(summarized.map(({ editId }) => editId))).toEqual(new Set([result.edit_id]))
  })

  it('C6: undo restores the stored context exactly, and is refused when a later edit depends on it', async () => {
    const sessionId = await startSession()
    const before = await read(sessionId)
    const first = await call(sessionId, 'summary_context', { span: 8 })
    const second = await call(sessionId, 'summary_context', { span: 'all' })
    const undo = (editId: unknown) =>
      modules.contexts.undo(caller, { sessionId, editId: String(editId), expected: null })
    await expect(undo(first.result.edit_id)).rejects.toMatchObject({ code: 'context.edit_depended_on', status: 409 })
    await undo(second.result.edit_id)
    await undo(first.result.edit_id)
    const after = await read(sessionId)
    expect([after.messages, after.tokens]).toEqual([before.messages, before.tokens])
    await expect(undo(first.result.edit_id)).rejects.toMatchObject({ code: 'context.edit_already_undone' })
  })

  it('C7: a failed edit leaves no trace but a recorded failure', async () => {
    const sessionId = await startSession()
    const before = await read(sessionId)
    modules.embedder.behaviour = 'unavailable'
    await expect(call(sessionId, 'filter_context', { criteria: 'never seen before' })).rejects.toMatchObject({
      code: 'embedder.unavailable',
    })
    modules.embedder.behaviour = 'answers'
    expect(await read(sessionId)).toEqual(before)
    const [step] = await modules.database.read(caller.tenantId, (tx) =>
      tx.query<{ step_id: string }>(sql`select step_id from step where session_id = ${sessionId}`),
    )
    const calls = await modules.database.read(caller.tenantId, (tx) =>
      findCalls(tx, { sessionId, stepId: step?.step_id ?? '' }),
    )
    expect(calls).toMatchObject([
      { name: 'Filter_context', status: 'error', effective: false, problem: { code: 'embedder.unavailable' } },
    ])
  })

  it('C8: of two edits made from the same version one succeeds and the other gets 409', async () => {
    const sessionId = await startSession()
    const version = (await read(sessionId)).version
    const both = await Promise.allSettled([
      call(sessionId, 'summary_context', { span: 'all' }),
      call(sessionId, 'summary_context', { span: 'all' }),
    ])
    const rejected = both.filter((one) => one.status === 'rejected')
    if (rejected.length === 0) {
      // They ran one after the other, which is fine too: then there are two edits.
      expect((await read(sessionId)).version).toBe(version + 2)
      return
    }
    expect(rejected.map(({ reason }) => [reason.status])).toEqual([[expect.toBeOneOf([409, 422])]])
    expect((await read(sessionId)).version).toBe(version + 1)
  })

  it('C8: an edit that was planned on a version that has passed is refused and changes nothing', async () => {
    const sessionId = await startSession()
    const snapshot = await modules.contexts.readSnapshot(caller, sessionId)
    const { signal } = caller
    const prepared = await modules.contexts.prepareSummary(snapshot, { span: 'all', callerMessageId: null, signal })
    if ('outcome' in prepared) throw new Error(prepared.detail)
    const messages: readonly NewMessage[] = [{ role: 'user', content: 'Meanwhile' }]
    await modules.contexts.append(caller, { sessionId, messages, expected: null })
    const before = await read(sessionId)
    const { version: fromVersion } = snapshot.context
    const applied = modules.database.transact(caller.tenantId, (tx) =>
      modules.contexts.applyEdit(tx, { sessionId, fromVersion, plan: prepared.plan }),
    )
    await expect(applied).rejects.toMatchObject({ code: 'context.version_conflict', status: 409 })
    expect(await read(sessionId)).toEqual(before)
  })

  it('a stale If-Match is refused and changes nothing', async () => {
    const sessionId = await startSession()
    const messages: readonly NewMessage[] = [{ role: 'user', content: 'Late' }]
    await expect(modules.contexts.append(caller, { sessionId, messages, expected: 7 })).rejects.toMatchObject({
      code: 'context.version_mismatch',
      status: 412,
    })
    expect((await read(sessionId)).messages).toHaveLength(chatter.length)
  })

  it('summarises by itself when an append fills the context beyond the pressure that was asked for', async () => {
    const sessionId = await startSession([], { autoSummaryAt: 0.01 })
    const { context } = await modules.contexts.append(caller, { sessionId, messages: chatter, expected: null })
    const kinds = (await read(sessionId)).messages.map(({ kind }) => kind)
    expect(kinds[0]).toBe('summary')
    expect(context.version).toBe(2)
  })

  it('RETRIEVE puts a call with its result into the context and never shows a memory twice', async () => {
    const sessionId = await startSession()
    await call(sessionId, 'add_memory', { content: 'Ana pays in May' })
    const first = await call(sessionId, 'retrieve_memory', { query: 'who pays in May?' })
    const second = await call(sessionId, 'retrieve_memory', { query: 'who pays in May?' })
    expect([second.result.memories, second.result.message_id]).toEqual([[], null])
    expect(second.result.already_in_context).toHaveLength(1)
    const [made, shown] = (await read(sessionId)).messages.slice(-2)
    expect([made?.role, shown?.role, shown?.messageId]).toEqual(['assistant', 'tool', first.result.message_id])
    expect(made?.toolCalls?.[0]?.id).toBe(shown?.toolCallId)
  })

  it('a closed session refuses every write and can still be read', async () => {
    const sessionId = await startSession()
    await modules.sessions.close(caller, sessionId)
    const refused = { code: 'session.closed', status: 409 }
    const messages: readonly NewMessage[] = [{ role: 'user', content: 'Hello?' }]
    await expect(modules.contexts.append(caller, { sessionId, messages, expected: null })).rejects.toMatchObject(
      refused,
    )
    await expect(call(sessionId, 'add_memory', { content: 'x' })).rejects.toMatchObject(refused)
    await expect(modules.contexts.reset(caller, { sessionId, expected: null })).rejects.toMatchObject(refused)
    expect((await read(sessionId)).messages).toHaveLength(chatter.length)
  })

  it('runs what a model wrote call after call, and stores the call with its results when asked to', async () => {
    const sessionId = await startSession()
    const output =
      '<think>Keep it.</think><tool_call>[{"name":"Add_memory","arguments":{"content":"Bob is seven"}},' +
      '{"name":"Retrieve_memory","arguments":{"query":"how old is Bob?"}},{"name":"Sing","arguments":{}},' +
      '{"name":"Update_memory","arguments":{"memory_id":"mem_00000000000000000000000000000000","content":"x"}}]</tool_call>'
    const step = await modules.tools.callAll(caller, { sessionId, output: { output, append: true } })
    expect(step.calls.map(({ name, status, problem }) => [name, status, problem?.code ?? null])).toEqual([
      ['Add_memory', 'ok', null],
      ['Retrieve_memory', 'ok', null],
      ['Sing', 'error', 'tool.unknown_tool'],
      ['Update_memory', 'error', 'memory.not_found'],
    ])
    const tail = (await read(sessionId)).messages.slice(-5)
    expect(tail.map(({ role }) => role)).toEqual(['assistant', 'tool', 'tool', 'tool', 'tool'])
    expect(tail[2]?.recalledMemoryIds).toHaveLength(1)
  })

  it('M2: a step that is sent again with its idempotency key runs no call twice', async () => {
    const sessionId = await startSession()
    const requestHash = createHash('sha256').update('step').digest()
    const retried = { ...caller, idempotency: { key: 'step-1', requestHash } }
    const output =
      '<think>x</think><tool_call>[{"name":"Add_memory","arguments":{"content":"Counted once"}}]</tool_call>'
    const before = (await modules.agents.get(caller, 'bot')).memoryCount
    const first = await modules.tools.callAll(retried, { sessionId, output: { output, append: false } })
    await modules.database.transact(caller.tenantId, (tx) =>
      tx.query(sql`delete from idempotency_key where idempotency_key = 'step-1'`),
    )
    const second = await modules.tools.callAll(retried, { sessionId, output: { output, append: false } })
    expect(second.calls).toEqual(first.calls)
    expect((await modules.agents.get(caller, 'bot')).memoryCount).toBe(before + 1)
  })

  it('a key that is bound to other agents does not find the session', async () => {
    const sessionId = await startSession()
    const bound = { ...caller, agentIds: ['someone-else'] }
    await expect(modules.contexts.readSnapshot(bound, sessionId)).rejects.toMatchObject({ code: 'session.not_found' })
    await expect(modules.sessions.get(bound, sessionId)).rejects.toMatchObject({ code: 'session.not_found' })
    await expect(
      modules.tools.call(bound, { sessionId, key: 'add_memory', args: { content: 'x' }, door: 'http' }),
    ).rejects.toMatchObject({ code: 'session.not_found' })
  })
})
