import type { AgentDefaultsBody } from './agent.schemas.ts'
import type { Agent, AgentDefaults, Erasure } from './agent-types.ts'

/** As the wire has them, and the database. */
export const toDefaultsBody = (defaults: AgentDefaults): AgentDefaultsBody => ({
  ...(defaults.budgetTokens === undefined ? {} : { budget_tokens: defaults.budgetTokens }),
  ...(defaults.filterThreshold === undefined ? {} : { filter_threshold: defaults.filterThreshold }),
  ...(defaults.topK === undefined ? {} : { top_k: defaults.topK }),
  ...(defaults.duplicateThreshold === undefined ? {} : { duplicate_threshold: defaults.duplicateThreshold }),
  ...(defaults.memoryTtlSeconds === undefined ? {} : { memory_ttl_seconds: defaults.memoryTtlSeconds }),
})

export const fromDefaultsBody = (body: AgentDefaultsBody): AgentDefaults => ({
  ...(body.budget_tokens === undefined ? {} : { budgetTokens: body.budget_tokens }),
  ...(body.filter_threshold === undefined ? {} : { filterThreshold: body.filter_threshold }),
  ...(body.top_k === undefined ? {} : { topK: body.top_k }),
  ...(body.duplicate_threshold === undefined ? {} : { duplicateThreshold: body.duplicate_threshold }),
  ...(body.memory_ttl_seconds === undefined ? {} : { memoryTtlSeconds: body.memory_ttl_seconds }),
})

export const toAgentBody = (agent: Agent) => ({
  agent_id: agent.agentId,
  metadata: agent.metadata,
  defaults: toDefaultsBody(agent.defaults),
  memory_count: agent.memoryCount,
  session_count: agent.sessionCount,
  memory_tokens: agent.memoryTokens,
  revision: agent.revision,
  index_lag: agent.indexLag,
  created_at: agent.createdAt,
  updated_at: agent.updatedAt,
})

export const toErasureBody = (erasure: Erasure) => ({
  erasure_id: erasure.erasureId,
  agent_id: erasure.agentId,
  status: erasure.status,
  requested_at: erasure.requestedAt,
  ...(erasure.completedAt === null ? {} : { completed_at: erasure.completedAt }),
  stores: erasure.stores,
})
