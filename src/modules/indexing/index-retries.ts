/** Tries again, each alone, the memories that could not be indexed and whose time has come. */
import { inSlices } from '../../shared/yielding.ts'
import { embedRows } from './embed-rows.ts'
import { type AgentLease, postponeLease, readClock } from './index-lease.repository.ts'
import { indexPointSteps } from './index-point.ts'
import { beginPublication, publishVectors, publishWords } from './index-publish.repository.ts'
import { indexCallMs, type RoundMeans, reasonOf } from './index-round.ts'
import { isEmbedding, publishedVectorOf } from './index-vectors.ts'
import { type DueRetry, dropStaleRetries, findIndexable, listDueRetries, noteWordsFailed } from './retry.repository.ts'

/** A lease outlasts as many that do not answer. */
const memoriesPerRound = 4

const retryOne = async (means: RoundMeans, lease: AgentLease, due: DueRetry): Promise<void> => {
  const { database, vectorIndex, embedder, createSignal } = means
  const { tenantId, agentId, spaceId } = lease
  const at = { agentId, memoryId: due.memory_id, revision: due.revision }
  const row = await database.transact(tenantId, (tx) => findIndexable(tx, at))
  if (row === null) return
  const { outcomes, failure } = await embedRows(means, { tenantId, rows: [row] })
  if (failure !== null && !(await isEmbedding(means))) throw failure
  const [outcome = null] = outcomes
  const vector = outcome instanceof Float32Array ? outcome : null
  const point = await inSlices(indexPointSteps(row, vector))
  await vectorIndex.upsert(tenantId, spaceId, [point], { signal: createSignal(indexCallMs) })
  const published =
    vector ??
    (outcome === null ? { error: reasonOf(failure), isRetried: true } : { error: outcome.toString(), isRetried: false })
  await database.transact(tenantId, async (tx) => {
    const begun = await beginPublication(tx, lease)
    if (begun === null) return
    const words = [{ memory_id: row.memory_id, revision: row.revision, term_ids: point.sparse.indices }]
    if (due.words_failed) await publishWords(tx, { agentId, words, ...begun })
    const vectors = [publishedVectorOf(row, published)]
    await publishVectors(tx, { agentId, model: embedder.model, vectors, ...begun })
  })
}

const noteFailed = ({ database, logger }: RoundMeans, lease: AgentLease, due: DueRetry, error: unknown) => {
  const { agentId } = lease
  logger.error({ agentId, memoryId: due.memory_id, err: error }, 'a memory still cannot be indexed; it is tried later')
  return database.transact(lease.tenantId, async (tx) => {
    const begun = await beginPublication(tx, lease)
    if (begun === null) return
    const failed = { agentId, memoryId: due.memory_id, revision: due.revision, reason: reasonOf(error) }
    await noteWordsFailed(tx, { ...failed, ...begun })
  })
}

/** @throws what kept the round from being done, when the agent is to wait a little */
export const retryFailed = async (means: RoundMeans, lease: AgentLease): Promise<void> => {
  const { database, vectorIndex, createSignal } = means
  const { tenantId, agentId } = lease
  const due = await database.transact(tenantId, async (tx) => {
    if ((await readClock(tx, lease)) === null) return []
    await dropStaleRetries(tx, agentId)
    return listDueRetries(tx, { agentId, limit: memoriesPerRound })
  })
  for (const one of due) {
    try {
      await retryOne(means, lease, one)
    } catch (error) {
      const isWell = !means.hasStopped() && (await vectorIndex.checkHealth({ signal: createSignal(indexCallMs) })).ready
      if (!isWell || !one.words_failed) throw error
      await noteFailed(means, lease, one, error)
    }
  }
  await database.transact(tenantId, (tx) => postponeLease(tx, { lease, delayMs: 0 }))
}
