/** Processes of two releases on one database. The other release is this one with migrations that it alone knows. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { migrate } from '../../src/drivers/database/migrate.ts'
import { createPostgres } from '../../src/drivers/database/postgres.ts'
import { listKnownMigrations } from '../../src/drivers/database/schema-contract.ts'
import type { Database } from '../../src/ports/database.ts'
import { createService } from '../../src/services.ts'
import { isAppError } from '../../src/shared/errors.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestDatabase, loginsOf, type TestDatabase } from '../support/database.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { root } from '../support/service-process.ts'

const logger = pino({ level: 'silent' })
const connectTimeoutMs = 10_000
const shipped = join(root, 'migrations')
const adding = 'alter table agent add column made_up integer not null default 7;\n'
const breaking = 'alter table agent rename column made_up to renamed;\nupdate schema_contract set process_min = 902;\n'

let folder: string
let test: TestDatabase
let client: pg.Client
const databases: Database[] = []

/** What a release that knows these beside the shipped ones has in its folder. */
const release = async (name: string, added: Readonly<Record<string, string>>): Promise<string> => {
  const path = join(folder, name)
  await cp(shipped, path, { recursive: true })
  for (const [file, text] of Object.entries(added)) await writeFile(join(path, `${file}.sql`), text)
  return path
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agemem-releases-'))
  await release('newer', { '0901-adding': adding })
  await release('newest', { '0901-adding': adding, '0902-breaking': breaking })
})
afterAll(() => rm(folder, { recursive: true, force: true }))
beforeEach(async () => {
  test = await createTestDatabase()
  client = new pg.Client({ connectionString: test.url })
  await client.connect()
})
afterEach(async () => {
  for (const database of databases.splice(0)) await database.close()
  await client.end()
  await test.drop()
})

const start = (path: string) => {
  const { url: appUrl, backgroundUrl } = loginsOf(test.url)
  return migrate({ ownerUrl: test.url, appUrl, backgroundUrl, folder: path, connectTimeoutMs, logger })
}

const serve = async (path: string): Promise<Database> => {
  const { schemaVersion } = await start(path)
  const options = { poolMax: 2, connectTimeoutMs, statementTimeoutMs: 10_000, lockTimeoutMs: 5_000, logger }
  const database = createPostgres({ ...loginsOf(test.url), ...options, schemaVersion })
  databases.push(database)
  return database
}

const applied = async (): Promise<readonly string[]> =>
  (await client.query<{ name: string }>('select name from migration order by id')).rows.map(({ name }) => name)

const refusalOf = (work: Promise<unknown>): Promise<{ code: string; detail: string }> =>
  work.then(
    () => ({ code: 'none', detail: '' }),
    (error: unknown) => (isAppError(error) ? error : { code: String(error), detail: '' }),
  )

describe('an upgrade', () => {
  it('that older processes can live with leaves them running and starting, and none of them takes it back', async () => {
    const older = await serve(shipped)
    const readAll = () => older.transact('ten_a', (tx) => tx.query(sql`select * from agent`))
    await older.transact('ten_a', (tx) => tx.query(sql`insert into tenant (tenant_id, name) values ('ten_a', 'a')`))
    await older.transact('ten_a', (tx) =>
      tx.query(sql`insert into agent (tenant_id, agent_id, space_id) values ('ten_a', 'x', 'spc_x')`),
    )
    expect(await readAll()).toHaveLength(1)
    const newer = await serve(join(folder, 'newer'))
    expect(await readAll()).toMatchObject([{ made_up: 7 }])
    const again = await serve(shipped)
    for (const database of [older, newer, again])
      expect(await database.checkHealth()).toEqual({ ready: true, detail: 'ok' })
    expect((await applied()).at(-1)).toBe('0901-adding')
  })

  it('that older processes cannot live with stops those that run from being ready, and those that start, and says why', async () => {
    const older = await serve(shipped)
    await start(join(folder, 'newest'))
    expect(await older.checkHealth()).toEqual({
      ready: false,
      detail: expect.stringMatching(/migrated for processes that know migration 902.*start the newer release/),
    })
    const refusal = await refusalOf(start(shipped))
    expect(refusal).toMatchObject({
      code: 'database.schema_refused',
      detail: expect.stringMatching(/needs processes that know migration 902; this one knows \d+\. Start the newer/),
    })
    const service = createService(loadConfig(test.env), logger, { embedder: createFakeEmbedder() })
    expect((await refusalOf(service)).detail).toBe(refusal.detail)
    expect((await applied()).slice(-2)).toEqual(['0901-adding', '0902-breaking'])
  })

  it('is made once, however many processes of either release start at once', async () => {
    const paths = [join(folder, 'newer'), shipped, join(folder, 'newer'), shipped, join(folder, 'newer')]
    await Promise.all(paths.map(start))
    expect(await applied()).toEqual(await listKnownMigrations(join(folder, 'newer')))
  })

  it('of another line of releases is refused rather than mixed with', async () => {
    await start(
      await release('ours', { '0901-ours': 'create view ours with (security_invoker) as select 1 as one;\n' }),
    )
    expect(await refusalOf(start(join(folder, 'newer')))).toMatchObject({
      code: 'database.schema_refused',
      detail: expect.stringMatching(/0901-ours, which this release does not know/),
    })
  })

  it.each([
    [
      'alter table agent add column one integer;\n\nupdate nowhere set two = 2;\n',
      '42P01',
      'line 3, `update nowhere set two = 2;`',
      /report this line/,
    ],
    ['create table memory (one integer);\n', '42P07', '0901-failing.sql', /a database of its own/],
    [
      "do $$ begin raise exception 'no' using errcode = '53100'; end $$;\n",
      '53100',
      '0901-failing.sql',
      /Free some space/,
    ],
    [
      "set local lock_timeout = '50ms';\nalter table agent add column one integer;\n",
      '55P03',
      '0901-failing.sql',
      /start again/,
    ],
  ])(
    'that fails is told by file, place, SQLSTATE and what to do, and leaves nothing of itself (%#)',
    async (text, state, place, advice) => {
      const path = await release(`failing-${state}`, { '0901-failing': text })
      const holder = new pg.Client({ connectionString: test.url })
      await holder.connect()
      if (state === '55P03') await holder.query('begin; lock table agent in access share mode')
      const before = await applied()
      const { code, detail } = await refusalOf(start(path))
      await holder.end()
      expect(code).toBe('database.migration_failed')
      for (const part of [`SQLSTATE ${state}`, 'migrations/0901-failing.sql', place]) expect(detail).toContain(part)
      expect(detail).toMatch(advice)
      expect(detail).not.toContain('\n')
      expect(await applied()).toEqual(before)
      await start(shipped)
    },
  )
})
