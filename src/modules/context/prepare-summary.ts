/** The slow part of a summary: choosing the span, and having its text written, with no transaction open. */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { inSlices } from '../../shared/yielding.ts'
import type { StoredSession } from '../session/session.repository.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import { contextConflict } from './context.errors.ts'
import type { AppliedEdit, ContextStore, Snapshot } from './context-store.ts'
import type { Context, EditPlan, Refusal, Span, SummaryWriter } from './context-types.ts'
import { droppedSteps } from './facts-of.ts'
import { planSummary, selectSummarySpan, summaryTokensMax } from './plan-summary.ts'
import { type Quotable, quotableSteps } from './quotable-text.ts'
import { renderContent } from './render-context.ts'
import type { SummaryStyle } from './summarize-extractively.ts'
import { isSplit, toolUnitsOf } from './tool-units.ts'

export type WrittenSummary = { readonly text: string; readonly writtenBy: SummaryWriter }

/**
 * Writes one summary of messages, in order; never fails for want of a model. A model is given what may be quoted of them
 * and no more: what RETRIEVE showed must not be frozen in a summary.
 */
export type Summarize = (
  quotables: readonly Quotable[],
  options: { readonly maxTokens: number; readonly style: SummaryStyle; readonly caller: Caller },
) => Promise<WrittenSummary>

export type PreparedSummary = {
  readonly plan: EditPlan
  readonly written: WrittenSummary
  /** The same summary of the same messages on a later context; null where an edit or a pin came between. */
  planAgain(context: Context): EditPlan | null
}

export type SummaryPreparationOptions = {
  readonly store: ContextStore
  readonly tokenizer: Tokenizer
  readonly summarize: Summarize
  readonly createId: CreateId
}

/** A summary may take this share of the tokens it replaces. */
const summaryShare = 0.25
const summaryTokensMin = 48

const droppedFactsMax = 50

export const createSummaryPreparation = ({ store, tokenizer, summarize, createId }: SummaryPreparationOptions) => {
  /** A summary of the span, planned on the snapshot. */
  const prepareSummary = async (
    { session, context }: Snapshot,
    { span, callerMessageId, caller }: { span: Span; callerMessageId: string | null; caller: Caller },
  ): Promise<PreparedSummary | Refusal> => {
    const selected = selectSummarySpan(context, { span, callerMessageId })
    if (selected.outcome === 'refused') return selected
    const style = session.options.summaryStyle ?? 'bullets'
    const wanted = Math.max(summaryTokensMin, Math.floor(selected.tokens * summaryShare))
    const maxTokens = Math.min(wanted, summaryTokensMax(selected, tokenizer.countMessage))
    const quotables = await inSlices(quotableSteps(selected.messages), caller.signal)
    const written = await summarize(quotables, { maxTokens, style, caller })
    await inSlices(tokenizer.prepare([renderContent({ kind: 'summary', content: written.text.trim() })]), caller.signal)
    const quoted = quotables.flatMap(({ pieces }) => pieces)
    const dropped = droppedSteps(quoted, { summary: written.text, max: droppedFactsMax })
    const input = {
      span: selected,
      summaryText: written.text,
      writtenBy: written.writtenBy,
      droppedFacts: await inSlices(dropped, caller.signal),
      countTokens: tokenizer.countMessage,
      createId,
    }
    const planned = planSummary(context, input)
    if (planned.outcome === 'refused') return planned
    const selectedIds = new Set(selected.messages.map(({ messageId }) => messageId))
    const planAgain = (later: Context): EditPlan | null => {
      const free = selectSummarySpan(later, { span: 'all', callerMessageId })
      const freeIds = new Set(free.outcome === 'refused' ? [] : free.messages.map(({ messageId }) => messageId))
      if (!selected.messages.every(({ messageId }) => freeIds.has(messageId))) return null
      // A result that came since would be left without its call (C2).
      if (toolUnitsOf(later.messages).some((unit) => isSplit(unit, selectedIds))) return null
      const again = planSummary(later, input)
      return again.outcome === 'refused' ? null : again.plan
    }
    return { plan: planned.plan, written, planAgain }
  }

  /** Applies a summary that was prepared on `snapshot` to the session as it is under its lock. */
  const applySummary = async (
    tx: TenantTransaction,
    session: StoredSession,
    { snapshot, prepared }: { snapshot: Snapshot; prepared: PreparedSummary },
  ): Promise<AppliedEdit & { readonly plan: EditPlan }> => {
    const context = await store.readUnchanged(tx, session, snapshot)
    const plan = context === snapshot.context ? prepared.plan : prepared.planAgain(context)
    if (plan === null) throw contextConflict()
    const applied = await store.applyEdit(tx, { sessionId: session.sessionId, fromVersion: context.version, plan })
    return { ...applied, plan }
  }

  /**
   * When the session asks for it, an append that fills the context is followed by a summary of all of it. `onSummary`
   * is part of the summary's transaction.
   */
  const summarizeUnderPressure = async (
    caller: Caller,
    {
      session,
      onSummary,
    }: { session: StoredSession; onSummary: (tx: TenantTransaction, context: ContextMeasure) => Promise<void> },
  ): Promise<ContextMeasure> => {
    const { autoSummaryAt } = session.options
    if (autoSummaryAt === undefined || session.context.pressure < autoSummaryAt) return session.context
    const snapshot = await store.readSnapshot(caller, session.sessionId)
    const prepared = await prepareSummary(snapshot, { span: 'all', callerMessageId: null, caller })
    if ('outcome' in prepared) return snapshot.session.context
    const onLocked = async (tx: TenantTransaction, locked: StoredSession): Promise<ContextMeasure> => {
      const { context } = (await applySummary(tx, locked, { snapshot, prepared })).session
      await onSummary(tx, context)
      return context
    }
    try {
      return await store.change(caller, { session, writesMemoryOf: null, expected: null, work: onLocked })
    } catch (error) {
      // The append stands, whatever became of the session since.
      if (!isAppError(error) || error.status >= 500) throw error
      return snapshot.session.context
    }
  }

  return { prepareSummary, applySummary, summarizeUnderPressure }
}
