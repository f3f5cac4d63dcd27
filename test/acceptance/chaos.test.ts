/** Scenarios of the chaos suite for a few seconds each: that they hold, and that the suite itself runs. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ChaosContext, Outcome } from '../../chaos/scenario.ts'
import { playCrossTenant } from '../../chaos/scenarios/cross-tenant.ts'
import { playKill } from '../../chaos/scenarios/kill.ts'
import { playOneSession } from '../../chaos/scenarios/one-session.ts'
import { createLab, type Lab } from '../../chaos/support/lab.ts'
import { createRandom } from '../../chaos/support/random.ts'

const figureOf = ({ figures }: Outcome, name: string): number =>
  Number(figures.find(({ what }) => what.startsWith(name))?.value)

// Each starts a service, and one starts it twice: the runner's limit is for tests that start none.
describe('chaos, in short', { timeout: 180_000 }, () => {
  let lab: Lab
  beforeEach(() => {
    lab = createLab()
  })
  afterEach(() => lab.close(), 60_000)

  const contextOf = (seconds: number): ChaosContext => ({
    ...{ lab, seconds, random: createRandom(1), signal: new AbortController().signal },
    say: () => {},
  })

  it('T1: every door asked with the ids of another tenant tells nothing of it and changes nothing of it', async () => {
    const outcome = await playCrossTenant(contextOf(60), 150)
    expect(outcome.findings).toEqual([])
    expect(figureOf(outcome, 'requests')).toBe(150)
  })

  it('A4, C1, C2, C3, C4, C5, C8: eight clients of all verbs on one session deadlock nowhere and lose nothing', async () => {
    const outcome = await playOneSession(contextOf(2), 8)
    expect(outcome.findings).toEqual([])
    expect(figureOf(outcome, 'requests')).toBeGreaterThan(20)
  })

  it('M1, M2: the service is killed under keyed writes of all kinds, and each acknowledged one is there once', async () => {
    const outcome = await playKill(contextOf(0.1), ['service'])
    expect(outcome.findings).toEqual([])
    expect(figureOf(outcome, 'acknowledged in all')).toBeGreaterThan(10)
  })
})
