/** What PostgreSQL itself says of transactions that wait for each other; asked as its superuser, who sees everybody. */
import pg from 'pg'
import { expect, inject } from 'vitest'

/** The name of a test database, from its URL. */
const nameOf = (url: string): string => /\/([^/?]+)(\?|$)/.exec(url)?.[1] ?? ''

const countAt = async (text: string, url: string): Promise<number> => {
  const client = new pg.Client({ connectionString: inject('clusterUrl') })
  await client.connect()
  try {
    const { rows } = await client.query<{ count: number }>(text, [nameOf(url)])
    return rows[0]?.count ?? Number.NaN
  } finally {
    await client.end()
  }
}

/** How many connections to the database wait for somebody's lock. */
export const countWaiting = (url: string): Promise<number> =>
  countAt(
    `select count(*)::integer as count from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
    url,
  )

/**
 * Deadlocks of the database since it was made. A connection may keep its counts to itself until it ends, so this waits
 * until the database has none: close what is connected first.
 */
export const countDeadlocks = async (url: string): Promise<number> => {
  const connections = () => countAt('select count(*)::integer as count from pg_stat_activity where datname = $1', url)
  await expect.poll(connections).toBe(0)
  return countAt('select deadlocks::integer as count from pg_stat_database where datname = $1', url)
}
