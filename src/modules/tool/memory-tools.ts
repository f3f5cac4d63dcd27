/** ADD, UPDATE, DELETE (eq. 11-13) and RETRIEVE (eq. 8). */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { Metadata } from '../../shared/metadata.ts'
import { inSlices } from '../../shared/yielding.ts'
import { refused } from '../context/context.errors.ts'
import type { ContextService } from '../context/context.service.ts'
import { planRecall, type RecalledMemory, recallContent } from '../context/plan-recall.ts'
import { createIsShown } from '../context/shown-memories.ts'
import type { MemoryService } from '../memory/memory.service.ts'
import type { MemorySearch } from '../memory/memory-search.service.ts'
import type { PreparedTool, ToolEffect, ToolRun, Tools } from './tool-run.ts'

export type MemoryToolsOptions = {
  readonly memories: MemoryService
  readonly search: MemorySearch
  readonly contexts: ContextService
  readonly tokenizer: Tokenizer
  readonly createId: CreateId
  readonly defaultTopK: number
}

type MemoryTools = Pick<Tools, 'add_memory' | 'update_memory' | 'delete_memory' | 'retrieve_memory'>

const changedMemory = (result: ToolEffect['result']): ToolEffect => ({ result, effective: true, context: null })

const recalledBody = ({ memoryId, version, content, metadata, score }: RecalledMemory) => ({
  memory_id: memoryId,
  version,
  content,
  metadata,
  score,
})

export const createMemoryTools = ({
  memories,
  search,
  contexts,
  tokenizer,
  createId,
  defaultTopK,
}: MemoryToolsOptions): MemoryTools => {
  /** Planned on the context as it is under the session's lock, so other changes of the context never refuse it. */
  const applyRecall = async (
    tx: TenantTransaction,
    run: ToolRun,
    { query, topK, results }: { query: string; topK: number; results: readonly RecalledMemory[] },
  ): Promise<ToolEffect> => {
    const { caller, recall, reader } = run
    const { sessionId } = run.session
    const context = await contexts.lockContext(tx, caller, sessionId)
    const isShown = createIsShown(context)
    const answer = (messageId: string | null) => ({
      memories: results.filter((memory) => reader === 'answer' || !isShown(memory)).map(recalledBody),
      already_in_context: results.filter(isShown).map(({ memoryId }) => memoryId),
      message_id: messageId,
    })
    const unchanged: ToolEffect = { result: answer(null), effective: false, context: null }
    if (recall.form === 'none') return unchanged
    await inSlices(tokenizer.prepare([recallContent(results.filter((memory) => !isShown(memory)))]), caller.signal)
    const planned = planRecall(context, {
      query,
      topK,
      results,
      answersToolCallId: recall.form === 'result' ? recall.toolCallId : null,
      countTokens: tokenizer.countMessage,
      createId,
    })
    if (planned.outcome === 'refused') throw refused(planned)
    if (planned.outcome === 'unchanged') return unchanged
    const applied = await contexts.applyEdit(tx, { sessionId, fromVersion: context.version, plan: planned.plan })
    const messageId = planned.plan.added.at(-1)?.messageId ?? null
    return { result: answer(messageId), effective: true, context: applied.context, hasAnswered: true }
  }

  return {
    add_memory: async ({ caller, session, stepOrder }, args): Promise<PreparedTool> => {
      const prepared = await memories.prepareAdd(caller, {
        agentId: session.agentId,
        memory: {
          content: args.content,
          memoryType: args.memory_type,
          metadata: args.metadata as Metadata | undefined,
          source: { sourceId: session.sessionId, position: stepOrder },
        },
      })
      return {
        degraded: [],
        apply: async (tx) => {
          const { memoryId, version, duplicateOf } = await memories.applyAdd(tx, prepared)
          return changedMemory({
            memory_id: memoryId,
            version,
            ...(duplicateOf === null
              ? {}
              : { duplicate_of: { memory_id: duplicateOf.memoryId, similarity: duplicateOf.similarity } }),
          })
        },
      }
    },

    update_memory: async ({ caller, session }, args): Promise<PreparedTool> => {
      const room = await memories.openRoom(caller)
      return {
        degraded: [],
        apply: async (tx) => {
          const { memoryId, version } = await memories.applyUpdate(tx, caller, {
            agentId: session.agentId,
            memoryId: args.memory_id,
            expected: '*',
            changeOf: ({ metadata }) => ({
              content: args.content,
              metadata: args.metadata === undefined ? undefined : { ...metadata, ...(args.metadata as Metadata) },
            }),
            room,
          })
          return changedMemory({ memory_id: memoryId, version })
        },
      }
    },

    delete_memory: async ({ session }, args): Promise<PreparedTool> => ({
      degraded: [],
      apply: async (tx) => {
        await memories.applyDelete(tx, { agentId: session.agentId, memoryId: args.memory_id, expected: '*' })
        return changedMemory({ memory_id: args.memory_id, deleted: true })
      },
    }),

    retrieve_memory: async (run, args): Promise<PreparedTool> => {
      const { session } = run
      const topK = args.top_k ?? session.options.topK ?? defaultTopK
      const found = await search.search(run.caller, {
        agentId: session.agentId,
        query: args.query,
        topK,
        mode: 'hybrid',
        metadataFilter: (args.metadata_filter ?? {}) as Metadata,
        memoryType: null,
        minScore: null,
      })
      const results = found.results.map(({ memory, score }) => ({
        memoryId: memory.memoryId,
        version: memory.version,
        content: memory.content,
        metadata: memory.memoryType === null ? memory.metadata : { ...memory.metadata, type: memory.memoryType },
        score,
      }))
      return {
        degraded: found.degraded,
        apply: (tx) => applyRecall(tx, run, { query: args.query, topK, results }),
      }
    },
  }
}
