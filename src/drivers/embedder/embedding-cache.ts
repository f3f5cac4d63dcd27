/**
 * Remembers vectors by purpose and text, least recently used first out, within a bound of bytes. A vector follows from
 * its text alone, so what one tenant had embedded tells another nothing but, at most, that a text was embedded lately.
 * The same text twice in one call is embedded once.
 */
import { createHash } from 'node:crypto'
import type { Embedder, EmbeddingPurpose } from '../../ports/embedder.ts'

/** What an entry takes beside its vector: key, map slot and array header. */
const entryBytes = 200

export const withEmbeddingCache = (embedder: Embedder, { maxBytes }: { readonly maxBytes: number }): Embedder => {
  const vectors = new Map<string, Float32Array>()
  let bytes = 0

  const keyOf = (text: string, purpose: EmbeddingPurpose) =>
    `${purpose} ${createHash('sha256').update(text).digest('base64')}`

  const recall = (key: string): Float32Array | undefined => {
    const vector = vectors.get(key)
    if (vector === undefined) return undefined
    vectors.delete(key)
    vectors.set(key, vector)
    return vector
  }

  const remember = (key: string, vector: Float32Array): void => {
    if (vectors.has(key)) return
    vectors.set(key, vector)
    bytes += vector.byteLength + entryBytes
    for (const [oldest, old] of vectors) {
      if (bytes <= maxBytes) return
      vectors.delete(oldest)
      bytes -= old.byteLength + entryBytes
    }
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
    embed: async (texts, purpose, options) => {
      const keys = texts.map((text) => keyOf(text, purpose))
      const found = new Map<string, Float32Array>()
      const missing = new Map<string, string>()
      for (const [at, key] of keys.entries()) {
        const vector = recall(key)
        if (vector === undefined) missing.set(key, texts[at] ?? '')
        else found.set(key, vector)
      }
      const made = missing.size === 0 ? [] : await embedder.embed([...missing.values()], purpose, options)
      for (const [at, key] of [...missing.keys()].entries()) {
        const vector = made[at] ?? new Float32Array(embedder.dimensions)
        found.set(key, vector)
        remember(key, vector)
      }
      return keys.map((key) => found.get(key) ?? new Float32Array(embedder.dimensions))
    },
    checkHealth: (options) => embedder.checkHealth(options),
    close: () => embedder.close(),
  }
}
