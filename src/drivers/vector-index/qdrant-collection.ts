/**
 * Collections and the alias. Searches and writes go to one alias, the prefix; what stands behind it is a collection
 * `<prefix>-<…>`, so that another can be built beside it and take its place in one step. Its dense vectors bear the name
 * of the embedder that made them: to ask another embedder's collection for them is an error and never a wrong answer.
 *
 * There is no graph over all points (`m: 0`): a search is always within a tenant, whose points have one of their own
 * (`payload_m`). The sparse vectors have no `idf` modifier: it counts over the whole collection, so one tenant's writes
 * would show in another's scores (T1).
 */
import { createHash } from 'node:crypto'
import type { QdrantClient, Schemas } from '@qdrant/js-client-rest'
import type { ServingIndex } from '../../ports/vector-index.ts'
import { isJsonObject } from '../../shared/json-limits.ts'
import {
  type CollectionInfo,
  readAliases,
  readCollectionInfo,
  readCollectionNames,
  readDone,
  readDropped,
  readVersion,
  readWritten,
} from './qdrant-answers.ts'
import { type CallInit, type CallLimits, isMissingCollection, type QdrantCall, statusOf } from './qdrant-call.ts'
import { sparseName } from './qdrant-points.ts'
import { vectorIndexMisbehaved } from './vector-index-errors.ts'

export type CollectionsOptions = {
  readonly client: QdrantClient
  readonly call: QdrantCall
  readonly aliasName: string
  /** Of the embedder's vectors. */
  readonly vectorName: string
  readonly dimensions: number
  readonly timeoutMs: number
  readonly writeTimeoutMs: number
}

/** Models whose names differ only in what such a name should not hold are told apart by a hash. */
export const vectorNameOf = ({ model, dimensions }: { model: string; dimensions: number }): string => {
  const slug = model
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .slice(0, 80)
  const hash = slug === model ? '' : `_${createHash('sha256').update(model).digest('hex').slice(0, 8)}`
  return `content_${slug}_${dimensions}${hash}`
}

/** The first that knows `update_filter`; earlier ones ignore it without a word. */
const minorVersionMin = 16

const payloadIndexes: Readonly<Record<string, Schemas['PayloadFieldSchema']>> = {
  tenant_id: { type: 'keyword', is_tenant: true },
  space_id: 'keyword',
  facets: 'keyword',
  expires_at: 'integer',
  revision: 'integer',
}

/** What no answer can be. */
const missing = Symbol('no such collection')

const orNull = async <T>(exchange: Promise<T>, isFine: (error: unknown) => boolean): Promise<T | null> =>
  exchange.catch((error: unknown) => {
    if (isFine(error)) return null
    throw error
  })

export const createCollections = (options: CollectionsOptions) => {
  const { client, call, aliasName, vectorName, dimensions, timeoutMs, writeTimeoutMs } = options
  const api = client.api()

  /** Null when the server says that there is none. */
  const find = (name: string, limits: CallLimits): Promise<CollectionInfo | null> =>
    call(
      async (init) => {
        const found = await orNull(api.getCollection({ collection_name: name }, init), isMissingCollection)
        return { data: found === null ? { result: missing } : found.data }
      },
      (result) => (result === missing ? null : readCollectionInfo(result)),
      limits,
    )

  const ensureVersion = async (limits: CallLimits): Promise<void> => {
    const ask = async (init: CallInit) => ({ data: { result: (await api.root({}, init)).data } })
    const { text, numbers } = await call(ask, readVersion, limits)
    const [major, minor] = numbers
    if (major < 1 || (major === 1 && minor < minorVersionMin))
      throw vectorIndexMisbehaved(`Qdrant ${text} is too old: 1.${minorVersionMin} or later is needed.`)
  }

  const isFitting = ({ vectors }: CollectionInfo): boolean => {
    const dense = vectors[vectorName]
    return isJsonObject(dense) && dense.size === dimensions && dense.distance === 'Cosine'
  }

  return {
    /** Null when the alias is not there. @throws AppError `vector_index.misbehaved` when it leads to something else */
    findServing: async (limits: CallLimits): Promise<ServingIndex | null> => {
      const aliases = await call((init) => api.getCollectionsAliases({}, init), readAliases, limits)
      const name = aliases.find((alias) => alias.aliasName === aliasName)?.collectionName
      const found = name === undefined ? null : await find(name, limits)
      if (name === undefined || found === null) return null
      if (found.sparseVectors[sparseName] === undefined)
        throw vectorIndexMisbehaved(
          `The Qdrant alias ${aliasName} leads to ${name}, which is not of this service. Remove the alias.`,
        )
      return { name, fits: isFitting(found) }
    },

    /** @throws AppError `vector_index.misbehaved` when the server is too old */
    create: async (name: string): Promise<void> => {
      await ensureVersion({ timeoutMs })
      const layout = {
        vectors: { [vectorName]: { size: dimensions, distance: 'Cosine' as const } },
        sparse_vectors: { [sparseName]: {} },
        hnsw_config: { m: 0, payload_m: 16 },
      }
      const limits = { timeoutMs: writeTimeoutMs }
      const isThereAlready = (error: unknown) => statusOf(error) === 409
      const make = async (init: CallInit) => {
        const made = await orNull(api.createCollection({ collection_name: name, ...layout }, init), isThereAlready)
        return { data: made === null ? { result: true } : made.data }
      }
      await call(make, readDone, limits)
      for (const [field_name, field_schema] of Object.entries(payloadIndexes))
        await call(
          (init) => api.createFieldIndex({ collection_name: name, wait: true, field_name, field_schema }, init),
          readWritten,
          limits,
        )
    },

    /** Both actions are one step for the server, which holds every search back until it is done. */
    serve: async (name: string): Promise<void> => {
      const actions = [
        { delete_alias: { alias_name: aliasName } },
        { create_alias: { collection_name: name, alias_name: aliasName } },
      ]
      await call((init) => api.updateAliases({ actions }, init), readDone, { timeoutMs: writeTimeoutMs })
    },

    drop: async (name: string): Promise<void> => {
      const limits = { timeoutMs: writeTimeoutMs }
      await call((init) => api.deleteCollection({ collection_name: name }, init), readDropped, limits)
    },

    /** The names of all collections that begin as those of this service do. */
    list: async (limits: CallLimits): Promise<readonly string[]> => {
      const names = await call((init) => api.getCollections({}, init), readCollectionNames, limits)
      return names.filter((name) => name.startsWith(`${aliasName}-`))
    },

    /** What is behind the alias; null when nothing is. */
    describe: (limits: CallLimits) => find(aliasName, limits),
  }
}
