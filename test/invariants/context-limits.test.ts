import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filterCandidates, planFilter } from '../../src/modules/context/plan-filter.ts'
import { planSummary, selectSummarySpan, summaryTokensMax } from '../../src/modules/context/plan-summary.ts'
import { renderContent } from '../../src/modules/context/render-context.ts'
import { toolUnitsOf } from '../../src/modules/context/tool-units.ts'
import { contextOf } from '../support/context-history.ts'
import {
  countText,
  countTokens,
  createCounterIds,
  operations,
  runHistory,
  similarityOf,
} from '../support/context-model.ts'

const idsOf = (messages: readonly { readonly messageId: string }[]): readonly string[] =>
  messages.map((message) => message.messageId)

describe('what FILTER and SUMMARY may take', () => {
  it('C9: FILTER takes out what reaches the threshold, so above 1 nothing and at a lower one never less', () => {
    const threshold = fc.oneof(
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.nat(1_000).map((n) => n / 1_000),
    )
    fc.assert(
      fc.property(operations(), threshold, threshold, fc.nat(99), (asked, one, other, salt) => {
        const last = runHistory(asked).at(-1)
        if (last === undefined) return
        const context = contextOf(last.after)
        // Rounding can lift the cosine of two equal texts above 1.
        const roundedUp = (similarity: number) => (similarity > 0.8 ? 1.000_002 : similarity)
        const similarities = new Map(
          context.messages.map(({ messageId }) => [messageId, roundedUp(similarityOf(messageId, salt))]),
        )
        const removedAt = (limit: number): readonly string[] => {
          const outcome = planFilter(context, { criteria: 'weather', threshold: limit, similarities })
          return outcome.outcome === 'edit' ? idsOf(outcome.plan.removed) : []
        }
        expect(removedAt(1.000_001)).toEqual([])
        expect(removedAt(Math.min(one, other))).toEqual(expect.arrayContaining([...removedAt(Math.max(one, other))]))
        const candidates = new Set(idsOf(filterCandidates(context, null)))
        // At a score that there is, a message that has just that leaves.
        const [scored] = similarities.values()
        const limit = salt % 2 === 0 ? (scored ?? one) : one
        const reaching = toolUnitsOf(context.messages)
          .filter(({ members }) =>
            members.some(({ messageId }) => Math.min(1, similarities.get(messageId) ?? -1) >= limit),
          )
          .flatMap(({ members }) => idsOf(members).filter((id) => candidates.has(id)))
        expect([...removedAt(limit)].sort()).toEqual(reaching.sort())
      }),
      { numRuns: 300 },
    )
  })

  it('C10: SUMMARY makes the context shorter or is refused, and is refused for nothing else', () => {
    fc.assert(
      fc.property(
        operations(),
        fc.nat(200),
        fc.integer({ min: -4, max: 8 }),
        fc.boolean(),
        (asked, anyWords, near, isNear) => {
          const last = runHistory(asked).at(-1)
          if (last === undefined) return
          const context = contextOf(last.after)
          const span = selectSummarySpan(context, { span: 'all' })
          if (span.outcome === 'refused') return
          // A word is a token or a little less: these are about as long as the span.
          const words = isNear ? Math.max(0, summaryTokensMax(span, countTokens) + near) : anyWords
          const summaryText = 'word '.repeat(words).trim()
          const text = { summaryText, writtenBy: 'model' as const }
          const outcome = planSummary(context, { ...text, span, countTokens, createId: createCounterIds() })
          const content = renderContent({ kind: 'summary', content: summaryText })
          const isShorter = countTokens({ role: 'user', content }) < span.tokens
          if (outcome.outcome === 'edit') expect(outcome.plan.tokensAfter).toBeLessThan(context.tokens)
          else expect(outcome.code).toBe(words === 0 ? 'context.summary_empty' : 'context.summary_not_shorter')
          expect(outcome.outcome).toBe(words > 0 && isShorter ? 'edit' : 'refused')
          if (words > 0 && countText(summaryText) <= summaryTokensMax(span, countTokens)) expect(isShorter).toBe(true)
        },
      ),
      { numRuns: 300 },
    )
  })
})
