/**
 * The language model behind a vLLM server. A call takes a place (bounded overall and per tenant), learns the window if it
 * is not known, makes the answer fit it, and is one request; nothing is generated twice. A server that is away at the
 * start does not keep the service from starting: the first call that reaches it learns what there is to know.
 */
import type { LanguageModel } from '../../ports/language-model.ts'
import { isAppError } from '../../shared/errors.ts'
import { inferenceClosed } from './inference-errors.ts'
import { openParts, type VllmModelOptions } from './vllm-parts.ts'
import { createTurns } from './vllm-turns.ts'

/** Health is not asked of the server again within this time after it was well. */
const healthyForMs = 5_000

/**
 * Resolves whether or not the server answers; `checkHealth` tells.
 * @throws AppError `inference.misconfigured` when url, key or secret cannot be used at all
 */
export const createVllmModel = async (options: VllmModelOptions): Promise<LanguageModel> => {
  const parts = openParts(options)
  const { lifetime, contact, served, counter, clock } = parts
  let healthyUntilMs = 0

  const checkHealth: LanguageModel['checkHealth'] = async ({ signal } = {}) => {
    try {
      if (lifetime.hasEnded()) throw inferenceClosed()
      if (clock.monotonicMs() >= healthyUntilMs) {
        await lifetime.run(signal, served.ensureKnown)
        await contact.ensureHealthy(signal)
        healthyUntilMs = clock.monotonicMs() + healthyForMs
      }
      return { ready: true, detail: 'The model server answers and serves the model.' }
    } catch (error) {
      signal?.throwIfAborted()
      return { ready: false, detail: isAppError(error) ? error.detail : 'The model server cannot be asked.' }
    }
  }

  await served.ensureKnown().catch(() => {})
  return {
    model: options.model,
    get windowTokens() {
      return served.windowTokens()
    },
    ...createTurns(options, parts),
    countTokens: (prompt, { signal }) => lifetime.run(signal, (ending) => counter.count(prompt, ending)),
    checkHealth,
    close: async () => {
      lifetime.end(inferenceClosed())
      counter.clear()
    },
  }
}
