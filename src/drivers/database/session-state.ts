/**
 * What a transaction could leave in its session for the next borrower. `set` without `local` outlives the commit, so a
 * connection is used again only while role, tenant and what guards a statement are as they were when it was new. The
 * question travels with the commit and costs no round trip.
 */
import type pg from 'pg'

const question = {
  name: 'session_state',
  text: `select concat_ws('|', current_setting('role'), coalesce(current_setting('agemem.tenant_id', true), ''),
    current_setting('search_path'), current_setting('row_security'), current_setting('statement_timeout'),
    current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'),
    current_setting('default_transaction_isolation'), current_setting('default_transaction_read_only'),
    current_setting('session_replication_role'), current_setting('synchronous_commit')) as state`,
}

type Session = { readonly bornMs: number; readonly state: Promise<string> }

const ask = (client: pg.PoolClient): Promise<string> => {
  const state = client.query<{ state: string }>(question).then(({ rows }) => rows[0]?.state ?? '')
  state.catch(() => undefined)
  return state
}

export const createSessions = () => {
  const sessions = new WeakMap<pg.PoolClient, Session>()
  let outdatedMs = Number.NEGATIVE_INFINITY

  return {
    /** Of a connection that nobody has used. */
    begin: (client: pg.PoolClient): void => {
      sessions.set(client, { bornMs: performance.now(), state: ask(client) })
    },
    ask,
    /** Is it as it was when it was new? Not, when it cannot be asked. */
    isUnchanged: async (client: pg.PoolClient, now: Promise<string>): Promise<boolean> => {
      try {
        const [before, after] = await Promise.all([sessions.get(client)?.state, now])
        return before === after
      } catch {
        return false
      }
    },
    /** Connections that are open now are to be used no more. */
    outdate: (): void => {
      outdatedMs = performance.now()
    },
    isOutdated: (client: pg.PoolClient): boolean =>
      (sessions.get(client)?.bornMs ?? Number.NEGATIVE_INFINITY) <= outdatedMs,
  }
}

export type Sessions = ReturnType<typeof createSessions>
