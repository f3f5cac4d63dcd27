/** What one tenant's work, or one bad statement, leaves to the next: connections, places, settings. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/ports/database.ts'
import { isAppError } from '../../src/shared/errors.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { connect, insertTenant } from '../support/postgres.ts'

const nameOf = sql`select name from tenant`
const touch = sql`update tenant set name = name`
/** As it would come in with a text that was put into a statement. */
const injected = (text: string) => ({ name: text.slice(-63), text, values: [] })
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  )

let test: TestDatabase
let admin: pg.Client

beforeAll(async () => {
  test = await createTestDatabase()
  admin = new pg.Client({ connectionString: test.url })
  await admin.connect()
  const database = connect(test.url)
  for (const tenantId of ['ten_a', 'ten_b', 'ten_c']) await insertTenant(database, tenantId)
  await database.close()
})
afterAll(async () => {
  await admin.end()
  await test.drop()
})

/** Holds the row of a tenant until told to let go, as a client does that stands still in a transaction. */
const holdTenantRow = async (tenantId: string) => {
  const holder = new pg.Client({ connectionString: test.url })
  await holder.connect()
  await holder.query('begin')
  await holder.query('select 1 from tenant where tenant_id = $1 for update', [tenantId])
  return { letGo: () => holder.end() }
}

const waitersOn = async (): Promise<number> => {
  const { rows } = await admin.query(
    `select count(*)::integer as waiting from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and application_name = 'agemem'`,
  )
  return rows[0].waiting
}

describe('a tenant whose work waits for one row', () => {
  let database: Database
  beforeAll(() => {
    database = connect(test.url, { poolMax: 4, lockTimeoutMs: 60_000, connectTimeoutMs: 60_000 })
  })
  afterAll(() => database.close())

  it('A2: holds its share of the connections and no more, while others and background work go on at once', async () => {
    const held = await holdTenantRow('ten_a')
    const stuck = Array.from({ length: 40 }, () => codeOf(database.transact('ten_a', (tx) => tx.query(touch))))
    await expect.poll(waitersOn).toBe(3)
    const others = await Promise.all([
      ...Array.from({ length: 20 }, () => database.transact('ten_b', (tx) => tx.query(touch))),
      ...Array.from({ length: 20 }, () => database.read('ten_c', (tx) => tx.query(nameOf))),
    ])
    expect(others).toHaveLength(40)
    expect(await database.transactAsSystem((tx) => tx.query(sql`select 1 as one`))).toEqual([{ one: 1 }])
    expect(await database.checkHealth()).toEqual({ ready: true, detail: 'ok' })
    expect(await waitersOn()).toBe(3)
    expect(database.poolState().waiting).toBe(37)
    await held.letGo()
    expect(new Set(await Promise.all(stuck))).toEqual(new Set(['ok']))
    expect(database.poolState().waiting).toBe(0)
  })

  it('A2: work of its own that gives up waiting leaves at once, by its signal, and takes nothing with it', async () => {
    const held = await holdTenantRow('ten_a')
    const stuck = Array.from({ length: 3 }, () => codeOf(database.transact('ten_a', (tx) => tx.query(touch))))
    await expect.poll(waitersOn).toBe(3)
    const gone = new AbortController()
    const leaving = codeOf(database.transact('ten_a', (tx) => tx.query(touch), { signal: gone.signal }))
    await expect.poll(() => database.poolState().waiting).toBe(1)
    gone.abort(new Error('gone'))
    expect(await leaving).toBe('Error: gone')
    expect(database.poolState().waiting).toBe(0)
    await held.letGo()
    expect(await Promise.all(stuck)).toEqual(['ok', 'ok', 'ok'])
  })

  it('A2: is told to come again, with a time, when it has waited long enough for a place or for a row', async () => {
    const hasty = connect(test.url, { poolMax: 2, lockTimeoutMs: 400, connectTimeoutMs: 100 })
    const held = await holdTenantRow('ten_a')
    const refusalOf = (work: Promise<unknown>) =>
      work.then(
        () => null,
        (error: unknown) => error,
      )
    const first = refusalOf(hasty.transact('ten_a', (tx) => tx.query(touch)))
    await expect.poll(waitersOn).toBe(1)
    const busy = { code: 'database.busy', status: 503, retryable: true, retryAfterSeconds: 1 }
    expect(await refusalOf(hasty.transact('ten_a', (tx) => tx.query(touch)))).toMatchObject({
      ...busy,
      detail: expect.stringContaining('waits for the database'),
    })
    expect(await first).toMatchObject({ ...busy, detail: expect.stringContaining('Another request holds') })
    await held.letGo()
    await hasty.close()
  })

  it('has the pool to itself but for one connection in four, and of a pool of one all of it', async () => {
    const counts: number[] = []
    for (const poolMax of [1, 2, 4, 10]) {
      const pool = connect(test.url, { poolMax, lockTimeoutMs: 60_000 })
      const held = await holdTenantRow('ten_a')
      const stuck = Array.from({ length: 12 }, () => codeOf(pool.transact('ten_a', (tx) => tx.query(touch))))
      await expect.poll(waitersOn).toBeGreaterThanOrEqual(poolMax === 1 ? 1 : Math.floor(poolMax / 2))
      await expect.poll(async () => 12 - pool.poolState().waiting).toBe(await waitersOn())
      counts.push(await waitersOn())
      await held.letGo()
      await Promise.all(stuck)
      await pool.close()
    }
    expect(counts).toEqual([1, 1, 3, 7])
  })
})

