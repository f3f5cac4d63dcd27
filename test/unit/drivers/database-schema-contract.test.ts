import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listKnownMigrations, planMigration, schemaVersionOf } from '../../../src/drivers/database/schema-contract.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import { root } from '../../support/service-process.ts'

describe('planMigration', () => {
  const known = ['0001-a', '0002-b']
  it.each([
    ['an empty database', [], null, 'migrate'],
    ['one that is behind', ['0001-a'], 1, 'migrate'],
    ['one that is the same', ['0001-a', '0002-b'], 2, 'nothing'],
    ['one that is ahead', ['0001-a', '0002-b', '0003-c'], 2, 'nothing'],
    ['one that is ahead and broke with it', ['0001-a', '0002-b', '0003-c'], 3, 'refused'],
    ['one of another line', ['0001-a', '0002-x'], 1, 'refused'],
  ] as const)('%s', async (_, names, processMin, plan) => {
    const planned = await Promise.resolve()
      .then(() => planMigration(known, { applied: names, processMin }))
      .catch((error: unknown) => (isAppError(error, 'database.schema_refused') ? 'refused' : String(error)))
    expect(planned).toBe(plan)
  })

  it('goes by the number that a file begins with', async () => {
    expect(schemaVersionOf(['0001-a', '0012-b', '0003-c'])).toBe(12)
    expect(schemaVersionOf(await listKnownMigrations(join(root, 'migrations')))).toBeGreaterThan(4)
  })
})
