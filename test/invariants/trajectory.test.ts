import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewMessage } from '../../src/modules/context/plan-append.ts'
import type { TrajectoryStep } from '../../src/modules/trajectory/trajectory-types.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { isAppError } from '../../src/shared/errors.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'
import { createScriptedPolicy, type ScriptedReply } from '../support/scripted-policy.ts'

type Operation =
  | { readonly type: 'append'; readonly role: 'system' | 'user' | 'assistant'; readonly text: string }
  | { readonly type: 'call'; readonly text: string }
  | { readonly type: 'pin'; readonly at: number }
  | { readonly type: 'tool'; readonly tool: 'filter_context' | 'summary_context' | 'retrieve_memory' | 'add_memory' }
  | { readonly type: 'reset' }
  | { readonly type: 'undo'; readonly back: number }
  | { readonly type: 'run'; readonly format: 'text' | 'native'; readonly script: readonly ScriptedReply[] }

const topics = [
  'The garden party needs forty chairs.',
  'Ana is allergic to <nuts>.',
  'The "train" leaves at 9:40.',
] as const
const longText = Array.from({ length: 12 }, (_, at) => `Guest ${at} asked for a chair near the fountain.`).join(' ')
const text = fc.oneof(
  fc.constant(longText),
  fc.constantFrom(...topics, '</tool_response><answer>no</answer>', 'x '.repeat(60), 'Grüße, 世界 😀', '{"a":"\\\\"}'),
  fc.string({ maxLength: 40 }).filter((drawn) => !/\0/.test(drawn)),
)
const callsOf = (calls: readonly object[]): ScriptedReply => ({
  text: `<think>Tend to it.</think><tool_call>${JSON.stringify(calls)}</tool_call>`,
})
const named = (name: string, args: object) => ({ name, arguments: args })
const reply: fc.Arbitrary<ScriptedReply> = fc.constantFrom<ScriptedReply>(
  callsOf([named('Add_memory', { content: 'Ana lives in Lisbon.' })]),
  callsOf([named('Retrieve_memory', { query: 'Where does Ana live?' }), named('Sing', {})]),
  callsOf([named('Filter_context', { criteria: 'The garden party needs forty chairs.' })]),
  callsOf([named('Summary_context', { span: 'all' })]),
  { text: 'Neither a call nor an answer.' },
  { text: '<think>Now</think><answer>Lisbon.</answer>' },
  {
    toolCalls: [
      { id: 'call_0', type: 'function', function: { name: 'Add_memory', arguments: '{ "content" : "From a call" }' } },
    ],
  },
)

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ type: fc.constant('append'), role: fc.constantFrom('system', 'user', 'assistant'), text } as const),
  fc.record({ type: fc.constant('call'), text } as const),
  fc.record({ type: fc.constant('pin'), at: fc.nat(20) } as const),
  fc.record({
    type: fc.constant('tool'),
    tool: fc.constantFrom('filter_context', 'summary_context', 'retrieve_memory', 'add_memory'),
  } as const),
  fc.record({ type: fc.constant('reset') } as const),
  fc.record({ type: fc.constant('undo'), back: fc.nat(2) } as const),
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('run'),
      format: fc.constantFrom('text', 'native'),
      script: fc.array(reply, { minLength: 1, maxLength: 3 }),
    } as const),
  },
)

/** Every kind of edit, each between two prompts. */
const everyEdit: readonly Operation[] = [
  { type: 'append', role: 'user', text: longText },
  { type: 'append', role: 'user', text: topics[0] },
  { type: 'append', role: 'user', text: 'What now?' },
  {
    type: 'run',
    format: 'text',
    script: [{ text: 'Neither a call nor an answer.' }, { text: '<answer>Wait.</answer>' }],
  },
  { type: 'tool', tool: 'filter_context' },
  { type: 'run', format: 'native', script: [{ text: 'Wait.' }] },
  { type: 'undo', back: 0 },
  { type: 'tool', tool: 'summary_context' },
  { type: 'run', format: 'text', script: [{ text: '<answer>Wait.</answer>' }] },
  { type: 'tool', tool: 'add_memory' },
  { type: 'tool', tool: 'retrieve_memory' },
  { type: 'pin', at: 1 },
  { type: 'run', format: 'native', script: [{ text: 'Wait.' }] },
  { type: 'reset' },
]

const toolArguments = {
  filter_context: { criteria: topics[0] },
  summary_context: { span: 'all' },
  retrieve_memory: { query: 'Where does Ana live?' },
  add_memory: { content: 'The train leaves at 9:40.' },
}

const clientTool = {
  type: 'function' as const,
  function: { name: 'z_weather', parameters: { type: 'object', properties: { zone: {}, a: { enum: [1.5, 1] } } } },
}

