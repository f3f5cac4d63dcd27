/**
 * The database over node-postgres, in pipeline mode: `begin`, the tenant and the first statement leave in one round
 * trip. If `begin` were to fail, the statements behind it would run with no tenant, and row level security refuses
 * those. A connection goes back to the pool only when the server says it is idle outside any transaction and was set back
 * to how it began; otherwise it is destroyed, so no borrower ever inherits a tenant, a role or an open
 * transaction. Work of tenants and work without one have connections, and may have logins, of their own: neither takes
 * the other's, and a statement that came in with a tenant's text finds itself without the right to look across.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import type { Database, SystemTransaction, TenantTransaction, TransactOptions } from '../../ports/database.ts'
import { isRetryableTransactionError, outdatesConnections, translateDatabaseError } from './database-errors.ts'
import { createTypes } from './decode-values.ts'
import { findFault, type HealthRow, healthStatement } from './postgres-health.ts'
import { createTenantPlaces } from './tenant-places.ts'
import { createTransaction, type Work } from './transaction.ts'

export const appRole = 'agemem_app'
export const backgroundRole = 'agemem_background'
/** For what belongs to no tenant: leases, maintenance, the operator's lists, metrics. All of it is short. */
export const backgroundConnections = 3
const attemptsMax = 4
/** Two that broke each other off would do so again if they began together. */
const restMsMax = 25
/** Health asks beside the tenants, with a turn like one of them. */
const healthTenantId = ''

export type PostgresOptions = {
  readonly url: string
  /** Login of what belongs to no tenant; absent: the same login, which may then do both. */
  readonly backgroundUrl?: string | undefined
  /** Connections for tenants; `backgroundConnections` come on top. */
  readonly poolMax: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  /** The newest migration that this process knows; absent: it does not look at what the schema asks for. */
  readonly schemaVersion?: number | undefined
  readonly logger: Logger
}

type PoolOptions = Pick<
  PostgresOptions,
  'url' | 'connectTimeoutMs' | 'statementTimeoutMs' | 'lockTimeoutMs' | 'logger'
> & { readonly role: string; readonly connections: number }

const createPool = (options: PoolOptions): pg.Pool => {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connections,
    pipeline: true,
    types: createTypes(options.logger),
    application_name: 'agemem',
    connectionTimeoutMillis: options.connectTimeoutMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    query_timeout: options.statementTimeoutMs + 5_000,
    options: [
      `-c role=${options.role}`,
      `-c statement_timeout=${options.statementTimeoutMs}`,
      `-c lock_timeout=${options.lockTimeoutMs}`,
      `-c idle_in_transaction_session_timeout=${options.statementTimeoutMs + 5_000}`,
      '-c timezone=UTC',
      '-c datestyle=ISO',
    ].join(' '),
  } as pg.PoolConfig)
  pool.on('error', () => undefined)
  return pool
}

/** Connections of one role, and the transactions that run on them. */
const createRunner = (options: PoolOptions) => {
  const { logger } = options
  const pool = createPool(options)
  const bornMs = new WeakMap<pg.PoolClient, number>()
  let outdatedMs = Number.NEGATIVE_INFINITY
  pool.on('connect', (client) => {
    // A connection that breaks between two statements has nobody waiting to be told; unheard, it would end the process.
    client.on('error', (error) => logger.warn({ err: error }, 'a database connection broke'))
    bornMs.set(client, performance.now())
  })

  const borrow = async (): Promise<pg.PoolClient> => {
    for (;;) {
      const client = await pool.connect().catch((error: unknown) => {
        throw translateDatabaseError(error)
      })
      if ((bornMs.get(client) ?? outdatedMs) > outdatedMs) return client
      client.release(true)
    }
  }

  const attempt = async <T>(begin: string, work: Work<T>, signal: AbortSignal | undefined): Promise<T> => {
    signal?.throwIfAborted()
    const client = await borrow()
    const transaction = createTransaction(client)
    try {
      signal?.throwIfAborted()
      return await transaction.run(begin, work)
    } catch (error) {
      if (outdatesConnections(error)) outdatedMs = performance.now()
      throw error
    } finally {
      client.release(!transaction.isClean())
    }
  }

  return { pool, attempt }
}

/** Again, from its beginning, what the server broke off; between two tries its place and connection are others'. */
const withRetries = async <T>(attempt: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (attempts >= attemptsMax || !isRetryableTransactionError(error)) throw error
      await sleep(Math.random() * restMsMax * attempts, undefined, signal && { signal }).catch(() => undefined)
      signal?.throwIfAborted()
    }
  }
}

export const createPostgres = (options: PostgresOptions): Database => {
  const { url, backgroundUrl = url, poolMax, connectTimeoutMs, schemaVersion = null } = options
  const tenants = createRunner({ ...options, role: appRole, connections: poolMax })
  const background = createRunner({
    ...options,
    url: backgroundUrl,
    role: backgroundRole,
    connections: backgroundConnections,
  })
  const places = createTenantPlaces({ connections: poolMax, waitMs: connectTimeoutMs })

  const inPlace = async <T>(tenantId: string, attempt: () => Promise<T>, signal: AbortSignal | undefined) => {
    const leave = await places.enter(tenantId, signal)
    try {
      return await attempt()
    } finally {
      leave()
    }
  }

  const asTenant =
    (begin: string): Database['transact'] =>
    async (tenantId, work, { signal }: TransactOptions = {}) => {
      const beginAs = `${begin}; set local agemem.tenant_id = ${pg.escapeLiteral(tenantId)}`
      const attempt = () => tenants.attempt(beginAs, (query) => work({ tenantId, query } as TenantTransaction), signal)
      return withRetries(() => inPlace(tenantId, attempt, signal), signal)
    }

  const findFaultOf = async (role: string, read: () => Promise<readonly HealthRow[]>) => {
    const [row] = await read()
    return findFault(row, { role, schemaVersion })
  }

  const readHealth: Work<readonly HealthRow[]> = (query) => query<HealthRow>(healthStatement)
  const findFaults = () =>
    Promise.all([
      findFaultOf(appRole, () =>
        inPlace(healthTenantId, () => tenants.attempt('begin read only', readHealth, undefined), undefined),
      ),
      findFaultOf(backgroundRole, () => background.attempt('begin read only', readHealth, undefined)),
    ])

  return {
    transact: asTenant('begin'),
    read: asTenant('begin isolation level repeatable read read only'),
    transactAsSystem: async (work, { signal }: TransactOptions = {}) =>
      withRetries(() => background.attempt('begin', (query) => work({ query } as SystemTransaction), signal), signal),
    checkHealth: async () => {
      try {
        const fault = (await findFaults()).find((found) => found !== null)
        return { ready: fault === undefined, detail: fault ?? 'ok' }
      } catch (error) {
        return { ready: false, detail: translateDatabaseError(error).detail }
      }
    },
    poolState: () => ({
      total: tenants.pool.totalCount + background.pool.totalCount,
      idle: tenants.pool.idleCount + background.pool.idleCount,
      waiting: places.waiting() + tenants.pool.waitingCount + background.pool.waitingCount,
    }),
    close: async () => {
      await Promise.all([tenants.pool.end(), background.pool.end()])
    },
  }
}
