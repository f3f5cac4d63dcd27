/**
 * A round of the words loop: reads what changed after the clock, as much as fits a round, writes it to the index, and moves
 * the clock in one transaction with the term counts. A memory that cannot be indexed even alone, while the index is well,
 * is noted as failed and passed, so that it holds up nobody; it has its own time to be tried again.
 */
import { readChangedMemories, readRemovedIds } from './index.repository.ts'
import { type AgentLease, advanceWords, readClock } from './index-lease.repository.ts'
import { indexPointsOf } from './index-point.ts'
import { beginPublication, forgetRemovals, publishRemovals, publishWords } from './index-publish.repository.ts'
import { indexCallMs, paceKeyOf, type RoundMeans, reasonOf } from './index-round.ts'
import { shareOf } from './pace.ts'
import { pageEndOf } from './page-end.ts'
import { noteWordsFailed, readNextBare } from './retry.repository.ts'

const rowsPerRound = 512
const bytesPerRound = 1_048_576
/** A statement counts them all; a memory of full length has some thousands. */
const termsPerRound = 65_536
const publicationsRemembered = 1_000

type Means = Omit<RoundMeans, 'embedTimeoutMs' | 'onSlow'>

const readWords = ({ database, embedder }: Means, lease: AgentLease, share: number) =>
  database.transact(lease.tenantId, async (tx) => {
    const { agentId } = lease
    const clock = await readClock(tx, lease)
    if (clock === null) return null
    const afterRevision = clock.indexedRevision
    const rows = await readChangedMemories(tx, {
      ...{ agentId, afterRevision, part: clock.part, model: embedder.model },
      ...{ limit: shareOf(rowsPerRound, share), bytesMax: shareOf(bytesPerRound, share) },
    })
    const upToRevision = pageEndOf(rows, clock.revision).revision
    const removed = await readRemovedIds(tx, { agentId, afterRevision, upToRevision })
    return { rows, removed, clock }
  })

/** How many of the memories have no more terms together than a round takes; one at least. */
const countWithin = (termCounts: readonly number[], termsMax: number): number => {
  let sum = 0
  const tooMany = termCounts.findIndex((count, at) => {
    sum += count
    return at > 0 && sum > termsMax
  })
  return tooMany === -1 ? termCounts.length : tooMany
}

type Read = NonNullable<Awaited<ReturnType<typeof readWords>>>

const writeWords = async (means: Means, lease: AgentLease, { rows, removed, clock }: Read, share: number) => {
  const { database, vectorIndex, restMs, createSignal } = means
  const { tenantId, agentId, spaceId } = lease
  const points = await indexPointsOf(rows)
  const termCounts = points.map(({ sparse }) => sparse.indices.length)
  const taken = points.slice(0, countWithin(termCounts, shareOf(termsPerRound, share)))
  const end = pageEndOf(rows.slice(0, taken.length), clock.revision)
  if (taken.length > 0) await vectorIndex.upsert(tenantId, spaceId, taken, { signal: createSignal(indexCallMs) })
  const words = taken.map(({ memoryId, revision, sparse }) => ({
    memory_id: memoryId,
    revision,
    term_ids: sparse.indices,
  }))
  await database.transact(tenantId, async (tx) => {
    const begun = await beginPublication(tx, lease)
    if (begun === null) return
    const { publication } = begun
    if (removed.length > 0) await publishRemovals(tx, { agentId, memoryIds: removed, publication })
    if (words.length > 0) await publishWords(tx, { agentId, words, publication })
    if (publication % 100 === 0)
      await forgetRemovals(tx, { agentId, upToPublication: publication - publicationsRemembered })
    await advanceWords(tx, { agentId, end, restMs: end.revision === clock.revision ? restMs : 0 })
  })
}

/** Notes the memory that comes next as failed and moves the clock past it. */
const passNext = async ({ database, logger }: Means, lease: AgentLease, error: unknown): Promise<void> => {
  const { agentId } = lease
  await database.transact(lease.tenantId, async (tx) => {
    const clock = await readClock(tx, lease)
    const begun = clock === null ? null : await beginPublication(tx, lease)
    if (clock === null || begun === null) return
    const row = await readNextBare(tx, { agentId, after: clock.indexedRevision, part: clock.part })
    if (row !== null) {
      logger.error({ agentId, memoryId: row.memory_id, err: error }, 'a memory cannot be indexed; it is tried later')
      const { memory_id: memoryId, revision } = row
      await noteWordsFailed(tx, { agentId, memoryId, revision, reason: reasonOf(error), ...begun })
    }
    await advanceWords(tx, { agentId, end: pageEndOf(row === null ? [] : [row], clock.revision), restMs: 0 })
  })
}

/** @throws what kept the round from being done, when the agent is to wait a little */
export const indexWords = async (means: Means, lease: AgentLease): Promise<void> => {
  const { vectorIndex, pace, createSignal } = means
  const key = paceKeyOf('words', lease)
  const share = pace.of(key)
  let read: Read | null = null
  let isUpToRows = true
  try {
    read = await readWords(means, lease, share)
    if (read === null) return
    isUpToRows = false
    const signal = createSignal(indexCallMs)
    if (read.removed.length > 0) await vectorIndex.remove(lease.tenantId, lease.spaceId, read.removed, { signal })
    isUpToRows = true
    await writeWords(means, lease, read, share)
    pace.faster(key)
  } catch (error) {
    if (means.hasStopped() || !(await vectorIndex.checkHealth({ signal: createSignal(indexCallMs) })).ready) throw error
    pace.slower(key)
    const isLone = read === null ? shareOf(rowsPerRound, share) === 1 : read.rows.length === 1
    if (!isLone || !isUpToRows) throw error
    await passNext(means, lease, error)
  }
}
