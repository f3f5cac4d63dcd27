/**
 * Stands in for a Qdrant server where there is none: the calls that the driver makes, with the real server's answers and
 * refusals, and faults on demand. The same tests run against a real server when there is one.
 */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import {
  type Collection,
  type Filter,
  findPoints,
  QdrantRefusal,
  type Query,
  queryPoints,
  refuse,
  type StoredPoint,
  upsertPoints,
} from './qdrant-stand-in-store.ts'

export type QdrantFaults = {
  /** Answers every request with this status, that many times. */
  failStatus: number
  failTimes: number
  latencyMs: number
  /** Takes requests and never answers. */
  hangs: boolean
  /** Closes the connection in the middle of the next answers, that many times. */
  cutTimes: number
  /** Searches as if there was no filter. */
  losesFilters: boolean
  /** Confirms writes without doing them. */
  losesWrites: boolean
  /** What answers become, given what they would be; undefined: they stay. */
  distort: ((answer: unknown, path: string) => unknown) | null
  /** Sends something else in place of an answer. */
  instead: ((response: ServerResponse, path: string) => boolean) | null
}

export type QdrantRequest = { readonly method: string; readonly path: string; readonly headers: NodeJS.Dict<unknown> }

export type QdrantStandIn = {
  readonly url: string
  readonly port: number
  readonly faults: QdrantFaults
  readonly requests: QdrantRequest[]
  readonly collections: Map<string, Collection>
  readonly aliases: Map<string, string>
  stop(): Promise<void>
}

type Place = { Params: { name: string } }
type Layout = {
  vectors: Collection['vectors']
  sparse_vectors?: Collection['sparseVectors']
  hnsw_config?: unknown
}
type Paged = { filter: Filter; limit: number; offset?: string }
type AliasAction = {
  create_alias?: { collection_name: string; alias_name: string }
  delete_alias?: { alias_name: string }
}

const noFaults = (): QdrantFaults => ({
  ...{ failStatus: 500, failTimes: 0, latencyMs: 0, hangs: false, cutTimes: 0 },
  ...{ losesFilters: false, losesWrites: false, distort: null, instead: null },
})

const ok = <T>(result: T) => ({ usage: null, result, status: 'ok', time: 0.0001 })
const failed = (error: string) => ({ usage: null, status: { error }, time: 0 })
const completed = () => ok({ operation_id: 0, status: 'completed' })

const cutAnswer = (reply: FastifyReply): void => {
  reply.hijack()
  reply.raw.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  reply.raw.write('{"result":', () => reply.raw.destroy())
}

type State = Pick<QdrantStandIn, 'faults' | 'requests' | 'collections' | 'aliases'>

const addFaults = (app: FastifyInstance, { faults, requests }: State, apiKey: string | null): void => {
  app.addHook('onRequest', async (request, reply) => {
    requests.push({ method: request.method, path: request.url, headers: request.headers })
    const isRefused = apiKey !== null && request.url !== '/' && request.headers['api-key'] !== apiKey
    if (isRefused) return reply.code(401).send('Must provide an API key or an Authorization bearer token')
    if (faults.instead?.(reply.raw, request.url) === true) return reply.hijack()
    if (faults.hangs) await once(reply.raw, 'close')
    if (faults.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, faults.latencyMs))
    if (faults.cutTimes > 0) {
      faults.cutTimes -= 1
      cutAnswer(reply)
    } else if (faults.failTimes > 0) {
      faults.failTimes -= 1
      return reply.code(faults.failStatus).send(failed('Service internal error: as asked for'))
    }
  })
  app.addHook('preSerialization', async (request, _, payload) => {
    const distorted = faults.distort?.(payload, request.url)
    return distorted === undefined ? payload : distorted
  })
  app.setErrorHandler((error, _, reply) => {
    const status = error instanceof QdrantRefusal ? error.status : 500
    return reply.code(status).send(failed(error instanceof Error ? error.message : String(error)))
  })
  app.setNotFoundHandler((_, reply) => reply.code(404).send(''))
}

