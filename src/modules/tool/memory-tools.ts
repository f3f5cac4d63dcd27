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
import { toSimilarBody } from '../memory/memory-body.ts'
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

const changedMemory = (result: ToolEffect['result']): ToolEffect => ({ result, effective: true, session: null })

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
    { caller, session, recall, reader }: Pick<ToolRun, 'caller' | 'session' | 'recall' | 'reader'>,
    { query, topK, results }: { query: string; topK: number; results: readonly RecalledMemory[] },
  ): Promise<ToolEffect> => {
    const { sessionId } = session
    const context = await contexts.readContext(tx, session)
    const isShown = createIsShown(context)
    const answer = (messageId: string | null) => ({
      memories: results.filter((memory) => reader === 'answer' || !isShown(memory)).map(recalledBody),
      already_in_context: results.filter(isShown).map(({ memoryId }) => memoryId),
      message_id: messageId,
    })
    const unchanged: ToolEffect = { result: answer(null), effective: false, session: null }
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
    return { result: answer(messageId), effective: true, session: applied.session, hasAnswered: true }
  }

  return {
    add_memory: async ({ caller, session }, args): Promise<PreparedTool> => {
      const prepared = await memories.prepareAdd(caller, {
        agentId: session.agentId,
        memory: {
          content: args.content,
          memoryType: args.memory_type,
          metadata: args.metadata as Metadata | undefined,
        },
      })
      return {
        degraded: prepared.check === 'skipped' ? ['duplicates'] : [],
        writesMemory: true,
        apply: async (tx, { stepOrder }) => {
          const row = { ...prepared.row, source_id: session.sessionId, source_position: stepOrder }
          const { memoryId, version, ...added } = await memories.applyAdd(tx, { ...prepared, row })
          return changedMemory({ memory_id: memoryId, version, ...toSimilarBody(added) })
        },
      }
    },

    update_memory: async ({ caller, session }, args): Promise<PreparedTool> => ({
      degraded: [],
      writesMemory: true,
      apply: async (tx) => {
        const { memoryId, version } = await memories.applyUpdate(tx, caller, {
          agentId: session.agentId,
          memoryId: args.memory_id,
          expected: '*',
          changeOf: ({ metadata }) => ({
            content: args.content,
            metadata: args.metadata === undefined ? undefined : { ...metadata, ...(args.metadata as Metadata) },
          }),
        })
        return changedMemory({ memory_id: memoryId, version })
      },
    }),

    delete_memory: async ({ session }, args): Promise<PreparedTool> => ({
      degraded: [],
      writesMemory: true,
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
        writesMemory: false,
        apply: (tx, place) => applyRecall(tx, { ...run, ...place }, { query: args.query, topK, results }),
      }
    },
  }
}
