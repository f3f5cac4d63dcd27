/** What the installation knows of its vector index: whose it is, what serves, what is being built, who sees to it. */
import type { SystemTransaction } from '../../ports/database.ts'
import { sql } from '../../shared/sql.ts'

export type IndexState = {
  /** The one the clocks speak of; null before there was any. */
  readonly serving: string | null
  readonly building: string | null
  /** Made here and used no more. */
  readonly retired: readonly string[]
  readonly isRebuildWanted: boolean
}

/**
 * From now on the clocks speak of the index and embedder of this signature: its first word is the kind of index. Answers
 * what they spoke of until now, and null when that was the same. What was under construction is given up, and what
 * served too when it is of another kind: it may have missed whatever was written since.
 */
export const claimIndex = async (
  tx: SystemTransaction,
  signature: string,
): Promise<{ readonly before: string | null } | null> => {
  const rows = await tx.query<{ before: string | null }>(sql`
    update installation set index_signature = ${signature}, index_building = null, index_keeper = null,
      index_serving = case when old.is_of_a_kind then index_serving end,
      index_retired = array_remove(
        index_retired || index_building || case when not old.is_of_a_kind then index_serving end, null)
    from (select index_signature as before,
      coalesce(split_part(index_signature, ' ', 1) = split_part(${signature}, ' ', 1), false) as is_of_a_kind
      from installation for update) as old
    where index_signature is distinct from ${signature} returning old.before`)
  return rows[0] ?? null
}

/** Makes the process the keeper, or lets it stay that; null when another is, or the index is not of its signature. */
export const takeKeeping = async (
  tx: SystemTransaction,
  { keeper, signature, leaseMs }: { keeper: string; signature: string; leaseMs: number },
): Promise<IndexState | null> => {
  const rows = await tx.query<{
    index_serving: string | null
    index_building: string | null
    index_retired: readonly string[]
    index_rebuild_wanted: boolean
  }>(sql`
    update installation set index_keeper = ${keeper},
      index_keeper_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::double precision)
    where coalesce(index_signature, ${signature}) = ${signature}
      and (index_keeper is null or index_keeper = ${keeper} or index_keeper_until < clock_timestamp())
    returning index_serving, index_building, index_retired, index_rebuild_wanted`)
  const row = rows[0]
  if (row === undefined) return null
  return {
    serving: row.index_serving,
    building: row.index_building,
    retired: row.index_retired,
    isRebuildWanted: row.index_rebuild_wanted,
  }
}

export const releaseKeeping = (tx: SystemTransaction, keeper: string) =>
  tx.query(sql`update installation set index_keeper = null where index_keeper = ${keeper}`)

/** What the clocks speak of is lost or unknown: another one takes its place, empty, and what was there is left. */
export const recordFounding = (tx: SystemTransaction, serving: string) =>
  tx.query(sql`
    update installation set index_serving = ${serving}, index_building = null, index_rebuild_wanted = false,
      index_retired = array_remove(index_retired || index_serving || index_building, null)`)

export const recordBuild = (tx: SystemTransaction, building: string) =>
  tx.query(sql`update installation set index_building = ${building}, index_rebuild_wanted = false`)

export const recordSwap = (tx: SystemTransaction) =>
  tx.query(sql`
    update installation set index_serving = index_building, index_building = null,
      index_retired = array_remove(index_retired || index_serving, null)
    where index_building is not null`)

export const recordDropped = (tx: SystemTransaction, name: string) =>
  tx.query(sql`update installation set index_retired = array_remove(index_retired, ${name})`)

/** Answers how many agents have something to index. */
export const recordRebuildWanted = async (tx: SystemTransaction): Promise<number> => {
  const rows = await tx.query<{ agents: number }>(sql`
    update installation set index_rebuild_wanted = true returning count_indexable_agents() as agents`)
  return rows[0]?.agents ?? 0
}

export const readIsRebuilding = async (tx: SystemTransaction): Promise<boolean> => {
  const rows = await tx.query<{ is_rebuilding: boolean }>(sql`
    select index_building is not null or index_rebuild_wanted as is_rebuilding from installation`)
  return rows[0]?.is_rebuilding === true
}
