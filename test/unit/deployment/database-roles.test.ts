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
import type { Database } from '../../../src/ports/database.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import { sql } from '../../../src/shared/sql.ts'

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
    `alter role agemem_service password 'secret'`,
    `alter role agemem_worker password 'secret'`,
    'create database roles owner agemem_owner',
    `create role agemem_heir login password 'secret' in role agemem_owner`,
    `create role agemem_bypass login bypassrls password 'secret'`,
    `create role agemem_files login password 'secret' in role pg_read_server_files`,
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
    const database = createPostgres({
      url: appUrl,
      poolMax: 1,
      connectTimeoutMs,
      statementTimeoutMs: 10_000,
      lockTimeoutMs: 5_000,
      logger,
    })
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

describe('what an injected statement finds on a connection', () => {
  const workerUrl = () => loginUrl(cluster.url, 'agemem_worker')
  const open = (url: string, backgroundUrl: string) =>
    createPostgres({
      url,
      backgroundUrl,
      poolMax: 2,
      connectTimeoutMs,
      statementTimeoutMs: 10_000,
      lockTimeoutMs: 5_000,
      logger,
    })
  const inject = (database: Database, ...statements: readonly string[]) =>
    database.transact('ten_a', async (tx) => {
      for (const text of statements) await tx.query({ name: text, text, values: [] })
    })

  beforeAll(async () => {
    await migrate({ ownerUrl, appUrl, backgroundUrl: workerUrl(), connectTimeoutMs, logger })
    await run(cluster.url, ['grant agemem_app, agemem_background to agemem_bypass, agemem_files'])
  })

  test('T1, T2: with two logins, neither by taking another role nor by giving the role back can a request look across tenants', async () => {
    const database = open(appUrl, workerUrl())
    try {
      expect(await database.checkHealth()).toEqual({ ready: true, detail: 'ok' })
      await database.transact('ten_b', (tx) =>
        tx.query(sql`insert into tenant (tenant_id, name) values ('ten_b', 'b')`),
      )
      for (const role of ['agemem_background', 'agemem_system', 'agemem_owner', 'agemem'])
        await expect(inject(database, `set role ${role}`)).rejects.toSatisfy((error: unknown) =>
          /permission denied to set role/.test(String((error as Error).cause)),
        )
      for (const taken of ['set role none', 'reset role', 'set session authorization default'])
        for (const call of ["select * from list_tenants('', 10)", "select lease_agent(1000, false, '', '', '{}')"])
          await expect(inject(database, taken, call)).rejects.toSatisfy((error: unknown) =>
            /permission denied for function/.test(String((error as Error).cause)),
          )
      const seen = await database.transact('ten_a', async (tx) => {
        await tx.query({ name: 'none', text: 'set role none', values: [] })
        return tx.query(sql`select tenant_id from tenant`)
      })
      expect(seen).toEqual([])
    } finally {
      await database.close()
    }
  })

  test('T2: background work reads no row of a tenant, whichever tenant it names', async () => {
    const database = open(appUrl, workerUrl())
    try {
      const read = database.transactAsSystem(async (tx) => {
        await tx.query(sql`set local agemem.tenant_id = 'ten_b'`)
        return tx.query(sql`select * from tenant`)
      })
      await expect(read).rejects.toMatchObject({ code: 'internal.broken_invariant' })
      expect(await database.transactAsSystem((tx) => tx.query(sql`select name from list_tenants('', 10)`))).toEqual([
        { name: 'b' },
      ])
    } finally {
      await database.close()
    }
  })

  test.each([
    ['a superuser', 'agemem', /is a superuser/],
    ['the owner', 'agemem_owner', /owns what row level security guards/],
    ['a member of the owner', 'agemem_heir', /owns what row level security guards/],
    ['one that bypasses row level security', 'agemem_bypass', /bypasses row level security/],
    ['one that reaches the files of the server', 'agemem_files', /reaches the files/],
  ])('T2: readiness is refused to a login that is %s, whatever role it takes', async (_, login, reason) => {
    const url = login === 'agemem' ? cluster.url.replace('/agemem?', '/roles?') : loginUrl(cluster.url, login)
    for (const [one, other] of [
      [url, workerUrl()],
      [appUrl, url],
    ] as const) {
      const database = open(one, other)
      try {
        expect(await database.checkHealth()).toEqual({ ready: false, detail: expect.stringMatching(reason) })
      } finally {
        await database.close()
      }
    }
  })

  test('one login for both serves, and is told apart from none: it may take either role', async () => {
    await migrate({ ownerUrl, appUrl, connectTimeoutMs, logger })
    const database = open(appUrl, appUrl)
    try {
      expect(await database.checkHealth()).toEqual({ ready: true, detail: 'ok' })
    } finally {
      await database.close()
    }
    await migrate({ ownerUrl, appUrl, backgroundUrl: workerUrl(), connectTimeoutMs, logger })
    await expect(run(appUrl, ['set role agemem_background'])).rejects.toThrow(/permission denied/)
  })

  test('a service that is given no owner starts on a schema that is there', async () => {
    await migrate({ ownerUrl: appUrl, appUrl, backgroundUrl: workerUrl(), connectTimeoutMs, logger })
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
    await run(cluster.url, ['create database empty'])
    const url = other(appUrl, { '/roles?': '/empty?' })
    const detail = await migrateFailure({ ownerUrl: url, appUrl: url })
    expect(detail).toMatch(/permission denied.*CREATEROLE/)
    expect(detail).not.toMatch(/\n/)
  })
})
