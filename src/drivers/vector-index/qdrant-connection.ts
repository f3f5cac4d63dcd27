/** The server, and what is known of the index that serves there. */
import { QdrantClient } from '@qdrant/js-client-rest'
import type { Logger } from 'pino'
import type { ServingIndex } from '../../ports/vector-index.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAppError } from '../../shared/errors.ts'
import { createQdrantAgent } from './qdrant-agent.ts'
import { createQdrantCall, isOfNoUse, type QdrantCall, untilAborted } from './qdrant-call.ts'
import { createCollections, vectorNameOf } from './qdrant-collection.ts'
import { vectorIndexUnavailable } from './vector-index-errors.ts'

export type QdrantIndexOptions = {
  /** With the path under which it is reached, if any. Without a port: 6333. */
  readonly url: string
  readonly apiKey: string | null
  /** The alias that is used, and with `-` behind it the beginning of every collection's name. */
  readonly collectionPrefix: string
  readonly model: string
  readonly dimensions: number
  /** For each request that reads. */
  readonly timeoutMs: number
  /** For each request that writes. */
  readonly writeTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
}

export type Wanted = { readonly signal?: AbortSignal | undefined }

/**
 * The key goes as a header, since as an option it makes the client print a warning over http; answers are asked for
 * uncompressed, since the server sends compressed ones in two pieces of which the second waits for an acknowledgement;
 * deadlines come as signals, which the client takes only without one of its own.
 */
const createClient = ({ url, apiKey }: QdrantIndexOptions): QdrantClient => {
  const { pathname } = new URL(url)
  const hasPort = /^https?:\/\/[^/]*:\d+/.test(url)
  return new QdrantClient({
    url: new URL(url).origin,
    port: hasPort ? null : 6333,
    prefix: pathname.replace(/\/+$/, ''),
    timeout: Number.POSITIVE_INFINITY,
    checkCompatibility: false,
    headers: { 'accept-encoding': 'identity', ...(apiKey === null ? {} : { 'api-key': apiKey }) },
  })
}

export type Connection = ReturnType<typeof connectToQdrant>

export const connectToQdrant = (options: QdrantIndexOptions) => {
  const client = createClient(options)
  const { dispatcher, close } = createQdrantAgent()
  const rawCall = createQdrantCall({ ...options, dispatcher })
  const [aliasName, vectorName] = [options.collectionPrefix, vectorNameOf(options)]
  const collections = createCollections({ ...options, client, call: rawCall, aliasName, vectorName })
  let known: Promise<ServingIndex | null> | null = null

  const findServing = ({ signal }: Wanted = {}): Promise<ServingIndex | null> => {
    if (known === null) {
      const asked = collections.findServing({ timeoutMs: options.timeoutMs })
      const forget = () => {
        if (known === asked) known = null
      }
      known = asked
      asked.then((found) => {
        if (found?.fits !== true) forget()
      }, forget)
    }
    return untilAborted(known, signal)
  }

  const call: QdrantCall = (exchange, read, limits) =>
    rawCall(exchange, read, limits).catch((error: unknown) => {
      if (isAppError(error) && isOfNoUse(error.cause)) known = null
      throw error
    })

  const getServing = async (wanted: Wanted): Promise<ServingIndex> => {
    const serving = await findServing(wanted)
    if (serving === null) throw vectorIndexUnavailable('Qdrant has no index; it is about to be built.')
    return serving
  }

  const forget = () => {
    known = null
  }

  const verbs = { aliasName, vectorName, collections, findServing, getServing, forget }
  return { ...options, ...verbs, api: client.api(), call, close }
}
