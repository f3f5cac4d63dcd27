import type { IdempotencyClaim } from '../../shared/caller.ts'
import type { KeyMaker } from './key-maker.ts'

/** Who acts for the operator, for the audit; with an Idempotency-Key and the operator's key where it may be a retry. */
export type OperatorAction = {
  readonly actor: string
  readonly requestId: string
  readonly signal?: AbortSignal
  readonly idempotency?: IdempotencyClaim | null
  readonly secret?: string
}

/** The operator as a caller within one tenant, where its Idempotency-Keys have a space of their own. */
export const makerOf = (
  { actor, requestId, signal, idempotency, secret }: OperatorAction,
  tenantId: string,
): KeyMaker => ({
  tenantId,
  actor,
  requestId,
  scopes: [],
  agentIds: null,
  signal: signal ?? new AbortController().signal,
  keySpace: 'operator',
  idempotency: idempotency ?? null,
  secret: secret ?? '',
})
