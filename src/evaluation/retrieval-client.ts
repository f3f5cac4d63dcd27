/** The part of the HTTP contract that the retrieval evaluation uses, in its wire names. */
import type { MemoryInput } from './retrieval-task.ts'

export type SearchMode = 'hybrid' | 'semantic' | 'keyword'

export type Problem = { readonly code: string; readonly detail: string }

export type BatchAnswer = {
  readonly results: readonly {
    readonly index: number
    readonly status: 'created' | 'rejected'
    readonly memory?: { readonly memory_id: string }
    readonly problem?: Problem
  }[]
}

export type SearchAnswer = {
  readonly results: readonly {
    readonly memory: { readonly memory_id: string; readonly content: string; readonly tokens: number }
    readonly score: number
  }[]
  readonly degraded: readonly string[]
}

export type AgentAnswer = {
  readonly agent_id: string
  readonly memory_count: number
  readonly memory_tokens: number
  readonly index_lag: number
}

/** A verb ends early, by throwing, when its signal aborts. */
export type RetrievalClient = {
  addMemories(
    agentId: string,
    memories: readonly MemoryInput[],
    options: { readonly signal: AbortSignal },
  ): Promise<BatchAnswer>
  getAgent(agentId: string, options: { readonly signal: AbortSignal }): Promise<AgentAnswer>
  /** `elapsedMs`: of the request that was answered, without those that were turned away before. */
  searchMemories(
    agentId: string,
    search: { readonly query: string; readonly top_k: number; readonly mode: SearchMode },
    options: { readonly signal: AbortSignal },
  ): Promise<SearchAnswer & { readonly elapsedMs: number }>
  /** No error for an agent that is not there. */
  eraseAgent(agentId: string, options: { readonly signal: AbortSignal }): Promise<void>
}
