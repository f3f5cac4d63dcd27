/** A stand-in that is wrong in the same way as the driver proves nothing: its answers are held to recorded ones here. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readServerSentEvents } from '../../../src/drivers/language-model/server-sent-events.ts'
import { type ChatServer, startChatServer } from '../../support/chat-server.ts'

let server: ChatServer

beforeAll(async () => {
  server = await startChatServer({ apiKey: 'key', model: 'smollm2' })
})
afterAll(() => server.close())

const fixture = async (name: string) =>
  JSON.parse(await readFile(new URL(`../../fixtures/vllm/${name}.json`, import.meta.url), 'utf8'))

/** Each member as its path and the type of its value: `choices[].message.content: string`. */
const membersOf = (value: unknown, path = ''): readonly string[] => {
  if (Array.isArray(value)) return value.flatMap((item) => membersOf(item, `${path}[]`))
  if (typeof value !== 'object' || value === null) return [`${path}: ${value === null ? 'null' : typeof value}`]
  return Object.entries(value).flatMap(([name, member]) => membersOf(member, `${path}.${name}`))
}

const post = async (path: string, body: unknown, key = 'key') => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
  return fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
}

const eventsOf = async (body: AsyncIterable<Uint8Array>): Promise<readonly unknown[]> => {
  const events: unknown[] = []
  for await (const data of readServerSentEvents(body)) if (data !== '[DONE]') events.push(JSON.parse(data))
  return events
}

const recordedMembers = async (names: readonly string[]): Promise<ReadonlySet<string>> => {
  const recorded = await Promise.all(names.map(fixture))
  return new Set(
    recorded.flatMap(({ body, events }) => membersOf(body ?? events?.filter((event: unknown) => event !== '[DONE]'))),
  )
}

const turn = { model: 'smollm2', messages: [{ role: 'user', content: 'hi' }], return_token_ids: true, logprobs: true }
const callReply = { toolCalls: [{ name: 'f', arguments: { a: 'some words here' } }] }

describe('the stand-in says nothing that vLLM did not say', () => {
  it.each([{ text: 'some words' }, callReply])('in a whole answer with %o', async (reply) => {
    server.reply(reply)
    const body = await (await post('/v1/chat/completions', turn)).json()
    const recorded = await recordedMembers(['chat_token_ids_logprobs_no_top', 'tools_auto_history', 'tools_required'])
    expect(membersOf(body).filter((member) => !recorded.has(member))).toEqual([])
  })

  it.each([{ text: 'some words' }, callReply])('in a streamed answer with %o', async (reply) => {
    server.reply(reply)
    const response = await post('/v1/chat/completions', { ...turn, stream: true })
    const events = await eventsOf(response.body ?? new ReadableStream())
    const recorded = await recordedMembers(['stream_usage_token_ids_logprobs', 'stream_tools_auto_history'])
    expect(membersOf(events).filter((member) => !recorded.has(member))).toEqual([])
  })

  it.each([
    ['err_no_api_key', '/v1/chat/completions', turn, 'wrong'],
    ['err_wrong_model', '/v1/chat/completions', { ...turn, model: 'nope' }, 'key'],
    [
      'err_overlong',
      '/v1/chat/completions',
      { ...turn, messages: [{ role: 'user', content: 'w '.repeat(9_000) }] },
      'key',
    ],
    ['err_overlong_max_tokens', '/v1/chat/completions', { ...turn, max_tokens: 9_000 }, 'key'],
    ['err_cache_salt_empty', '/v1/chat/completions', { ...turn, cache_salt: '' }, 'key'],
    ['tokenize_chat_tools', '/tokenize', turn, 'key'],
  ])('as %s', async (name, path, body, key) => {
    const recorded = await fixture(name)
    const response = await post(path, body, key)
    expect(response.status).toBe(recorded.status)
    expect(new Set(membersOf(await response.json()))).toEqual(new Set(membersOf(recorded.body)))
  })
})
