import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { templateDatabase, withDatabase } from './database-url.ts'

export type TestDatabase = {
  /** Superuser login of a migrated, empty database that no other test uses. */
  readonly url: string
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

export const createTestDatabase = async (): Promise<TestDatabase> => {
  const name = `test_${randomBytes(8).toString('hex')}`
  await runOnCluster(`create database ${name} template ${templateDatabase}`)
  return {
    url: withDatabase(inject('clusterUrl'), name),
    drop: () => runOnCluster(`drop database if exists ${name} with (force)`),
  }
}
