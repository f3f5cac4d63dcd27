import type OpenAI from 'openai'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ScriptedReply } from '../support/chat-server-answer.ts'
import { useChats } from '../support/chats.ts'
import { readChunks } from '../support/openai-clients.ts'
import { answering, calling } from '../support/policy.ts'

type Call = { readonly name: string; readonly arguments: object }

const weather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: { name: 'get_weather', description: 'The weather of a place.', parameters: { type: 'object' } },
}

const lisbon: Call = { name: 'get_weather', arguments: { place: 'Lisbon' } }
const paris: Call = { name: 'get_weather', arguments: { place: 'Paris' } }
const fact: Call = { name: 'Add_memory', arguments: { content: 'Ana travels to Lisbon.' } }
const question: OpenAI.ChatCompletionMessageParam = { role: 'user', content: 'How is the weather in Lisbon?' }

const scripts = {
  text: { calls: (...calls: Call[]): ScriptedReply => calling(...calls), answer: (text: string) => answering(text) },
  native: {
    calls: (...calls: Call[]): ScriptedReply => ({ toolCalls: calls }),
    answer: (text: string): ScriptedReply => ({ text }),
  },
} as const

describe.each(['text', 'native'] as const)("functions of the client's own, in the %s format", (format) => {
  const script = scripts[format]
  const policyDefaults = { format, turnsMax: 5, deadlineMs: 20_000, temperature: 0, tokensMax: 256 }
  const { server, client, http, agent, stored } = useChats('tools', { app: { policyDefaults } })

  beforeEach(() => server().reply(() => script.answer('Nothing more was scripted.')))

  const body = (...messages: OpenAI.ChatCompletionMessageParam[]) => ({ model: 'agemem', messages, tools: [weather] })
  const ask = (...messages: OpenAI.ChatCompletionMessageParam[]) => client().chat.completions.create(body(...messages))
  const callsOf = ({ choices }: OpenAI.ChatCompletion) =>
    (choices[0]?.message.tool_calls ?? []).flatMap((call) => (call.type === 'function' ? [call] : []))
  /** What the client sends of the call: its message, and the result of its own function. */
  const answered = (called: OpenAI.ChatCompletion, content: string): OpenAI.ChatCompletionMessageParam[] => [
    called.choices[0]?.message ?? { role: 'assistant', content: null },
    { role: 'tool', tool_call_id: callsOf(called)[0]?.id ?? '', content },
  ]
  const lastPrompt = () => JSON.stringify(server().turns().at(-1)?.body)

  it('the model sees them beside its own; a call comes back, its result is read, and the run goes on', async () => {
    server().reply(script.calls(lisbon))
    const called = await ask(question)
    expect(lastPrompt()).toContain('The weather of a place.')
    expect(lastPrompt()).toContain('Retrieve_memory')
    expect(called.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
    expect(callsOf(called)).toMatchObject([
      { type: 'function', function: { name: 'get_weather', arguments: '{"place":"Lisbon"}' } },
    ])
    server().reply(script.answer('It is sunny.'))
    const history = [question, ...answered(called, '24 degrees, sun')]
    const answer = await ask(...history)
    expect(lastPrompt()).toContain('24 degrees, sun')
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'It is sunny.' } })
    expect((await stored()).map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
    history.push({ role: 'assistant', content: 'It is sunny.' }, { role: 'user', content: 'Thanks.' })
    expect((await ask(...history)).choices[0]?.finish_reason).toBe('stop')
  })

  it('streams calls whole, several at once', async () => {
    server().reply(script.calls(lisbon, paris))
    const stream = await client().chat.completions.create({ ...body(question), stream: true })
    const { chunks, text, finishReason } = await readChunks(stream)
    expect([text, finishReason]).toEqual(['', 'tool_calls'])
    const deltas = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
    expect(deltas).toMatchObject([
      { index: 0, id: expect.any(String), type: 'function', function: { arguments: '{"place":"Lisbon"}' } },
      { index: 1, function: { name: 'get_weather', arguments: '{"place":"Paris"}' } },
    ])
  })

  it('a memory tool that is called beside one runs at once, and the client sees its own alone', async () => {
    server().reply(script.calls(fact, lisbon))
    const called = await ask(question)
    expect(callsOf(called).map((call) => call.function.name)).toEqual(['get_weather'])
    expect((await http().get(`/v1/agents/${agent()}/memories`)).json().data).toMatchObject([fact.arguments])
    server().reply(script.answer('Sunny.'))
    const answer = await ask(question, ...answered(called, 'sun'))
    expect(answer.choices[0]?.message.content).toBe('Sunny.')
  })

  it('a name that nobody has is told to the model, and is not handed to the client', async () => {
    server().reply(script.calls({ name: 'get_wether', arguments: {} }))
    server().reply(script.calls(lisbon))
    const called = await ask(question)
    expect(callsOf(called).map((call) => call.function.name)).toEqual(['get_weather'])
    expect(lastPrompt()).toContain('tool.unknown_tool')
    server().reply(script.answer('Fine.'))
    await ask(question, ...answered(called, 'sun'))
    expect((await stored()).filter(({ role }) => role === 'user').length).toBe(1)
  })

  it('with tool_choice none they are not offered, and a call of one is an unknown name', async () => {
    server().reply(script.calls(lisbon))
    server().reply(script.answer('I cannot look.'))
    const answer = await client().chat.completions.create({ ...body(question), tool_choice: 'none' })
    expect(answer.choices[0]?.message).toMatchObject({ content: 'I cannot look.' })
    expect(lastPrompt()).not.toContain('The weather of a place.')
  })

  it('a function with the name of a memory tool is refused', async () => {
    const tools: OpenAI.ChatCompletionTool[] = [{ type: 'function', function: { name: 'Add_memory' } }]
    await expect(client().chat.completions.create({ ...body(question), tools })).rejects.toMatchObject({
      status: 422,
      code: 'policy.tool_name_taken',
    })
  })

  it('a result without its call is refused', async () => {
    await expect(ask({ role: 'tool', tool_call_id: 'call_of_nobody', content: 'sun' })).rejects.toMatchObject({
      status: 422,
      code: 'context.orphan_tool_result',
    })
  })
})
