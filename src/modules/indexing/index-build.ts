/**
 * Copies what PostgreSQL has of an agent into an index under construction. It follows a clock of its own, like the
 * indexer: reads what changed after `built_revision` in the order of the revisions, up to where words and vectors are
 * stored, writes it, moves the clock last. One process does this at a time; were it two, they would write the same.
 *
 * Invariant: up to `built_revision` the index under construction holds all that the one that serves should hold.
 */
import type { Database } from '../../ports/database.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import { noPart, type RevisionPart, readChangedMemories, readRemovedIds } from './index.repository.ts'
import { advanceBuilt, type BuildTarget, readBuildClock } from './index-build.repository.ts'
import { indexPointsOf } from './index-point.ts'
import { pageEndOf } from './page-end.ts'

export type BuildOptions = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly into: Pick<VectorIndex, 'upsert' | 'remove'>
  readonly building: string
  readonly model: string
  /** Renewed before each page. @throws when the build is no longer this process's */
  readonly ensureStillOurs: () => Promise<void>
  readonly createSignal: () => AbortSignal
}

const pageRows = 512
const pageBytes = 4 * 1_024 * 1_024

const readPage = (
  { database, model }: BuildOptions,
  { tenantId, ...target }: BuildTarget & { readonly tenantId: string },
  part: RevisionPart,
) =>
  database.transact(tenantId, async (tx) => {
    const clock = await readBuildClock(tx, target)
    if (clock === null || clock.built >= clock.goal) return null
    const { agentId } = target
    const bounds = { model, limit: pageRows, bytesMax: pageBytes }
    const changed = await readChangedMemories(tx, { agentId, afterRevision: clock.built, part, ...bounds })
    const rows = changed.filter(({ revision }) => revision <= clock.goal)
    const end = rows.length < changed.length ? { revision: clock.goal, part: noPart } : pageEndOf(rows, clock.goal)
    const upToRevision = Math.min(end.revision, clock.goal)
    const removed = await readRemovedIds(tx, { agentId, afterRevision: clock.built, upToRevision })
    return { rows, removed, upToRevision, part: end.part }
  })

/** Until the index under construction has all of the agent that it can have now, or the agent is erased. */
export const buildAgent = async (
  options: BuildOptions,
  target: BuildTarget & { readonly tenantId: string },
): Promise<void> => {
  const { tenantId, agentId, spaceId } = target
  let part = noPart
  for (;;) {
    await options.ensureStillOurs()
    const page = await readPage(options, target, part)
    if (page === null) return
    part = page.part
    const points = await indexPointsOf(page.rows)
    await options.into.remove(tenantId, spaceId, page.removed, { signal: options.createSignal() })
    await options.into.upsert(tenantId, spaceId, points, { signal: options.createSignal() })
    const isErased = await options.database.transact(tenantId, async (tx) => {
      const { building } = options
      const isMoved = await advanceBuilt(tx, { agentId, spaceId, revision: page.upToRevision, building })
      return !isMoved && (await readBuildClock(tx, target)) === null
    })
    if (!isErased) continue
    // The erasure may have been there before the points were.
    await options.vectorIndex.removeSpace(tenantId, spaceId, { signal: options.createSignal() })
    return
  }
}
