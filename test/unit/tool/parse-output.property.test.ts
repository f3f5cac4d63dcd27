import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ParsedStep, parseModelOutput } from '../../../src/modules/tool/parse-output.ts'
import { callIdentity } from '../../../src/modules/tool/read-calls.ts'
import { callsMax } from '../../../src/modules/tool/violations.ts'

const call = (name: string, args: unknown) => JSON.stringify({ name, arguments: args })

/** The step in the canonical form. `<` in JSON is escaped, so no text can end a block. */
const written = ({ think, answer, calls }: Omit<ParsedStep, 'violations'>): string => {
  const thinking = `<think>${think ?? ''}</think>`
  if (calls.length === 0) return answer === null ? thinking : `${thinking}\n<answer>${answer}</answer>`
  const entries = calls.map(
    ({ name, arguments: args, raw }) => `{"name":${JSON.stringify(name)},"arguments":${raw ?? JSON.stringify(args)}}`,
  )
  return `${thinking}\n<tool_call>${`[${entries.join(',')}]`.replaceAll('<', '\\u003c')}</tool_call>`
}

/** Pieces of which broken steps are made. */
const piece = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('<think>', '</think>', '<tool_call>', '</tool_call>', '<answer>', '</answer>'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      ',',
      ':',
      '\\',
      '\n',
      '<',
      '```json',
      '</',
      '\u0000',
      '\ud83d',
    ),
  },
  { weight: 2, arbitrary: fc.jsonValue({ stringUnit: 'binary' }).map((args) => `[${call('Add_memory', args)}]`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      `[${call('Add_memory', { content: 'a </think> b <answer>c</answer>' })}]`,
      `[${call('Delete_memory', { memory_id: 'm', confirmation: true })}]`,
      call('fly', { to: '</tool_call>' }),
      call('Add_memory', '{"content": "x"}'),
      call('Add_memory', '\ud800'),
      "[{'name': 'Summary_context', 'arguments': {'span': 'all',}}]",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)
const output = fc.oneof(
  fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary' }),
)

describe('parseModelOutput, for any text', () => {
  it('never throws, keeps its bounds, and accepts no answer beside calls', () => {
    fc.assert(
      fc.property(output, (text) => {
        const { think, answer, calls, violations } = parseModelOutput(text)
        expect(calls.length).toBeLessThanOrEqual(callsMax)
        expect(answer === null || calls.length === 0).toBe(true)
        expect(think).not.toBe('')
        expect(answer).not.toBe('')
        expect(new Set(calls.map(callIdentity)).size).toBe(calls.length)
        expect(new Set(violations.map(({ code }) => code)).size).toBe(violations.length)
      }),
      { numRuns: 3000 },
    )
  })

  it('gives text that PostgreSQL stores', () => {
    fc.assert(
      fc.property(output, (text) => {
        const stored = JSON.stringify(parseModelOutput(text).calls.map(({ raw: _, ...rest }) => rest))
        expect(stored.replaceAll('\\\\', '')).not.toMatch(/\\u0000|\\ud[89a-f]/)
      }),
      { numRuns: 1000 },
    )
  })

  it('gives the same step again after it is written out', () => {
    fc.assert(
      fc.property(output, (text) => {
        const { violations: _, ...parsed } = parseModelOutput(text)
        const { violations: __, ...again } = parseModelOutput(written(parsed))
        expect(again).toEqual(parsed)
      }),
      { numRuns: 3000 },
    )
  })

  it('gives no call without a tool_call tag', () => {
    fc.assert(
      fc.property(output, (text) => {
        expect(parseModelOutput(text.replaceAll(/<tool_call>/gi, '<tool>')).calls).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })

  it('gives no call from closed thinking or a closed answer', () => {
    const inside = output.filter((text) => !/<\/?(think|answer)>/i.test(text))
    fc.assert(
      fc.property(inside, (text) => {
        expect(parseModelOutput(`<think>${text}</think>`).calls).toEqual([])
        expect(parseModelOutput(`<think></think><answer>${text}</answer>`).calls).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })
})

describe('parseModelOutput takes time in proportion to the text', () => {
  const million = 1_000_000
  const fill = (text: string) => text.repeat(Math.ceil(million / text.length))
  it.each([
    ['open thinks', fill('<think>')],
    ['open calls', fill('<tool_call>')],
    ['open strings in open calls', fill('<tool_call>["{"')],
    ['strings over many tags', fill('<tool_call>["<answer>')],
    ['strings over all tags', `<tool_call>[{"a": "${fill('<tool_call>[{')}`],
    ['open strings in open calls, far from their ends', fill(`<tool_call>[{"${'x'.repeat(5_000)}`)],
    ['open answers', fill('<answer>')],
    ['pairs in open thinking', `<think>${fill('<tool_call>[]</tool_call>')}`],
    ['closing tags', fill('</think></tool_call></answer>')],
    ['less-than signs', fill('<')],
    ['brackets', `<tool_call>${fill('[')}`],
    ['brackets and spaces', `<tool_call>${fill('[ ')}`],
    ['an open bracket and white space', `<tool_call>[${fill(' ')}`],
    ['quotes', `<tool_call>[${fill('{"')}`],
    ['backslashes', `<tool_call>[{"${fill('\\')}`],
    ['digits', `<tool_call>[{"a":${fill('1')}}]</tool_call>`],
    ['empty objects', `<tool_call>${fill('{},')}</tool_call>`],
    ['calls', `<tool_call>[${fill('{"name":"a","arguments":{"b":"c"}},')}]</tool_call>`],
    [
      'different calls',
      `<tool_call>[${Array.from({ length: 20_000 }, (_, i) => `{"name":"a","arguments":{"b":${i}}}`)}]</tool_call>`,
    ],
    ['one long memory', `<tool_call>[${call('Add_memory', { content: fill('word ') })}]</tool_call>`],
  ])('%s, a megabyte', (_name, text) => {
    // Work that grew with the square of the text would outlast the runner's patience.
    expect(parseModelOutput(text)).toMatchObject({ calls: expect.any(Array), violations: expect.any(Array) })
  })
})
