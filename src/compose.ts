/** Wires the modules over given ports; knows no driver. The service and the tests are put together by this alone. */
import type { Logger } from 'pino'
import type { Settings } from './module-settings.ts'
import { type AgentService, createAgentService } from './modules/agent/agent.service.ts'
import { createRetention } from './modules/agent/retention.ts'
import { type ChatService, createChatService } from './modules/chat/chat.service.ts'
import { type ContextService, createContextService } from './modules/context/context.service.ts'
import type { Summarize } from './modules/context/prepare-summary.ts'
import { extractSteps } from './modules/context/summarize-extractively.ts'
import { createModelSummarizer } from './modules/context/summarize-with-model.ts'
import { createIdempotency } from './modules/idempotency/idempotency.service.ts'
import { createIndexKeeper, type IndexKeeper } from './modules/indexing/index-keeper.ts'
import { createIndexer, type Indexer } from './modules/indexing/indexer.ts'
import { createReconciler, type Reconciler } from './modules/indexing/reconciler.ts'
import { createMaintenance, type Maintenance } from './modules/memory/maintenance.ts'
import { removeMemories } from './modules/memory/memory.repository.ts'
import { createMemoryService, type MemoryService } from './modules/memory/memory.service.ts'
import { createMemoryAdditions } from './modules/memory/memory-additions.ts'
import { createMemorySearch, type MemorySearch } from './modules/memory/memory-search.service.ts'
import { createMemoryTransfer, type MemoryTransfer } from './modules/memory/memory-transfer.service.ts'
import { createPolicyService, type PolicyService } from './modules/policy/policy.service.ts'
import { rebuildPrompt } from './modules/policy/rebuild-prompt.ts'
import { createRunStreams, type RunStreams } from './modules/policy/run-streams.ts'
import { createSessionService, type SessionService } from './modules/session/session.service.ts'
import { createRunUnit } from './modules/session/units.ts'
import { createKeyService, type KeyService } from './modules/tenant/key.service.ts'
import { createMeteredModel } from './modules/tenant/metered-model.ts'
import { createModelTokens, type ModelTokens } from './modules/tenant/model-tokens.ts'
import { createTenantService, type TenantService } from './modules/tenant/tenant.service.ts'
import { createContextTools } from './modules/tool/context-tools.ts'
import { createMemoryTools } from './modules/tool/memory-tools.ts'
import { createToolService, type ToolService } from './modules/tool/tool.service.ts'
import type { ToolKey } from './modules/tool/tool-parameters.ts'
import { createTrajectoryService, type TrajectoryService } from './modules/trajectory/trajectory.service.ts'
import type { Database } from './ports/database.ts'
import type { Embedder } from './ports/embedder.ts'
import type { LanguageModel } from './ports/language-model.ts'
import type { Tokenizer } from './ports/tokenizer.ts'
import type { VectorIndex } from './ports/vector-index.ts'
import type { Clock } from './shared/clock.ts'
import type { CreateId } from './shared/ids.ts'
import { inSlices } from './shared/yielding.ts'

/** Ports with a driver behind each, and what else the world outside gives. */
export type Parts = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  /** Answers while `vectorIndex` cannot; null: nothing does. */
  readonly fallbackIndex: VectorIndex | null
  readonly embedder: Embedder
  readonly tokenizer: Tokenizer
  /** The policy; null: none. */
  readonly model: LanguageModel | null
  readonly clock: Clock
  readonly createId: CreateId
  readonly logger: Logger
  readonly onToolCall: (call: { readonly tool: ToolKey; readonly status: 'ok' | 'error' }) => void
}

export type Modules = {
  readonly keys: KeyService
  readonly tenants: TenantService
  readonly agents: AgentService
  readonly memories: MemoryService
  readonly search: MemorySearch
  readonly transfer: MemoryTransfer
  readonly sessions: SessionService
  readonly contexts: ContextService
  readonly tools: ToolService
  readonly trajectories: TrajectoryService
  readonly policy: PolicyService
  readonly modelTokens: ModelTokens
  readonly runStreams: RunStreams
  readonly chat: ChatService
  readonly indexer: Indexer
  readonly indexKeeper: IndexKeeper
  readonly reconciler: Reconciler
  readonly maintenance: Maintenance
}

/** The policy's own model writes summaries where there is one; without it they are extracts. */
const summarizerOf = (
  { model, tokenizer }: { model: LanguageModel | null; tokenizer: Tokenizer },
  { summaryTimeoutMs }: Pick<Settings, 'summaryTimeoutMs'>,
): Summarize => {
  const standIn = extractive(tokenizer)
  return model === null ? standIn : createModelSummarizer({ model, tokenizer, standIn, timeoutMs: summaryTimeoutMs })
}

