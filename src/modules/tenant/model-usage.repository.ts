import type { TenantTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type ModelUsage = { readonly calls: number; readonly promptTokens: number; readonly completionTokens: number }

export const addModelUsage = async (
  tx: TenantTransaction,
  { day, usage }: { readonly day: string; readonly usage: ModelUsage },
): Promise<void> => {
  await tx.query(sql`
    insert into model_usage as used (tenant_id, day, calls, prompt_tokens, completion_tokens)
    values (${tx.tenantId}, ${day}::date, ${usage.calls}, ${usage.promptTokens}, ${usage.completionTokens})
    on conflict (tenant_id, day) do update set calls = used.calls + excluded.calls,
      prompt_tokens = used.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = used.completion_tokens + excluded.completion_tokens`)
}

export const readModelUsage = async (tx: TenantTransaction, day: string): Promise<ModelUsage> => {
  const rows = await tx.query<{ calls: number; prompt_tokens: number; completion_tokens: number }>(sql`
    select calls, prompt_tokens, completion_tokens from model_usage
    where tenant_id = ${tx.tenantId} and day = ${day}::date`)
  const row = rows[0]
  return {
    calls: row?.calls ?? 0,
    promptTokens: row?.prompt_tokens ?? 0,
    completionTokens: row?.completion_tokens ?? 0,
  }
}
