import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/modules/context/context-types.ts'
import { planRecall } from '../../../src/modules/context/plan-recall.ts'
import { renderContext } from '../../../src/modules/context/render-context.ts'
import { applyPlan, contextOf } from '../../support/context-history.ts'
import {
  countTokens,
  createCounterIds,
  makeCall,
  makeContext,
  makeHistory,
  planOf,
} from '../../support/context-model.ts'

const memories = ['mem_1', 'mem_2'].map((memoryId, index) => ({
  memoryId,
  version: 1,
  content: `fact ${index}`,
  metadata: { type: 'fact' },
  score: 0.123_456,
}))
const recall = (context: Context, results = memories, answersToolCallId: string | null = null) =>
  planRecall(context, {
    query: 'q',
    topK: 3,
    results,
    answersToolCallId,
    countTokens,
    createId: () => `msg_${context.nextSequence}`,
  })

describe('RETRIEVE', () => {
  it('adds the call and its result, which together show each memory with its score', () => {
    const { added, prefillFromPosition } = planOf(recall(makeContext([{ role: 'user', content: 'hi' }])))
    expect(prefillFromPosition).toBe(1)
    expect(added.map(({ role, sequence, kind }) => [role, sequence, kind])).toEqual([
      ['assistant', 1, 'recall'],
      ['tool', 2, 'recall'],
    ])
    expect(added[0]?.toolCalls?.[0]).toMatchObject({
      id: added[1]?.toolCallId,
      function: { name: 'Retrieve_memory', arguments: '{"query":"q","top_k":3}' },
    })
    expect(JSON.parse(added[1]?.content ?? '')).toEqual({
      memories: [
        { memory_id: 'mem_1', content: 'fact 0', metadata: { type: 'fact' }, score: 0.1235 },
        { memory_id: 'mem_2', content: 'fact 1', metadata: { type: 'fact' }, score: 0.1235 },
      ],
    })
  })

  it('does not show again what the context shows, nor one memory twice', () => {
    const history = makeHistory([{ role: 'user', content: 'hi' }])
    const first = planOf(recall(contextOf(history), [...memories.slice(0, 1), ...memories.slice(0, 1)]))
    expect(first.details).toMatchObject({ memoryIds: ['mem_1'] })
    const context = contextOf(applyPlan(history, first, 'edt_1'))
    expect(planOf(recall(context)).details).toMatchObject({ memoryIds: ['mem_2'], alreadyInContext: ['mem_1'] })
    expect(recall(context, memories.slice(0, 1))).toMatchObject({
      outcome: 'unchanged',
      details: { alreadyInContext: ['mem_1'] },
    })
  })

  it('shows again what has changed since it was shown, and once', () => {
    const history = makeHistory([{ role: 'user', content: 'hi' }])
    const shown = applyPlan(history, planOf(recall(contextOf(history))), 'edt_1')
    const changed = memories.map((memory, index) => ({ ...memory, version: memory.version + index }))
    const again = planOf(recall(contextOf(shown), changed))
    expect(again.details).toMatchObject({ memoryIds: ['mem_2'], alreadyInContext: ['mem_1'] })
    const both = contextOf(applyPlan(shown, again, 'edt_2'))
    expect(recall(both, changed)).toMatchObject({
      outcome: 'unchanged',
      details: { alreadyInContext: ['mem_1', 'mem_2'] },
    })
    expect(recall(both)).toMatchObject({ outcome: 'unchanged' })
  })

  it('with nothing found there is no edit', () => {
    expect(recall(makeContext([]), [])).toMatchObject({ outcome: 'unchanged' })
  })

  it('answers an open call with the result alone, and refuses one that is not open', () => {
    const context = makeContext([
      { role: 'assistant', content: '', toolCalls: [makeCall('call_9', 'Retrieve_memory')] },
    ])
    expect(planOf(recall(context, memories, 'call_9')).added).toMatchObject([{ role: 'tool', toolCallId: 'call_9' }])
    expect(recall(context, memories, 'call_8')).toMatchObject({ code: 'context.orphan_tool_result' })
  })

  it('next to an open call it still renders into messages that an endpoint accepts', () => {
    const history = makeHistory([{ role: 'assistant', content: '', toolCalls: [makeCall('call_9')] }])
    const plan = planOf(
      planRecall(contextOf(history), {
        query: 'q',
        topK: 3,
        results: memories,
        countTokens,
        createId: createCounterIds(),
      }),
    )
    const messages = renderContext(contextOf(applyPlan(history, plan, 'edt_1')))
    expect(messages.map(({ role }) => role)).toEqual(['assistant', 'tool', 'assistant', 'tool'])
  })
})
