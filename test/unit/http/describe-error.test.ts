import { describe, expect, it } from 'vitest'
import { describeError } from '../../../src/http/describe-error.ts'
import { AppError } from '../../../src/shared/errors.ts'

describe('an error in the log', () => {
  it('never quotes what a library choked on, however deep', () => {
    const vendor = Object.assign(new Error('invalid input syntax: "peanut allergy"'), {
      code: '22P02',
      detail: 'Key (content)=(peanut allergy) already exists.',
      parameters: ['peanut allergy'],
    })
    const error = new AppError({
      code: 'internal.x',
      status: 500,
      detail: 'It broke.',
      cause: new Error('peanut allergy', { cause: vendor }),
    })
    const text = JSON.stringify(describeError(error))
    expect(text).not.toContain('peanut')
    expect(text).toContain('internal.x')
    expect(text).toContain('It broke.')
    expect(text).toContain('22P02')
    expect(text).toContain('describe-error.test.ts')
  })

  it('of another kind than Error is its type', () => {
    expect(describeError('peanut allergy')).toEqual({ type: 'string' })
  })

  it('that causes itself is described once and for all', () => {
    const error = new Error('loop')
    error.cause = error
    expect(JSON.stringify(describeError(error)).length).toBeLessThan(20_000)
  })
})
