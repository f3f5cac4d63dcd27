export type SessionStatus = 'open' | 'closed'

/** What the session was created with; absent: the agent's default, then the service's. */
export type SessionOptions = {
  readonly filterThreshold?: number
  readonly topK?: number
  readonly summaryStyle?: 'bullets' | 'prose'
  /** Pressure from which an append is followed by a summary of everything that may be summarised. */
  readonly autoSummaryAt?: number
}

export type ContextMeasure = {
  readonly version: number
  readonly tokens: number
  readonly budgetTokens: number
  /** Tokens over budget. */
  readonly pressure: number
}

export type Session = {
  readonly sessionId: string
  readonly agentId: string
  readonly status: SessionStatus
  readonly options: SessionOptions
  readonly metadata: Readonly<Record<string, unknown>>
  readonly context: ContextMeasure
  readonly createdAt: string
  readonly updatedAt: string
  readonly closedAt: string | null
}
