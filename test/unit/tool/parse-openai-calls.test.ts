import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseOpenAiToolCalls } from '../../../src/modules/tool/parse-openai-calls.ts'

const call = (id: string | undefined, name: string, args: unknown) => ({
  ...(id === undefined ? {} : { id }),
  type: 'function',
  function: { name, arguments: args },
})
const codes = (toolCalls: unknown) => parseOpenAiToolCalls(toolCalls).violations.map(({ code }) => code)

describe('parseOpenAiToolCalls', () => {
  it('keeps ids, and takes arguments as JSON text or as an object', () => {
    const parsed = parseOpenAiToolCalls([
      call('a', 'Add_memory', '{"content": "x"}'),
      call('b', 'retrieve_memory', { query: 'y' }),
      call('c', 'Summary_context', ''),
    ])
    expect(parsed).toEqual({
      think: null,
      answer: null,
      calls: [
        { toolCallId: 'a', name: 'Add_memory', tool: 'add_memory', arguments: { content: 'x' } },
        { toolCallId: 'b', name: 'retrieve_memory', tool: 'retrieve_memory', arguments: { query: 'y' } },
        { toolCallId: 'c', name: 'Summary_context', tool: 'summary_context', arguments: {} },
      ],
      violations: [],
    })
  })

  it('gives a call without an id the same id each time, and never one that another call has', () => {
    const calls = [call(undefined, 'Add_memory', '{"content": "x"}'), call('call_1', 'Add_memory', '{"content": "y"}')]
    const ids = parseOpenAiToolCalls(calls).calls.map(({ toolCallId }) => toolCallId)
    expect(ids).toEqual(['call_1_', 'call_1'])
    expect(parseOpenAiToolCalls(calls).calls.map(({ toolCallId }) => toolCallId)).toEqual(ids)
  })

  it.each([
    ['a', 'call_2'],
    ['call_2', 'call_2_'],
  ])('gives the second of two ids %s another one', (id, other) => {
    const parsed = parseOpenAiToolCalls(['x', 'y'].map((content) => call(id, 'Add_memory', { content })))
    expect(parsed.calls.map(({ toolCallId }) => toolCallId)).toEqual([id, other])
    expect(parsed.violations.map(({ code }) => code)).toEqual(['duplicate_call_id'])
  })

  it('leaves no call without an answer: what must not run is kept, with its problem', () => {
    const parsed = parseOpenAiToolCalls([
      call('a', 'Add_memory', '{"content": "x"}'),
      call('b', 'add_memory', { content: 'x' }),
      call('c', 'Fly', '{}'),
      call('d', 'Add_memory', '{"content": '),
      call('e', 'Add_memory', '[1]'),
      call('f', 'Add_memory', '{"content": "\\u0000"}'),
    ])
    expect(parsed.calls.map(({ problem }) => problem?.code)).toEqual([
      undefined,
      'duplicate_call',
      'unknown_tool',
      'invalid_arguments',
      'invalid_arguments',
      'unsafe_text',
    ])
    expect(parsed.calls[3]).toMatchObject({ arguments: {}, raw: '"{\\"content\\": "' })
    expect(parsed.calls[5]).toMatchObject({ arguments: {}, raw: '{"content":"\\u0000"}' })
  })

  it('runs 32 calls at most', () => {
    const parsed = parseOpenAiToolCalls(
      Array.from({ length: 200 }, (_, i) => call(`c${i}`, 'Add_memory', { content: `${i}` })),
    )
    expect(parsed.calls).toHaveLength(200)
    expect(parsed.calls.filter(({ problem }) => problem === undefined)).toHaveLength(32)
    expect(parsed.violations).toMatchObject([{ code: 'too_many_calls', count: 168 }])
  })

  it('notes what is no call at all', () => {
    expect(codes([1, {}, { function: {} }, call('a', ' ', '{}')])).toEqual(['malformed_call', 'no_action'])
    expect(codes('text')).toEqual(['malformed_call', 'no_action'])
    expect(codes([])).toEqual(['no_action'])
  })

  it('never throws, and never gives two calls the same id', () => {
    const entry = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          id: fc.constantFrom('a', 'call_1', 'call_2', ''),
          function: fc.record({ name: fc.string(), arguments: fc.oneof(fc.json(), fc.string(), fc.jsonValue()) }),
        },
        { requiredKeys: [] },
      ),
    )
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(entry)), (toolCalls) => {
        const ids = parseOpenAiToolCalls(toolCalls).calls.map(({ toolCallId }) => toolCallId)
        expect(new Set(ids).size).toBe(ids.length)
      }),
      { numRuns: 2000 },
    )
  })
})
