import { describe, expect, it } from 'vitest'
import { translateCommitError, translateDatabaseError } from '../../../src/drivers/database/database-errors.ts'
import { parseOpenFilesMax } from '../../../src/drivers/process/open-files.ts'

const withCode = (code: string) => Object.assign(new Error('no'), { code })

describe('what becomes of an error of the driver', () => {
  it.each([
    ['a date that is none', new RangeError('Invalid time value')],
    ['a JSON text that is none', new SyntaxError('Unexpected token')],
    ['a value that is not there', new TypeError('Cannot read properties of undefined')],
  ])('%s, read in this process, is a 500 and no outage', (_, error) => {
    expect(translateDatabaseError(error)).toMatchObject({ code: 'internal.broken_invariant', status: 500 })
  })

  it.each([
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EPERM', 'ETIMEDOUT', 'EMFILE', 'ENOENT', 'EAI_AGAIN'].map(withCode),
    ...['Connection terminated unexpectedly', 'timeout exceeded when trying to connect', 'Query read timeout'].map(
      (text) => new Error(text),
    ),
    Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL' }),
    ...['08006', '53300', '57P01', '58030', '25006'].map(withCode),
  ])('what the connection or the server lacks is a 503: %s', (error) => {
    expect(translateDatabaseError(error)).toMatchObject({ code: 'database.unavailable', status: 503, retryable: true })
  })

  it('a commit is told as undone only when the server refused it by its own rules', () => {
    for (const code of ['23505', '40001', '40P01', '57014', '25006', 'P0001'])
      expect(translateCommitError(withCode(code)).code).not.toBe('database.commit_unknown')
    for (const error of [
      ...['08006', '53100', '57P01', '57P02', '58030', 'XX000', 'EPIPE'].map(withCode),
      new Error(''),
    ])
      expect(translateCommitError(error)).toMatchObject({ code: 'database.commit_unknown', retryable: true })
  })
})

describe('the limit of open files', () => {
  it('is read from the words of the kernel, and unknown where there are none', () => {
    const limits =
      'Limit  Soft Limit  Hard Limit  Units\nMax open files            128                  4096     files\n'
    expect(parseOpenFilesMax(limits)).toBe(128)
    expect(parseOpenFilesMax('Max open files            unlimited   unlimited   files')).toBeNull()
    expect(parseOpenFilesMax('')).toBeNull()
  })
})
