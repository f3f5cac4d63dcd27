/**
 * Remembers vectors of texts that come again: queries, criteria, the messages of a context at each FILTER. The least
 * recently used leave first, at a bound in bytes. Texts that are being embedded are waited for, not sent twice.
 *
 * Entries are found by tenant, purpose and SHA-256 of the text, and hold nothing else than the vector. A vector is a
 * function of its text alone, yet tenants share no entries: how fast an answer comes must not tell one of them what
 * another has asked (T1).
 *
 * An entry does not know which agent's text it was, so an erasure drops all of the tenant's, calls under way included:
 * what they bring is handed on and not kept. No entry lives longer than a few minutes, which bounds what deletions of
 * single memories, and erasures by other processes, leave here.
 */
import { createHash } from 'node:crypto'
import type { Embedder, EmbeddingPurpose } from '../../ports/embedder.ts'
import { untilAborted } from '../calls/until-aborted.ts'
import { embedderRefused, refusedPositions } from './embedder-errors.ts'

/** What an entry takes beside its vector: key, map slot, array header. */
const entryOverheadBytes = 250

const ageMaxMs = 600_000
const sweepEveryMs = 60_000

type VectorStore = {
  get(key: string): Float32Array | undefined
  set(key: string, vector: Float32Array): void
  /** Removes what was stored before this moment, however often it was used since. */
  dropStoredBefore(moment: number): void
  dropOf(tenantId: string): void
  clear(): void
}

type Entry = { readonly vector: Float32Array; readonly storedMs: number }

const prefixOf = (tenantId: string): string => `${tenantId}:`

const createVectorStore = (maxBytes: number): VectorStore => {
  const entries = new Map<string, Entry>()
  let bytes = 0
  const remove = (key: string): void => {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    bytes -= entry.vector.byteLength + entryOverheadBytes
  }
  const store = (key: string, entry: Entry): void => {
    entries.set(key, entry)
    bytes += entry.vector.byteLength + entryOverheadBytes
  }
  return {
    get: (key) => {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      remove(key)
      store(key, entry)
      return entry.vector
    },
    set: (key, vector) => {
      remove(key)
      store(key, { vector, storedMs: performance.now() })
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes) break
        remove(oldest)
      }
    },
    dropStoredBefore: (moment) => {
      for (const [key, { storedMs }] of entries) if (storedMs < moment) remove(key)
    },
    dropOf: (tenantId) => {
      for (const key of entries.keys()) if (key.startsWith(prefixOf(tenantId))) remove(key)
    },
    clear: () => {
      entries.clear()
      bytes = 0
    },
  }
}

const keyOf = (tenantId: string, purpose: EmbeddingPurpose, text: string): string =>
  `${prefixOf(tenantId)}${purpose}:${createHash('sha256').update(text).digest('base64')}`

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
  /** Grows when texts are to be forgotten, so that a call that began before keeps nothing after. */
  let generation = 0
  const sweep = setInterval(() => store.dropStoredBefore(performance.now() - ageMaxMs), sweepEveryMs).unref()

  const embedNew = async (textByKey: ReadonlyMap<string, string>, { purpose, signal, positionsOf }: Asked) => {
    const call = embedder.embed([...textByKey.values()], purpose, signal === undefined ? {} : { signal })
    const keys = [...textByKey.keys()]
    const asked = generation
    for (const [index, key] of keys.entries()) {
      const vector = call.then((vectors) => vectors[index])
      vector.catch(() => {})
      underway.set(key, vector)
    }
    try {
      const vectors = await call
      if (asked === generation)
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

  const embed: Embedder['embed'] = async (texts, purpose, options = {}) => {
    const { signal, tenantId } = options
    signal?.throwIfAborted()
    if (tenantId === undefined) return embedder.embed(texts, purpose, options)
    const keys = texts.map((text) => keyOf(tenantId, purpose, text))
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
    forget: (tenantId) => {
      generation += 1
      store.dropOf(tenantId)
    },
    close: async () => {
      clearInterval(sweep)
      store.clear()
      await embedder.close()
    },
  }
}
