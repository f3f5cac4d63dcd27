/**
 * Keeps a server that is away from costing each call a deadline. It counts failures in a row. Up to `failuresMax`
 * everything is let through; from then on one call each `cooldownMs` is, and the rest fail at once; the first answer of
 * any kind closes it again.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import { inferenceUnavailable } from './inference-errors.ts'

const failuresMax = 3
const cooldownMs = 1_000

export type Breaker = {
  /** @throws AppError `inference.unavailable` while it is open */
  ensureMayCall(): void
  noteAnswer(): void
  noteFailure(): void
}

export const createBreaker = ({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }): Breaker => {
  let failures = 0
  let blockedUntilMs = 0
  return {
    ensureMayCall: () => {
      if (failures < failuresMax) return
      if (clock.nowMs() < blockedUntilMs)
        throw inferenceUnavailable('The model server did not answer the last calls; it is tried again within a second.')
      blockedUntilMs = clock.nowMs() + cooldownMs
    },
    noteAnswer: () => {
      if (failures >= failuresMax) logger.info('the model server answers again')
      failures = 0
    },
    noteFailure: () => {
      failures += 1
      if (failures !== failuresMax) return
      blockedUntilMs = clock.nowMs() + cooldownMs
      logger.warn('the model server does not answer; calls fail at once until it does')
    },
  }
}
