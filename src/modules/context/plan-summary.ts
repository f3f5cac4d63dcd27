/**
 * SUMMARY (eq. 14) in two pure steps, since the text is written in between by a model: `selectSummarySpan` says what
 * is to be summarised, `planSummary` replaces it by the text. The span is the last N non-system messages of the
 * context, of which protected units stay where they are; a unit that N cuts in two stays as well, so no more is
 * replaced than was asked for. What is left may have gaps: the one summary stands where the first replaced message
 * stood, the messages in the gaps keep their order after it.
 *
 * Invariants: C1 (protected messages stay), C2 (whole units), C3 (place of the summary), C10 (never longer).
 */
import type { CreateId } from '../../shared/ids.ts'
import type {
  Context,
  ContextMessage,
  CountTokens,
  EditDetails,
  PlannedEdit,
  Refusal,
  Span,
  SummaryWriter,
} from './context-types.ts'
import { refuse } from './context-types.ts'
import { editCost, sumTokens } from './edit-cost.ts'
import { renderContent } from './render-context.ts'
import { protectionOf, toolUnitsOf } from './tool-units.ts'

export type SummarySpan = {
  readonly outcome: 'span'
  readonly span: Span
  /** By position, at least one. */
  readonly messages: readonly ContextMessage[]
  readonly tokens: number
}

/** The messages that a summary of `span` would replace. A number beyond the context means all of it. */
export const selectSummarySpan = (
  context: Context,
  { span, callerMessageId = null }: { readonly span: Span; readonly callerMessageId?: string | null },
): SummarySpan | Refusal => {
  const nonSystem = context.messages.filter((message) => message.role !== 'system')
  const window = new Set(span === 'all' ? nonSystem : nonSystem.slice(-span))
  const isProtected = protectionOf(context, callerMessageId)
  const chosen = new Set(
    toolUnitsOf(context.messages)
      .filter((unit) => !isProtected(unit) && unit.members.every((message) => window.has(message)))
      .flatMap((unit) => unit.members),
  )
  const messages = context.messages.filter((message) => chosen.has(message))
  if (messages.length > 0) return { outcome: 'span', span, messages, tokens: sumTokens(messages) }
  return refuse(
    'context.nothing_to_summarize',
    'Every message of the span stays in the context: system and pinned messages, the current query, and calls with their results that the span cuts in two or that are still open. Ask for a longer span.',
  )
}

type SummaryInput = {
  readonly summaryText: string
  readonly writtenBy: SummaryWriter
  readonly droppedFacts?: readonly string[]
  readonly countTokens: CountTokens
  readonly createId: CreateId
}

/**
 * The tokens that the text of a summary of this span may take, so that the message is shorter than the span. Two tokens
 * are kept back, since lead-in and text counted apart may come to one less than counted together.
 */
export const summaryTokensMax = (span: SummarySpan, countTokens: CountTokens): number =>
  span.tokens - 2 - countTokens({ role: 'user', content: renderContent({ kind: 'summary', content: '' }) })

const summaryMessage = (first: ContextMessage, context: Context, input: SummaryInput): ContextMessage => {
  const content = input.summaryText.trim()
  return {
    messageId: input.createId('msg'),
    role: 'user',
    content,
    name: null,
    toolCalls: null,
    toolCallId: null,
    pinned: false,
    tokens: input.countTokens({ role: 'user', content: renderContent({ kind: 'summary', content }) }),
    contextPosition: first.contextPosition,
    sequence: context.nextSequence,
    state: 'in_context',
    editId: null,
    kind: 'summary',
    recalledMemories: [],
  }
}

/** Replaces a span of this very context version by one summary; refused when the text is blank or saves nothing. */
export const planSummary = (
  context: Context,
  input: SummaryInput & { readonly span: SummarySpan },
): PlannedEdit | Refusal => {
  const { span } = input
  const [first] = span.messages
  if (first === undefined) return refuse('context.nothing_to_summarize', 'The span holds no message.')
  const summary = summaryMessage(first, context, input)
  if (summary.content === '')
    return refuse(
      'context.summary_empty',
      'The summary came out blank: the span is too short for one that saves tokens. The context is unchanged. Ask for a longer span.',
    )
  if (summary.tokens >= span.tokens) {
    return refuse(
      'context.summary_not_shorter',
      `The summary takes ${summary.tokens} tokens and the ${span.messages.length} messages it would replace take ${span.tokens}. The context is unchanged.`,
    )
  }
  const replacedMessageIds = span.messages.map((message) => message.messageId)
  const replaced = new Set(replacedMessageIds)
  const kept = context.messages.filter((message) => !replaced.has(message.messageId))
  const details: EditDetails = {
    kind: 'summary',
    span: span.span,
    summaryMessageId: summary.messageId,
    replacedMessageIds,
    writtenBy: input.writtenBy,
    droppedFacts: input.droppedFacts ?? [],
  }
  const removed = replacedMessageIds.map((messageId) => ({ messageId, state: 'summarized' as const }))
  const cost = editCost(context, [...kept, summary])
  return {
    outcome: 'edit',
    plan: { kind: 'summary', removed, restoredMessageIds: [], added: [summary], ...cost, details },
  }
}
