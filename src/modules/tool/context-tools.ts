/** SUMMARY (eq. 14) and FILTER (eq. 15). */
import type { Embedder } from '../../ports/embedder.ts'
import type { Caller } from '../../shared/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import { refused } from '../context/context.errors.ts'
import type { ContextService } from '../context/context.service.ts'
import type { Context, ContextMessage, PlannedEdit, Unchanged } from '../context/context-types.ts'
import { bestSimilarity, criteriaParts } from '../context/filter-criteria.ts'
import { comparableText, filterCandidates, planFilter } from '../context/plan-filter.ts'
import { embedderLate } from './tool.errors.ts'
import type { PreparedTool, Tools } from './tool-run.ts'

export type ContextToolsOptions = {
  readonly contexts: ContextService
  readonly embedder: Embedder
  /** Where neither the session nor its agent sets one. */
  readonly defaultFilterThreshold: () => number
  readonly embedTimeoutMs: number
}

const filterResult = ({ tokens }: Context, planned: PlannedEdit | Unchanged) => {
  if (planned.outcome === 'unchanged') return { removed: [], tokens_before: tokens, tokens_after: tokens }
  const { details, tokensAfter } = planned.plan
  const removed = details.kind === 'filter' ? details.removed : []
  return {
    removed: removed.map(({ messageId, similarity }) => ({ message_id: messageId, similarity })),
    tokens_before: tokens,
    tokens_after: tokensAfter,
  }
}

export const createContextTools = ({
  contexts,
  embedder,
  defaultFilterThreshold,
  embedTimeoutMs,
}: ContextToolsOptions): Pick<Tools, 'summary_context' | 'filter_context'> => {
  /**
   * Best cosine of each message to the criteria, whole or in parts: two batched calls, whatever the number of messages. A
   * message whose vector did not come in time has none and so stays; what came is kept by the embedder, so asking again
   * ends. @throws when no message could be compared
   */
  const compare = async (
    caller: Caller,
    criteria: string,
    messages: readonly ContextMessage[],
  ): Promise<ReadonlyMap<string, number>> => {
    if (messages.length === 0) return new Map()
    const timeout = AbortSignal.timeout(embedTimeoutMs)
    const signal = AbortSignal.any([caller.signal, timeout])
    const { tenantId } = caller
    const vectors = new Map<number, Float32Array>()
    const onVector = (position: number, vector: Float32Array) => vectors.set(position, vector)
    const [parts] = await Promise.all([
      embedder.embed(criteriaParts(criteria), 'query', { signal, tenantId }),
      embedder
        .embed(messages.map(comparableText), 'passage', { signal, tenantId, onVector })
        .then((found) => found.map((vector, position) => onVector(position, vector)))
        .catch((error: unknown) => {
          if (caller.signal.aborted || vectors.size === 0) throw error
        }),
    ]).catch((error: unknown) => {
      throw timeout.aborted && !caller.signal.aborted && !isAppError(error) ? embedderLate(error) : error
    })
    return new Map(
      messages.flatMap(({ messageId }, at) => {
        const vector = vectors.get(at)
        return vector === undefined ? [] : [[messageId, bestSimilarity(vector, parts)] as const]
      }),
    )
  }

  return {
    summary_context: async ({ caller, session: { sessionId }, callerMessageId }, { span }): Promise<PreparedTool> => {
      const snapshot = await contexts.readSnapshot(caller, sessionId)
      const prepared = await contexts.prepareSummary(snapshot, { span, callerMessageId, caller })
      if ('outcome' in prepared) throw refused(prepared)
      const { written } = prepared
      return {
        degraded: [],
        writesMemory: false,
        apply: async (tx, { session }) => {
          const { edit, plan, session: after } = await contexts.applySummary(tx, session, { snapshot, prepared })
          const result = {
            edit_id: edit.editId,
            summary_message_id: plan.added[0]?.messageId,
            summary: written.text,
            replaced_message_ids: plan.removed.map(({ messageId }) => messageId),
            tokens_before: plan.tokensBefore,
            tokens_after: plan.tokensAfter,
            written_by: written.writtenBy,
          }
          return { result, effective: true, session: after }
        },
      }
    },

    filter_context: async (
      { caller, session: { sessionId }, callerMessageId },
      { criteria },
    ): Promise<PreparedTool> => {
      const snapshot = await contexts.readSnapshot(caller, sessionId)
      const threshold = snapshot.session.options.filterThreshold ?? defaultFilterThreshold()
      const candidates = filterCandidates(snapshot.context, callerMessageId)
      const similarities = await compare(caller, criteria, candidates)
      const notCompared = candidates.length - similarities.size
      return {
        degraded: notCompared > 0 ? ['embedder'] : [],
        writesMemory: false,
        // What came since has not been compared, and stays.
        apply: async (tx, { session }) => {
          const context = await contexts.readUnchanged(tx, session, snapshot)
          const planned = planFilter(context, { criteria, threshold, similarities, callerMessageId })
          const result = {
            ...filterResult(context, planned),
            threshold,
            ...(notCompared > 0 && { not_compared: notCompared }),
          }
          if (planned.outcome === 'unchanged') return { result, effective: false, session: null }
          const edit = { sessionId, fromVersion: context.version, plan: planned.plan }
          const applied = await contexts.applyEdit(tx, edit)
          return { result: { edit_id: applied.edit.editId, ...result }, effective: true, session: applied.session }
        },
      }
    },
  }
}
