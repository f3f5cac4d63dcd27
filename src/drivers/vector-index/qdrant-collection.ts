/**
 * The collection of one embedding model. Its name is used through an alias, `<prefix>_<model>_<dimensions>`, so that a
 * collection can be built beside it and take its place. The alias is made last: whoever finds it finds everything that
 * belongs to it. Each step may be done by several processes at once, or be done again after a crash in the middle.
 *
 * There is no graph over all points (`m: 0`): a search is always within a tenant, whose points have one of their own
 * (`payload_m`). The sparse vectors have no `idf` modifier: it counts over the whole collection, so one tenant's writes
 * would show in another's scores (T1).
 */
import { createHash } from 'node:crypto'
import type { QdrantClient, Schemas } from '@qdrant/js-client-rest'
import { type CallLimits, type QdrantCall, statusOf } from './qdrant-call.ts'
import { denseName, sparseName } from './qdrant-points.ts'
import { vectorIndexMisbehaved } from './vector-index-errors.ts'

export type CollectionOptions = {
  readonly client: QdrantClient
  readonly call: QdrantCall
  readonly aliasName: string
  readonly dimensions: number
}

/** Models whose names differ only in what a collection's name cannot hold are told apart by a hash. */
export const aliasNameOf = (prefix: string, { model, dimensions }: { model: string; dimensions: number }): string => {
  const slug = model
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .slice(0, 80)
  const hash = slug === model ? '' : `_${createHash('sha256').update(model).digest('hex').slice(0, 8)}`
  return `${prefix}_${slug}_${dimensions}${hash}`
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

/** Null for what `exchange` finds missing or finds there already. */
const unlessStatus = async <T>(expected: number, exchange: Promise<T>): Promise<T | null> =>
  exchange.catch((error: unknown) => {
    if (statusOf(error) === expected) return null
    throw error
  })

export const createCollection = ({ client, call, aliasName, dimensions }: CollectionOptions) => {
  const api = client.api()
  const firstName = `${aliasName}_1`

  /** Null when there is none. */
  const find = (limits: CallLimits): Promise<Schemas['CollectionInfo'] | null> =>
    call(async (init) => {
      const found = await unlessStatus(404, api.getCollection({ collection_name: aliasName }, init))
      return { data: found === null ? { result: null } : found.data }
    }, limits)

  const ensureVersion = async (limits: CallLimits): Promise<void> => {
    const { version } = await call(async (init) => ({ data: { result: (await api.root({}, init)).data } }), limits)
    const [major = 0, minor = 0] = String(version).split('.').map(Number)
    if (major < 1 || (major === 1 && minor < minorVersionMin))
      throw vectorIndexMisbehaved(`Qdrant ${version} is too old: 1.${minorVersionMin} or later is needed.`)
  }

  const create = async (limits: CallLimits): Promise<void> => {
    const layout = {
      vectors: { [denseName]: { size: dimensions, distance: 'Cosine' as const } },
      sparse_vectors: { [sparseName]: {} },
      hnsw_config: { m: 0, payload_m: 16 },
    }
    await call(async (init) => {
      await unlessStatus(409, api.createCollection({ collection_name: firstName, ...layout }, init))
      return { data: { result: true } }
    }, limits)
    for (const [field_name, field_schema] of Object.entries(payloadIndexes))
      await call(
        (init) => api.createFieldIndex({ collection_name: firstName, wait: true, field_name, field_schema }, init),
        limits,
      )
    const actions = [{ create_alias: { collection_name: firstName, alias_name: aliasName } }]
    await call((init) => api.updateAliases({ actions }, init), limits)
  }

  const ensureLayout = ({ config }: Schemas['CollectionInfo']): void => {
    const vectors = config.params.vectors as Readonly<Record<string, { size?: number; distance?: string }>> | undefined
    const dense = vectors?.[denseName]
    if (dense?.size !== dimensions)
      throw vectorIndexMisbehaved(
        `The Qdrant collection ${aliasName} has ${dense?.size ?? 'no'} dimensions, the embedder ${dimensions}. Remove the collection's alias and reindex.`,
      )
    if (dense.distance !== 'Cosine' || config.params.sparse_vectors?.[sparseName] === undefined)
      throw vectorIndexMisbehaved(
        `The Qdrant collection ${aliasName} was not made by this service. Remove the collection's alias and reindex.`,
      )
  }

  return {
    /**
     * @throws AppError `vector_index.misbehaved` when the server is too old, or when there is a collection of another
     *   layout under the name
     */
    ensureReady: async ({
      timeoutMs,
      writeTimeoutMs,
    }: {
      timeoutMs: number
      writeTimeoutMs: number
    }): Promise<void> => {
      const found = await find({ timeoutMs })
      if (found !== null) return ensureLayout(found)
      await ensureVersion({ timeoutMs })
      await create({ timeoutMs: writeTimeoutMs })
      const created = await find({ timeoutMs })
      if (created !== null) ensureLayout(created)
    },
    find,
  }
}
