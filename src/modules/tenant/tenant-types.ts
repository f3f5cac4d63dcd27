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

export type TenantStatus = 'active' | 'deleting' | 'deleted'

export type Tenant = {
  readonly tenantId: string
  readonly name: string
  readonly status: TenantStatus
  readonly quotas: Quotas
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
}

/** `secret` is in the answer that creates the key and nowhere else. */
export type CreatedKey = Key & { readonly secret: string }

export type NewKey = {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly agentIds: readonly string[] | null
  readonly expiresAt: string | null
}

export type Usage = {
  readonly agents: number
  readonly sessions: number
  readonly memories: number
  readonly memoryTokens: number
  readonly storedBytes: number
  /** Of the model, today (UTC); null to a key that is bound to agents, since they are the whole tenant's. */
  readonly modelTokensToday: number | null
  readonly quotas: Quotas
}

export type AuditEvent = {
  readonly auditEventId: string
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly details: Readonly<Record<string, unknown>>
  readonly requestId: string
  readonly createdAt: string
}
