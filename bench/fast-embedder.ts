/**
 * An embedder that costs next to nothing, so that figures are the service's own. A text's vector is the sum of its
 * words' vectors, which are arbitrary directions: texts that share words are near one another, others are not.
 */
import type { Embedder } from '../src/ports/embedder.ts'

const dimensions = 512
const wordsHeldMax = 50_000

const seedOf = (word: string): number => {
  let seed = 0x811c9dc5
  for (const character of word) seed = Math.imul(seed ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return seed
}

const directionOf = (word: string): Float32Array => {
  let state = seedOf(word)
  return Float32Array.from({ length: dimensions }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  })
}

const createVectorOf = () => {
  const directions = new Map<string, Float32Array>()
  const held = (word: string): Float32Array => {
    const direction = directions.get(word) ?? directionOf(word)
    if (directions.size < wordsHeldMax) directions.set(word, direction)
    return direction
  }
  return (text: string): Float32Array => {
    const vector = new Float32Array(dimensions)
    for (const direction of text.split(' ').map(held))
      for (let at = 0; at < dimensions; at += 1) vector[at] = (vector[at] ?? 0) + (direction[at] ?? 0)
    const length = Math.hypot(...vector)
    return vector.map((value) => value / length)
  }
}

export const createFastEmbedder = (): Embedder => {
  const vectorOf = createVectorOf()
  return {
    model: 'bench',
    dimensions,
    thresholds: { filter: 0.5, duplicate: 0.999 },
    embed: async (texts) => texts.map(vectorOf),
    checkHealth: async () => ({ ready: true, detail: 'ok' }),
    close: async () => {},
  }
}
