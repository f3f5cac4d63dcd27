/** What a Qdrant server keeps, and how it filters and scores, as far as the driver asks for it. Scores are 32-bit. */
export type Condition = {
  readonly key?: string
  readonly match?: { readonly value: unknown }
  readonly range?: Readonly<Partial<Record<'lt' | 'lte' | 'gt' | 'gte', number>>>
  readonly has_id?: readonly string[]
} & Filter

export type Filter = {
  readonly must?: readonly Condition[]
  readonly must_not?: readonly Condition[]
  readonly should?: readonly Condition[]
}

export type Sparse = { readonly indices: readonly number[]; readonly values: readonly number[] }
export type Vector = readonly number[] | Sparse

export type StoredPoint = {
  readonly id: string
  readonly vector: Readonly<Record<string, Vector>>
  readonly payload: Readonly<Record<string, unknown>>
}

export type Collection = {
  readonly vectors: Readonly<Record<string, { readonly size: number; readonly distance: string }>>
  readonly sparseVectors: Readonly<Record<string, object>>
  readonly hnswConfig: unknown
  readonly payloadSchema: Record<
    string,
    { readonly data_type: string; readonly params: object; readonly points: number }
  >
  readonly points: Map<string, StoredPoint>
}

/** As the server answers it: `{"status":{"error":…}}`. */
export class QdrantRefusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const refuse = (status: number, message: string): never => {
  throw new QdrantRefusal(status, message)
}

const isInRange = (value: unknown, { lt, lte, gt, gte }: NonNullable<Condition['range']>): boolean =>
  typeof value === 'number' &&
  (lt === undefined || value < lt) &&
  (lte === undefined || value <= lte) &&
  (gt === undefined || value > gt) &&
  (gte === undefined || value >= gte)

const holds = (point: StoredPoint, condition: Condition): boolean => {
  if (condition.has_id !== undefined) return condition.has_id.includes(point.id)
  if (condition.key === undefined) return matches(point, condition)
  const value = point.payload[condition.key]
  const values = Array.isArray(value) ? value : [value]
  if (condition.match !== undefined) return values.includes(condition.match.value)
  const { range } = condition
  return range !== undefined && values.some((one) => isInRange(one, range))
}

export const matches = (point: StoredPoint, { must = [], must_not = [], should = [] }: Filter): boolean =>
  must.every((condition) => holds(point, condition)) &&
  !must_not.some((condition) => holds(point, condition)) &&
  (should.length === 0 || should.some((condition) => holds(point, condition)))

const isSparse = (vector: Vector): vector is Sparse => !Array.isArray(vector)

const normalised = (vector: readonly number[]): readonly number[] => {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return vector.map((value) => Math.fround(length === 0 ? value : value / length))
}

const dotProduct = (one: readonly number[], other: readonly number[]): number =>
  Math.fround(one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0))

/** Null without a common term. */
const sparseScore = (query: Sparse, stored: Sparse): number | null => {
  const shared = query.indices.flatMap((index, at) => {
    const where = stored.indices.indexOf(index)
    return where < 0 ? [] : [Math.fround(Math.fround(query.values[at] ?? 0) * Math.fround(stored.values[where] ?? 0))]
  })
  return shared.length === 0 ? null : shared.reduce((sum, product) => Math.fround(sum + product), 0)
}

const ensureVector = (collection: Collection, name: string, vector: Vector): void => {
  const dense = collection.vectors[name]
  if (dense === undefined && collection.sparseVectors[name] === undefined)
    refuse(400, `Wrong input: Not existing vector name error: ${name}`)
  if (isSparse(vector) !== (dense === undefined)) refuse(400, 'Format error in JSON body: wrong kind of vector')
  if (isSparse(vector)) {
    if (vector.indices.length !== vector.values.length) refuse(422, 'Validation error: must be the same length')
    if (new Set(vector.indices).size < vector.indices.length) refuse(422, 'Validation error: must be unique')
  } else if (dense !== undefined && vector.length !== dense.size)
    refuse(400, `Wrong input: Vector dimension error: expected dim: ${dense.size}, got ${vector.length}`)
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Inserts what is missing and replaces, whole, what passes the filter; nothing of a refused request is kept. */
export const upsertPoints = (
  collection: Collection,
  { points, update_filter }: { readonly points: readonly StoredPoint[]; readonly update_filter?: Filter },
): void => {
  for (const { id, vector } of points) {
    if (!uuid.test(id)) refuse(400, `Format error in JSON body: value ${id} is not a valid point ID`)
    for (const [name, one] of Object.entries(vector)) ensureVector(collection, name, one)
  }
  for (const point of points) {
    const known = collection.points.get(point.id)
    if (known !== undefined && update_filter !== undefined && !matches(known, update_filter)) continue
    const vector = Object.entries(point.vector).map(([name, one]) => [name, isSparse(one) ? one : normalised(one)])
    collection.points.set(point.id, { ...point, vector: Object.fromEntries(vector) })
  }
}

export const findPoints = (collection: Collection, filter: Filter): readonly StoredPoint[] =>
  [...collection.points.values()].filter((point) => matches(point, filter)).sort((a, b) => (a.id < b.id ? -1 : 1))

export type Query = { readonly query: Vector; readonly using: string; readonly filter: Filter; readonly limit: number }

/** Ties in no order anyone may rely on: the later id first. */
export const queryPoints = (collection: Collection, { query, using, filter, limit }: Query) => {
  ensureVector(collection, using, query)
  const scoreOf = (stored: Vector): number | null =>
    isSparse(query) ? sparseScore(query, stored as Sparse) : dotProduct(normalised(query), stored as readonly number[])
  return findPoints(collection, filter)
    .toReversed()
    .flatMap((point) => {
      const stored = point.vector[using]
      const score = stored === undefined ? null : scoreOf(stored)
      return score === null ? [] : [{ point, score }]
    })
    .sort((one, other) => other.score - one.score)
    .slice(0, limit)
}