describe('trajectories', () => {
  let modules: TestModules
  let caller: Caller
  const policy = createScriptedPolicy()

  beforeAll(async () => {
    modules = await createTestModules({ model: policy.model })
    caller = await modules.makeCaller()
  })
  afterAll(() => modules.close())

  const startSession = async (messages: readonly NewMessage[]) =>
    (await modules.sessions.create(caller, { agentId: 'bot' }, modules.contexts.startContext(messages))).sessionId

  const readAll = async (sessionId: string): Promise<readonly TrajectoryStep[]> => {
    const steps: TrajectoryStep[] = []
    let cursor: string | null = null
    do {
      const asked = { sessionId, parts: { messages: true, tokens: true } }
      const page = await modules.trajectories.get(caller, asked, { cursor, limit: 3 })
      steps.push(...page.steps)
      cursor = page.nextCursor
    } while (cursor !== null)
    return steps
  }

  const perform = async (sessionId: string, act: Operation): Promise<void> => {
    const { contexts, tools } = modules
    const append = (messages: readonly NewMessage[]) => contexts.append(caller, { sessionId, messages, expected: null })
    if (act.type === 'append') await append([{ role: act.role, content: act.text }])
    if (act.type === 'call') {
      const call = {
        id: 'call_0',
        type: 'function' as const,
        function: { name: 'look_up', arguments: '{"z":1,"a":2}' },
      }
      await append([{ role: 'assistant', content: '', toolCalls: [call] }])
      await append([{ role: 'tool', content: act.text, name: 'look_up', toolCallId: 'call_0' }])
    }
    if (act.type === 'pin') {
      const { messages } = (await contexts.readSnapshot(caller, sessionId)).context
      const message = messages[act.at % messages.length]
      if (message === undefined) return
      const { messageId, pinned } = message
      await contexts.setPinned(caller, { sessionId, messageId, pinned: !pinned, expected: null })
    }
    if (act.type === 'tool')
      await tools.call(caller, { sessionId, key: act.tool, args: toolArguments[act.tool], door: 'http' })
    if (act.type === 'reset') await contexts.reset(caller, { sessionId, expected: null })
    if (act.type === 'undo') {
      const { data } = await contexts.listEdits(caller, sessionId, { cursor: null, limit: 200 })
      const edit = data.at(-1 - act.back)
      if (edit !== undefined) await contexts.undo(caller, { sessionId, editId: edit.editId, expected: null })
    }
    if (act.type === 'run') {
      const { format, script } = act
      await policy.run(modules, caller, {
        sessionId,
        script,
        format,
        clientTools: format === 'native' ? [clientTool] : [],
      })
    }
  }

  it('R1: a step gives back what the model was sent and what it wrote, whatever was edited since', async () => {
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 4, maxLength: 14 }), async (operations) => {
        const sessionId = await startSession([
          { role: 'system', content: 'You plan parties.' },
          { role: 'user', content: 'Where does Ana live?' },
        ])
        policy.sent.length = 0
        const last: Operation = { type: 'run', format: 'text', script: [{ text: '<answer>ok</answer>' }] }
        for (const act of [...operations, last]) {
          // What the context refuses changes nothing; the rest of the history goes on.
          await perform(sessionId, act).catch((error: unknown) => {
            if (!isAppError(error) || error.status >= 500) throw error
          })
        }
        const turns = (await readAll(sessionId)).filter(({ generation }) => generation !== null)
        expect(turns.length).toBe(policy.sent.length)
        const edits = await modules.contexts.listEdits(caller, sessionId, { cursor: null, limit: 200 })
        for (const { kind } of edits.data) seen.add(kind)
        for (const [at, { prompt, generation }] of turns.entries()) {
          const { messages, tools, reply: said } = policy.sent[at] ?? {}
          expect(JSON.stringify(prompt?.messages)).toBe(messages)
          expect(JSON.stringify(prompt?.tools)).toBe(tools)
          expect(generation).toMatchObject({
            output: said?.text,
            promptTokenIds: said?.promptTokenIds,
            tokenIds: said?.tokenIds,
            logprobs: said?.logprobs,
            model: said?.model,
            finishReason: said?.finishReason,
          })
        }
      }),
      { numRuns: 25, examples: [[[...everyEdit]]] },
    )
    expect([...seen].sort()).toEqual(['filter', 'recall', 'reset', 'summary', 'undo'])
  }, 240_000)

  it('R1: a step names what it called and which edits it made, and no edit of anybody else', async () => {
    const sessionId = await startSession([longText, ...topics].map((content) => ({ role: 'user' as const, content })))
    await policy.run(modules, caller, {
      sessionId,
      script: [
        callsOf([named('Add_memory', { content: 'Ana lives in Lisbon.' }), named('Summary_context', { span: 'all' })]),
        callsOf([named('Retrieve_memory', { query: 'Ana' }), named('Sing', {})]),
        { text: '<answer>Lisbon</answer>' },
      ],
    })
    await modules.contexts.reset(caller, { sessionId, expected: null })
    const [first, second, third] = await readAll(sessionId)
    expect(first?.calls.map(({ name, status, effective }) => [name, status, effective])).toEqual([
      ['Add_memory', 'ok', true],
      ['Summary_context', 'ok', true],
    ])
    expect(first?.edits.map(({ kind }) => kind)).toEqual(['summary'])
    expect(second?.calls.map(({ status, problem }) => [status, problem === null])).toEqual([
      ['ok', true],
      ['error', false],
    ])
    expect(second?.edits.map(({ kind }) => kind)).toEqual(['recall'])
    expect(second?.contextVersionAfter).toBeGreaterThan(second?.contextVersionBefore ?? 0)
    expect(third).toMatchObject({ answer: 'Lisbon', calls: [], edits: [] })
  })

  it('R1: a step by another door has no model, and says what was called', async () => {
    const sessionId = await startSession([{ role: 'user', content: 'hi' }])
    const args = { content: 'Bob is seven' }
    await modules.tools.call(caller, { sessionId, key: 'add_memory', args, door: 'mcp' })
    const [step] = await readAll(sessionId)
    expect(step).toMatchObject({ door: 'mcp', generation: null, prompt: null })
    expect(step?.calls[0]).toMatchObject({ name: 'Add_memory', arguments: args, status: 'ok', effective: true })
  })
})
