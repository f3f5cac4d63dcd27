/**
 * An embedder behind an OpenAI-compatible `/v1/embeddings` (vLLM, text-embeddings-inference and others).
 *
 * Connecting embeds the anchors once, which tells the dimension and the thresholds of the model. A server that is away
 * at the start does not keep the service from starting: the embedder is then not connected, and every `embed` and
 * `checkHealth` tries to connect first, all of them sharing one attempt. Until one succeeds, `dimensions` and
 * `thresholds` throw `embedder.unavailable`, since any number would be a wrong one.
 */
import { createHash } from 'node:crypto'
import type { Embedder, EmbeddingPurpose, EmbedOptions, SimilarityThresholds } from '../../ports/embedder.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { isAppError } from '../../shared/errors.ts'
import { untilAborted } from '../../shared/until-aborted.ts'
import { createLifetime } from '../calls/lifetime.ts'
import { embedderMisbehaved, embedderRefused, embedderUnavailable, refusedPositions } from './embedder-errors.ts'
import { createBatches, type EmbedAll, type EmbeddingServer } from './openai-batches.ts'
import { measureAnchors, thresholdsFromAnchors } from './thresholds.ts'
import { embedNonBlank } from './unit-vector.ts'

const healthTimeoutMs = 5_000
/** Health is not asked of the server again within this time after an answer. */
const healthyForMs = 5_000

export type OpenAiEmbedderOptions = EmbeddingServer & { readonly clock?: Clock }

type Asked = {
  readonly purpose: EmbeddingPurpose
  readonly signal: AbortSignal
  readonly tenantId: string | undefined
  readonly onVector: EmbedOptions['onVector'] | undefined
}

type Space = { readonly dimensions: number; readonly thresholds: SimilarityThresholds }

/** The model's name; what else changes the vectors of passages is hashed into it, as those are another space. */
const spaceName = ({ model, inputType = 'none', passagePrefix = '', dimensions = null }: OpenAiEmbedderOptions) => {
  if (inputType === 'none' && passagePrefix === '' && dimensions === null) return model
  const settings = JSON.stringify([inputType, passagePrefix, dimensions])
  return `${model}@${createHash('sha256').update(settings).digest('hex').slice(0, 8)}`
}

const ensureDimensions = (vectors: readonly (Float32Array | null)[], dimensions: number): void => {
  const odd = vectors.find((vector) => vector !== null && vector.length !== dimensions)
  if (odd) throw embedderMisbehaved(`${odd.length} dimensions instead of ${dimensions}`)
}

/** One call a purpose tells all that has to be known about the model. */
const measureSpace = async (embedAll: EmbedAll, asked: number | null, signal: AbortSignal): Promise<Space> => {
  let dimensions = asked
  const embed = async (texts: readonly string[], purpose: EmbeddingPurpose) => {
    const vectors = await embedAll(texts, { purpose, signal, dimensions })
    dimensions ??= vectors[0]?.length ?? 0
    ensureDimensions(vectors, dimensions)
    return vectors
  }
  try {
    const thresholds = thresholdsFromAnchors(await measureAnchors(embed))
    return { dimensions: dimensions ?? 0, thresholds }
  } catch (error) {
    if (!isAppError(error, 'embedder.refused')) throw error
    const detail = 'The embedding server refuses even short texts. Check the model and the dimensions of the embedder.'
    throw embedderUnavailable(detail)
  }
}

/**
 * Resolves whether or not the server answers; `checkHealth` tells. Vectors come out in unit length whatever the server
 * sends. @throws AppError `embedder.misconfigured` when the url or the key cannot be used at all
 */
export const createOpenAiEmbedder = async (options: OpenAiEmbedderOptions): Promise<Embedder> => {
  const { model, logger, dimensions = null, clock = systemClock } = options
  const embedAll = createBatches(options)
  const lifetime = createLifetime()
  let space: Space | null = null
  let connecting: Promise<Space> | null = null
  let healthyUntilMs = 0

  const connect = async (): Promise<Space> => {
    try {
      space = await lifetime.run(undefined, (signal) => measureSpace(embedAll, dimensions, signal))
      logger.info({ model, ...space }, 'connected with the embedding server')
      return space
    } catch (error) {
      if (!lifetime.hasEnded()) logger.warn({ model, err: error }, 'cannot connect with the embedding server')
      throw error
    } finally {
      connecting = null
    }
  }

  const spaceOrConnect = async (signal: AbortSignal | undefined): Promise<Space> => {
    if (space !== null) return space
    connecting ??= connect()
    return untilAborted(connecting, signal)
  }

  const knownSpace = (): Space => {
    if (space === null) throw embedderUnavailable('The embedding server has not been reached yet. Try again.')
    return space
  }

  const embedConnected = async (texts: readonly string[], { onVector, ...call }: Asked) => {
    const { dimensions } = await spaceOrConnect(call.signal)
    const embedFound = async (found: readonly string[], positions: readonly number[]) => {
      const onPart = (start: number, vectors: readonly (Float32Array | null)[]): void => {
        ensureDimensions(vectors, dimensions)
        for (const [index, vector] of vectors.entries())
          if (vector !== null) onVector?.(positions[start + index] ?? 0, vector)
      }
      try {
        const vectors = await embedAll(found, { ...call, dimensions, onPart })
        healthyUntilMs = clock.monotonicMs() + healthyForMs
        return vectors
      } catch (error) {
        const refused = refusedPositions(error)
        throw refused === undefined ? error : embedderRefused(refused.map((place) => positions[place] ?? place))
      }
    }
    return embedNonBlank(texts, embedFound, () => dimensions)
  }

  const embed: Embedder['embed'] = (texts, purpose, { signal: asked, tenantId, onVector } = {}) =>
    lifetime.run(asked, (signal) => embedConnected(texts, { purpose, signal, tenantId, onVector }))

  const checkHealth: Embedder['checkHealth'] = async ({ signal } = {}) => {
    if (clock.monotonicMs() < healthyUntilMs && !lifetime.hasEnded())
      return { ready: true, detail: 'The embedding server answers.' }
    const deadline = AbortSignal.timeout(healthTimeoutMs)
    try {
      await embed(['ready'], 'query', { signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]) })
      return { ready: true, detail: 'The embedding server answers.' }
    } catch (error) {
      signal?.throwIfAborted()
      const late = `The embedding server did not answer within ${healthTimeoutMs} ms.`
      return { ready: false, detail: isAppError(error) ? error.detail : late }
    }
  }

  await spaceOrConnect(undefined).catch(() => {})
  return {
    model: spaceName(options),
    get dimensions() {
      return knownSpace().dimensions
    },
    get thresholds() {
      return knownSpace().thresholds
    },
    embed,
    checkHealth,
    close: async () => lifetime.end(embedderUnavailable('The embedder is closed.')),
  }
}
