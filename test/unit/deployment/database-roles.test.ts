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

describe('an owner that may create roles and a login that may do nothing', () => {
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
