import type OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ScriptedReply } from '../support/chat-server-answer.ts'
import { createHttp, type Http } from '../support/http.ts'
import { createOpenAiClients, type OpenAiClients, readChunks } from '../support/openai-clients.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'

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
  let test: PolicyTest
  let clients: OpenAiClients
  let http: Http
  let sessions = 0
  let session: string
  let client: OpenAI

  beforeAll(async () => {
    const policyDefaults = { format, turnsMax: 5, deadlineMs: 20_000, temperature: 0, tokensMax: 256 }
    test = await createPolicyTest({ app: { policyDefaults } })
    clients = await createOpenAiClients(test)
    http = createHttp(test, clients.key)
  })
  afterAll(() => test.close())

  beforeEach(() => {
    sessions += 1
    session = `tools-${sessions}`
    client = clients.open({ session, agent: `agent-${sessions}` })
    test.server.reply(() => script.answer('Nothing more was scripted.'))
  })

  const body = (...messages: OpenAI.ChatCompletionMessageParam[]) => ({ model: 'agemem', messages, tools: [weather] })
  const ask = (...messages: OpenAI.ChatCompletionMessageParam[]) => client.chat.completions.create(body(...messages))
  const callsOf = ({ choices }: OpenAI.ChatCompletion) =>
    (choices[0]?.message.tool_calls ?? []).flatMap((call) => (call.type === 'function' ? [call] : []))
  const lastPrompt = () => JSON.stringify(test.server.turns().at(-1)?.body)

  it('the model sees them beside its own; a call comes back, its result is read, and the run goes on', async () => {
    test.server.reply(script.calls(lisbon))
    const called = await ask(question)
    expect(lastPrompt()).toContain('The weather of a place.')
    expect(lastPrompt()).toContain('Retrieve_memory')
    expect(called.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
    const [call] = callsOf(called)
    expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather', arguments: '{"place":"Lisbon"}' } })
    const message = called.choices[0]?.message ?? { role: 'assistant' as const, content: null }
    test.server.reply(script.answer('It is sunny.'))
    const answer = await ask(question, message, {
      role: 'tool',
      tool_call_id: call?.id ?? '',
      content: '24 degrees, sun',
    })
    expect(lastPrompt()).toContain('24 degrees, sun')
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'It is sunny.' } })
    const { data } = (await http.get(`/v1/sessions/${session}/messages`)).json()
    expect(data.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
    const trajectory = await ask(
      question,
      message,
      { role: 'tool', tool_call_id: call?.id ?? '', content: 'sun' },
      {
        role: 'assistant',
        content: 'It is sunny.',
      },
      { role: 'user', content: 'Thanks.' },
    )
    expect(trajectory.choices[0]?.finish_reason).toBe('stop')
  })

  it('streams calls whole, several at once', async () => {
    test.server.reply(script.calls(lisbon, paris))
    const stream = await client.chat.completions.create({ ...body(question), stream: true })
    const { chunks, text, finishReason } = await readChunks(stream)
    expect([text, finishReason]).toEqual(['', 'tool_calls'])
    const deltas = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
    expect(deltas).toMatchObject([
      { index: 0, id: expect.any(String), type: 'function', function: { arguments: '{"place":"Lisbon"}' } },
      { index: 1, function: { name: 'get_weather', arguments: '{"place":"Paris"}' } },
    ])
  })

  it('a memory tool that is called beside one runs at once, and the client sees its own alone', async () => {
    test.server.reply(script.calls(fact, lisbon))
    const called = await ask(question)
    expect(callsOf(called).map((call) => call.function.name)).toEqual(['get_weather'])
    expect((await http.get(`/v1/agents/agent-${sessions}/memories`)).json().data).toMatchObject([fact.arguments])
    test.server.reply(script.answer('Sunny.'))
    const [call] = callsOf(called)
    const message = called.choices[0]?.message ?? { role: 'assistant' as const, content: null }
    const answer = await ask(question, message, { role: 'tool', tool_call_id: call?.id ?? '', content: 'sun' })
    expect(answer.choices[0]?.message.content).toBe('Sunny.')
  })

  it('a name that nobody has is told to the model, and is not handed to the client', async () => {
    test.server.reply(script.calls({ name: 'get_wether', arguments: {} }))
    test.server.reply(script.calls(lisbon))
    const called = await ask(question)
    expect(callsOf(called).map((call) => call.function.name)).toEqual(['get_weather'])
    expect(lastPrompt()).toContain('tool.unknown_tool')
    test.server.reply(script.answer('Fine.'))
    const [call] = callsOf(called)
    const message = called.choices[0]?.message ?? { role: 'assistant' as const, content: null }
    await ask(question, message, { role: 'tool', tool_call_id: call?.id ?? '', content: 'sun' })
    const { data } = (await http.get(`/v1/sessions/${session}/messages`)).json()
    expect(data.filter(({ role }: { role: string }) => role === 'user').length).toBe(1)
  })

  it('with tool_choice none they are not offered, and a call of one is an unknown name', async () => {
    test.server.reply(script.calls(lisbon))
    test.server.reply(script.answer('I cannot look.'))
    const answer = await client.chat.completions.create({ ...body(question), tool_choice: 'none' })
    expect(answer.choices[0]?.message).toMatchObject({ content: 'I cannot look.' })
    expect(lastPrompt()).not.toContain('The weather of a place.')
  })

  it('a function with the name of a memory tool is refused', async () => {
    const tools: OpenAI.ChatCompletionTool[] = [{ type: 'function', function: { name: 'Add_memory' } }]
    await expect(client.chat.completions.create({ ...body(question), tools })).rejects.toMatchObject({
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
