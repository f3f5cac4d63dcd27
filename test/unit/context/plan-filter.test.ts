import { describe, expect, it } from 'vitest'
import { bestSimilarity, criteriaParts } from '../../../src/modules/context/filter-criteria.ts'
import { comparableText, filterCandidates, planFilter } from '../../../src/modules/context/plan-filter.ts'
import { makeCall, makeContext, planOf } from '../../support/context-model.ts'

const context = makeContext([
  { role: 'system', content: 'You help.' },
  { role: 'user', content: 'The weather is nice.' },
  { role: 'assistant', content: '', toolCalls: [makeCall('call_0', 'forecast')] },
  { role: 'tool', content: 'sunny', toolCallId: 'call_0' },
  { role: 'assistant', content: 'Sunny all day.', pinned: true },
  { role: 'assistant', content: 'Your flight is at 9.' },
  { role: 'user', content: 'What weather?' },
])
const all = new Map(context.messages.map(({ messageId }) => [messageId, 0.9]))
const filter = (similarities: ReadonlyMap<string, number>, threshold = 0.6) =>
  planFilter(context, { criteria: 'weather', threshold, similarities })

describe('FILTER', () => {
  it('leaves system and pinned messages and the current query, whatever they score', () => {
    const removed = planOf(filter(all)).removed.map(({ messageId }) => messageId)
    expect(removed).toEqual(['msg_0002', 'msg_0003', 'msg_0004', 'msg_0006'])
    expect(filterCandidates(context, null).map(({ messageId }) => messageId)).toEqual(removed)
  })

  it('a call and its result leave together for the better match', () => {
    const plan = planOf(filter(new Map([['msg_0004', 0.7]])))
    expect(plan.details).toMatchObject({
      removed: [
        { messageId: 'msg_0003', similarity: 0.7 },
        { messageId: 'msg_0004', similarity: 0.7 },
      ],
    })
  })

  it('a message exactly at the threshold leaves', () => {
    expect(planOf(filter(new Map([['msg_0002', 0.6]]))).removed).toHaveLength(1)
  })

  it('with nothing at the threshold there is no edit', () => {
    expect(filter(new Map([['msg_0002', 0.59]]))).toMatchObject({ outcome: 'unchanged', details: { removed: [] } })
  })

  it('a message without a similarity stays, at any threshold', () => {
    expect(filter(new Map(), Number.NEGATIVE_INFINITY)).toMatchObject({ outcome: 'unchanged' })
    expect(filter(new Map([['msg_0002', Number.NaN]]), -1)).toMatchObject({ outcome: 'unchanged' })
  })

  it('a cosine that rounding lifted above 1 counts as 1', () => {
    expect(filter(new Map([['msg_0002', 1.000_000_2]]), 1.000_000_1)).toMatchObject({ outcome: 'unchanged' })
  })

  it('a call that awaits its result stays until the next user message', () => {
    const open = [
      { role: 'user' as const, content: 'Go.' },
      { role: 'assistant' as const, content: '', toolCalls: [makeCall('call_1')] },
    ]
    expect(filterCandidates(makeContext(open), null)).toEqual([])
    const abandoned = makeContext([...open, { role: 'user', content: 'Never mind.' }])
    expect(filterCandidates(abandoned, null).map(({ messageId }) => messageId)).toEqual(['msg_0001', 'msg_0002'])
  })

  it('the message that makes the call stays', () => {
    expect(filterCandidates(context, 'msg_0006').map(({ messageId }) => messageId)).not.toContain('msg_0006')
  })

  it('a call is compared by what it calls', () => {
    expect(context.messages.map(comparableText)[2]).toBe('forecast {"city":"Lisbon"}')
  })
})

describe('criteria', () => {
  it('are taken whole and in their parts, without repeats', () => {
    expect(criteriaParts(' weather, pets;Pets，\nlunch, ,! ')).toEqual([
      'weather, pets;Pets，\nlunch, ,!',
      'weather',
      'pets',
      'lunch',
    ])
    expect(criteriaParts('small talk about the weather')).toEqual(['small talk about the weather'])
    expect(criteriaParts('  ')).toEqual([])
  })

  it('have a bounded number of parts', () => {
    expect(criteriaParts(Array.from({ length: 500 }, (_, index) => `part ${index}`).join(','))).toHaveLength(17)
  })

  it('score a message by the best part, never above 1', () => {
    const parts = [Float32Array.of(1, 0), Float32Array.of(0, 1)]
    expect(bestSimilarity(Float32Array.of(0.6, 0.8), parts)).toBeCloseTo(0.8, 6)
    expect(bestSimilarity(Float32Array.of(0, 1.01), parts)).toBe(1)
    expect(bestSimilarity(Float32Array.of(1, 0), [])).toBe(-1)
  })
})