const extractive =
  ({ countText, prepare }: Tokenizer): Summarize =>
  async (quotables, { maxTokens, style, caller }) => ({
    text: await inSlices(extractSteps(quotables, { tokensMax: maxTokens, countText, prepare, style }), caller.signal),
    writtenBy: 'extractive',
  })

export const composeModules = (parts: Parts, settings: Settings): Modules => {
  const { database, vectorIndex, embedder, tokenizer, clock, createId, logger } = parts
  const idempotency = createIdempotency({ database, ttlSeconds: settings.idempotencyTtlHours * 3_600 })
  const runUnit = createRunUnit({ database })
  const modelTokens = createModelTokens({ database, clock, logger })
  const { keyCacheMs: cacheMs, statementTimeoutMs: lookupTimeoutMs } = settings
  const keys = createKeyService({ database, idempotency, clock, createId, cacheMs, lookupTimeoutMs })
  const indexer = createIndexer({
    database,
    vectorIndex,
    embedder,
    logger,
    pollMs: settings.indexPollMs,
    restMs: settings.indexRestMs,
    postponeMs: settings.indexPostponeMs,
    vectorLoops: settings.indexVectorLoops,
    embedTimeoutMs: settings.embedTimeoutMs,
  })
  const onWrite = indexer.wake
  const search = createMemorySearch({
    database,
    vectorIndex,
    fallbackIndex: parts.fallbackIndex,
    embedder,
    clock,
    embedTimeoutMs: settings.embedTimeoutMs,
    indexTimeoutMs: settings.indexTimeoutMs,
  })
  const additions = createMemoryAdditions({
    database,
    idempotency,
    search,
    tokenizer,
    clock,
    createId,
    duplicateThreshold: () => settings.duplicateThreshold ?? embedder.thresholds.duplicate,
    onWrite,
  })
  const memories = createMemoryService({ database, idempotency, tokenizer, clock, additions })
  const agents = createAgentService({
    database,
    vectorIndex,
    createId,
    indexTimeoutMs: settings.indexTimeoutMs,
    removeMemories,
    forgetTexts: (tenantId) => {
      embedder.forget?.(tenantId)
      tokenizer.forget()
    },
  })
  const tenants = createTenantService({
    database,
    idempotency,
    clock,
    createId,
    logger,
    eraseAgents: agents.eraseAll,
    onChange: (tenantId) => {
      keys.forgetVerified(tenantId)
      modelTokens.forget(tenantId)
    },
  })
  const model = parts.model === null ? null : createMeteredModel(parts.model, modelTokens)
  const contexts = createContextService({
    database,
    idempotency,
    tokenizer,
    createId,
    runUnit,
    summarize: summarizerOf({ model, tokenizer }, settings),
    contextBytesMax: settings.contextBytesMax,
  })
  const memoryTools = createMemoryTools({ memories, search, contexts, tokenizer, createId, defaultTopK: settings.topK })
  const contextTools = createContextTools({
    contexts,
    embedder,
    defaultFilterThreshold: () => settings.filterThreshold ?? embedder.thresholds.filter,
    embedTimeoutMs: settings.embedTimeoutMs,
  })
  const tools = createToolService({
    idempotency,
    contexts,
    tools: { ...memoryTools, ...contextTools },
    createId,
    onMemoryWrite: onWrite,
    onCall: parts.onToolCall,
  })
  const policy = createPolicyService({
    database,
    idempotency,
    contexts,
    tools,
    tokenizer,
    model,
    modelTokens,
    createId,
  })
  const sessions = createSessionService({
    database,
    idempotency,
    createId,
    defaultBudgetTokens: settings.budgetTokens,
  })
  const chatStreams = createRunStreams({ policy, createId, resumeMs: 0 })
  return {
    keys,
    tenants,
    agents,
    memories,
    search,
    transfer: createMemoryTransfer({ database, idempotency, tokenizer, clock, createId, onWrite }),
    sessions,
    contexts,
    tools,
    policy,
    modelTokens,
    runStreams: createRunStreams({ policy, createId, resumeMs: settings.policyResumeMs }),
    chat: createChatService({ sessions, contexts, policy, streams: chatStreams }),
    trajectories: createTrajectoryService({ database, idempotency, runUnit, createId, rebuildPrompt }),
    indexer,
    indexKeeper: createIndexKeeper({
      database,
      vectorIndex,
      embedder,
      createId,
      logger,
      intervalMs: settings.indexKeepMs,
      onChange: indexer.wake,
    }),
    reconciler: createReconciler({ database, vectorIndex, logger, clock, onRepair: onWrite }),
    maintenance: createMaintenance({
      database,
      clock,
      finishErasure: agents.finishErasure,
      finishDeletions: tenants.finishDeletions,
      holdRetention: createRetention({ database }),
      logger,
      intervalMs: settings.maintenanceIntervalMs,
      onPurge: onWrite,
    }),
  }
}