const addCollectionRoutes = (app: FastifyInstance, { collections, aliases }: State, version: string): void => {
  const get = (name: string): Collection =>
    collections.get(aliases.get(name) ?? name) ?? refuse(404, `Not found: Collection \`${name}\` doesn't exist!`)
  app.get('/', async () => ({ title: 'qdrant - vector search engine', version, commit: '' }))
  app.get('/collections', async () => ok({ collections: [...collections.keys()].map((name) => ({ name })) }))
  app.get<Place>('/collections/:name', async ({ params }) => {
    const { vectors, sparseVectors, hnswConfig, payloadSchema, points } = get(params.name)
    const config = { params: { vectors, sparse_vectors: sparseVectors }, hnsw_config: hnswConfig }
    return ok({
      status: 'green',
      optimizer_status: 'ok',
      points_count: points.size,
      config,
      payload_schema: payloadSchema,
    })
  })
  app.put<Place & { Body: Layout }>('/collections/:name', async ({ params: { name }, body }) => {
    if (collections.has(name)) refuse(409, `Wrong input: Collection \`${name}\` already exists!`)
    if (aliases.has(name))
      refuse(400, `Wrong input: Can't create collection with name ${name}. Alias with the same name already exists`)
    collections.set(name, {
      ...{ vectors: body.vectors, sparseVectors: body.sparse_vectors ?? {}, hnswConfig: body.hnsw_config },
      ...{ payloadSchema: {}, points: new Map() },
    })
    return ok(true)
  })
  app.delete<Place>('/collections/:name', async ({ params: { name } }) => {
    for (const [alias, target] of aliases) if (target === name) aliases.delete(alias)
    return ok(collections.delete(name))
  })
  app.put<Place & { Body: { field_name: string; field_schema: string | { type: string } } }>(
    '/collections/:name/index',
    async ({ params, body }) => {
      const schema = typeof body.field_schema === 'string' ? { type: body.field_schema } : body.field_schema
      get(params.name).payloadSchema[body.field_name] = { data_type: schema.type, params: schema, points: 0 }
      return completed()
    },
  )
  app.get('/aliases', async () =>
    ok({ aliases: [...aliases].map(([alias_name, collection_name]) => ({ alias_name, collection_name })) }),
  )
  app.post<{ Body: { actions: AliasAction[] } }>('/collections/aliases', async ({ body }) => {
    for (const { create_alias, delete_alias } of body.actions) {
      if (delete_alias !== undefined) aliases.delete(delete_alias.alias_name)
      if (create_alias === undefined) continue
      const { collection_name: name, alias_name: alias } = create_alias
      if (!collections.has(name)) refuse(404, `Not found: Collection \`${name}\` doesn't exist!`)
      if (collections.has(alias)) refuse(409, `Wrong input: Collection \`${alias}\` already exists!`)
      aliases.set(alias, name)
    }
    return ok(true)
  })
}

const addPointRoutes = (app: FastifyInstance, { collections, aliases, faults }: State): void => {
  const get = (name: string): Collection =>
    collections.get(aliases.get(name) ?? name) ?? refuse(404, `Not found: Collection \`${name}\` doesn't exist!`)
  const filterOf = ({ filter }: { filter: Filter }): Filter => (faults.losesFilters ? {} : filter)
  type Upsert = { points: StoredPoint[]; update_filter?: Filter }
  app.put<Place & { Body: Upsert }>('/collections/:name/points', async ({ params, body }) => {
    const collection = get(params.name)
    if (!faults.losesWrites) upsertPoints(collection, body)
    return completed()
  })
  type Removal = { points?: string[]; filter?: Filter }
  app.post<Place & { Body: Removal }>('/collections/:name/points/delete', async ({ params, body }) => {
    const collection = get(params.name)
    const ids = body.filter ? findPoints(collection, body.filter).map(({ id }) => id) : (body.points ?? [])
    if (!faults.losesWrites) for (const id of ids) collection.points.delete(id)
    return completed()
  })
  app.post<Place & { Body: Paged }>('/collections/:name/points/count', async ({ params, body }) =>
    ok({ count: findPoints(get(params.name), filterOf(body)).length }),
  )
  app.post<Place & { Body: Paged }>('/collections/:name/points/scroll', async ({ params, body }) => {
    const found = findPoints(get(params.name), filterOf(body)).filter(({ id }) => id >= (body.offset ?? ''))
    const points = found.slice(0, body.limit).map(({ id, payload }) => ({ id, payload }))
    return ok({ points, next_page_offset: found[body.limit]?.id ?? null })
  })
  app.post<Place & { Body: { searches: Query[] } }>(
    '/collections/:name/points/query/batch',
    async ({ params, body }) => {
      const collection = get(params.name)
      const answers = body.searches.map((search) => queryPoints(collection, { ...search, filter: filterOf(search) }))
      return ok(
        answers.map((hits) => ({
          points: hits.map(({ point: { id, payload }, score }) => ({ id, version: 0, score, payload })),
        })),
      )
    },
  )
}

export const startQdrantStandIn = async ({
  port = 0,
  apiKey = null,
  version = '1.16.3',
}: {
  port?: number
  apiKey?: string | null
  version?: string
} = {}): Promise<QdrantStandIn> => {
  const state: State = { faults: noFaults(), requests: [], collections: new Map(), aliases: new Map() }
  const app = Fastify({ forceCloseConnections: true, bodyLimit: 32 * 2 ** 20 })
  addFaults(app, state, apiKey)
  addCollectionRoutes(app, state, version)
  addPointRoutes(app, state)
  const url = await app.listen({ host: '127.0.0.1', port })
  return { ...state, url, port: Number(new URL(url).port), stop: () => app.close() }
}
