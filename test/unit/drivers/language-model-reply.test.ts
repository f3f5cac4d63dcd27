import { readFile } from 'node:fs/promises'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { readReply } from '../../../src/drivers/language-model/chat-reply.ts'
import { readChatStream } from '../../../src/drivers/language-model/chat-stream.ts'
import { readWindowTokens } from '../../../src/drivers/language-model/served-model.ts'
import { readServerSentEvents } from '../../../src/drivers/language-model/server-sent-events.ts'
import { collect } from '../../contract/language-model.suite.ts'

const fixture = async (name: string) =>
  JSON.parse(await readFile(new URL(`../../fixtures/vllm/${name}.json`, import.meta.url), 'utf8'))

const context = { model: 'smollm2', logger: pino({ level: 'silent' }) }

const bytesOf = async function* (text: string, size: number) {
  const bytes = Buffer.from(text)
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

const readStream = (raw: string, size = 1_000) =>
  collect(readChatStream(readServerSentEvents(bytesOf(raw, size)), context))

describe('a recorded reply', () => {
  it('has its text, and ids with log-probabilities of each token, the closing one too', async () => {
    const { body } = await fixture('chat_token_ids_logprobs_no_top')
    const reply = readReply(body, context)
    expect(reply).toMatchObject({
      ...{ text: 'The capital of France is Paris.', reasoning: null, toolCalls: [], finishReason: 'stop' },
      ...{ model: 'smollm2', usage: { promptTokens: 37, completionTokens: 8, cachedTokens: 0 } },
      tokenIds: [504, 3575, 282, 4649, 314, 7042, 30, 2],
    })
    expect([reply.promptTokenIds?.length, reply.logprobs?.length]).toEqual([37, 8])
    expect(reply.logprobs?.[0]).toBeCloseTo(-1.8095, 4)
  })

  it('has its calls, whether the model chose them or was told to', async () => {
    for (const name of ['tools_auto_history', 'tools_required']) {
      const reply = readReply((await fixture(name)).body, context)
      expect(reply).toMatchObject({ text: '', finishReason: 'tool_calls' })
      expect(reply.toolCalls).toMatchObject([{ type: 'function', function: { name: 'get_weather' } }])
      expect(reply.toolCalls[0]).not.toHaveProperty('index')
    }
    const cut = readReply((await fixture('tools_named')).body, context)
    expect(cut).toMatchObject({ toolCalls: [], finishReason: 'length', text: expect.stringContaining('<tool_call>') })
  })

  it('without ids is a reply without ids, and without the flag one without cached tokens', async () => {
    const without = { promptTokenIds: null, tokenIds: null, logprobs: null }
    expect(readReply((await fixture('chat_stop')).body, context)).toMatchObject(without)
    const { body } = await fixture('chat_no_prompt_tokens_details_flag')
    expect(readReply(body, context).usage.cachedTokens).toBeNull()
    expect(readReply((await fixture('cache_2_hit')).body, context).usage.cachedTokens).toBeGreaterThan(0)
  })

  it.each(['reasoning', 'reasoning_content'])('keeps what stands under %s apart', async (field) => {
    const { body } = await fixture('chat_token_ids_logprobs_no_top')
    delete body.choices[0].message.reasoning
    body.choices[0].message[field] = 'They ask for a capital.'
    expect(readReply(body, context)).toMatchObject({
      ...{ text: 'The capital of France is Paris.', reasoning: 'They ask for a capital.' },
    })
  })

  it.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'stop'],
    ['a later word', 'stop'],
  ])('that ended with %s counts as ended with %s', async (said, meant) => {
    const { body } = await fixture('chat_token_ids_logprobs_no_top')
    body.choices[0].finish_reason = said
    expect(readReply(body, context).finishReason).toBe(meant)
  })

  it('that the server gave up may be asked for again', async () => {
    const { body } = await fixture('chat_token_ids_logprobs_no_top')
    body.choices[0].finish_reason = 'abort'
    expect(() => readReply(body, context)).toThrow(expect.objectContaining({ code: 'inference.unavailable' }))
  })
})

describe('a recorded stream', () => {
  it.each([1, 7, 100_000])('in pieces of %i bytes has what the reply in one piece has', async (size) => {
    const { raw } = await fixture('stream_usage_token_ids_logprobs')
    const whole = readReply((await fixture('chat_token_ids_logprobs_no_top')).body, context)
    const events = await readStream(raw, size)
    expect(events.at(-1)).toEqual({ kind: 'reply', reply: whole })
    expect(events.slice(0, 3).map((event) => event.kind === 'text' && event.text)).toEqual(['The', ' capital', ' of'])
  })

  it('has its calls put together', async () => {
    const { raw } = await fixture('stream_tools_auto_history')
    const [event] = await readStream(raw)
    expect(event).toMatchObject({
      reply: {
        ...{ text: '', finishReason: 'tool_calls', usage: { completionTokens: 29, cachedTokens: 128 } },
        toolCalls: [{ type: 'function', function: { name: 'get_weather', arguments: '{"city": "Rome"}' } }],
      },
    })
  })

  it('cut anywhere is an error and never a reply', async () => {
    const { raw } = await fixture('stream_usage_token_ids_logprobs')
    for (let length = 0; length < raw.lastIndexOf('[DONE]'); length += 211)
      await expect(readStream(raw.slice(0, length))).rejects.toMatchObject({ name: 'AppError' })
  })
})

describe('the list of models', () => {
  it('tells the window, for an adapter that of its model', async () => {
    expect(readWindowTokens((await fixture('models')).body, 'smollm2')).toBe(8_192)
    expect(readWindowTokens((await fixture('models_with_lora')).body, 'ada')).toBe(8_192)
  })

  it('without the configured model says which there are', async () => {
    const { body } = await fixture('models_with_lora')
    const refused = { code: 'inference.refused', detail: expect.stringContaining('smollm2, ada') }
    expect(() => readWindowTokens(body, 'nope')).toThrow(expect.objectContaining(refused))
  })
})
