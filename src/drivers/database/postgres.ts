/**
 * The database over node-postgres, in pipeline mode: `begin`, the tenant and the first statement leave in one round
 * trip. If `begin` were to fail, the statements behind it would run with no tenant, and row level security refuses
 * those. A connection goes back to the pool only when the server says it is idle outside any transaction; otherwise it
 * is destroyed, so no borrower ever inherits a tenant or an open transaction.
 */
import pg from 'pg'
import type { Logger } from 'pino'
import type { Database, SystemTransaction, TenantTransaction, TransactOptions } from '../../ports/database.ts'
import { brokenInvariant } from '../../shared/errors.ts'
import type { SqlStatement } from '../../shared/sql.ts'
import { commitUnknown, isRetryableTransactionError, translateDatabaseError } from './database-errors.ts'
import { createTypes } from './decode-values.ts'

export const appRole = 'agemem_app'
const attemptsMax = 4

export type PostgresOptions = {
  readonly url: string
  readonly poolMax: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly logger: Logger
}

type Work<T> = (query: <Row>(statement: SqlStatement) => Promise<readonly Row[]>) => Promise<T>

const createPool = (options: PostgresOptions): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax,
    pipeline: true,
    types: createTypes(options.logger),
    application_name: 'agemem',
    connectionTimeoutMillis: options.connectTimeoutMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    query_timeout: options.statementTimeoutMs + 5_000,
    options: [
      `-c role=${appRole}`,
      `-c statement_timeout=${options.statementTimeoutMs}`,
      `-c idle_in_transaction_session_timeout=${options.statementTimeoutMs + 5_000}`,
      '-c timezone=UTC',
      '-c datestyle=ISO',
    ].join(' '),
  } as pg.PoolConfig)
  // A connection that breaks between two statements has nobody waiting to be told; unheard, it would end the process.
  pool.on('connect', (client) => {
    client.on('error', (error) => options.logger.warn({ err: error }, 'a database connection broke'))
  })
  pool.on('error', () => undefined)
  return pool
}

const inTransaction = async <T>(client: pg.PoolClient, begin: string, work: Work<T>): Promise<T> => {
  const begun = client.query(begin)
  begun.catch(() => undefined)
  let isOver = false
  const query = async <Row>(statement: SqlStatement): Promise<readonly Row[]> => {
    // One of several branches that went on after another had failed: the connection may be somebody else's by now (T3).
    if (isOver) throw brokenInvariant('A statement came after the end of its transaction.')
    const config = { name: statement.name, text: statement.text, values: [...statement.values] }
    try {
      return (await client.query(config)).rows as Row[]
    } catch (error) {
      throw translateDatabaseError(error)
    }
  }
  let value: T
  try {
    value = await work(query)
    await begun.catch((error: unknown) => {
      throw translateDatabaseError(error)
    })
    isOver = true
  } catch (error) {
    isOver = true
    await client.query('rollback').catch(() => undefined)
    throw error
  }
  const committed = await client.query('commit').catch((error: unknown) => {
    throw commitUnknown(error)
  })
  if (committed.command !== 'COMMIT') throw brokenInvariant('A transaction was rolled back at its commit.')
  return value
}

/** Idle outside any transaction, by the server's own word. */
const isClean = (client: pg.PoolClient): boolean =>
  (client as pg.PoolClient & { getTransactionStatus(): string | null }).getTransactionStatus() === 'I'

const borrow = async (pool: pg.Pool): Promise<pg.PoolClient> => {
  try {
    return await pool.connect()
  } catch (error) {
    throw translateDatabaseError(error)
  }
}

export const createPostgres = (options: PostgresOptions): Database => {
  const pool = createPool(options)

  const attempt = async <T>(begin: string, work: Work<T>, signal: AbortSignal | undefined): Promise<T> => {
    signal?.throwIfAborted()
    const client = await borrow(pool)
    try {
      signal?.throwIfAborted()
      return await inTransaction(client, begin, work)
    } finally {
      client.release(!isClean(client))
    }
  }

  const run = async <T>(begin: string, work: Work<T>, signal: AbortSignal | undefined): Promise<T> => {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await attempt(begin, work, signal)
      } catch (error) {
        if (attempts >= attemptsMax || !isRetryableTransactionError(error)) throw error
      }
    }
  }

  const asTenant =
    (begin: string): Database['transact'] =>
    async (tenantId, work, { signal }: TransactOptions = {}) =>
      run(
        `${begin}; set local agemem.tenant_id = ${pg.escapeLiteral(tenantId)}`,
        (query) => work({ tenantId, query } as TenantTransaction),
        signal,
      )

  return {
    transact: asTenant('begin'),
    read: asTenant('begin isolation level repeatable read read only'),
    transactAsSystem: async (work, { signal }: TransactOptions = {}) =>
      run('begin', (query) => work({ query } as SystemTransaction), signal),
    checkHealth: async () => {
      try {
        const { rows } = await pool.query(
          'select rolsuper or rolbypassrls as unsafe from pg_roles where rolname = current_user',
        )
        const unsafe = rows[0]?.unsafe !== false
        return { ready: !unsafe, detail: unsafe ? 'the role in use bypasses row level security' : 'ok' }
      } catch (error) {
        return { ready: false, detail: translateDatabaseError(error).detail }
      }
    },
    poolState: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: async () => pool.end(),
  }
}
