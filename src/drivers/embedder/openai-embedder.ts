/**
 * An embedder behind an OpenAI-compatible `/v1/embeddings` (vLLM, text-embeddings-inference and others).
 *
 * Connecting embeds the anchors once, which tells the dimension and the thresholds of the model. A server that is away
 * at the start does not keep the service from starting: the embedder is then not connected, and every `embed` and
 * `checkHealth` tries to connect first, all of them sharing one attempt. Until one succeeds, `dimensions` and
 * `thresholds` throw `embedder.unavailable`, since any number would be a wrong one.
 *
 * The texts of one call go out in requests of bounded size one after another; calls run side by side up to a bound.
 * A request that the server rejects is halved until the texts it does not want stand alone, so that a bad one costs its
 * neighbours nothing. If both halves pass, it was the size: the bound is lowered for good.
 */
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Embedder, EmbeddingPurpose, SimilarityThresholds } from '../../ports/embedder.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { AppError, isAppError } from '../../shared/errors.ts'
import { embedderMisbehaved, embedderRefused, embedderUnavailable, refusedPositions } from './embedder-errors.ts'
import { type Exchange, postEmbeddings } from './openai-exchange.ts'
import { readEmbeddings } from './openai-reply.ts'
import { createSlots } from './slots.ts'
import { measureAnchors, thresholdsFromAnchors } from './thresholds.ts'
import { embedNonBlank } from './unit-vector.ts'

const healthTimeoutMs = 5_000
/** Health is not asked of the server again within this time after an answer. */
const healthyForMs = 5_000

export type OpenAiEmbedderOptions = {
  /** Base address of the server, with or without `/v1`. */
  readonly url: string
  readonly model: string
  readonly apiKey?: string | null
  /** `query-passage`: the field `input_type` tells the server the purpose. */
  readonly inputType?: 'none' | 'query-passage'
  readonly queryPrefix?: string
  readonly passagePrefix?: string
  /** Asked of the server with each request; absent: never mentioned, since many models refuse it. */
  readonly dimensions?: number | null
  /** Deadline of one request to the server, its retries included. */
  readonly timeoutMs?: number
  readonly batchTextsMax?: number
  readonly requestsMax?: number
  readonly retriesMax?: number
  readonly backoffMs?: number
  readonly clock?: Clock
  readonly logger: Logger
}

type Space = { readonly dimensions: number; readonly thresholds: SimilarityThresholds }

const misconfigured = (detail: string) => new AppError({ code: 'embedder.misconfigured', status: 500, detail })

/** Neither address nor key is repeated in the error: both may hold a secret. */
const exchangeOf = (options: OpenAiEmbedderOptions): Exchange => {
  const { url, apiKey, timeoutMs = 30_000, retriesMax = 2, backoffMs = 250 } = options
  if (!URL.canParse(url) || !/^https?:/i.test(url)) throw misconfigured('The url of the embedder is no http address.')
  const base = new URL(url)
  if (base.username !== '' || base.password !== '')
    throw misconfigured('The url of the embedder holds a password. Configure it as the key of the embedder instead.')
  if (apiKey && !/^[\x21-\x7e]+$/.test(apiKey))
    throw misconfigured('The key of the embedder holds characters that no header can.')
  const path = base.pathname.replace(/\/+$/, '')
  base.pathname = `${path}${path.endsWith('/v1') ? '' : '/v1'}/embeddings`
  const authorization: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {}
  const headers = { 'content-type': 'application/json', accept: 'application/json', ...authorization }
  return { endpoint: base, headers, timeoutMs, retriesMax, backoffMs }
}

/** The model's name; what else changes the vectors of passages is hashed into it, as those are another space. */
const spaceName = ({ model, inputType = 'none', passagePrefix = '', dimensions = null }: OpenAiEmbedderOptions) => {
  if (inputType === 'none' && passagePrefix === '' && dimensions === null) return model
  const settings = JSON.stringify([inputType, passagePrefix, dimensions])
  return `${model}@${createHash('sha256').update(settings).digest('hex').slice(0, 8)}`
}

type Call = { readonly purpose: EmbeddingPurpose; readonly signal: AbortSignal }

type EmbedAll = (texts: readonly string[], call: Call) => Promise<readonly Float32Array[]>

