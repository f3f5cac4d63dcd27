import { describe, expect, it } from 'vitest'
import { takeClientCalls } from '../../../src/modules/policy/client-calls.ts'
import { systemPrompt } from '../../../src/modules/policy/policy-prompt.ts'
import { readReply } from '../../../src/modules/policy/read-reply.ts'

const read = (...calls: readonly object[]) =>
  readReply(
    { text: `<think>Hm.</think><tool_call>${JSON.stringify(calls)}</tool_call>`, reasoning: null, toolCalls: [] },
    { format: 'text', callIdPrefix: 'call_1' },
  )

const weather = { name: 'get_weather', arguments: { place: 'Lisbon' } }
const unknown = { name: 'get_wether', arguments: {} }
const own = { name: 'Add_memory', arguments: { content: 'A fact.' } }
const names = new Set(['get_weather'])

describe("calls of the client's own functions by tags", () => {
  it('are taken out in the form of the wire, with their own ids, and are no violation', () => {
    const { read: rest, clientCalls } = takeClientCalls(read(own, weather), names)
    expect(clientCalls).toEqual([
      { id: 'call_1_2', type: 'function', function: { name: 'get_weather', arguments: '{"place":"Lisbon"}' } },
    ])
    expect(rest.calls.map(({ name }) => name)).toEqual(['Add_memory'])
    expect(rest.violations).toEqual([])
  })

  it('leave unknown names where they were, as the violations that they are', () => {
    const { read: rest, clientCalls } = takeClientCalls(read(unknown, weather), names)
    expect(clientCalls.length).toBe(1)
    expect(rest.calls).toMatchObject([{ name: 'get_wether', problem: { code: 'unknown_tool' } }])
    expect(rest.violations).toMatchObject([{ code: 'unknown_tool', count: 1 }])
  })

  it('a reply without any is as it was', () => {
    const reply = read(own, unknown)
    expect(takeClientCalls(reply, names)).toEqual({ read: reply, clientCalls: [] })
  })

  it('the text prompt lists the functions after the six tools, and without any is as it was', () => {
    const tool = { type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } } as const
    const prompt = systemPrompt('text', [tool])
    expect(prompt.startsWith(systemPrompt('text'))).toBe(true)
    expect(prompt.endsWith('{"name":"get_weather","parameters":{"type":"object"}}')).toBe(true)
    expect(systemPrompt('native', [tool])).toBe(systemPrompt('native'))
  })
})
