/**
 * Reads what Qdrant answers, trusting nothing in it. An answer of a wrong shape is a failure of the index like any other,
 * so it is `vector_index.unavailable`: it may be a proxy's page or a server half way up, and it never counts as "nothing
 * is there".
 */
import type { IndexHit, SourcePosition } from '../../ports/vector-index.ts'
import type { AppError } from '../../shared/errors.ts'
import { isJsonObject } from '../../shared/json-limits.ts'
import { vectorIndexUnavailable } from './vector-index-errors.ts'

type Fields = Readonly<Record<string, unknown>>

export const unreadable = (what: string): AppError =>
  vectorIndexUnavailable(`Qdrant answered with ${what}. Check that what answers under its URL is Qdrant.`)

const fieldsOf = (value: unknown, what: string): Fields => {
  if (!isJsonObject(value)) throw unreadable(what)
  return value
}

const listOf = (value: unknown, what: string): readonly unknown[] => {
  if (!Array.isArray(value)) throw unreadable(what)
  return value
}

const textOf = (value: unknown, what: string): string => {
  if (typeof value !== 'string' || value === '') throw unreadable(what)
  return value
}

/** Of a write that was waited for. */
export const readWritten = (result: unknown): void => {
  if (fieldsOf(result, 'no confirmation of a write').status !== 'completed')
    throw unreadable('no confirmation of a write')
}

/** Of what changes collections and aliases. */
export const readDone = (result: unknown): void => {
  if (result !== true) throw unreadable('no confirmation of a change')
}

/** False: there was none. */
export const readDropped = (result: unknown): void => {
  if (typeof result !== 'boolean') throw unreadable('no confirmation of a change')
}

export const readCount = (result: unknown): number => {
  const { count } = fieldsOf(result, 'no count')
  if (!Number.isSafeInteger(count) || Number(count) < 0) throw unreadable('no count')
  return Number(count)
}

export type Alias = { readonly aliasName: string; readonly collectionName: string }

export const readAliases = (result: unknown): readonly Alias[] =>
  listOf(fieldsOf(result, 'no aliases').aliases, 'no aliases').map((alias) => {
    const { alias_name, collection_name } = fieldsOf(alias, 'no aliases')
    return { aliasName: textOf(alias_name, 'no aliases'), collectionName: textOf(collection_name, 'no aliases') }
  })

export const readCollectionNames = (result: unknown): readonly string[] =>
  listOf(fieldsOf(result, 'no collections').collections, 'no collections').map((collection) =>
    textOf(fieldsOf(collection, 'no collections').name, 'no collections'),
  )

export type CollectionInfo = {
  readonly status: string
  readonly vectors: Fields
  readonly sparseVectors: Fields
}

/** Null and absent parts of a layout are empty ones. */
const partOf = (value: unknown): Fields =>
  value === undefined || value === null ? {} : fieldsOf(value, 'no layout of a collection')

export const readCollectionInfo = (result: unknown): CollectionInfo => {
  const what = 'no layout of a collection'
  const { status, config } = fieldsOf(result, what)
  const params = fieldsOf(fieldsOf(config, what).params, what)
  return { status: textOf(status, what), vectors: partOf(params.vectors), sparseVectors: partOf(params.sparse_vectors) }
}

/** Major and minor. */
export const readVersion = (
  result: unknown,
): { readonly text: string; readonly numbers: readonly [number, number] } => {
  const text = textOf(fieldsOf(result, 'no version').version, 'no version')
  const found = /^(\d+)\.(\d+)\b/.exec(text)
  if (found === null) throw unreadable('no version')
  return { text: text.slice(0, 40), numbers: [Number(found[1]), Number(found[2])] }
}

const payloadOf = (point: unknown): Fields => fieldsOf(fieldsOf(point, 'no points').payload, 'a point without payload')

const memoryIdOf = (payload: Fields): string => textOf(payload.memory_id, 'a point without memory id')

const sourceOf = ({
  source_id: sourceId,
  source_position: position,
  source_asks: asks,
}: Fields): SourcePosition | null => {
  if (typeof sourceId !== 'string' || typeof position !== 'number') return null
  return { sourceId, position, ...(asks === true ? { asks } : {}) }
}

const ensureOnce = (memoryIds: readonly string[]): void => {
  if (new Set(memoryIds).size < memoryIds.length) throw unreadable('a point more than once')
}

/** By descending score, ties by ascending memory id. */
const readHits = (answer: unknown, limit: number): readonly IndexHit[] => {
  const points = listOf(fieldsOf(answer, 'no points').points, 'no points')
  if (points.length > limit) throw unreadable('more points than were asked for')
  const hits = points.map((point) => {
    const payload = payloadOf(point)
    const { score } = fieldsOf(point, 'no points')
    if (typeof score !== 'number' || !Number.isFinite(score)) throw unreadable('a score that is no number')
    return { memoryId: memoryIdOf(payload), score, source: sourceOf(payload) }
  })
  ensureOnce(hits.map(({ memoryId }) => memoryId))
  return hits.sort((one, other) => other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1))
}

/** One list of hits for each of the searches, in their order. */
export const readSearches = (
  result: unknown,
  searches: readonly { readonly limit: number }[],
): readonly (readonly IndexHit[])[] => {
  const answers = listOf(result, 'no answers to a search')
  if (answers.length !== searches.length) throw unreadable('another number of answers than of searches')
  return searches.map(({ limit }, at) => readHits(answers[at], limit))
}

export const readRevisions = (
  result: unknown,
  limit: number,
): readonly { readonly memoryId: string; readonly revision: number }[] => {
  const points = listOf(fieldsOf(result, 'no points').points, 'no points')
  if (points.length > limit) throw unreadable('more points than were asked for')
  const listed = points.map((point) => {
    const payload = payloadOf(point)
    if (typeof payload.revision !== 'number') throw unreadable('a point without revision')
    return { memoryId: memoryIdOf(payload), revision: payload.revision }
  })
  ensureOnce(listed.map(({ memoryId }) => memoryId))
  return listed
}
