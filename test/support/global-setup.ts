/** One real PostgreSQL for the whole run, with a migrated template that each test file clones in milliseconds. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import pino from 'pino'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/drivers/database/embedded-postgres.ts'
import { migrate } from '../../src/drivers/database/migrate.ts'
import { templateDatabase, withDatabase } from './database-url.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The superuser's. */
    clusterUrl: string
    serviceUrl: string
    backgroundUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const logger = pino({ level: 'silent' })
  const dataDir = await mkdtemp(join(tmpdir(), 'agemem-test-'))
  const postgres = await startEmbeddedPostgres({ dataDir, logger })
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query(`create database ${templateDatabase}`)
  await client.end()
  const templateUrl = withDatabase(postgres.url, templateDatabase)
  await migrate({
    ownerUrl: templateUrl,
    appUrl: withDatabase(postgres.serviceUrl, templateDatabase),
    backgroundUrl: withDatabase(postgres.backgroundUrl, templateDatabase),
    connectTimeoutMs: 10_000,
    logger,
  })
  project.provide('clusterUrl', postgres.url)
  project.provide('serviceUrl', postgres.serviceUrl)
  project.provide('backgroundUrl', postgres.backgroundUrl)
  return async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}
