/** Points for the vector index's tests: the same ones every time. */
import type { IndexFilter, IndexPoint, IndexQuery } from '../../src/ports/vector-index.ts'

export const dimensions = 16

/** Numbers in 0..1 from a 32-bit linear congruence (Numerical Recipes' constants). */
export const createNumbers = (seed: number) => {
  let state = seed
  return (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

export const memoryIdAt = (at: number): string => `mem_${at.toString(16).padStart(32, '0')}`

/** A unit vector along one axis, or with weights along the first ones. */
export const vectorOf = (...weights: readonly number[]): Float32Array => {
  const length = Math.hypot(...weights)
  return Float32Array.from({ length: dimensions }, (_, at) => (weights[at] ?? 0) / length)
}

export const sparseOf = (weights: Readonly<Record<number, number>>) => ({
  indices: Object.keys(weights).map(Number),
  values: Object.values(weights),
})

export const makePoint = (at: number, changes: Partial<IndexPoint> = {}): IndexPoint => ({
  memoryId: memoryIdAt(at),
  revision: 1,
  dense: vectorOf(1),
  sparse: sparseOf({ 1: 1 }),
  facets: [],
  source: null,
  expiresAtMs: null,
  ...changes,
})

export const everything: IndexFilter = { facets: [], nowMs: 1_000 }

export const makeQuery = (changes: Partial<IndexQuery> = {}): IndexQuery => ({
  dense: vectorOf(1),
  sparse: sparseOf({ 1: 1 }),
  filter: everything,
  limit: 10,
  ...changes,
})

const randomSparse = (number: () => number, termsMax: number) => {
  const terms = new Set(Array.from({ length: Math.ceil(number() * termsMax) }, () => Math.floor(number() ** 2 * 200)))
  const indices = [...terms].sort((one, other) => one - other)
  return { indices, values: indices.map(() => Math.fround(number() * 3)) }
}

const randomVector = (number: () => number): Float32Array =>
  vectorOf(...Array.from({ length: dimensions }, () => number() - 0.5))

export const makeRandomPoints = (count: number, seed: number): readonly IndexPoint[] => {
  const number = createNumbers(seed)
  return Array.from({ length: count }, (_, at) =>
    makePoint(seed * 1_000_000 + at, {
      revision: at + 1,
      dense: number() < 0.9 ? randomVector(number) : null,
      sparse: randomSparse(number, 20),
      facets: [`colour:${at % 3}`, `shape:${at % 50}`],
      source: at % 2 === 0 ? { sourceId: `text-${at >> 4}`, position: at & 15 } : null,
      expiresAtMs: at % 10 === 0 ? 500 : at % 10 === 1 ? 5_000 : null,
    }),
  )
}

export const makeRandomQueries = (count: number, seed: number): readonly IndexQuery[] => {
  const number = createNumbers(seed)
  return Array.from({ length: count }, (_, at) => ({
    dense: randomVector(number),
    sparse: randomSparse(number, 8),
    filter: { facets: at % 2 === 0 ? [] : [`colour:${at % 3}`], nowMs: 1_000 },
    limit: 1 + Math.floor(number() * 40),
  }))
}
