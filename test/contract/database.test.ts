import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database, SystemTransaction } from '../../src/ports/database.ts'
import { isAppError } from '../../src/shared/errors.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { connect, insertTenant } from '../support/postgres.ts'

const selectTenants = sql`select tenant_id from tenant`

describe('the database driver', () => {
  let test: TestDatabase
  let database: Database
  /** One connection, so that every borrower gets the one that the last borrower left. */
  let single: Database

  beforeAll(async () => {
    test = await createTestDatabase()
    database = connect(test.url)
    single = connect(test.url, { poolMax: 1 })
    await insertTenant(database, 'ten_a')
    await insertTenant(database, 'ten_b')
  })
  afterAll(async () => {
    await database.close()
    await single.close()
    await test.drop()
  })

  it('shows a transaction the rows of its tenant alone, though the statement names none (T2)', async () => {
    expect(await database.transact('ten_a', (tx) => tx.query(selectTenants))).toEqual([{ tenant_id: 'ten_a' }])
    expect(await database.read('ten_b', (tx) => tx.query(selectTenants))).toEqual([{ tenant_id: 'ten_b' }])
  })

  it('V1: gives back every moment from year 0001 to 9999 as it was stored', async () => {
    const start = Date.parse('0001-01-01T00:00:00Z')
    const end = Date.parse('9999-12-31T23:59:59.999Z')
    const moment = fc.integer({ min: start, max: end }).map((ms) => new Date(ms).toISOString())
    const early = fc.integer({ min: start, max: Date.parse('0200-01-01') }).map((ms) => new Date(ms).toISOString())
    const precise = fc.tuple(moment, fc.integer({ min: 1, max: 999 })).map(([text, micros]) => {
      return `${text.slice(0, -1)}${String(micros).padStart(3, '0')}Z`
    })
    const edges = fc.constantFrom('0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999999Z', '0004-02-29T00:00:00.000Z')
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(moment, early, precise, edges), { maxLength: 200 }), async (moments) => {
        const rows = await database.transactAsSystem((tx) =>
          tx.query<{ moment: string }>(
            sql`select moment::timestamptz as moment from unnest(${moments}::text[]) with ordinality as sent(moment, at) order by at`,
          ),
        )
        expect(rows.map((row) => row.moment)).toEqual(moments)
      }),
      { numRuns: 20 },
    )
  })

  it('reads moments that cannot be told as the nearest that can, whatever style the database has', async () => {
    const rows = await database.transactAsSystem((tx) =>
      tx.query<{ moment: string }>(
        sql`select unnest(array['-infinity', '0044-03-15 12:00:00 BC', '12024-05-01', 'infinity']::timestamptz[]) as moment`,
      ),
    )
    const [first, last] = ['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999999Z']
    expect(rows.map((row) => row.moment)).toEqual([first, first, last, last])
  })

  it('takes a value that it cannot read for a fault of its own, not of the connection', async () => {
    const read = (tx: SystemTransaction) => tx.query(sql`select set_config('datestyle', 'German', true), now()`)
    const again = async (tx: SystemTransaction) => [await read(tx), await tx.query(sql`select now() as moment`)]
    await expect(database.transactAsSystem(again)).rejects.toMatchObject({ status: 500, retryable: false })
    expect(await database.transactAsSystem((tx) => tx.query(sql`select 1 as one`))).toEqual([{ one: 1 }])
  })

  it('refuses a statement on tenant data when no tenant is set (T2)', async () => {
    await expect(database.transactAsSystem((tx) => tx.query(selectTenants))).rejects.toMatchObject({ status: 500 })
  })

  it('refuses to write a row of another tenant (T2)', async () => {
    const write = database.transact('ten_a', (tx) =>
      tx.query(sql`insert into agent (tenant_id, agent_id, space_id) values ('ten_b', 'x', 'spc_x')`),
    )
    await expect(write).rejects.toMatchObject({ status: 500 })
  })

  it('hands on no tenant and no open transaction when the work throws (T3)', async () => {
    const failed = single.transact('ten_a', async (tx) => {
      await tx.query(selectTenants)
      throw new Error('the handler broke')
    })
    await expect(failed).rejects.toThrow('the handler broke')
    await expect(single.transactAsSystem((tx) => tx.query(selectTenants))).rejects.toSatisfy(
      (error: unknown) => isAppError(error) && String(error.cause).includes('permission denied'),
    )
  })

  it('hands on no tenant and no open transaction when a statement fails (T3)', async () => {
    await expect(single.transact('ten_a', (tx) => tx.query(sql`select 1 / 0`))).rejects.toMatchObject({ status: 500 })
    await expect(single.transactAsSystem((tx) => tx.query(selectTenants))).rejects.toMatchObject({ status: 500 })
    expect(await single.transact('ten_b', (tx) => tx.query(selectTenants))).toEqual([{ tenant_id: 'ten_b' }])
  })

  it('hands on no tenant after a commit (T3)', async () => {
    await single.transact('ten_a', (tx) => tx.query(selectTenants))
    await expect(single.transactAsSystem((tx) => tx.query(selectTenants))).rejects.toMatchObject({ status: 500 })
  })

  it('runs no statement of a branch that goes on when its transaction has ended, on a connection that is not its own (T3)', async () => {
    let goOn = () => {}
    const isEnded = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let straggler: Promise<unknown> = Promise.resolve()
    const failed = single.transact('ten_a', async (tx) => {
      straggler = isEnded.then(() => tx.query(sql`update tenant set name = 'changed'`))
      straggler.catch(() => undefined)
      await tx.query(sql`select 1 / 0`)
    })
    await expect(failed).rejects.toMatchObject({ status: 500 })
    const rows = await single.transact('ten_b', async (tx) => {
      goOn()
      await expect(straggler).rejects.toMatchObject({ code: 'internal.broken_invariant' })
      return tx.query(sql`select name from tenant`)
    })
    expect(rows).toEqual([{ name: 'ten_b' }])
  })

  it('rolls back everything when the work throws', async () => {
    const failed = database.transact('ten_a', async (tx) => {
      await tx.query(sql`update tenant set name = 'changed' where tenant_id = 'ten_a'`)
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    const rows = await database.transact('ten_a', (tx) => tx.query(sql`select name from tenant`))
    expect(rows).toEqual([{ name: 'ten_a' }])
  })

  it('reads on one snapshot, whatever is committed meanwhile', async () => {
    const seen = await database.read('ten_a', async (tx) => {
      const before = await tx.query(sql`select name from tenant`)
      await database.transact('ten_a', (other) => other.query(sql`update tenant set name = name || '!'`))
      return [before, await tx.query(sql`select name as name from tenant`)]
    })
    expect(seen[0]).toEqual(seen[1])
  })

  it('runs as a role that owns nothing and bypasses nothing, whoever logs in', async () => {
    expect(await database.checkHealth()).toEqual({ ready: true, detail: 'ok' })
    const owned = await database.transactAsSystem((tx) =>
      tx.query(
        sql`select count(*) as owned from pg_class where relowner = (select oid from pg_roles where rolname = current_user)`,
      ),
    )
    expect(owned).toEqual([{ owned: 0 }])
  })

  it('retries work that PostgreSQL broke off as a deadlock', async () => {
    let tries = 0
    const value = await database.transact('ten_a', async (tx) => {
      tries += 1
      if (tries === 1) await tx.query(sql`do $$ begin raise exception using errcode = '40P01'; end $$`)
      return 'done'
    })
    expect([value, tries]).toEqual(['done', 2])
  })

  it('survives the loss of its connections and says that the database was away', async () => {
    const admin = new pg.Client({ connectionString: test.url })
    await admin.connect()
    await single.transact('ten_a', (tx) => tx.query(selectTenants))
    const broken = single.transact('ten_a', async (tx) => {
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and application_name = 'agemem'`,
      )
      return tx.query(sql`select tenant_id as again from tenant`)
    })
    await expect(broken).rejects.toMatchObject({ code: 'database.unavailable', status: 503, retryable: true })
    expect(await single.transact('ten_a', (tx) => tx.query(selectTenants))).toHaveLength(1)
    await admin.end()
  })

  it('gives up on a request that was aborted before it began', async () => {
    const signal = AbortSignal.abort(new Error('gone'))
    await expect(database.transact('ten_a', (tx) => tx.query(selectTenants), { signal })).rejects.toThrow('gone')
  })
})
