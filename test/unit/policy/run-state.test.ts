import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readReply } from '../../../src/modules/policy/read-reply.ts'
import { decide, type RunState, startRun } from '../../../src/modules/policy/run-state.ts'

const think = '<think>t</think>'
const call = `${think}<tool_call>[{"name":"Add_memory","arguments":{"content":"a"}}]</tool_call>`
const answer = `${think}<answer>Blue.</answer>`
const read = (text: string) =>
  readReply({ text, reasoning: null, toolCalls: [] }, { format: 'text', callIdPrefix: 'call' })
const answering = startRun({ mode: 'answer', turnsMax: 3 })
const last: RunState = { ...answering, turn: 3 }

describe('a run', () => {
  it('goes on after calls, and ends with an answer', () => {
    expect(decide(answering, read(call))).toEqual({ kind: 'continue', state: { ...answering, turn: 2 } })
    expect(decide(answering, read(answer))).toEqual({ kind: 'finish', reason: 'answer', answer: 'Blue.' })
  })

  it('does not take an answer that stands beside calls', () => {
    const decision = decide(answering, read(`${call}<answer>Early.</answer>`))
    expect(decision).toMatchObject({ kind: 'continue', state: { turn: 2 } })
    expect(decision.kind === 'continue' && decision.state.corrections.join()).toMatch(/not both/)
  })

  it('tells the model what was wrong with a reply that does nothing, for one turn', () => {
    const decision = decide(answering, read('Blue, I think.'))
    expect(decision).toMatchObject({ kind: 'continue', state: { corrections: [expect.stringMatching(/neither/)] } })
    if (decision.kind !== 'continue') return
    expect(decide(decision.state, read(call))).toMatchObject({ state: { corrections: [] } })
  })

  it.each([
    ['an entry that is no call', '[{"name":7}]', /left out/],
    [
      'an entry that is no call beside one',
      '[{"name":7},{"name":"Add_memory","arguments":{"content":"a"}}]',
      /left out/,
    ],
    ['no call', '[]', /holds no call/],
    ['too many calls', JSON.stringify(Array.from({ length: 40 }, (_, at) => ({ name: `T${at}` }))), /did not run/],
  ])('tells the model what of its reply was lost: %s', (_, calls, told) => {
    const decision = decide(answering, read(`${think}<tool_call>${calls}</tool_call>`))
    expect(decision).toMatchObject({ state: { corrections: expect.arrayContaining([expect.stringMatching(told)]) } })
  })

  it('tells the model that its answer was empty', () => {
    const decision = decide(answering, read(`${think}<answer> </answer>`))
    expect(decision).toMatchObject({ state: { corrections: [expect.stringMatching(/is empty/)] } })
  })

  it('ends after its last turn, with text without tags as the answer, and without one after calls', () => {
    expect(decide(last, read('Blue, I think.'))).toEqual({ kind: 'finish', reason: 'answer', answer: 'Blue, I think.' })
    expect(decide(last, read(call))).toEqual({ kind: 'finish', reason: 'steps_max', answer: null })
    expect(decide(last, read(''))).toEqual({ kind: 'finish', reason: 'steps_max', answer: null })
  })

  it('that observes ends when there is nothing left to call, and never answers', () => {
    const observing = startRun({ mode: 'observe', turnsMax: 3 })
    expect(decide(observing, read(call))).toMatchObject({ kind: 'continue' })
    for (const text of [answer, 'done', ''])
      expect(decide(observing, read(text))).toEqual({ kind: 'finish', reason: 'answer', answer: null })
    for (const calls of ['[{"name":', '[{"name":7}]'])
      expect(decide(observing, read(`${think}<tool_call>${calls}</tool_call>`))).toMatchObject({ kind: 'continue' })
  })

  it('has at most its turns, whatever the model writes', () => {
    const replies = fc.array(fc.oneof(fc.constantFrom(call, 'x', '', '<tool_call>', '<think>'), fc.string()))
    fc.assert(
      fc.property(
        replies,
        fc.constantFrom('answer', 'observe'),
        fc.integer({ min: 1, max: 6 }),
        (texts, mode, turnsMax) => {
          let state = startRun({ mode: mode as RunState['mode'], turnsMax })
          for (let turns = 1; ; turns += 1) {
            expect(turns).toBeLessThanOrEqual(turnsMax)
            const decision = decide(state, read(texts[turns] ?? call))
            if (decision.kind === 'finish') break
            state = decision.state
          }
        },
      ),
    )
  })
})

describe('a reply', () => {
  const native = { format: 'native', callIdPrefix: 'call' } as const
  const toolCalls = [
    { id: 'c1', type: 'function' as const, function: { name: 'Add_memory', arguments: '{"content":"a"}' } },
  ]

  it('is the same step in both wire formats', () => {
    const fromText = read(call)
    const fromCalls = readReply({ text: '', reasoning: 't', toolCalls }, native)
    const essence = ({ think: thought, answer: said, calls }: typeof fromText) => ({
      thought,
      said,
      calls: calls.map(({ name, tool, arguments: args }) => ({ name, tool, args })),
    })
    expect(essence(fromCalls)).toEqual(essence(fromText))
  })

  it('with native calls offered is an answer when it is plain text', () => {
    expect(readReply({ text: ' Blue. ', reasoning: null, toolCalls: [] }, native)).toMatchObject({
      answer: 'Blue.',
      violations: [],
    })
  })

  it.each(['<think>Hm.</think>\nBlue.', ' <THINK> Hm. </THINK> Blue.', 'Hm.</think>Blue.'])(
    'with native calls offered is an answer behind its thinking: %j',
    (text) => {
      expect(readReply({ text, reasoning: null, toolCalls: [] }, native)).toMatchObject({
        think: 'Hm.',
        answer: 'Blue.',
        violations: [],
      })
    },
  )

  it('with tags is read by its tags, although functions were offered', () => {
    expect(readReply({ text: call, reasoning: null, toolCalls: [] }, native).calls).toHaveLength(1)
  })

  it('keeps reasoning apart from the answer', () => {
    expect(readReply({ text: 'Blue.', reasoning: 'Sky.', toolCalls: [] }, native)).toMatchObject({
      think: 'Sky.',
      answer: 'Blue.',
    })
  })
})
