export type AgentDefaults = {
  readonly budgetTokens?: number
  readonly filterThreshold?: number
  readonly topK?: number
  readonly duplicateThreshold?: number
  readonly memoryTtlSeconds?: number
}

export type Agent = {
  readonly agentId: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly defaults: AgentDefaults
  readonly memoryCount: number
  readonly sessionCount: number
  readonly memoryTokens: number
  readonly revision: number
  /** Revisions that the index does not hold yet, words and vectors; 0: it holds all. */
  readonly indexLag: number
  readonly createdAt: string
  readonly updatedAt: string
}

export type Erasure = {
  readonly erasureId: string
  readonly agentId: string
  readonly spaceId: string
  readonly status: 'pending' | 'completed'
  readonly requestedAt: string
  readonly completedAt: string | null
  /** What was removed where; the receipt. */
  readonly stores: readonly { readonly store: string; readonly removed: number }[]
}