/** Embeds any number of texts. @throws AppError `embedder.refused` with the positions of the texts that are not wanted */
const createBatches = (options: OpenAiEmbedderOptions): EmbedAll => {
  const { model, inputType = 'none', dimensions, queryPrefix = '', passagePrefix = '', logger } = options
  const exchange = exchangeOf(options)
  const slots = createSlots(options.requestsMax ?? 8)
  let textsMax = options.batchTextsMax ?? 64

  const bodyOf = (texts: readonly string[], purpose: EmbeddingPurpose): object => ({
    model,
    input: texts.map((text) => (purpose === 'query' ? queryPrefix : passagePrefix) + text),
    encoding_format: 'base64',
    ...(dimensions ? { dimensions } : {}),
    ...(inputType === 'query-passage' ? { input_type: purpose } : {}),
  })

  /** Null in the place of a text that is refused. */
  const embedPart = async (texts: readonly string[], call: Call): Promise<readonly (Float32Array | null)[]> => {
    const post = () => postEmbeddings(exchange, bodyOf(texts, call.purpose), call.signal)
    const result = await slots.use(post, call.signal)
    if (result.outcome === 'answered') return readEmbeddings(result.body, texts.length)
    if (texts.length === 1) return [null]
    const half = Math.ceil(texts.length / 2)
    const vectors = [...(await embedPart(texts.slice(0, half), call)), ...(await embedPart(texts.slice(half), call))]
    if (half < textsMax && !vectors.includes(null)) {
      textsMax = half
      logger.info({ textsMax }, 'the embedding server takes fewer texts a request than configured')
    }
    return vectors
  }

  return async (texts, call) => {
    const vectors: (Float32Array | null)[] = []
    while (vectors.length < texts.length)
      vectors.push(...(await embedPart(texts.slice(vectors.length, vectors.length + textsMax), call)))
    const refused = vectors.flatMap((vector, position) => (vector === null ? [position] : []))
    if (refused.length > 0) throw embedderRefused(refused)
    return vectors.flatMap((vector) => vector ?? [])
  }
}

/** Settles as `promise` does, or as soon as the signal aborts. */
const untilAborted = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })

const ensureDimensions = (vectors: readonly Float32Array[], dimensions: number): void => {
  const odd = vectors.find((vector) => vector.length !== dimensions)
  if (odd !== undefined) throw embedderMisbehaved(`${odd.length} dimensions instead of ${dimensions}`)
}

/** One call a purpose tells all that has to be known about the model. */
const measureSpace = async (embedAll: EmbedAll, asked: number | null, signal: AbortSignal): Promise<Space> => {
  let dimensions = asked
  const embed = async (texts: readonly string[], purpose: EmbeddingPurpose) => {
    const vectors = await embedAll(texts, { purpose, signal })
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
  const closing = new AbortController()
  let space: Space | null = null
  let connecting: Promise<Space> | null = null
  let healthyUntilMs = 0

  const connect = async (): Promise<Space> => {
    try {
      space = await measureSpace(embedAll, dimensions, closing.signal)
      logger.info({ model, ...space }, 'connected with the embedding server')
      return space
    } catch (error) {
      if (!closing.signal.aborted) logger.warn({ model, err: error }, 'cannot connect with the embedding server')
      throw error
    } finally {
      connecting = null
    }
  }

  const spaceOrConnect = async (signal: AbortSignal): Promise<Space> => {
    if (space !== null) return space
    connecting ??= connect()
    return untilAborted(connecting, signal)
  }

  const knownSpace = (): Space => {
    if (space === null) throw embedderUnavailable('The embedding server has not been reached yet. Try again.')
    return space
  }

  const embed: Embedder['embed'] = async (texts, purpose, { signal: asked } = {}) => {
    const signal = asked === undefined ? closing.signal : AbortSignal.any([asked, closing.signal])
    signal.throwIfAborted()
    const { dimensions } = await spaceOrConnect(signal)
    const embedFound = async (found: readonly string[], positions: readonly number[]) => {
      try {
        const vectors = await embedAll(found, { purpose, signal })
        ensureDimensions(vectors, dimensions)
        healthyUntilMs = clock.nowMs() + healthyForMs
        return vectors
      } catch (error) {
        const refused = refusedPositions(error)
        throw refused === undefined ? error : embedderRefused(refused.map((place) => positions[place] ?? place))
      }
    }
    return embedNonBlank(texts, embedFound, () => dimensions)
  }

  const checkHealth: Embedder['checkHealth'] = async ({ signal } = {}) => {
    if (clock.nowMs() < healthyUntilMs && !closing.signal.aborted)
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

  await spaceOrConnect(closing.signal).catch(() => {})
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
    close: async () => closing.abort(embedderUnavailable('The embedder is closed.')),
  }
}
