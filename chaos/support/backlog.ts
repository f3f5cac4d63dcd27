/** What a tenant has stored and the index has not come to yet. */
import type { Service, Tenant } from './service.ts'
import { sleep, waitUntil } from './wait.ts'

/** Texts that the embedder holds when the clocks stand still already, as of an agent that was erased. */
const embedderRestMs = 3_000

/** @returns false when it was not worked off in time */
export const waitForBacklog = async (
  service: Service,
  { tenantId }: Tenant,
  { withinMs }: { readonly withinMs: number },
): Promise<boolean> => {
  const countBehind = async (): Promise<number> => {
    const [row] = await service.query<{ behind: string }>(
      `select count(*) as behind from agent
       where tenant_id = '${tenantId}' and least(indexed_revision, embedded_revision) < revision`,
    )
    return Number(row?.behind)
  }
  const isWorkedOff = await waitUntil(async () => (await countBehind()) === 0, { withinMs, everyMs: 250 })
  await sleep(embedderRestMs)
  return isWorkedOff
}
