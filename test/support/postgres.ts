import pino from 'pino'
import { createPostgres, type PostgresOptions } from '../../src/drivers/database/postgres.ts'
import type { Database } from '../../src/ports/database.ts'
import { sql } from '../../src/shared/sql.ts'
import { loginsOf } from './database.ts'

/** The service's own database driver on a test database, by the logins that the service has. */
export const connect = (
  url: string,
  { poolMax = 5, ...others }: Partial<Pick<PostgresOptions, 'poolMax' | 'connectTimeoutMs' | 'lockTimeoutMs'>> = {},
): Database =>
  createPostgres({
    ...loginsOf(url),
    poolMax,
    lockTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 10_000,
    logger: pino({ level: 'silent' }),
    ...others,
  })

export const insertTenant = async (database: Database, tenantId: string): Promise<void> => {
  await database.transact(tenantId, (tx) =>
    tx.query(sql`insert into tenant (tenant_id, name) values (${tenantId}, ${tenantId})`),
  )
}
