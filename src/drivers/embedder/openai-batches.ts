/**
 * Any number of texts as requests of bounded size. The texts of one call go out one request after another; calls run side
 * by side up to a bound, tenants taking turns at each request. What a request brought is handed on at once, so that a call
 * which is cut short leaves what it had done. A request that the server rejects is halved until the texts it does not want stand alone, so
 * that a bad one costs its neighbours nothing. If both halves pass, it was the size: the bound is halved for good.
 */
import type { Logger } from 'pino'
import type { EmbeddingPurpose } from '../../ports/embedder.ts'
import { AppError } from '../../shared/errors.ts'
import { createFairSlots } from '../../shared/fair-slots.ts'
import { embedderRefused, embedderUnavailable } from './embedder-errors.ts'
import { type Exchange, postEmbeddings } from './openai-exchange.ts'
import { readEmbeddings } from './openai-reply.ts'

/**
 * Characters of one request, and of one text: longer ones are cut. Embedding models read 256 to 8,192 tokens, and servers
 * that read on take half a second a thousand characters on a slow machine, so more would only miss the deadline.
 */
const requestCharsMax = 32_768

/** Calls that wait for a turn; the longest line gives way first. */
const waitingMax = 4_096

/** Of one vector as numbers in JSON, and of what stands around them. The dimensions are not known before the first answer. */
const bytesPerNumber = 32
const frameBytes = 65_536
const unknownDimensions = 16_384

/** The first texts that fit one request; one at least. */
const firstPart = (texts: readonly string[], textsMax: number): readonly string[] => {
  let chars = 0
  const tooMany = texts.findIndex((text, index) => {
    chars += text.length
    return index === textsMax || (index > 0 && chars > requestCharsMax)
  })
  return tooMany === -1 ? texts : texts.slice(0, tooMany)
}

export type EmbeddingServer = {
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
  /** Requests under way at once, of all tenants; those of one tenant are half of it where nothing is said. */
  readonly requestsMax?: number
  readonly requestsPerTenantMax?: number
  readonly retriesMax?: number
  readonly backoffMs?: number
  readonly logger: Logger
}

const misconfigured = (detail: string) => new AppError({ code: 'embedder.misconfigured', status: 500, detail })

/** Neither address nor key is repeated in the error: both may hold a secret. */
const exchangeOf = (options: EmbeddingServer): Exchange => {
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

export type Call = {
  readonly purpose: EmbeddingPurpose
  readonly signal: AbortSignal
  readonly tenantId?: string | undefined
  /** Null: not known yet. */
  readonly dimensions: number | null
  /** Told of the vectors of each request, by where its first text stands; null in the place of a text that is refused. */
  readonly onPart?: (start: number, vectors: readonly (Float32Array | null)[]) => void
}

export type EmbedAll = (texts: readonly string[], call: Call) => Promise<readonly Float32Array[]>

type Part = { readonly texts: readonly string[]; readonly start: number }

const tooManyWait = (retryAfterSeconds: number) =>
  embedderUnavailable('Too many texts wait for the embedding server. Try again later.', { retryAfterSeconds })

/**
 * @throws AppError `embedder.misconfigured` when url or key cannot be used; its verb `embedder.refused` with the positions
 *   of all texts that the server does not want, `embedder.unavailable` and `embedder.misbehaved`
 */
export const createBatches = (options: EmbeddingServer): EmbedAll => {
  const { model, inputType = 'none', dimensions, queryPrefix = '', passagePrefix = '', logger } = options
  const { requestsMax = 16, requestsPerTenantMax = Math.ceil(requestsMax / 2) } = options
  const exchange = exchangeOf(options)
  const slots = createFairSlots({
    ...{ runningMax: requestsMax, runningPerTenantMax: requestsPerTenantMax, waitingMax },
    turnedAway: tooManyWait,
  })
  let textsMax = options.batchTextsMax ?? 64

  const bodyOf = (texts: readonly string[], purpose: EmbeddingPurpose): object => ({
    model,
    input: texts.map((text) => (purpose === 'query' ? queryPrefix : passagePrefix) + text),
    encoding_format: 'base64',
    ...(dimensions ? { dimensions } : {}),
    ...(inputType === 'query-passage' ? { input_type: purpose } : {}),
  })

  const post = (texts: readonly string[], { purpose, signal, tenantId = '', dimensions: known }: Call) => {
    const answerBytesMax = frameBytes + texts.length * (known ?? unknownDimensions) * bytesPerNumber
    const send = () => postEmbeddings(exchange, { body: bodyOf(texts, purpose), answerBytesMax, signal })
    return slots.use(tenantId, send, signal)
  }

  /** Null in the place of a text that is refused. */
  const embedPart = async ({ texts, start }: Part, call: Call): Promise<readonly (Float32Array | null)[]> => {
    const result = await post(texts, call)
    if (result.outcome === 'answered' || texts.length === 1) {
      const vectors = result.outcome === 'answered' ? readEmbeddings(result.body, texts.length) : [null]
      call.onPart?.(start, vectors)
      return vectors
    }
    const half = Math.ceil(texts.length / 2)
    const first = await embedPart({ texts: texts.slice(0, half), start }, call)
    const vectors = [...first, ...(await embedPart({ texts: texts.slice(half), start: start + half }, call))]
    if (half < textsMax && !vectors.includes(null)) {
      textsMax = Math.max(half, Math.floor(textsMax / 2))
      logger.info({ textsMax }, 'the embedding server takes fewer texts a request than were sent')
    }
    return vectors
  }

  return async (texts, call) => {
    const vectors: (Float32Array | null)[] = []
    const cut = texts.map((text) => text.slice(0, requestCharsMax).replace(/[\uD800-\uDBFF]$/, ''))
    while (vectors.length < cut.length) {
      const start = vectors.length
      vectors.push(...(await embedPart({ texts: firstPart(cut.slice(start), textsMax), start }, call)))
    }
    const refused = vectors.flatMap((vector, position) => (vector === null ? [position] : []))
    if (refused.length > 0) throw embedderRefused(refused)
    return vectors.flatMap((vector) => vector ?? [])
  }
}
