/** What the check for a near duplicate reads from PostgreSQL beside the index. */
import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type KnownText = { readonly memory_id: string; readonly content: string }

/** The agent's latest memories that its index holds no vector of yet, the newest first. */
export const readFreshTexts = async (
  tx: TenantTransaction,
  { agentId, now, limit }: { agentId: string; now: string; limit: number },
): Promise<readonly KnownText[]> =>
  tx.query<KnownText>(sql`
    select memory.memory_id, memory.content from memory join agent on agent.tenant_id = memory.tenant_id
      and agent.agent_id = memory.agent_id and memory.revision > agent.embedded_revision
    where memory.tenant_id = ${tx.tenantId} and memory.agent_id = ${agentId}
      and (memory.expires_at is null or memory.expires_at > ${now}::timestamptz)
    order by memory.revision desc limit ${limit}`)

/** Of the ids, those that are there and have not expired. */
export const readTexts = async (
  tx: TenantTransaction,
  { agentId, memoryIds, now }: { agentId: string; memoryIds: readonly string[]; now: string },
): Promise<readonly KnownText[]> =>
  tx.query<KnownText>(sql`
    select memory_id, content from memory
    where tenant_id = ${tx.tenantId} and agent_id = ${agentId} and memory_id = any(${memoryIds}::text[])
      and (expires_at is null or expires_at > ${now}::timestamptz)`)
