/**
 * A round of the vectors loop: embeds memories that have no vector yet, as many as fit a round, and keeps those that came
 * even if the rest did not. What the embedder refuses is noted and passed. A text that gets no vector even alone, while the
 * embedder is well, is noted and passed as well, and has its own time to be tried again.
 */
import type { AppError } from '../../shared/errors.ts'
import { type EmbeddedRows, embedRows } from './embed-rows.ts'
import { type ChangedRow, type IndexableRow, readUnembedded } from './index.repository.ts'
import { type AgentLease, advanceVectors, readClock } from './index-lease.repository.ts'
import { encodeVector, indexPointsOf } from './index-point.ts'
import { beginPublication, type PublishedVector, publishVectors } from './index-publish.repository.ts'
import { indexCallMs, paceKeyOf, type RoundMeans, reasonOf } from './index-round.ts'
import { shareOf } from './pace.ts'

const rowsPerRound = 32
const bytesPerRound = 65_536

const readRound = ({ database, embedder }: RoundMeans, lease: AgentLease, share: number) =>
  database.transact(lease.tenantId, async (tx) => {
    const { agentId } = lease
    const clock = await readClock(tx, lease)
    if (clock === null) return null
    const bounds = { limit: shareOf(rowsPerRound, share), bytesMax: shareOf(bytesPerRound, share) }
    const found = await readUnembedded(tx, {
      ...{ agentId, afterRevision: clock.embeddedRevision, model: embedder.model },
      ...bounds,
    })
    return { rows: found.filter((row) => row.revision <= clock.indexedRevision), goal: clock.indexedRevision }
  })

/** What is noted of a row: its vector, or why there is none. */
export const publishedVectorOf = (
  { memory_id: memoryId, content_revision: contentRevision }: IndexableRow,
  outcome: Float32Array | { readonly error: AppError | string; readonly isRetried: boolean },
): PublishedVector => {
  if (outcome instanceof Float32Array)
    return { memoryId, contentRevision, embedding: encodeVector(outcome), error: null, isRetried: false }
  const error = typeof outcome.error === 'string' ? outcome.error : outcome.error.message
  return { memoryId, contentRevision, embedding: null, error, isRetried: outcome.isRetried }
}

/** How far the clock may move: before the first row that is not done; behind the last, others of its revision may wait. */
const doneUpTo = (rows: readonly ChangedRow[], isDone: readonly boolean[], goal: number): number => {
  const open = rows.find((_, at) => isDone[at] !== true)
  if (open !== undefined) return open.revision - 1
  const last = rows.at(-1)
  if (last === undefined || last.next_revision === null || last.next_revision > goal) return goal
  return last.next_revision > last.revision ? last.revision : last.revision - 1
}

type Round = { readonly rows: readonly ChangedRow[]; readonly goal: number }

const publishRound = async (
  means: RoundMeans,
  lease: AgentLease,
  { rows, goal, outcomes }: Round & { readonly outcomes: EmbeddedRows['outcomes'] | readonly LoneFailure[] },
): Promise<void> => {
  const { database, vectorIndex, embedder, logger, createSignal, restMs } = means
  const { tenantId, agentId, spaceId } = lease
  const vectorAt = new Map(rows.map((row, at) => [row, outcomes[at] ?? null]))
  const embedded = rows.filter((row) => vectorAt.get(row) instanceof Float32Array)
  const points = await indexPointsOf(embedded, {
    vectorOf: (row) => {
      const vector = vectorAt.get(row)
      return vector instanceof Float32Array ? vector : null
    },
  })
  if (points.length > 0) await vectorIndex.upsert(tenantId, spaceId, points, { signal: createSignal(indexCallMs) })
  const vectors = rows.flatMap((row): PublishedVector[] => {
    const outcome = vectorAt.get(row) ?? null
    if (outcome === null) return []
    if (outcome instanceof Float32Array) return [publishedVectorOf(row, outcome)]
    const failure = 'isRetried' in outcome ? outcome : { error: outcome, isRetried: false }
    logger.error({ agentId, memoryId: row.memory_id, err: failure.error }, 'the embedder gives no vector of a memory')
    return [publishedVectorOf(row, failure)]
  })
  const isDone = rows.map((row) => vectorAt.get(row) !== null)
  const revision = doneUpTo(rows, isDone, goal)
  await database.transact(tenantId, async (tx) => {
    const begun = await beginPublication(tx, lease)
    if (begun === null) return
    if (vectors.length > 0) await publishVectors(tx, { agentId, model: embedder.model, vectors, ...begun })
    await advanceVectors(tx, { agentId, revision, restMs: revision === goal ? restMs : 0 })
  })
}

type LoneFailure = { readonly error: string; readonly isRetried: true }

/** Does the embedder embed, now? Its health may be what it was told to be a moment ago. */
export const isEmbedding = ({ embedder, createSignal, embedTimeoutMs }: RoundMeans): Promise<boolean> =>
  embedder.embed(['ready'], 'passage', { signal: createSignal(embedTimeoutMs), isOnce: true }).then(
    () => true,
    () => false,
  )

/**
 * A text that failed alone, tried once more. It is to blame only where the embedder takes another text before and after: an
 * embedder that went away and came back between the two says nothing of the text. @throws what is not to be blamed on it
 */
const embedBlamed = async (
  means: RoundMeans,
  { tenantId, rows, failure }: { tenantId: string; rows: readonly ChangedRow[]; failure: unknown },
): Promise<EmbeddedRows['outcomes'] | readonly LoneFailure[]> => {
  if (!(await isEmbedding(means))) throw failure
  const again = await embedRows(means, { tenantId, rows })
  if (again.failure === null) return again.outcomes
  if (!(await isEmbedding(means))) throw again.failure
  return [{ error: reasonOf(again.failure), isRetried: true }]
}

/** @throws what kept the round from being done, when the agent is to wait a little */
export const indexVectors = async (means: RoundMeans, lease: AgentLease): Promise<void> => {
  const { pace, onSlow } = means
  const { tenantId } = lease
  const key = paceKeyOf('vectors', lease)
  const round = await readRound(means, lease, pace.of(key))
  if (round === null) return
  const { rows } = round
  const { outcomes, failure } =
    rows.length === 0 ? { outcomes: [], failure: null } : await embedRows(means, { tenantId, rows })
  if (failure === null) {
    await publishRound(means, lease, { ...round, outcomes })
    return pace.faster(key)
  }
  if (means.hasStopped()) throw failure
  onSlow(tenantId)
  pace.slower(key)
  if (outcomes.some((outcome) => outcome !== null)) return publishRound(means, lease, { ...round, outcomes })
  if (rows.length > 1) throw failure
  const blamed = await embedBlamed(means, { tenantId, rows, failure })
  await publishRound(means, lease, { ...round, outcomes: blamed })
}
