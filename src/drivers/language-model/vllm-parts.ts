/** What the verbs of the driver share, wired once. */
import type { Logger } from 'pino'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { createFairSlots } from '../../shared/fair-slots.ts'
import { createBreaker } from '../calls/breaker.ts'
import { createLifetime } from '../calls/lifetime.ts'
import type { CallRecord } from './call-record.ts'
import { createExchange } from './exchange.ts'
import { inferenceMisconfigured, inferenceUnavailable } from './inference-errors.ts'
import { createServedModel } from './served-model.ts'
import { createTokenCounter } from './token-counter.ts'
import { createVllmClient, type VllmServer } from './vllm-client.ts'
import { createContact } from './vllm-contact.ts'

const countsRememberedMax = 4_096
export type VllmModelOptions = VllmServer & {
  readonly model: string
  /** Key of the HMAC that makes cache salts of tenants. */
  readonly saltSecret: string
  /** Between two events of a stream, and before the first, which takes as long as the prompt is read. */
  readonly stallMs?: number
  readonly concurrencyMax: number
  readonly concurrencyPerTenantMax: number
  /** Calls that wait for a place, of all tenants. */
  readonly queueMax: number
  readonly logger: Logger
  readonly clock?: Clock
  /** Told of each generation once, when it has ended. */
  readonly onCall?: (record: CallRecord) => void
}

/** @throws AppError `inference.misconfigured` when url, key or secret cannot be used at all */
export const openParts = (options: VllmModelOptions) => {
  const { model, timeoutMs, logger, clock = systemClock } = options
  if (options.saltSecret === '') throw inferenceMisconfigured('The secret of the cache salts is empty.')
  const lifetime = createLifetime()
  const client = createVllmClient(options)
  const exchange = createExchange({
    breaker: createBreaker({ server: 'The model server', unavailable: inferenceUnavailable, clock, logger }),
    windowTokens: () => served.windowTokens(),
    onFailure: ({ error, isAway }) => {
      if (isAway || error.code === 'inference.refused') served.forget()
    },
  })
  const contact = createContact({ client, model, exchange, lifetime, timeoutMs })
  const served = createServedModel({ model, logger, listModels: contact.listModels })
  const counter = createTokenCounter({ entriesMax: countsRememberedMax, ask: contact.countTokens })
  const slots = createFairSlots({
    runningMax: options.concurrencyMax,
    // However it is set, one tenant never has every place where there are several.
    runningPerTenantMax: Math.min(options.concurrencyPerTenantMax, Math.max(1, options.concurrencyMax - 1)),
    waitingMax: options.queueMax,
    turnedAway: (retryAfterSeconds) =>
      inferenceUnavailable('Too many calls wait for the language model. Try again later.', { retryAfterSeconds }),
  })
  return { lifetime, client, exchange, contact, served, counter, slots, clock }
}

export type Parts = ReturnType<typeof openParts>
