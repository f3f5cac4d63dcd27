/** What changes a context while another edit of it is being prepared, by embedder or model. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { NewMessage } from '../../src/modules/context/plan-append.ts'
import type { LanguageModel } from '../../src/ports/language-model.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { sql } from '../../src/shared/sql.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'
import { createScriptedPolicy } from '../support/scripted-policy.ts'

const chatter: readonly NewMessage[] = Array.from({ length: 12 }, (_, at) => ({
  role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
  content: `Message ${at}: the weather in city ${at} was rather fine, and Ana said she would pay ${at * 10} euros on May ${at + 1}.`,
}))

describe('edits of one context at once', () => {
  let modules: TestModules
  let caller: Caller
  let sessionId: string
  /** Awaited by the model before it writes a summary, and by the embedder before it answers. */
  let whileAsked: (asked: number) => Promise<unknown>
  let asked = 0

  const ask = () => {
    asked += 1
    return whileAsked(asked)
  }

  beforeAll(async () => {
    const fake = createFakeEmbedder()
    const embedder: typeof fake = { ...fake, embed: async (...args) => ask().then(() => fake.embed(...args)) }
    const { model: scripted } = createScriptedPolicy()
    const model: LanguageModel = {
      ...scripted,
      complete: async (...args) => ask().then(() => scripted.complete(...args)),
    }
    modules = await createTestModules({ embedder, model })
    caller = await modules.makeCaller()
  })
  afterAll(() => modules.close())

  beforeEach(async () => {
    asked = 0
    whileAsked = async () => {}
    const start = modules.contexts.startContext(chatter)
    const options = { filterThreshold: 0.2 }
    ;({ sessionId } = await modules.sessions.create(caller, { agentId: 'bot', options }, start))
  })

  const read = async () => (await modules.contexts.readSnapshot(caller, sessionId)).context
  const pin = async (at: number) => {
    const { messageId } = (await read()).messages[at] ?? { messageId: '' }
    await modules.contexts.setPinned(caller, { sessionId, messageId, pinned: true, expected: null })
    return messageId
  }
  const append = (content: string) =>
    modules.contexts.append(caller, { sessionId, messages: [{ role: 'user', content }], expected: null })
  const summarize = () =>
    modules.tools.call(caller, { sessionId, key: 'summary_context', args: { span: 'all' }, door: 'http' })

  /** Two FILTERs, neither of which is answered before both have read the context: each asks twice. */
  const filterTwice = (expected: number | null) => {
    let letAllGo = () => {}
    const allAsked = new Promise<void>((resolve) => {
      letAllGo = resolve
    })
    whileAsked = (at) => {
      if (at === 4) letAllGo()
      return allAsked
    }
    const args = { criteria: 'weather in city' }
    const filter = () => modules.tools.call(caller, { sessionId, key: 'filter_context', args, door: 'http', expected })
    return Promise.allSettled([filter(), filter()])
  }

  it('C8: of two that name the same version one edits and the other is refused', async () => {
    const { version } = await read()
    const both = await filterTwice(version)
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const reasons = both.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(reasons).toMatchObject([{ code: 'context.version_mismatch', status: 412 }])
    expect((await read()).version).toBe(version + 1)
    const { data } = await modules.contexts.listEdits(caller, sessionId, { cursor: null, limit: 10 })
    expect(data).toHaveLength(1)
  })

  it('C8: of two that name no version each edits the context as it finds it, and both are recorded', async () => {
    const { version } = await read()
    const both = await filterTwice(null)
    const edited = both.map((one) => one.status === 'fulfilled' && 'edit_id' in one.value.result)
    expect([both.map(({ status }) => status), edited.sort()]).toEqual([
      ['fulfilled', 'fulfilled'],
      [false, true],
    ])
    expect((await read()).version).toBe(version + 1)
    const recorded = await modules.database.read(caller.tenantId, (tx) =>
      tx.query<{ status: string; effective: boolean }>(
        sql`select status, effective from tool_call where session_id = ${sessionId} order by effective`,
      ),
    )
    expect(recorded).toEqual([
      { status: 'ok', effective: false },
      { status: 'ok', effective: true },
    ])
  })

  it('C5: a SUMMARY during which something was appended replaces what it summarised and keeps what came', async () => {
    whileAsked = () => append('Meanwhile')
    const { result } = await summarize()
    expect(asked).toBe(1)
    const context = await read()
    expect(context.messages.at(-1)?.content).toBe('Meanwhile')
    expect(context.messages.map(({ messageId }) => messageId)).toContain(result.summary_message_id)
    expect(context.tokens).toBe(context.messages.reduce((sum, { tokens }) => sum + tokens, 0))
  })

  it('C2: a SUMMARY during which one of its calls was answered is prepared again with the result', async () => {
    const toolCalls = [{ id: 'call_1', type: 'function' as const, function: { name: 'look', arguments: '{}' } }]
    const messages: readonly NewMessage[] = [
      { role: 'assistant', content: '', toolCalls },
      { role: 'user', content: 'And what now?' },
    ]
    await modules.contexts.append(caller, { sessionId, messages, expected: null })
    const result: NewMessage = { role: 'tool', content: 'Seen.', name: 'look', toolCallId: 'call_1' }
    whileAsked = async (count) => {
      if (count === 1) await modules.contexts.append(caller, { sessionId, messages: [result], expected: null })
    }
    await summarize()
    const after = (await read()).messages
    const called = after.flatMap((message) => (message.toolCalls ?? []).map(({ id }) => id))
    expect(after.flatMap(({ toolCallId }) => toolCallId ?? [])).toEqual(called)
    expect(asked).toBe(2)
  })

  it('C1: a SUMMARY of messages of which one was pinned meanwhile is prepared again without it', async () => {
    let pinned = ''
    whileAsked = async (at) => {
      if (at === 1) pinned = await pin(0)
    }
    const { result } = await summarize()
    expect(asked).toBe(2)
    expect(result.replaced_message_ids).not.toContain(pinned)
    expect((await read()).messages.map(({ messageId }) => messageId)).toContain(pinned)
  })

  it('a SUMMARY whose messages others edit all the while is told so in the end, and changes nothing', async () => {
    whileAsked = (at) => pin(at * 2)
    await expect(summarize()).rejects.toMatchObject({ code: 'context.version_conflict', status: 409 })
    expect(asked).toBe(3)
    expect((await read()).messages).toHaveLength(chatter.length)
  })

  it('M7: what was prepared on a session that was erased meanwhile never enters the one that takes its id', async () => {
    whileAsked = async (at) => {
      if (at > 1) return
      await modules.agents.erase(caller, 'bot')
      await modules.sessions.create(caller, { agentId: 'bot', sessionId }, modules.contexts.startContext(chatter))
    }
    await expect(summarize()).rejects.toMatchObject({ code: 'session.not_found', status: 404 })
    expect((await read()).version).toBe(1)
  })
})
