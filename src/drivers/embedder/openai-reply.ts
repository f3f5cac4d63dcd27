/** Reads the reply of `/v1/embeddings`, trusting nothing in it. */
import { embedderMisbehaved, vectorUnusable } from './embedder-errors.ts'
import { normalise } from './unit-vector.ts'

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Servers answer base64 when they know it (little-endian float32), numbers when they do not. */
const decodeVector = (embedding: unknown): Float32Array => {
  if (typeof embedding === 'string') {
    const bytes = Buffer.from(embedding, 'base64')
    if (bytes.length === 0 || bytes.length % 4 !== 0) throw embedderMisbehaved('base64 that holds no whole vector')
    return Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
  }
  const isNumbers = Array.isArray(embedding) && embedding.every((value) => typeof value === 'number')
  if (!isNumbers) throw embedderMisbehaved('something else than vectors')
  return Float32Array.from(embedding)
}

/**
 * `count` unit vectors of one length, in the order of the texts: each item's `index` tells it.
 * @throws AppError `embedder.misbehaved`
 */
export const readEmbeddings = (body: unknown, count: number): readonly Float32Array[] => {
  const data = isRecord(body) ? body.data : undefined
  if (!Array.isArray(data)) throw embedderMisbehaved('something else than a list of embeddings')
  if (data.length !== count) throw embedderMisbehaved(`${data.length} vectors for ${count} texts`)
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count })
  for (const [place, item] of data.entries()) {
    const { index = place, embedding } = isRecord(item) ? item : {}
    if (typeof index !== 'number' || !(index in vectors) || vectors[index] !== undefined)
      throw embedderMisbehaved('vectors that cannot be matched with their texts')
    const vector = decodeVector(embedding)
    if (!normalise(vector)) throw vectorUnusable('a vector of no length or with values that are no numbers')
    vectors[index] = vector
  }
  return vectors.flatMap((vector) => vector ?? [])
}
