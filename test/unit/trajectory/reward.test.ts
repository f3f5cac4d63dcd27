import { describe, expect, it } from 'vitest'
import { chooseReward } from '../../../src/modules/trajectory/reward.ts'
import type { Reward } from '../../../src/modules/trajectory/trajectory-types.ts'

const makeReward = (key: string): Reward => ({
  rewardId: `rew_${key}`,
  sessionId: 's',
  key,
  value: 1,
  parts: {},
  attachedBy: 'key_1',
  createdAt: '2026-01-01T00:00:00.000Z',
})
const chosen = (keys: readonly string[], key: string | null) => chooseReward(keys.map(makeReward), key)?.key ?? null

describe('the reward that a record carries', () => {
  it('is that of the key asked for, or none', () => {
    expect(chosen(['a', 'b'], 'b')).toBe('b')
    expect(chosen(['a'], 'b')).toBeNull()
    expect(chosen(['default'], 'b')).toBeNull()
  })

  it('unasked is that of default, else of the only key, else none', () => {
    expect(chosen(['a', 'default'], null)).toBe('default')
    expect(chosen(['a'], null)).toBe('a')
    expect(chosen(['a', 'b'], null)).toBeNull()
    expect(chosen([], null)).toBeNull()
  })
})
