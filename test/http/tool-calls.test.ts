import { describe, expect, it } from 'vitest'
import { codeOf, expectStatus, idMatching, useApp, useSessions } from '../support/http.ts'

describe('callTools', () => {
  const { http } = useApp()
  const { session } = useSessions(http, 'turns')

  const run = (payload: object) => http.post(`${session()}/tool_calls`, payload)
  const toolCall = (id: string, name: string, args: unknown) => ({
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(args) },
  })
  const messagesOf = async () => (await http.get(`${session()}/messages`)).json().data

  it('runs the calls of raw text in order, and answers each', async () => {
    const calls = [
      { name: 'Add_memory', arguments: { content: 'Ana lives in Porto' } },
      { name: 'Delete_memory', arguments: { memory_id: `mem_${'0'.repeat(32)}`, confirmation: true } },
    ]
    const output = `<think>Worth keeping.</think><tool_call>${JSON.stringify(calls)}</tool_call>`
    const step = expectStatus(await run({ output }), 200).json()
    expect(step).toEqual({
      step_id: idMatching('stp'),
      think: 'Worth keeping.',
      calls: [
        { tool_call_id: expect.any(String), name: 'Add_memory', status: 'ok', result: expect.any(Object) },
        {
          tool_call_id: expect.any(String),
          name: 'Delete_memory',
          status: 'error',
          problem: expect.objectContaining({ code: 'memory.not_found', status: 404, detail: expect.any(String) }),
        },
      ],
      messages: [0, 1].map((at) => ({
        role: 'tool',
        tool_call_id: step.calls[at].tool_call_id,
        content: expect.any(String),
      })),
      violations: [],
      context: { version: 0, tokens: 0, budget_tokens: 8_192, pressure: 0 },
    })
    expect(JSON.parse(step.messages[0].content)).toEqual(step.calls[0].result)
    expect(await messagesOf()).toEqual([])
  })

  it('an answer is an answer, and what departs from the form is named', async () => {
    const step = expectStatus(await run({ output: '<think>Done.</think><answer>In Porto.</answer>' }), 200).json()
    expect(step).toMatchObject({ think: 'Done.', answer: 'In Porto.', calls: [], messages: [], violations: [] })
    const { violations, ...rest } = (await run({ output: 'no blocks at all' })).json()
    expect(rest).not.toHaveProperty('answer')
    expect(violations).toContainEqual({ code: 'missing_think', detail: expect.any(String), count: 1 })
  })

  it('runs calls in the form of OpenAI under their ids, and tells of an unknown tool', async () => {
    const tool_calls = [toolCall('c1', 'Add_memory', { content: 'x' }), toolCall('c2', 'Fly', {})]
    const step = expectStatus(await run({ tool_calls }), 200).json()
    expect(step.calls).toMatchObject([
      { tool_call_id: 'c1', status: 'ok' },
      { tool_call_id: 'c2', status: 'error', problem: { code: 'tool.unknown_tool' } },
    ])
    expect(step).not.toHaveProperty('think')
  })

  it('append stores the assistant message with its calls, and a tool message for each', async () => {
    const tool_calls = [
      toolCall('c1', 'Add_memory', { content: 'y' }),
      toolCall('c2', 'Retrieve_memory', { query: 'y' }),
    ]
    const answer = expectStatus(await run({ tool_calls, append: true }), 200)
    const step = answer.json()
    expect(answer.headers.etag).toBe(`"v${step.context.version}"`)
    const stored = await messagesOf()
    expect(stored.map(({ role, tool_call_id }: Record<string, unknown>) => [role, tool_call_id])).toEqual([
      ['assistant', undefined],
      ['tool', 'c1'],
      ['tool', 'c2'],
    ])
    expect(stored[0].tool_calls).toEqual(tool_calls)
    expect((await http.get(`${session()}/context`)).json().version).toBe(step.context.version)
  })

  it.each([[{}], [{ output: 'x', tool_calls: [] }]])('refuses %j', async (payload) => {
    expect(codeOf(await run(payload))).toEqual([422, 'tool.output_missing'])
  })

  it.each([[{ output: 5 }], [{ tool_calls: {} }], [{ output: 'x', append: 'yes' }], [{ output: 'x', extra: 1 }]])(
    'refuses %j as another form',
    async (payload) => {
      expect(codeOf(await run(payload))).toEqual([400, 'request.invalid'])
    },
  )
})
