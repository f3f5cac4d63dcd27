import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { databaseOf, templateDatabase, withDatabase } from './database-url.ts'

export type TestDatabase = {
  /** Superuser login of a migrated, empty database that no other test uses. */
  readonly url: string
  /** The settings of a service on it, with the logins that a service is to have. */
  readonly env: Readonly<Record<'AGEMEM_DATABASE_URL' | `AGEMEM_DATABASE_${'OWNER' | 'BACKGROUND'}_URL`, string>>
  drop(): Promise<void>
}

const runOnCluster = async (statement: string): Promise<void> => {
  const client = new pg.Client({ connectionString: inject('clusterUrl') })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** The logins of requests and of background work, on the database of that URL. */
export const loginsOf = (url: string): { readonly url: string; readonly backgroundUrl: string } => ({
  url: withDatabase(inject('serviceUrl'), databaseOf(url)),
  backgroundUrl: withDatabase(inject('backgroundUrl'), databaseOf(url)),
})

export const createTestDatabase = async (): Promise<TestDatabase> => {
  const name = `test_${randomBytes(8).toString('hex')}`
  await runOnCluster(`create database ${name} template ${templateDatabase}`)
  const ownerUrl = withDatabase(inject('clusterUrl'), name)
  const { url, backgroundUrl } = loginsOf(ownerUrl)
  return {
    url: ownerUrl,
    env: {
      AGEMEM_DATABASE_URL: url,
      AGEMEM_DATABASE_OWNER_URL: ownerUrl,
      AGEMEM_DATABASE_BACKGROUND_URL: backgroundUrl,
    },
    drop: () => runOnCluster(`drop database if exists ${name} with (force)`),
  }
}
