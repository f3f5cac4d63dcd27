/** What the modules are told when they are put together; the rest of the configuration is the edge's and the drivers'. */
export type Settings = {
  readonly budgetTokens: number
  readonly contextBytesMax: number
  readonly topK: number
  /** Null: the embedder's own, as calibrated. */
  readonly filterThreshold: number | null
  readonly duplicateThreshold: number | null
  readonly idempotencyTtlHours: number
  /** How long a verified key is believed without asking the database; 0: never. */
  readonly keyCacheMs: number
  readonly statementTimeoutMs: number
  readonly embedTimeoutMs: number
  readonly indexTimeoutMs: number
  readonly indexPollMs: number
  /** How long an agent rests between two rounds of the indexer, so that single writes are indexed together. */
  readonly indexRestMs: number
  /** How long an agent rests after a round of the indexer that failed. */
  readonly indexPostponeMs: number
  /** Rounds of embedding what was written, at once. */
  readonly indexVectorLoops: number
  /** Longest wait between looks at what serves as the index, where that is a server. */
  readonly indexKeepMs: number
  readonly maintenanceIntervalMs: number
  /** Longest wait for the model's summary before an extractive one stands in. */
  readonly summaryTimeoutMs: number
  /** How long a streamed run goes on when its client has gone. */
  readonly policyResumeMs: number
}
