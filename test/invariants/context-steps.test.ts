import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseOpenAiToolCalls } from '../../src/modules/tool/parse-openai-calls.ts'
import { assistantMessage } from '../../src/modules/tool/run-turn.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

describe('the steps of a session', () => {
  let modules: TestModules
  let caller: Caller

  beforeAll(async () => {
    modules = await createTestModules()
    caller = await modules.makeCaller()
  })
  afterAll(() => modules.close())

  const startSession = async () => {
    const start = modules.contexts.startContext([{ role: 'user', content: 'What do we know of Ana and Bob?' }])
    return (await modules.sessions.create(caller, { agentId: 'bot' }, start)).sessionId
  }
  const read = async (sessionId: string) => (await modules.contexts.readSnapshot(caller, sessionId)).context
  const stepsOf = (sessionId: string) =>
    modules.database.read(caller.tenantId, (tx) =>
      tx.query<{ step_id: string; step_order: number; door: string; model: string | null; token_ids: number[] | null }>(
        sql`select step_id, step_order, door, model, token_ids from step where session_id = ${sessionId} order by step_order`,
      ),
    )

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
    expect(tail[2]?.recalledMemories).toHaveLength(1)
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

  it("M2: a turn that is run again under its step's id opens no second step and runs no call twice", async () => {
    const sessionId = await startSession()
    const toolCalls = [
      {
        id: 'call_a',
        type: 'function',
        function: { name: 'Add_memory', arguments: '{"content":"Once and only once"}' },
      },
    ]
    const stepId = `stp_${'7'.repeat(32)}`
    const parsed = parseOpenAiToolCalls(toolCalls)
    const message = assistantMessage(parsed)
    const door = 'policy' as const
    const turn = { sessionId, stepId, mayBeRepeated: true, parsed, door, message, generation: null }
    const first = await modules.tools.runTurn(caller, turn)
    const context = await read(sessionId)
    expect(await modules.tools.runTurn(caller, turn)).toEqual(first)
    expect(await read(sessionId)).toEqual(context)
    expect(await stepsOf(sessionId)).toMatchObject([{ step_id: stepId, step_order: 1, door: 'policy' }])
  })

  it('runs and records the calls of a turn whose context was reset meanwhile, and appends no result without its call', async () => {
    const sessionId = await startSession()
    const call = (id: string, name: string, args: object) => ({
      ...{ id, type: 'function' as const },
      function: { name, arguments: JSON.stringify(args) },
    })
    const parsed = parseOpenAiToolCalls([
      call('call_a', 'Add_memory', { content: 'Kept whatever becomes of the talk' }),
      call('call_b', 'Retrieve_memory', { query: 'what was kept' }),
    ])
    const stepId = `stp_${'8'.repeat(32)}`
    const turn = { sessionId, stepId, mayBeRepeated: true, parsed, door: 'policy' as const, generation: null }
    const message = assistantMessage(parsed)
    await modules.tools.runTurn(caller, { ...turn, message, parsed: { ...parsed, calls: [] } })
    await modules.contexts.reset(caller, { sessionId, expected: null })
    const before = (await modules.agents.get(caller, 'bot')).memoryCount
    const { calls } = await modules.tools.runTurn(caller, { ...turn, message })
    expect(calls.map(({ status, problem }) => problem?.code ?? status)).toEqual(['ok', 'context.orphan_tool_result'])
    expect((await modules.agents.get(caller, 'bot')).memoryCount).toBe(before + 1)
    expect((await read(sessionId)).messages).toEqual([])
  })

  it("what ADD stores has the session and its step's order as its source, by every door", async () => {
    const sessionId = await startSession()
    const args = { content: 'Added by itself' }
    await modules.tools.call(caller, { sessionId, key: 'add_memory', args, door: 'http' })
    const output =
      '<think>x</think><tool_call>[{"name":"Add_memory","arguments":{"content":"First of an array"}},' +
      '{"name":"Add_memory","arguments":{"content":"Second of an array"}}]</tool_call>'
    await modules.tools.callAll(caller, { sessionId, output: { output, append: false } })
    const orders = (await stepsOf(sessionId)).map(({ step_order: order }) => order)
    const memories = await modules.database.read(caller.tenantId, (tx) =>
      tx.query<{ source_position: number }>(
        sql`select source_position from memory where source_id = ${sessionId} order by source_position`,
      ),
    )
    const [alone = 0, array = 0] = orders
    expect(memories.map(({ source_position: position }) => position)).toEqual([alone, array, array])
    expect(array).toBe(alone + 1)
  })
})
