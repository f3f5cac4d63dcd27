/** The lease on an agent and the clock that its holder moves. */
import type { SystemTransaction, TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'
import type { RevisionPart } from './index.repository.ts'
import type { PageEnd } from './page-end.ts'

export type AgentLease = {
  readonly tenantId: string
  readonly agentId: string
  readonly spaceId: string
  /** Fences: a holder whose lease ran out and was taken over can no longer move the clock. */
  readonly token: number
}

/**
 * What an agent can be leased for: its words first, its vectors once its words are in the index, and what could not be
 * indexed when its time comes again.
 */
export type IndexPhase = 'words' | 'vectors' | 'retries'

export type LeaseRequest = {
  readonly leaseMs: number
  readonly phase: IndexPhase
  readonly signature: string
  /** The tenant that was served last; empty: none. */
  readonly afterTenantId: string
  readonly passedOver: readonly string[]
}

export const leaseAgent = async (
  tx: SystemTransaction,
  { leaseMs, phase, signature, afterTenantId, passedOver }: LeaseRequest,
): Promise<AgentLease | null> => {
  type Row = { tenant_id: string; agent_id: string; space_id: string; lease_token: number }
  const rows = await (phase === 'retries'
    ? tx.query<Row>(sql`
        select * from lease_for_retry(${leaseMs}, ${signature}, ${afterTenantId}, ${passedOver}::text[])`)
    : tx.query<Row>(sql`
        select * from lease_agent(${leaseMs}, ${phase === 'vectors'}, ${signature}, ${afterTenantId},
          ${passedOver}::text[])`))
  const row = rows[0]
  if (row === undefined) return null
  return { tenantId: row.tenant_id, agentId: row.agent_id, spaceId: row.space_id, token: row.lease_token }
}

export type AgentClock = {
  readonly revision: number
  readonly indexedRevision: number
  readonly embeddedRevision: number
  readonly part: RevisionPart
}

export const readClock = async (tx: TenantTransaction, lease: AgentLease): Promise<AgentClock | null> => {
  const rows = await tx.query<{
    revision: number
    indexed_revision: number
    embedded_revision: number
    part_revision: number
    part_memory_id: string
  }>(sql`
    select revision, indexed_revision, embedded_revision, part_revision, part_memory_id from agent
    where tenant_id = ${tx.tenantId} and agent_id = ${lease.agentId} and lease_token = ${lease.token}`)
  const row = rows[0]
  if (row === undefined) return null
  return {
    revision: row.revision,
    indexedRevision: row.indexed_revision,
    embeddedRevision: row.embedded_revision,
    part: { revision: row.part_revision, memoryId: row.part_memory_id },
  }
}

/** Moves the words' clock and lets the lease go, after a rest in which further writes gather. A clock never goes back. */
export const advanceWords = async (
  tx: TenantTransaction,
  { agentId, end, restMs }: { agentId: string; end: PageEnd; restMs: number },
): Promise<void> => {
  await tx.query(sql`
    update agent set indexed_revision = greatest(indexed_revision, ${end.revision}::bigint),
      part_revision = ${end.part.revision}, part_memory_id = ${end.part.memoryId},
      lease_until = clock_timestamp() + make_interval(secs => ${restMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}

/** The same for the vectors' clock. */
export const advanceVectors = async (
  tx: TenantTransaction,
  { agentId, revision, restMs }: { agentId: string; revision: number; restMs: number },
): Promise<void> => {
  await tx.query(sql`
    update agent set embedded_revision = greatest(embedded_revision, ${revision}::bigint),
      lease_until = clock_timestamp() + make_interval(secs => ${restMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}

/** Lets the lease go after a delay, so that an agent which cannot be indexed now does not keep the others waiting. */
export const postponeLease = async (
  tx: TenantTransaction,
  { lease, delayMs }: { lease: AgentLease; delayMs: number },
): Promise<void> => {
  await tx.query(sql`
    update agent set lease_until = clock_timestamp() + make_interval(secs => ${delayMs / 1000}::double precision)
    where tenant_id = ${tx.tenantId} and agent_id = ${lease.agentId} and lease_token = ${lease.token}`)
}

/** Starts one agent's clock over, also for who is at it now: the indexer writes all of it to the index again. */
export const restartClock = async (tx: TenantTransaction, agentId: string): Promise<void> => {
  await tx.query(sql`
    update agent set indexed_revision = 0, embedded_revision = 0, part_revision = 0, part_memory_id = '',
      lease_token = lease_token + 1, lease_until = null
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId}`)
}