describe('a connection whose session was changed', () => {
  const changes = [
    'set role none',
    'reset role',
    `set agemem.tenant_id = 'ten_a'`,
    'set search_path = pg_temp',
    'set statement_timeout = 0',
    'set lock_timeout = 0',
    'set row_security = off',
    `set default_transaction_isolation = 'serializable'`,
    'set default_transaction_read_only = on',
    `set session authorization default`,
  ]

  it.each(changes)('T3: is used no more after `%s`, in whichever pool', async (change) => {
    const single = connect(test.url, { poolMax: 1 })
    const pidOf = sql`select pg_backend_pid() as pid, current_user::text as role, current_setting('role') as taken,
      coalesce(current_setting('agemem.tenant_id', true), '') as tenant, current_setting('search_path') as path,
      current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
      current_setting('row_security') as security, current_setting('transaction_isolation') as isolation,
      current_setting('transaction_read_only') as readonly`
    const asTenant = () => single.transact('ten_b', (tx) => tx.query<{ pid: number }>(pidOf))
    const asSystem = () => single.transactAsSystem((tx) => tx.query<{ pid: number }>(pidOf))
    try {
      const [[before], [systemBefore]] = [await asTenant(), await asSystem()]
      await single.transact('ten_a', (tx) => tx.query(injected(change)))
      const [after] = await asTenant()
      expect({ ...after, pid: 0 }).toEqual({ ...before, pid: 0 })
      // What changes nothing, as `set session authorization default` for who logged in so, may keep its connection.
      for (let round = 0; round < 3; round += 1) await single.transactAsSystem((tx) => tx.query(injected(change)))
      const [systemAfter] = await asSystem()
      expect({ ...systemAfter, pid: 0 }).toEqual({ ...systemBefore, pid: 0 })
    } finally {
      await single.close()
    }
  })

  it('T3: one that nobody changed is kept, so that cleanliness costs no connections', async () => {
    const single = connect(test.url, { poolMax: 1 })
    const pidOf = sql`select pg_backend_pid() as pid`
    const pids = new Set<number>()
    for (let round = 0; round < 20; round += 1) {
      const [row] = await single.transact(round % 2 ? 'ten_a' : 'ten_b', (tx) => tx.query<{ pid: number }>(pidOf))
      if (row) pids.add(row.pid)
      await single.transact('ten_a', (tx) => tx.query(sql`select 1 / 0`)).catch(() => undefined)
      await single.transact('ten_a', (tx) => tx.query(pidOf), { signal: AbortSignal.abort() }).catch(() => undefined)
    }
    expect(pids.size).toBe(1)
    await single.close()
  })
})

describe('what the database answers', () => {
  let database: Database
  beforeAll(() => {
    database = connect(test.url, { poolMax: 2 })
  })
  afterAll(() => database.close())
  const raising = (state: string) =>
    database.transact('ten_a', (tx) =>
      tx.query(injected(`do $$ begin raise exception 'no' using errcode = '${state}'; end $$`)),
    )

  it.each([
    ['a full disk', '53100', /disk of the database is full/],
    ['no memory', '53200', /out of memory/],
    ['no connection left', '53300', /no connection left/],
    ['a failover', '25006', /takes no writes/],
    ['a stop', '57P01', /being stopped/],
    ['a start', '57P03', /is starting/],
    ['an error of its system', '58030', /cannot be reached/],
    ['a statement over its time', '57014', /within its deadline/],
    ['a transaction that idled', '25P03', /within its deadline/],
  ])('%s is a 503 that may be tried again and says so', async (_, state, detail) => {
    const error = await raising(state).catch((refusal: unknown) => refusal)
    expect(error).toMatchObject({
      code: 'database.unavailable',
      status: 503,
      retryable: true,
      retryAfterSeconds: 1,
      detail: expect.stringMatching(detail),
    })
  })

  it.each(['40001', '40P01', '55P03'])('writes in each other’s way (%s) are a 503 of their own', async (state) => {
    await expect(raising(state)).rejects.toMatchObject({ code: 'database.busy', status: 503, retryable: true })
  })

  it('a commit that the server refuses is told as what it is, one whose answer is lost as unknown (M1)', async () => {
    await admin.query(`create function refuse() returns trigger language plpgsql as $$
      begin raise exception 'no' using errcode = '40001'; end $$`)
    await admin.query(`create constraint trigger refuse after update on tenant deferrable initially deferred
      for each row when (new.name = 'refused') execute function refuse()`)
    const refused = database.transact('ten_c', (tx) => tx.query(sql`update tenant set name = 'refused'`))
    await expect(refused).rejects.toMatchObject({ code: 'database.busy' })
    await admin.query(`create or replace function refuse() returns trigger language plpgsql security definer as $$
      begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`)
    const lost = database.transact('ten_c', (tx) => tx.query(sql`update tenant set name = 'refused'`))
    await expect(lost).rejects.toMatchObject({ code: 'database.commit_unknown', status: 503, retryable: true })
    await admin.query('drop function refuse cascade')
  })

  it('statements that a changed schema has made stale are prepared again on other connections', async () => {
    await admin.query('create table changing as select 1 as one; grant select on changing to agemem_app')
    const all = sql`select * from changing`
    const read = () => Promise.all([0, 1].map(() => database.read('ten_a', (tx) => tx.query(all))))
    expect(await read()).toEqual([[{ one: 1 }], [{ one: 1 }]])
    await admin.query('alter table changing add column two integer not null default 2')
    expect(await read()).toEqual([[{ one: 1, two: 2 }], [{ one: 1, two: 2 }]])
    await admin.query('drop table changing')
  })
})
