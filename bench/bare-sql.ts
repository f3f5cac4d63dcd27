/**
 * The service's own statements without the service: one connection that stays with the first tenant, each statement
 * committed by itself. What they take is the floor under the requests that need them.
 */
import pg from 'pg'
import { appRole } from '../src/drivers/database/postgres.ts'
import type { TenantTransaction } from '../src/ports/database.ts'
import type { Bench } from './service.ts'

export type BareSql = { readonly tx: TenantTransaction; close(): Promise<void> }

const int8Oid = 20
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8Oid ? Number : pg.types.getTypeParser(oid, format),
} as pg.CustomTypesConfig

export const openBareSql = async ({ databaseUrl, pool }: Bench): Promise<BareSql> => {
  const { rows } = await pool.query<{ tenant_id: string }>('select tenant_id from tenant order by created_at limit 1')
  const tenantId = rows[0]?.tenant_id ?? ''
  const options = `-c role=${appRole} -c agemem.tenant_id=${tenantId}`
  const client = new pg.Client({ connectionString: databaseUrl, options, types })
  // When a subject fails, the database stops under it; what is to be read then is the subject's error.
  client.on('error', () => undefined)
  await client.connect()
  const query: TenantTransaction['query'] = async <Row>(statement: Parameters<TenantTransaction['query']>[0]) =>
    (await client.query({ name: statement.name, text: statement.text, values: [...statement.values] })).rows as Row[]
  return { tx: { tenantId, query } as TenantTransaction, close: () => client.end() }
}
