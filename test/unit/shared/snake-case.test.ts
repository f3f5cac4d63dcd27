import { expect, it } from 'vitest'
import { toSnakeCase } from '../../../src/shared/snake-case.ts'

it('keys are in snake_case at any depth', () => {
  expect(toSnakeCase({ byName: [{ searchMs: { p50: 1 } }] })).toEqual({ by_name: [{ search_ms: { p50: 1 } }] })
})
