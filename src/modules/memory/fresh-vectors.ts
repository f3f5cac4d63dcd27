/**
 * Vectors of what was written a moment ago. Until the vectors loop has come to a memory its words alone would find it, so
 * a search embeds the few that lack a vector itself (M4). What is too much for that waits for the loop, and the answer
 * says `index_lag`.
 */
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { IndexPoint } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import { type IndexableRow, readUnembedded } from '../indexing/index.repository.ts'
import { indexPointOf } from '../indexing/index-point.ts'
import type { SearchAgent } from './search.repository.ts'

const memoriesMax = 32
const charactersMax = 16_384
const waitMs = 1_000

const charactersOf = (rows: readonly IndexableRow[]): number => rows.reduce((sum, row) => sum + row.content.length, 0)

/** Null: they are too many or too long, or the embedder has not answered in time. */
export type ReadFreshVectors = (
  caller: Caller,
  target: { readonly agentId: string; readonly agent: SearchAgent },
) => Promise<readonly IndexPoint[] | null>

export const createReadFreshVectors =
  ({ database, embedder }: { readonly database: Database; readonly embedder: Embedder }): ReadFreshVectors =>
  async (caller, { agentId, agent }) => {
    if (!agent.lacksVectors) return []
    const { model } = embedder
    const wanted = { agentId, afterRevision: agent.embeddedRevision, model, limit: memoriesMax + 1 }
    const rows = await database.transact(caller.tenantId, (tx) => readUnembedded(tx, wanted), caller)
    if (rows.length > memoriesMax || charactersOf(rows) > charactersMax) return null
    if (rows.length === 0) return []
    const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(waitMs)])
    const texts = rows.map((row) => row.content)
    try {
      const vectors = await embedder.embed(texts, 'passage', { signal, tenantId: caller.tenantId })
      return rows.map((row, at) => indexPointOf(row, vectors[at] ?? null))
    } catch (error) {
      if (caller.signal.aborted) throw error
      return null
    }
  }
