/**
 * Remembers vectors of texts that come again: queries, criteria, the messages of a context at each FILTER. The least
 * recently used leave first, at a bound in bytes. Texts that are being embedded are waited for, not sent twice.
 *
 * Entries are found by purpose and SHA-256 of the text, and hold nothing else than the vector. A vector is a function of
 * its text alone, so tenants may share entries: what a tenant gets is what it would get anyway. How fast it gets it is
 * not promised to be independent of what others asked before.
 */
import { createHash } from 'node:crypto'
import type { Embedder, EmbeddingPurpose } from '../../ports/embedder.ts'
import { untilAborted } from '../calls/until-aborted.ts'
import { embedderRefused, refusedPositions } from './embedder-errors.ts'

/** What an entry takes beside its vector: key, map slot, array header. */
const entryOverheadBytes = 250

type VectorStore = {
  get(key: string): Float32Array | undefined
  set(key: string, vector: Float32Array): void
  clear(): void
}

const createVectorStore = (maxBytes: number): VectorStore => {
  const vectors = new Map<string, Float32Array>()
  let bytes = 0
  const remove = (key: string): void => {
    const vector = vectors.get(key)
    if (vector === undefined) return
    vectors.delete(key)
    bytes -= vector.byteLength + entryOverheadBytes
  }
  const store = (key: string, vector: Float32Array): void => {
    vectors.set(key, vector)
    bytes += vector.byteLength + entryOverheadBytes
  }
  return {
    get: (key) => {
      const vector = vectors.get(key)
      if (vector === undefined) return undefined
      remove(key)
      store(key, vector)
      return vector
    },
    set: (key, vector) => {
      remove(key)
      store(key, vector)
      for (const oldest of vectors.keys()) {
        if (bytes <= maxBytes) break
        remove(oldest)
      }
    },
    clear: () => {
      vectors.clear()
      bytes = 0
    },
  }
}

const keyOf = (text: string, purpose: EmbeddingPurpose): string =>
  `${purpose}:${createHash('sha256').update(text).digest('base64')}`

type Asked = {
  readonly purpose: EmbeddingPurpose
  readonly signal: AbortSignal | undefined
  /** Where in the caller's texts the key stands. */
  readonly positionsOf: (key: string) => readonly number[]
}

/** The same embedder, for one model, with a cache before it. `close` empties the cache. */
export const withEmbeddingCache = (embedder: Embedder, { maxBytes }: { readonly maxBytes: number }): Embedder => {
  const store = createVectorStore(maxBytes)
  const underway = new Map<string, Promise<Float32Array | undefined>>()

  const embedNew = async (textByKey: ReadonlyMap<string, string>, { purpose, signal, positionsOf }: Asked) => {
    const call = embedder.embed([...textByKey.values()], purpose, signal === undefined ? {} : { signal })
    const keys = [...textByKey.keys()]
    for (const [index, key] of keys.entries()) {
      const vector = call.then((vectors) => vectors[index])
      vector.catch(() => {})
      underway.set(key, vector)
    }
    try {
      const vectors = await call
      for (const [index, key] of keys.entries()) store.set(key, vectors[index] ?? new Float32Array(0))
      return new Map(keys.map((key, index) => [key, vectors[index]]))
    } catch (error) {
      const refused = refusedPositions(error)
      throw refused === undefined ? error : embedderRefused(refused.flatMap((place) => positionsOf(keys[place] ?? '')))
    } finally {
      for (const key of keys) underway.delete(key)
    }
  }

  /** Vectors of another caller's call. That call failing is its own matter: its texts may be bad, its caller gone. */
  const join = async (keys: readonly string[], signal: AbortSignal | undefined) => {
    const calls = keys.map(async (key) => [key, await underway.get(key)?.catch(() => undefined)] as const)
    return new Map(await untilAborted(Promise.all(calls), signal))
  }

  const embed: Embedder['embed'] = async (texts, purpose, { signal } = {}) => {
    signal?.throwIfAborted()
    const keys = texts.map((text) => keyOf(text, purpose))
    const positionsOf = (key: string) => keys.flatMap((other, position) => (other === key ? [position] : []))
    const asked = { purpose, signal, positionsOf }
    const textByKey = new Map(keys.map((key, index) => [key, texts[index] ?? '']))
    const found = new Map([...textByKey.keys()].map((key) => [key, store.get(key)]))
    const missing = () => [...textByKey].filter(([key]) => found.get(key) === undefined)
    const embedMissing = async (entries: readonly (readonly [string, string])[]): Promise<void> => {
      if (entries.length === 0) return
      for (const [key, vector] of await embedNew(new Map(entries), asked)) found.set(key, vector)
    }
    const fresh = missing().filter(([key]) => !underway.has(key))
    const joined = join(
      missing().flatMap(([key]) => (underway.has(key) ? [key] : [])),
      signal,
    )
    joined.catch(() => {})
    await embedMissing(fresh)
    for (const [key, vector] of await joined) found.set(key, vector)
    await embedMissing(missing())
    return keys.map((key) => (found.get(key) ?? new Float32Array(embedder.dimensions)).slice())
  }

  return {
    get model() {
      return embedder.model
    },
    get dimensions() {
      return embedder.dimensions
    },
    get thresholds() {
      return embedder.thresholds
    },
    embed,
    checkHealth: (options) => embedder.checkHealth(options),
    close: async () => {
      store.clear()
      await embedder.close()
    },
  }
}
