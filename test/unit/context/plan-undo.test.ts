import { describe, expect, it } from 'vitest'
import { planAppend } from '../../../src/modules/context/plan-append.ts'
import { planRecall } from '../../../src/modules/context/plan-recall.ts'
import { planReset } from '../../../src/modules/context/plan-reset.ts'
import { planSummary, selectSummarySpan } from '../../../src/modules/context/plan-summary.ts'
import { planUndo } from '../../../src/modules/context/plan-undo.ts'
import { applyAppend, applyPlan, type ContextHistory, contextOf } from '../../support/context-history.ts'
import { countTokens, makeCall, makeHistory, planOf } from '../../support/context-model.ts'

const long = 'many words that say little '.repeat(10)
const start = makeHistory([
  { role: 'system', content: 'You help.' },
  { role: 'user', content: long },
  { role: 'assistant', content: long },
  { role: 'user', content: 'And now?' },
])

const summarized = (history: ContextHistory, editId: string, summaryText = 'short'): ContextHistory => {
  const context = contextOf(history)
  const span = selectSummarySpan(context, { span: 'all' })
  if (span.outcome === 'refused') throw new Error(span.code)
  const createId = () => `msg_of_${editId}`
  return applyPlan(
    history,
    planOf(planSummary(context, { span, summaryText, writtenBy: 'model', countTokens, createId })),
    editId,
  )
}

const undo = (history: ContextHistory, editId: string) => {
  const edit = history.edits.find((candidate) => candidate.editId === editId)
  if (edit === undefined) throw new Error(`no edit ${editId}`)
  return planUndo(contextOf(history), { edit, edits: history.edits, messages: history.messages })
}

const appended = (history: ContextHistory, content: string): ContextHistory => {
  const messages = [{ role: 'user' as const, content }]
  const plan = planAppend(contextOf(history), { messages, countTokens, createId: () => `msg_${content}` })
  if (plan.outcome === 'refused') throw new Error(plan.code)
  return applyAppend(history, plan)
}

describe('undo', () => {
  it('puts messages back at their places, before those appended since', () => {
    const undone = (history: ContextHistory) => applyPlan(history, planOf(undo(history, 'edt_1')), 'edt_2')
    const context = contextOf(undone(appended(summarized(start, 'edt_1'), 'later')))
    expect(context.messages.slice(0, 4)).toEqual(contextOf(start).messages)
    expect(context.messages.slice(4)).toMatchObject([{ messageId: 'msg_later' }])
  })

  it('of a summary that was summarised again is refused until the later one is undone', () => {
    const twice = summarized(summarized(start, 'edt_1', `${long} ${long}`.slice(0, 200)), 'edt_2')
    expect(undo(twice, 'edt_1')).toMatchObject({
      code: 'context.edit_depended_on',
      detail: expect.stringContaining('edt_2'),
    })
    const once = applyPlan(twice, planOf(undo(twice, 'edt_2')), 'edt_3')
    expect(contextOf(applyPlan(once, planOf(undo(once, 'edt_1')), 'edt_4')).messages).toEqual(contextOf(start).messages)
  })

  it('happens once, and is not undone itself', () => {
    const history = summarized(start, 'edt_1')
    const undone = applyPlan(history, planOf(undo(history, 'edt_1')), 'edt_2')
    expect(undo(undone, 'edt_1')).toMatchObject({ code: 'context.edit_already_undone' })
    expect(undo(undone, 'edt_2')).toMatchObject({ code: 'context.undo_not_undoable' })
  })

  it('of an edit whose message was pinned since is refused', () => {
    const history = summarized(start, 'edt_1')
    const messages = history.messages.map((message) => ({ ...message, pinned: message.kind === 'summary' }))
    expect(undo({ ...history, messages }, 'edt_1')).toMatchObject({
      code: 'context.edit_depended_on',
      detail: expect.stringContaining('pinned'),
    })
  })

  it('of a result that answers a call of its own message is refused: the call would stand without it', () => {
    const history = makeHistory([{ role: 'assistant', content: '', toolCalls: [makeCall('call_0')] }])
    const results = [{ memoryId: 'mem_1', version: 1, content: 'fact', metadata: {}, score: 1 }]
    const input = { query: 'q', topK: 1, results, answersToolCallId: 'call_0', countTokens, createId: () => 'msg_r' }
    const recalled = applyPlan(history, planOf(planRecall(contextOf(history), input)), 'edt_1')
    expect(undo(recalled, 'edt_1')).toMatchObject({ code: 'context.edit_depended_on' })
  })

  it('against a log that does not fit the messages is a loud failure', () => {
    const history = summarized(start, 'edt_1')
    const messages = history.messages.filter((message) => message.kind === 'appended')
    expect(() => undo({ ...history, messages }, 'edt_1')).toThrow('internal.broken_invariant')
  })
})

describe('reset', () => {
  it('leaves system messages and whole units of pinned ones, and its undo brings the rest back', () => {
    const history = makeHistory([
      { role: 'system', content: 'You help.' },
      { role: 'user', content: 'Look it up.' },
      { role: 'assistant', content: '', toolCalls: [makeCall('call_0')] },
      { role: 'tool', content: 'found', toolCallId: 'call_0', pinned: true },
      { role: 'user', content: 'Thanks.' },
    ])
    const reset = applyPlan(history, planOf(planReset(contextOf(history))), 'edt_1')
    expect(contextOf(reset).messages.map(({ messageId }) => messageId)).toEqual(['msg_0001', 'msg_0003', 'msg_0004'])
    expect(planReset(contextOf(reset))).toMatchObject({ outcome: 'unchanged' })
    const undone = applyPlan(reset, planOf(undo(reset, 'edt_1')), 'edt_2')
    expect(contextOf(undone).messages).toEqual(contextOf(history).messages)
  })
})
