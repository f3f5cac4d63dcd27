import type { Scope } from '../../shared/caller.ts'

/** Null: no limit. */
export type Quotas = {
  readonly requestsPerSecond: number | null
  readonly memoriesMax: number | null
  readonly storedBytesMax: number | null
  readonly modelTokensPerDayMax: number | null
}

export const noQuotas: Quotas = {
  requestsPerSecond: null,
  memoriesMax: null,
  storedBytesMax: null,
  modelTokensPerDayMax: null,
}

/** How long is kept what nobody deletes; null: for ever, or of answers as long as the service keeps them. */
export type Retention = {
  /** Sessions that are closed or were not changed for so long, with everything in them. */
  readonly sessionsDays: number | null
  /** Steps of sessions, with their tool calls. */
  readonly stepsDays: number | null
  /** Messages that left the context so long ago, with the edits that took them out. */
  readonly messagesDays: number | null
  /** Audit events, and the receipts of completed erasures. */
  readonly auditDays: number | null
  /** Stored answers, where that is shorter than the service's own time. */
  readonly answersHours: number | null
}

export const keptForEver: Retention = {
  sessionsDays: null,
  stepsDays: null,
  messagesDays: null,
  auditDays: null,
  answersHours: null,
}

/** `suspended`: it keeps all it has, and its keys are refused until it is active again. */
export type TenantStatus = 'active' | 'suspended' | 'deleting' | 'deleted'

/** What the operator sets. */
export type SettableStatus = Extract<TenantStatus, 'active' | 'suspended'>

/** Of a tenant that is neither being deleted nor deleted. */
export const isKept = (status: TenantStatus): status is SettableStatus => status === 'active' || status === 'suspended'

export type Tenant = {
  readonly tenantId: string
  readonly name: string
  readonly status: TenantStatus
  readonly quotas: Quotas
  readonly retention: Retention
  readonly createdAt: string
  readonly updatedAt: string
}

export type Key = {
  readonly keyId: string
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Null: every agent of the tenant. */
  readonly agentIds: readonly string[] | null
  readonly createdAt: string
  /** When it stops being live: its own expiry, or the end of the grace after a rotation. */
  readonly expiresAt: string | null
  /** What it was made with; a successor inherits it. */
  readonly ownExpiresAt: string | null
  readonly revokedAt: string | null
  readonly rotatedFrom: string | null
  /** Whose Idempotency-Keys it continues: its own, or those of the first key it descends from. */
  readonly keySpace: string
}

/** `secret` is in the answer that creates the key and nowhere else. */
export type CreatedKey = Key & { readonly secret: string }

export type NewKey = {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly agentIds: readonly string[] | null
  readonly expiresAt: string | null
}

/** What is counted in `storedBytes`, by what it is. */
export const storedKinds = [
  'memories',
  'memory_versions',
  'sessions',
  'messages',
  'edits',
  'steps',
  'tool_calls',
  'rewards',
  'answers',
] as const

export type StoredKind = (typeof storedKinds)[number]

export type Usage = {
  readonly agents: number
  readonly sessions: number
  readonly memories: number
  readonly memoryTokens: number
  readonly storedBytes: number
  readonly bytesByKind: Readonly<Record<StoredKind, number>>
  /** Of the model, today (UTC); null to a key that is bound to agents, since they are the whole tenant's. */
  readonly modelTokensToday: number | null
  readonly quotas: Quotas
}

export type AuditEvent = {
  readonly auditEventId: string
  readonly actor: string
  readonly action: string
  readonly target: string
  /** The agents that it is about and no others; null: the whole tenant. */
  readonly agentIds: readonly string[] | null
  readonly details: Readonly<Record<string, unknown>>
  readonly requestId: string
  readonly createdAt: string
}
