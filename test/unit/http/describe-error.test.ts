import { describe, expect, it } from 'vitest'
import { describeError, logFailure } from '../../../src/http/describe-error.ts'
import { clientGone, routeNotFound } from '../../../src/http/http-errors.ts'
import { overloaded } from '../../../src/http/load-errors.ts'
import { inferenceNotConfigured } from '../../../src/modules/policy/policy.errors.ts'
import { AppError, brokenInvariant } from '../../../src/shared/errors.ts'

const unavailable = { code: 'x.unavailable', status: 503, detail: 'Away.' } as const

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

  it.each([
    ['a bound that was reached', overloaded(), [['warn', 'server.overloaded']]],
    ['a part that is not configured', inferenceNotConfigured(), [['warn', 'inference.not_configured']]],
    ['a client that left', clientGone(), [['info', 'the client went away']]],
    ['a mistake of the client', routeNotFound(), []],
    ['a part that failed', new AppError({ ...unavailable, cause: new Error('gone') }), [['error', 'x.unavailable']]],
    ['a fault', brokenInvariant('never'), [['error', 'internal.broken_invariant']]],
  ])('tells %s at its level', (_, error, expected) => {
    const told: [string, string][] = []
    const at = (level: string) => (first: unknown, second?: string) => {
      told.push([level, second ?? String(first)])
    }
    logFailure({ error: at('error'), warn: at('warn'), info: at('info') }, error)
    expect(told).toEqual(expected)
  })
})
