/** What every language model promises; each driver's test runs it on its own. Prompts and answers are short: real models are slow. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChatEvent, ChatMessage, ChatReply, ChatRequest, LanguageModel } from '../../src/ports/language-model.ts'

const question: ChatMessage = { role: 'user', content: 'What is the capital of France?' }

const weatherTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const

const afterToolCall: readonly ChatMessage[] = [
  { role: 'user', content: 'What is the weather in Paris?' },
  {
    role: 'assistant',
    content: '',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city": "Paris"}' } }],
  },
  { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
]

type Changes = Partial<Omit<ChatRequest, 'sampling'>> & { readonly sampling?: Partial<ChatRequest['sampling']> }

export const makeChatRequest = ({ sampling, ...changes }: Changes = {}): ChatRequest => ({
  ...{ tenantId: 'ten_1', messages: [question], tools: [] },
  ...changes,
  sampling: { temperature: 0, topP: 1, tokensMax: 12, seed: 1, stop: [], ...sampling },
})

/** Of a test whose call nobody ends. */
export const unended = () => ({ signal: new AbortController().signal })

export const collect = async (events: AsyncIterable<ChatEvent>): Promise<readonly ChatEvent[]> => {
  const all: ChatEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

const textOf = (events: readonly ChatEvent[], kind: 'text' | 'reasoning'): string =>
  events.flatMap((event) => (event.kind === kind ? [event.text] : [])).join('')

const replyOf = (events: readonly ChatEvent[]): ChatReply => {
  const last = events.at(-1)
  if (last?.kind !== 'reply') throw new Error('the last event is no reply')
  return last.reply
}

const expectWellFormed = (reply: ChatReply, model: string): void => {
  expect(reply.model).toBe(model)
  expect(reply.usage.promptTokens).toBeGreaterThan(0)
  expect(reply.usage.completionTokens).toBeGreaterThan(0)
  expect(reply.promptTokenIds?.length ?? reply.usage.promptTokens).toBe(reply.usage.promptTokens)
  expect(reply.tokenIds?.length ?? reply.usage.completionTokens).toBe(reply.usage.completionTokens)
  expect(reply.logprobs?.length).toBe(reply.tokenIds?.length)
  for (const logprob of reply.logprobs ?? []) expect(logprob).toBeLessThanOrEqual(0)
  for (const { id, function: called } of reply.toolCalls) {
    expect(id).not.toBe('')
    expect(called.name).not.toBe('')
  }
  if (reply.finishReason === 'tool_calls') expect(reply.toolCalls).not.toEqual([])
}

export type LanguageModelContract = {
  readonly makeModel: () => Promise<LanguageModel>
  /** True where the server gives ids and log-probabilities; then they have to be there. */
  readonly givesTokenIds: boolean
}

export const describeLanguageModelContract = (name: string, contract: LanguageModelContract): void => {
  describe(`${name} keeps the language model contract`, { timeout: 180_000 }, () => {
    let model: LanguageModel
    beforeAll(async () => {
      model = await contract.makeModel()
    }, 60_000)
    afterAll(() => model.close())

    it('is ready, says its name, and knows its window', async () => {
      expect(await model.checkHealth()).toMatchObject({ ready: true })
      expect(model.model).not.toBe('')
      expect(model.windowTokens).toBeGreaterThan(0)
    })

    it('an answer has its text, its usage, and ids with log-probabilities of every token', async () => {
      const reply = await model.complete(makeChatRequest(), unended())
      expectWellFormed(reply, model.model)
      expect(reply.text).not.toBe('')
      expect([reply.toolCalls, reply.reasoning]).toEqual([[], null])
      if (contract.givesTokenIds) expect([reply.promptTokenIds, reply.tokenIds, reply.logprobs]).not.toContain(null)
    })

    it('an answer that reaches its bound ends there and says so', async () => {
      const request = makeChatRequest({
        messages: [{ role: 'user', content: 'Tell me a long story.' }],
        sampling: { tokensMax: 3 },
      })
      const reply = await model.complete(request, unended())
      expect(reply).toMatchObject({ finishReason: 'length', usage: { completionTokens: 3 } })
    })

    it('a streamed answer comes in pieces that make up the reply, which comes last and is as whole as another', async () => {
      const events = await collect(model.stream(makeChatRequest(), unended()))
      const reply = replyOf(events)
      expectWellFormed(reply, model.model)
      expect(textOf(events, 'text')).toBe(reply.text)
      expect(events.filter(({ kind }) => kind === 'reply')).toHaveLength(1)
      expect(events.length).toBeGreaterThan(2)
      if (contract.givesTokenIds) expect([reply.promptTokenIds, reply.tokenIds, reply.logprobs]).not.toContain(null)
    })

    it('an answer ends before a stop sequence', async () => {
      const whole = await model.complete(makeChatRequest(), unended())
      const stop = whole.text.split(' ').at(2) ?? ''
      const reply = await model.complete(makeChatRequest({ sampling: { stop: [stop] } }), unended())
      expect(reply.text).not.toContain(stop)
      expectWellFormed(reply, model.model)
    })

    it.each([
      ['a question', [question], []],
      ['a question with tools', [question], [weatherTool]],
      ['a history with a call and its result', afterToolCall, [weatherTool]],
    ] as const)('counts as many tokens of %s as the prompt then has', async (_what, messages, tools) => {
      const prompt = { tenantId: 'ten_1', messages, tools }
      const counted = await model.countTokens(prompt, unended())
      const reply = await model.complete(makeChatRequest({ messages, tools, sampling: { tokensMax: 2 } }), unended())
      expect(reply.usage.promptTokens).toBe(counted)
      expect(await model.countTokens(prompt, unended())).toBe(counted)
    })

    it('offered tools are called or not, whole or streamed, in one form', async () => {
      const messages: readonly ChatMessage[] = [
        ...afterToolCall,
        { role: 'user', content: 'What is the weather in Rome?' },
      ]
      const request = makeChatRequest({ messages, tools: [weatherTool], sampling: { tokensMax: 32 } })
      const whole = await model.complete(request, unended())
      const streamed = replyOf(await collect(model.stream(request, unended())))
      for (const reply of [whole, streamed]) expectWellFormed(reply, model.model)
    })

    it('a prompt that fills the window is refused, whole or streamed, and says what to do', async () => {
      const content = 'word '.repeat((model.windowTokens ?? 0) + 10)
      const request = makeChatRequest({ messages: [{ role: 'user', content }] })
      const tooLong = { code: 'inference.prompt_too_long', status: 422, detail: expect.stringContaining('Shorten') }
      await expect(model.complete(request, unended())).rejects.toMatchObject(tooLong)
      await expect(collect(model.stream(request, unended()))).rejects.toMatchObject(tooLong)
    })

    it('an aborted call ends with the reason of its signal, whole, streamed or counted', async () => {
      const controller = new AbortController()
      const { signal } = controller
      const request = makeChatRequest({ sampling: { tokensMax: 200 } })
      const calls = [model.complete(request, { signal }), collect(model.stream(request, { signal }))]
      controller.abort(new Error('the client went away'))
      for (const call of calls) await expect(call).rejects.toThrow('the client went away')
      await expect(model.complete(request, { signal })).rejects.toThrow('the client went away')
      await expect(model.countTokens(request, { signal })).rejects.toThrow('the client went away')
    })

    it('an iteration that ends early ends its call, and others go on', async () => {
      const request = makeChatRequest({ sampling: { tokensMax: 100 } })
      for await (const event of model.stream(request, unended())) {
        expect(event.kind).toBe('text')
        break
      }
      expect((await model.complete(makeChatRequest(), unended())).text).not.toBe('')
    })

    it('calls of several tenants side by side each get an answer', async () => {
      const requests = ['ten_1', 'ten_2', 'ten_3', 'ten_1'].map((tenantId) =>
        makeChatRequest({ tenantId, sampling: { tokensMax: 4 } }),
      )
      const replies = await Promise.all(requests.map((request) => model.complete(request, unended())))
      for (const reply of replies) expectWellFormed(reply, model.model)
    })

    it('what one tenant asked is not in the prefix cache of another', async () => {
      const content = `${crypto.randomUUID()} ${'The quick brown fox jumps over the lazy dog. '.repeat(30)}`
      const ask = (tenantId: string) =>
        model.complete(
          makeChatRequest({ tenantId, messages: [{ role: 'user', content }], sampling: { tokensMax: 1 } }),
          unended(),
        )
      const [first, again, other] = [await ask('ten_1'), await ask('ten_1'), await ask('ten_2')]
      expect(first.usage.cachedTokens ?? 0).toBeLessThan(128)
      if (again.usage.cachedTokens !== null) expect(again.usage.cachedTokens).toBeGreaterThan(0)
      expect(other.usage.cachedTokens).toBe(first.usage.cachedTokens)
    })

    it('a closed model fails what waits, answers nothing more, and may be closed again', async () => {
      const closing = await contract.makeModel()
      const waiting = closing.complete(makeChatRequest({ sampling: { tokensMax: 200 } }), unended())
      const failed = expect(waiting).rejects.toMatchObject({ code: 'inference.unavailable' })
      await closing.close()
      await closing.close()
      await failed
      const late = closing.complete(makeChatRequest(), unended())
      await expect(late).rejects.toMatchObject({ code: 'inference.unavailable' })
      expect((await closing.checkHealth()).ready).toBe(false)
    })
  })
}
