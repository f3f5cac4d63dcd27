import pino from 'pino'
import { createPostgres } from '../../src/drivers/database/postgres.ts'
import type { Database } from '../../src/ports/database.ts'
import { sql } from '../../src/shared/sql.ts'

/** The service's own database driver on a test database. */
export const connect = (url: string, { poolMax = 5 }: { poolMax?: number } = {}): Database =>
  createPostgres({
    url,
    poolMax,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 10_000,
    logger: pino({ level: 'silent' }),
  })

export const insertTenant = async (database: Database, tenantId: string): Promise<void> => {
  await database.transact(tenantId, (tx) =>
    tx.query(sql`insert into tenant (tenant_id, name) values (${tenantId}, ${tenantId})`),
  )
}
