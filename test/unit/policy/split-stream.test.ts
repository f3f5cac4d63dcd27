import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createStreamSplitter, type StreamPart } from '../../../src/modules/policy/split-stream.ts'

const split = (pieces: readonly string[], outside: StreamPart['kind'] | null = null) => {
  const splitter = createStreamSplitter(outside)
  const parts = [...pieces.flatMap((piece) => splitter.feed(piece)), ...splitter.end()]
  const textOf = (kind: StreamPart['kind']) =>
    parts
      .filter((part) => part.kind === kind)
      .map(({ text }) => text)
      .join('')
  return { thinking: textOf('thinking'), token: textOf('token') }
}

const step = '<think>Is 1 < 2? </think>\n<answer>Yes, <b>it is</b>.</answer>'

describe('a streamed step', () => {
  it('shows thinking and answer apart, and neither tags nor calls', () => {
    expect(split([step])).toEqual({ thinking: 'Is 1 < 2? ', token: 'Yes, <b>it is</b>.' })
    expect(split(['<think>a</think><tool_call>[{"name":"x"}]</tool_call>'])).toEqual({ thinking: 'a', token: '' })
  })

  it('shows a tag of another block inside a block as text', () => {
    expect(split(['<answer>write <think> first</answer>'])).toEqual({ thinking: '', token: 'write <think> first' })
  })

  it('shows text outside blocks as asked', () => {
    expect(split(['Plain ', 'words'], 'token')).toEqual({ thinking: '', token: 'Plain words' })
    expect(split(['Plain ', 'words'])).toEqual({ thinking: '', token: '' })
  })

  it('shows the same however the text is cut into pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: step.length })), (cuts) => {
        const ends = [...new Set([...cuts, step.length])].sort((one, other) => one - other)
        const pieces = ends.map((end, at) => step.slice(ends[at - 1] ?? 0, end))
        expect(split(pieces)).toEqual(split([step]))
      }),
    )
  })

  it('never loses a character of text without tags', () => {
    const text = fc.array(fc.constantFrom('<', '>', '/', 'think', 'a', ' ')).map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(
        text.filter((given) => !/<\/?think>/.test(given)),
        fc.nat(),
        (given, cut) => {
          const at = cut % (given.length + 1)
          expect(split([given.slice(0, at), given.slice(at)], 'token').token).toBe(given)
        },
      ),
    )
  })
})
