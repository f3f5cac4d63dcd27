/**
 * Watches which rows the statements of each transaction lock, by their text, and names every transaction that takes them
 * in another order than all the others: installation, agent, session, what hangs on them, Idempotency-Key.
 *
 * A statement may lock rows of one rank that its transaction does not hold yet; two ranks at once are taken in no order
 * that the text would show. A `select … for update` shows it: what is nested is locked first. A plain insert locks
 * nothing that others could be waiting with, but those of agents, sessions and keys meet others of the same id.
 */
import type { Database } from '../../src/ports/database.ts'
import type { SqlStatement } from '../../src/shared/sql.ts'

const ranks = ['installation', 'agent', 'session', 'the rest', 'idempotency_key'] as const
type Rank = (typeof ranks)[number]

const keyedTables = new Set(['agent', 'session', 'idempotency_key'])

/** What the functions that look across tenants lock. */
const byFunction: readonly (readonly [RegExp, Rank])[] = [
  [/\b(restart_clocks|restart_vectors|begin_build|adopt_build|release_leases|lease_agent)\(/, 'agent'],
  [/\bpurge_idempotency_keys\(/, 'idempotency_key'],
]

const rankOf = (table: string): Rank => ranks.find((rank) => rank === table) ?? 'the rest'

type Place = { readonly at: number; readonly table: string }

const placesOf = (text: string, pattern: RegExp): readonly Place[] =>
  [...text.matchAll(pattern)].map(({ index, 1: table = '' }) => ({ at: index, table }))

/** The tables whose rows a statement locks, in the order of its text. */
export const lockedTables = (text: string): readonly string[] => {
  const written = placesOf(text, /(?:(?<!\b(?:key|do|for) )\bupdate|\bdelete from) (\w+)/g)
  const inserted = placesOf(text, /\binsert into (\w+)/g).filter(({ table }) => keyedTables.has(table))
  const sources = placesOf(text, /\b(?:from|join) (\w+)/g)
  const selected = placesOf(text, /\bfor (?:no key )?(?:update|share)\b/g).map(({ at }) => ({
    at,
    table: sources.findLast((source) => source.at < at)?.table ?? '',
  }))
  return [...written, ...inserted, ...selected].sort((one, other) => one.at - other.at).map(({ table }) => table)
}

const ranksOf = (text: string): readonly Rank[] => [
  ...lockedTables(text).map(rankOf),
  ...byFunction.flatMap(([pattern, rank]) => (pattern.test(text) ? [rank] : [])),
]

const isSelect = (text: string): boolean => /^\s*select\b/.test(text)

/** Why a transaction breaks the order at this statement; null: it does not. */
const breachOf = (held: ReadonlySet<Rank>, text: string): string | null => {
  const fresh = [...new Set(ranksOf(text))].filter((rank) => !held.has(rank))
  const order = [...held, ...fresh].map((rank) => ranks.indexOf(rank))
  if (order.some((rank, at) => at > 0 && rank < (order[at - 1] ?? 0)))
    return `takes ${fresh.join(' and ')} while it holds ${[...held].join(' and ')}`
  // Whoever holds the agent and all its sessions has shut out all others, so that the rest may go in any order.
  const isAlone = held.has('agent') && held.has('session')
  return fresh.length > 1 && !isSelect(text) && !isAlone ? `takes ${fresh.join(' and ')} in one statement` : null
}

export type LockOrder = {
  readonly wrapDatabase: (database: Database) => Database
  readonly breaches: readonly string[]
  /** Every order in which a transaction took its locks. */
  readonly orders: ReadonlySet<string>
}

type Queryable = { query<Row>(statement: SqlStatement): Promise<readonly Row[]> }

export const watchLockOrder = (): LockOrder => {
  const breaches: string[] = []
  const orders = new Set<string>()

  const watched = <Tx extends Queryable>(tx: Tx): Tx => {
    const held = new Set<Rank>()
    const query = <Row>(statement: SqlStatement): Promise<readonly Row[]> => {
      const breach = breachOf(held, statement.text)
      if (breach !== null) breaches.push(`${breach}: ${statement.text.trim()}`)
      for (const rank of ranksOf(statement.text)) held.add(rank)
      if (held.size > 0) orders.add([...held].join(' > '))
      return tx.query<Row>(statement)
    }
    return { ...tx, query }
  }

  return {
    breaches,
    orders,
    wrapDatabase: (database) => ({
      ...database,
      transact: (tenantId, work, options) => database.transact(tenantId, (tx) => work(watched(tx)), options),
      transactAsSystem: (work, options) => database.transactAsSystem((tx) => work(watched(tx)), options),
    }),
  }
}
