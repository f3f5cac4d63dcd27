import pino from 'pino'
import { expect, test } from 'vitest'
import { startEmbeddedPostgres } from '../../../src/drivers/database/embedded-postgres.ts'

/** As on a system that no package has binaries for, or in an install that left them out. */
const withoutBinaries = async <T>(work: () => Promise<T>): Promise<T> => {
  const { arch } = process
  Object.defineProperty(process, 'arch', { value: 'none' })
  try {
    return await work()
  } finally {
    Object.defineProperty(process, 'arch', { value: arch })
  }
}

test('an install without an embedded database says so first, whatever is wrong with the folder', async () => {
  const dataDir = '/dev/null/data'
  const failure = withoutBinaries(() => startEmbeddedPostgres({ dataDir, logger: pino({ level: 'silent' }) }))
  await expect(failure).rejects.toMatchObject({
    code: 'database.embedded_failed',
    detail: expect.stringMatching(/^There is no embedded database for \w+-none: .* or set AGEMEM_DATABASE_URL/),
  })
})
