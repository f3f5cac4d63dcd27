/**
 * Remembers vectors of texts that come again: queries, criteria, the messages of a context at each FILTER. The least
 * recently used leave first, at a bound in bytes. Texts that are being embedded are waited for, not sent twice. Each vector
 * is kept as it comes, so a call that is cut short leaves what it had done, and asking again ends. What a call says comes
 * once is found here too, as when the indexer comes to a memory that was looked at for duplicates, and is not kept.
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
import { untilAborted } from '../../shared/until-aborted.ts'
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
  readonly tenantId: string
  readonly purpose: EmbeddingPurpose
  readonly signal: AbortSignal | undefined
  readonly isKept: boolean
  /** Where in the caller's texts the key stands. */
  readonly positionsOf: (key: string) => readonly number[]
  readonly onFound: (key: string, vector: Float32Array) => void
}

type Underway = { readonly vector: Promise<Float32Array | undefined>; settle(vector: Float32Array | undefined): void }

const createUnderway = (): Underway => {
  let settle: Underway['settle'] = () => {}
  const vector = new Promise<Float32Array | undefined>((resolve) => {
    settle = resolve
  })
  return { vector, settle }
}

/** The same embedder, for one model, with a cache before it. `close` empties the cache. */
export const withEmbeddingCache = (embedder: Embedder, { maxBytes }: { readonly maxBytes: number }): Embedder => {
  const store = createVectorStore(maxBytes)
  const underway = new Map<string, Underway>()
  /** Grows when texts are to be forgotten, so that a call that began before keeps nothing after. */
  let generation = 0
  const sweep = setInterval(() => store.dropStoredBefore(performance.now() - ageMaxMs), sweepEveryMs).unref()

  const embedNew = async (textByKey: ReadonlyMap<string, string>, asked: Asked): Promise<void> => {
    const { tenantId, purpose, signal, isKept, positionsOf, onFound } = asked
    const keys = [...textByKey.keys()]
    const began = generation
    const own = new Map(keys.map((key) => [key, createUnderway()]))
    for (const [key, call] of own) underway.set(key, call)
    const end = (key: string, vector: Float32Array | undefined): void => {
      const call = own.get(key)
      own.delete(key)
      call?.settle(vector)
      if (underway.get(key) === call) underway.delete(key)
    }
    const hold = (index: number, vector: Float32Array): void => {
      const key = keys[index]
      if (key === undefined || !own.has(key)) return
      if (isKept && began === generation) store.set(key, vector)
      end(key, vector)
      onFound(key, vector)
    }
    try {
      const options = { tenantId, isOnce: !isKept, onVector: hold, ...(signal && { signal }) }
      const vectors = await embedder.embed([...textByKey.values()], purpose, options)
      for (const [index, vector] of vectors.entries()) hold(index, vector)
    } catch (error) {
      const refused = refusedPositions(error)
      throw refused === undefined ? error : embedderRefused(refused.flatMap((place) => positionsOf(keys[place] ?? '')))
    } finally {
      for (const key of [...own.keys()]) end(key, undefined)
    }
  }

  /** Vectors of another caller's call. That call failing is its own matter: its texts may be bad, its caller gone. */
  const join = (keys: readonly string[], { signal, onFound }: Asked): Promise<unknown> => {
    const calls = keys.map(async (key) => {
      const vector = await underway.get(key)?.vector
      if (vector !== undefined) onFound(key, vector)
    })
    return untilAborted(Promise.all(calls), signal)
  }

  const embed: Embedder['embed'] = async (texts, purpose, options = {}) => {
    const { signal, tenantId, isOnce = false, onVector } = options
    signal?.throwIfAborted()
    if (tenantId === undefined) return embedder.embed(texts, purpose, options)
    const keys = texts.map((text) => keyOf(tenantId, purpose, text))
    const positions = new Map<string, number[]>()
    for (const [position, key] of keys.entries()) {
      const known = positions.get(key)
      if (known === undefined) positions.set(key, [position])
      else known.push(position)
    }
    const positionsOf = (key: string): readonly number[] => positions.get(key) ?? []
    const found = new Map<string, Float32Array>()
    const onFound = (key: string, vector: Float32Array): void => {
      if (found.has(key)) return
      found.set(key, vector)
      if (onVector !== undefined) for (const position of positionsOf(key)) onVector(position, vector.slice())
    }
    const asked: Asked = { tenantId, purpose, signal, isKept: !isOnce, positionsOf, onFound }
    for (const key of positions.keys()) {
      const vector = store.get(key)
      if (vector !== undefined) onFound(key, vector)
    }
    const textsOf = (wanted: readonly string[]) =>
      new Map(wanted.map((key) => [key, texts[positionsOf(key)[0] ?? 0] ?? '']))
    const missing = (): readonly string[] => [...positions.keys()].filter((key) => !found.has(key))
    const embedMissing = async (wanted: readonly string[]): Promise<void> => {
      if (wanted.length > 0) await embedNew(textsOf(wanted), asked)
    }
    const others = missing().filter((key) => underway.has(key))
    const joined = join(others, asked)
    joined.catch(() => {})
    await embedMissing(missing().filter((key) => !underway.has(key)))
    await joined
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
