import { toUtc } from '../../shared/moment.ts'
import { toRetentionBody } from './retention-body.ts'
import type { NewKeyBody, QuotasBody } from './tenant.schemas.ts'
import type { AuditEvent, CreatedKey, Key, NewKey, Quotas, Tenant, Usage } from './tenant-types.ts'

export const toQuotasBody = (quotas: Quotas): QuotasBody => ({
  requests_per_second: quotas.requestsPerSecond,
  memories: quotas.memoriesMax,
  stored_bytes: quotas.storedBytesMax,
  model_tokens_per_day: quotas.modelTokensPerDayMax,
})

/** What is given; the rest stays as it is. */
export const fromQuotasBody = (body: QuotasBody = {}): Partial<Quotas> => ({
  ...(body.requests_per_second === undefined ? {} : { requestsPerSecond: body.requests_per_second }),
  ...(body.memories === undefined ? {} : { memoriesMax: body.memories }),
  ...(body.stored_bytes === undefined ? {} : { storedBytesMax: body.stored_bytes }),
  ...(body.model_tokens_per_day === undefined ? {} : { modelTokensPerDayMax: body.model_tokens_per_day }),
})

export const toTenantBody = (tenant: Tenant) => ({
  tenant_id: tenant.tenantId,
  name: tenant.name,
  status: tenant.status,
  quotas: toQuotasBody(tenant.quotas),
  retention: toRetentionBody(tenant.retention),
  created_at: tenant.createdAt,
  updated_at: tenant.updatedAt,
})

export const toKeyBody = (key: Key | CreatedKey) => ({
  key_id: key.keyId,
  ...('secret' in key ? { key: key.secret } : {}),
  name: key.name,
  scopes: key.scopes,
  agent_ids: key.agentIds,
  created_at: key.createdAt,
  expires_at: key.expiresAt,
  revoked_at: key.revokedAt,
  rotated_from: key.rotatedFrom,
})

export const fromNewKeyBody = (body: NewKeyBody): NewKey => ({
  name: body.name,
  scopes: body.scopes as NewKey['scopes'],
  agentIds: body.agent_ids ?? null,
  expiresAt: body.expires_at === undefined ? null : toUtc(body.expires_at, '/expires_at'),
})

export const toUsageBody = (usage: Usage) => ({
  agents: usage.agents,
  sessions: usage.sessions,
  memories: usage.memories,
  memory_tokens: usage.memoryTokens,
  stored_bytes: usage.storedBytes,
  bytes_by_kind: usage.bytesByKind,
  model_tokens_today: usage.modelTokensToday,
  quotas: toQuotasBody(usage.quotas),
})

export const toAuditBody = (event: AuditEvent) => ({
  audit_event_id: event.auditEventId,
  actor: event.actor,
  action: event.action,
  target: event.target,
  details: event.details,
  request_id: event.requestId,
  created_at: event.createdAt,
})
