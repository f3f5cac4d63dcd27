/** The logins that docs/deployment.md asks for, on a PostgreSQL where nobody has made the service's roles yet. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/drivers/database/embedded-postgres.ts'
import { migrate } from '../../../src/drivers/database/migrate.ts'
import { createPostgres } from '../../../src/drivers/database/postgres.ts'
import { isAppError } from '../../../src/shared/errors.ts'

const logger = pino({ level: 'silent' })
const connectTimeoutMs = 10_000

const loginUrl = (url: string, login: string): string => {
  const [, host] = /\?(.*)$/.exec(url) ?? []
  return `postgresql://${login}:secret@/roles?${host ?? ''}`
}

const run = async (url: string, statements: readonly string[]): Promise<void> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

let dataDir: string
let cluster: EmbeddedPostgres
let ownerUrl: string
let appUrl: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'agemem-roles-'))
  cluster = await startEmbeddedPostgres({ dataDir, logger })
  await run(cluster.url, [
    `create role agemem_owner login createrole password 'secret'`,
    `create role agemem_service login password 'secret'`,
    'create database roles owner agemem_owner',
  ])
  ownerUrl = loginUrl(cluster.url, 'agemem_owner')
  appUrl = loginUrl(cluster.url, 'agemem_service')
})

afterAll(async () => {
  await cluster?.stop()
  await rm(dataDir, { recursive: true, force: true })
})

describe('an owner that may create roles and a login that may do nothing', () => {
  test('are enough to migrate, and to migrate again', async () => {
    await migrate({ ownerUrl, appUrl, connectTimeoutMs, logger })
    await migrate({ ownerUrl, appUrl, connectTimeoutMs, logger })
  })

  test('let the service run as a role that cannot bypass row level security', async () => {
    const database = createPostgres({ url: appUrl, poolMax: 1, connectTimeoutMs, statementTimeoutMs: 10_000, logger })
    try {
      expect(await database.checkHealth()).toEqual({ ready: true, detail: 'ok' })
    } finally {
      await database.close()
    }
  })

  test('leave the login without a table of its own and without a way to read one directly', async () => {
    await expect(run(appUrl, ['set role none', 'create table public.mine (id integer)'])).rejects.toThrow(
      /permission denied/,
    )
    await expect(run(appUrl, ['set role agemem_system'])).rejects.toThrow(/permission denied/)
    await expect(run(appUrl, ['select count(*) from memory'])).rejects.toThrow(/no tenant is set/)
  })
})

describe('a start that gets no database', () => {
  const other = (url: string, change: Readonly<Record<string, string>>) =>
    Object.entries(change).reduce((changed, [from, to]) => changed.replace(from, to), url)
  const migrateFailure = (urls: { readonly ownerUrl: string; readonly appUrl: string }): Promise<string> =>
    migrate({ ...urls, connectTimeoutMs, logger }).then(
      () => 'migrated',
      (error: unknown) => (isAppError(error, 'database.migration_failed') ? error.detail : String(error)),
    )

  test.each([
    ['the owner', (url: string) => ({ ownerUrl: url, appUrl }), 'agemem_owner', /AGEMEM_DATABASE_OWNER_URL/],
    ['the login of requests', (url: string) => ({ ownerUrl, appUrl: url }), 'agemem_service', /AGEMEM_DATABASE_URL/],
  ])('a wrong password of %s is told with the setting that it stands in', async (_, urlsOf, login, setting) => {
    const detail = await migrateFailure(urlsOf(other(loginUrl(cluster.url, login), { ':secret@': ':wrong@' })))
    expect(detail).toMatch(`password authentication failed for user "${login}"`)
    expect(detail).toMatch(setting)
    expect(detail).not.toMatch(/CREATEROLE|wrong/)
  })

  test.each([
    ['a port where nothing listens', 'postgresql://agemem_owner:secret@127.0.0.1:1/roles', /ECONNREFUSED/],
    [
      'a host of two addresses where nothing listens',
      'postgresql://agemem_owner:secret@localhost:1/roles',
      /ECONNREFUSED/,
    ],
    ['a password that breaks its URL', 'postgresql://agemem_owner:secret@:x/roles', /Invalid URL/],
  ])('%s is told in one line, without the password', async (_, url, reason) => {
    const detail = await migrateFailure({ ownerUrl: url, appUrl })
    expect(detail).toMatch(reason)
    expect(detail).toMatch(/Check host and port in AGEMEM_DATABASE_OWNER_URL/)
    expect(detail).not.toMatch(/secret|\n/)
  })

  test('a database that is missing is named', async () => {
    const url = other(ownerUrl, { '/roles?': '/nowhere?' })
    expect(await migrateFailure({ ownerUrl: url, appUrl: url })).toMatch(
      /database "nowhere" does not exist\. Create it, or name another one in AGEMEM_DATABASE_URL/,
    )
  })

  test('an owner that may not create is told what it needs, in one line', async () => {
    const detail = await migrateFailure({ ownerUrl: appUrl, appUrl })
    expect(detail).toMatch(/permission denied.*CREATEROLE/)
    expect(detail).not.toMatch(/\n/)
  })
})
