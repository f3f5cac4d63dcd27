/**
 * Vectors of what was written a moment ago. Until the vectors loop has come to a memory its words alone would find it, so
 * a search embeds the few that lack a vector itself (M4). What is too much for that waits for the loop, and the answer
 * says `index_lag`. While the embedder is behind, as with what other tenants stored, the searches of a tenant wait less
 * and less for it.
 */
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { IndexPoint, SparseVector } from '../../ports/vector-index.ts'
import type { Caller } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import { facetsOf } from '../indexing/facets.ts'
import { type IndexableRow, readUnembedded } from '../indexing/index.repository.ts'
import { pointWith } from '../indexing/index-point.ts'
import { createPatience } from './patience.ts'
import type { SearchAgent } from './search.repository.ts'

const memoriesMax = 32
const charactersMax = 16_384
/** A character is four bytes at most. */
const bytesMax = 4 * charactersMax
const waitMaxMs = 1_000
/** Words are found without these points. */
const noWords: SparseVector = { indices: [], values: [] }

const charactersOf = (rows: readonly IndexableRow[]): number => rows.reduce((sum, row) => sum + row.content.length, 0)

export type FreshVectors = {
  readonly points: readonly IndexPoint[]
  /** False: some are missing, since they are too many or too long, or the embedder has not answered in time. */
  readonly isWhole: boolean
}

export type ReadFreshVectors = (
  caller: Caller,
  target: { readonly agentId: string; readonly agent: SearchAgent },
) => Promise<FreshVectors>

export const createReadFreshVectors = ({
  database,
  embedder,
  clock,
}: {
  readonly database: Database
  readonly embedder: Embedder
  readonly clock: Clock
}): ReadFreshVectors => {
  const patience = createPatience({ waitMaxMs, clock })

  /** What came before a failure is of use. */
  const embed = async (caller: Caller, rows: readonly IndexableRow[]): Promise<FreshVectors> => {
    const vectors: (Float32Array | undefined)[] = rows.map(() => undefined)
    const onVector = (position: number, vector: Float32Array): void => {
      vectors[position] = vector
    }
    const pointsOf = (): readonly IndexPoint[] =>
      rows.flatMap((row, at) => {
        const dense = vectors[at]
        const facets = facetsOf(row.metadata, row.memory_type)
        return dense === undefined ? [] : [pointWith(row, { dense, sparse: noWords, facets })]
      })
    const deadline = AbortSignal.timeout(patience.waitMs(caller.tenantId))
    const signal = AbortSignal.any([caller.signal, deadline])
    const texts = rows.map((row) => row.content)
    try {
      const found = await embedder.embed(texts, 'passage', { signal, tenantId: caller.tenantId, onVector })
      for (const [position, vector] of found.entries()) onVector(position, vector)
      patience.note(caller.tenantId, 'in time')
      return { points: pointsOf(), isWhole: true }
    } catch (error) {
      if (caller.signal.aborted) throw error
      if (deadline.aborted) patience.note(caller.tenantId, 'in vain')
      return { points: pointsOf(), isWhole: false }
    }
  }

  return async (caller, { agentId, agent }) => {
    if (!agent.lacksVectors) return { points: [], isWhole: true }
    const wanted = { agentId, afterRevision: agent.embeddedRevision, model: embedder.model }
    const bounds = { limit: memoriesMax, bytesMax }
    const rows = await database.transact(caller.tenantId, (tx) => readUnembedded(tx, { ...wanted, ...bounds }), caller)
    const last = rows.at(-1)
    if (last === undefined) return { points: [], isWhole: true }
    if (last.next_revision !== null || charactersOf(rows) > charactersMax) return { points: [], isWhole: false }
    return embed(caller, rows)
  }
}
