/**
 * Keeps a server that is away from costing each call a deadline. It counts failures in a row. Up to `failuresMax`
 * everything is let through; from then on one call each `cooldownMs` is, and the rest fail at once; the first answer of
 * any kind closes it again.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import type { AppError } from '../../shared/errors.ts'

const failuresMax = 3
const cooldownMs = 1_000

export type Breaker = {
  /** @throws what `unavailable` makes while it is open */
  ensureMayCall(): void
  noteAnswer(): void
  /** The error is logged where one is given. */
  noteFailure(error?: AppError): void
}

export type BreakerOptions = {
  /** Begins a sentence: `Qdrant`. */
  readonly server: string
  /** The driver's own error for a server that is away. */
  readonly unavailable: (detail: string) => AppError
  readonly clock: Clock
  readonly logger: Logger
}

export const createBreaker = ({ server, unavailable, clock, logger }: BreakerOptions): Breaker => {
  let failures = 0
  let blockedUntilMs = 0
  return {
    ensureMayCall: () => {
      if (failures < failuresMax) return
      if (clock.monotonicMs() < blockedUntilMs)
        throw unavailable(`${server} did not answer the last calls; it is tried again within a second.`)
      blockedUntilMs = clock.monotonicMs() + cooldownMs
    },
    noteAnswer: () => {
      if (failures >= failuresMax) logger.info(`${server} answers again`)
      failures = 0
    },
    noteFailure: (error) => {
      failures += 1
      if (failures !== failuresMax) return
      blockedUntilMs = clock.monotonicMs() + cooldownMs
      logger.warn(
        error === undefined ? {} : { err: error },
        `${server} does not answer; calls fail at once until it does`,
      )
    },
  }
}
