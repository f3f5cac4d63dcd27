import type OpenAI from 'openai'
import { beforeEach, describe, expect, it } from 'vitest'
import { useChats } from '../support/chats.ts'
import { createHttp, once } from '../support/http.ts'
import { createOpenAiClients, readChunks } from '../support/openai-clients.ts'
import { answering, calling, createPolicyTest } from '../support/policy.ts'

type Message = OpenAI.ChatCompletionMessageParam

const native = { format: 'native', turnsMax: 5, deadlineMs: 20_000, temperature: 0, tokensMax: 256 } as const

describe('chat completions with the official client', () => {
  const { server, clients, client, http, session, agent, stored } = useChats('chat')

  beforeEach(() => server().reply(() => answering('Nothing more was scripted.')))

  const ask = (...messages: readonly Message[]) =>
    client().chat.completions.create({ model: 'agemem', messages: [...messages] })
  const askStreamed = (messages: Message[], options: { include_usage?: boolean } = {}) =>
    client().chat.completions.create({ model: 'agemem', messages, stream: true, stream_options: options })
  const said = async () => (await stored()).flatMap(({ role, content }) => [role, content])
  const questions = async () => (await stored()).filter(({ role }) => role === 'user')

  it('the policy tends its memory and answers in the form of OpenAI', async () => {
    server().reply(calling({ name: 'Add_memory', arguments: { content: 'Ana is allergic to peanuts.' } }))
    server().reply(answering('I will remember.'))
    const answer = await ask({ role: 'user', content: 'I am Ana, and allergic to peanuts.' })
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-run_[0-9a-f]{32}$/),
      object: 'chat.completion',
      model: server().model,
      choices: [{ index: 0, message: { role: 'assistant', content: 'I will remember.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: expect.any(Number), prompt_tokens_details: { cached_tokens: expect.any(Number) } },
      agemem: { session_id: session(), step_ids: [expect.any(String), expect.any(String)] },
    })
    expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(60)
    const { prompt_tokens = 0, completion_tokens = 0, total_tokens } = answer.usage ?? {}
    expect(total_tokens).toBe(prompt_tokens + completion_tokens)
    expect((await http().get(`/v1/agents/${agent()}/memories`)).json().data).toMatchObject([
      { content: 'Ana is allergic to peanuts.' },
    ])
  })

  it('streams the answer as it is written, with the reason and the usage at the end', async () => {
    server().reply(calling({ name: 'Add_memory', arguments: { content: 'One fact.' } }))
    server().reply(answering('Paris is the capital of France.'))
    const { chunks, text, finishReason } = await readChunks(
      await askStreamed([{ role: 'user', content: 'Capital of France?' }], { include_usage: true }),
    )
    expect([text, finishReason]).toEqual(['Paris is the capital of France.', 'stop'])
    expect(chunks.filter(({ choices }) => choices[0]?.delta.content).length).toBeGreaterThan(2)
    expect(chunks[0]).toMatchObject({
      object: 'chat.completion.chunk',
      model: server().model,
      choices: [{ delta: { role: 'assistant' }, finish_reason: null }],
    })
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: expect.any(Number) } })
    expect(chunks.at(-2)).toMatchObject({ agemem: { session_id: session(), run_id: chunks[0]?.id.slice(9) } })
    const { chunks: without } = await readChunks(await askStreamed([{ role: 'user', content: 'And of Spain?' }]))
    expect(without.some((chunk) => 'usage' in chunk)).toBe(false)
  })

  it('a stream ends with [DONE], and has no cache', async () => {
    const response = await fetch(`${clients().url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${clients().key}`,
        'content-type': 'application/json',
        'agemem-session': session(),
        'agemem-agent': 'a',
      },
      body: JSON.stringify({ model: 'agemem', stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
    })
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const events = (await response.text()).split('\n\n').filter(Boolean)
    expect(events.at(-1)).toBe('data: [DONE]')
    expect(events.every((event) => event.startsWith('data: '))).toBe(true)
  })

  it('a history that is sent again is not appended again, streamed or not, and system messages once', async () => {
    const history: Message[] = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'One?' },
    ]
    server().reply(answering('First.'))
    history.push((await ask(...history)).choices[0]?.message ?? { role: 'assistant', content: '' })
    history.push({ role: 'user', content: [{ type: 'text', text: 'Two?' }] })
    server().reply(answering('Second.'))
    history.push({ role: 'assistant', content: (await readChunks(await askStreamed(history))).text })
    history.push({ role: 'user', content: 'Three?' })
    server().reply(answering('Third.'))
    await ask(...history)
    server().reply(answering('Fourth.'))
    await ask({ role: 'user', content: 'Four?' })
    const talk = ['system', 'Be kind.', 'user', 'One?', 'assistant', 'First.', 'user', 'Two?', 'assistant', 'Second.']
    const rest = ['user', 'Three?', 'assistant', 'Third.', 'user', 'Four?', 'assistant', 'Fourth.']
    expect(await said()).toEqual([...talk, ...rest])
  })

  it('a history is recognised although a summary stands for it in the context', async () => {
    const history: Message[] = []
    for (const index of [1, 2, 3]) {
      history.push({ role: 'user', content: `Question ${index}, and why it is asked at such a length at all?` })
      server().reply(answering(`Answer ${index}, which is long enough to be worth a summary of its own.`))
      history.push({ role: 'assistant', content: (await ask(...history)).choices[0]?.message.content ?? '' })
    }
    const summary = await http().post(`/v1/sessions/${session()}/tools/summary_context`, { span: 'all' })
    expect(summary.json().result.replaced_message_ids.length).toBeGreaterThan(2)
    server().reply(answering('Answer 4.'))
    await ask(...history, { role: 'user', content: 'Question 4?' })
    const asked = (await questions()).filter(({ content }) => content.startsWith('Question'))
    expect(asked.length).toBe(4)
  })

  it('an edited question is asked anew, and what it replaced stays in the session', async () => {
    server().reply(answering('Blue.'))
    await ask({ role: 'user', content: 'Which colour?' })
    server().reply(answering('Round.'))
    await ask({ role: 'user', content: 'Which shape?' })
    expect(await said()).toEqual([
      ...['user', 'Which colour?', 'assistant', 'Blue.', 'user', 'Which shape?', 'assistant', 'Round.'],
    ])
  })

  it('when the client goes away, so does the request at the model, and the question can be asked again', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    server().reply(async () => {
      await held
      return answering('Too late.')
    })
    for (const isStreamed of [true, false]) {
      const before = server().turns().length
      const controller = new AbortController()
      const body = { model: 'agemem', messages: [{ role: 'user' as const, content: 'Are you there?' }] }
      const asked = isStreamed
        ? client()
            .chat.completions.create({ ...body, stream: true }, { signal: controller.signal })
            .then(readChunks)
        : client().chat.completions.create(body, { signal: controller.signal })
      const failed = expect(asked).rejects.toThrow(/abort/i)
      await expect.poll(() => server().turns().length).toBe(before + 1)
      controller.abort()
      await failed
      await expect.poll(() => server().turns().at(-1)?.isAborted).toBe(true)
      const isFree = async () => (await http().post(`/v1/sessions/${session()}/policy/step`, {})).statusCode
      server().reply(() => answering('I am.'))
      await expect.poll(isFree).toBe(200)
      server().reply(async () => {
        await held
        return answering('Too late.')
      })
    }
    release()
    expect(await questions()).toHaveLength(2)
  })

  it('an answer that its bound of tokens cut, and a run that ran out of turns, end with length', async () => {
    server().reply(answering('and then '.repeat(100)))
    const cut = await client().chat.completions.create({
      model: server().model,
      messages: [{ role: 'user', content: 'Tell me a story.' }],
      max_completion_tokens: 40,
      stop: 'THE END',
      seed: 7,
      temperature: 0.5,
    })
    expect(cut.choices[0]?.finish_reason).toBe('length')
    expect(server().turns().at(-1)?.body).toMatchObject({
      max_tokens: 40,
      seed: 7,
      temperature: 0.5,
      stop: ['THE END'],
    })
    server().reply(() => calling({ name: 'Retrieve_memory', arguments: { query: 'anything' } }))
    const endless = await ask({ role: 'user', content: 'Go on.' })
    expect(endless.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } })
  })

  it('M2: under an Idempotency-Key a retry gets the same answer and asks the model nothing', async () => {
    const body = { model: 'agemem', messages: [{ role: 'user' as const, content: 'Once?' }] }
    const headers = once(`retry-${session()}`)
    server().reply(answering('Once.'))
    const first = await client().chat.completions.create(body, { headers })
    const turns = server().turns().length
    const again = await client().chat.completions.create(body, { headers })
    expect([again.id, again.choices]).toEqual([first.id, first.choices])
    expect(server().turns().length).toBe(turns)
    const streamed = { ...body, stream: true as const }
    const other = { headers: once(`retry-stream-${session()}`) }
    server().reply(answering('Once more.'))
    const texts = []
    for (const _ of [1, 2]) texts.push((await readChunks(await client().chat.completions.create(streamed, other))).text)
    expect([texts, server().turns().length]).toEqual([['Once more.', 'Once more.'], turns + 1])
  })

  it('lists the model under its name', async () => {
    const models = []
    for await (const model of client().models.list()) models.push(model)
    expect(models).toEqual([{ id: server().model, object: 'model', created: 0, owned_by: 'agemem' }])
  })

  it('in the native format what is said before a memory tool is a paragraph of the stream, and is recognised', async () => {
    const other = await createPolicyTest({ app: { policyDefaults: native } })
    try {
      const theirs = await createOpenAiClients(other)
      const nativeClient = theirs.open({ session: 's', agent: 'a' })
      other.server.reply({ text: 'Let me look.', toolCalls: [{ name: 'Retrieve_memory', arguments: { query: 'x' } }] })
      other.server.reply({ text: 'Nothing is known.' })
      const history: Message[] = [{ role: 'user', content: 'What is known?' }]
      const stream = await nativeClient.chat.completions.create({ model: 'agemem', messages: history, stream: true })
      const { text } = await readChunks(stream)
      expect(text).toBe('Let me look.\n\nNothing is known.')
      other.server.reply({ text: 'Welcome.' })
      history.push({ role: 'assistant', content: text }, { role: 'user', content: 'Thanks.' })
      await nativeClient.chat.completions.create({ model: 'agemem', messages: history })
      const { data } = (await createHttp(other, theirs.key).get('/v1/sessions/s/messages')).json()
      const talk = data.filter(({ role, content }: { role: string; content: string }) => role !== 'tool' && content)
      expect(talk.map(({ content }: { content: string }) => content)).toEqual([
        ...['What is known?', 'Nothing is known.', 'Thanks.', 'Welcome.'],
      ])
    } finally {
      await other.close()
    }
  })
})
