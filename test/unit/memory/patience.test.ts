import { describe, expect, it } from 'vitest'
import { createPatience } from '../../../src/modules/memory/patience.ts'
import { createTestClock } from '../../support/modules.ts'

const setUp = () => {
  const clock = createTestClock()
  const patience = createPatience({ waitMaxMs: 1_000, clock })
  const note = (...outcomes: readonly ('in time' | 'in vain')[]) => {
    for (const outcome of outcomes) patience.note('ten_a', outcome)
    return patience.waitMs('ten_a')
  }
  return { clock, patience, note }
}

describe('patience', () => {
  it('is whole while what is waited for comes in time', () => {
    const { patience, note } = setUp()
    expect([patience.waitMs('ten_a'), note('in time', 'in time')]).toEqual([1_000, 1_000])
  })

  it('A2: is halved by each wait in vain, to an eighth, and doubled by each that was not', () => {
    const { note } = setUp()
    expect([note('in vain'), note('in vain'), note('in vain'), note('in vain', 'in vain')]).toEqual([
      500, 250, 125, 125,
    ])
    expect([note('in time'), note('in time'), note('in time')]).toEqual([250, 500, 1_000])
  })

  it('is whole again when nothing was in vain for a while', () => {
    const { clock, patience, note } = setUp()
    note('in vain', 'in vain')
    clock.advance(20_000)
    expect(note('in vain')).toBe(125)
    clock.advance(31_000)
    expect(patience.waitMs('ten_a')).toBe(1_000)
    expect(note('in vain')).toBe(500)
  })

  it('is of each tenant alone', () => {
    const { patience, note } = setUp()
    note('in vain')
    expect(patience.waitMs('ten_b')).toBe(1_000)
  })
})
