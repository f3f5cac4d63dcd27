import { describe, expect, it } from 'vitest'
import type { Span } from '../../../src/modules/context/context-types.ts'
import {
  planSummary,
  type SummarySpan,
  selectSummarySpan,
  summaryTokensMax,
} from '../../../src/modules/context/plan-summary.ts'
import { countTokens, createCounterIds, makeCall, makeContext, planOf } from '../../support/context-model.ts'

const long = (text: string) => `${text} `.repeat(20).trim()
const context = makeContext([
  { role: 'system', content: 'You help.' },
  { role: 'user', content: long('first question') },
  { role: 'assistant', content: long('kept answer'), pinned: true },
  { role: 'assistant', content: '', toolCalls: [makeCall('call_0')] },
  { role: 'tool', content: long('result'), toolCallId: 'call_0' },
  { role: 'assistant', content: long('second answer') },
  { role: 'user', content: 'And now?' },
])

const select = (span: Span, callerMessageId: string | null = null): SummarySpan => {
  const selected = selectSummarySpan(context, { span, callerMessageId })
  if (selected.outcome === 'refused') throw new Error(selected.code)
  return selected
}
const idsOf = (span: SummarySpan) => span.messages.map((message) => message.messageId)
const text = { summaryText: 'short', writtenBy: 'model' as const, countTokens, createId: () => 'msg_new' }

describe('the span of SUMMARY', () => {
  it.each(['all', 99] as const)('%j is every message that is not protected', (span) => {
    expect(idsOf(select(span))).toEqual(['msg_0002', 'msg_0004', 'msg_0005', 'msg_0006'])
  })

  it('N is the last N non-system messages, the current query among them', () => {
    expect(idsOf(select(2))).toEqual(['msg_0006'])
    expect(idsOf(select(4))).toEqual(['msg_0004', 'msg_0005', 'msg_0006'])
  })

  it('a call and its result that N cuts in two stay together', () => {
    expect(idsOf(select(3))).toEqual(['msg_0006'])
  })

  it('the message that makes the call is not replaced', () => {
    expect(idsOf(select('all', 'msg_0006'))).not.toContain('msg_0006')
  })

  it('a span of protected messages alone is refused', () => {
    expect(selectSummarySpan(context, { span: 1 })).toMatchObject({ code: 'context.nothing_to_summarize' })
  })
})

describe('SUMMARY', () => {
  it('stands where the first replaced message stood, and what lies between stays after it', () => {
    const plan = planOf(planSummary(context, { ...text, span: select('all') }))
    expect(plan.added).toMatchObject([{ kind: 'summary', contextPosition: 1, sequence: 7, state: 'in_context' }])
    expect(plan.removed).toEqual(idsOf(select('all')).map((messageId) => ({ messageId, state: 'summarized' })))
    expect(plan.prefillFromPosition).toBe(1)
    expect(plan.prefillTokens).toBe(plan.tokensAfter - (context.messages[0]?.tokens ?? 0))
  })

  it('a summary that is not shorter than its span is refused, and so is a blank one', () => {
    const span = select(2)
    const wordy = { ...text, summaryText: long(long('second answer')) }
    expect(planSummary(context, { ...wordy, span })).toMatchObject({ code: 'context.summary_not_shorter' })
    expect(planSummary(context, { ...text, summaryText: ' \n', span })).toMatchObject({ code: 'context.summary_empty' })
  })

  it('a text within the tokens that the span leaves is accepted', () => {
    const span = select('all')
    const words = summaryTokensMax(span, countTokens) - 3
    const summaryText = 'word '.repeat(words)
    expect(planSummary(context, { ...text, summaryText, span })).toMatchObject({ outcome: 'edit' })
  })

  it('a summary can be summarised again, and takes the same place', () => {
    const createId = createCounterIds()
    const first = planOf(planSummary(context, { ...text, createId, summaryText: long('a b c'), span: select('all') }))
    const messages = [
      ...context.messages.filter(({ messageId }) => !idsOf(select('all')).includes(messageId)),
      ...first.added,
    ]
    const next = {
      ...context,
      tokens: first.tokensAfter,
      nextSequence: 8,
      messages: messages.toSorted((a, b) => a.contextPosition - b.contextPosition),
    }
    const span = selectSummarySpan(next, { span: 'all' })
    if (span.outcome === 'refused') throw new Error(span.code)
    expect(planOf(planSummary(next, { ...text, span })).added).toMatchObject([{ contextPosition: 1, sequence: 8 }])
  })
})
