/**
 * How bodies are read. JSON has to be UTF-8: replacing broken bytes would store something else than was sent. NDJSON is
 * handed on as a stream, for operations that declare it. What an operation does not declare is a 415, never a guess.
 */

import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../shared/clock.ts'
import { type JsonBounds, keepsJsonBounds } from '../shared/json-bounds.ts'
import { findUnsafeText } from '../shared/json-limits.ts'
import { readJson, readJsonSteps } from '../shared/read-json.ts'
import { inSlices, turn } from '../shared/yielding.ts'
import {
  bodyTooLarge,
  malformedJson,
  tooManyValues,
  unexpectedBody,
  unknownParameters,
  unsafeText,
  unsupportedEncoding,
  unsupportedMediaType,
} from './http-errors.ts'
import { ndjson } from './media-types.ts'
import { createPace, type PaceOptions } from './pace.ts'
import { piecesOf, readWhole } from './read-body.ts'
import type { RequestLife } from './request-life.ts'
import { isForAnybody } from './route.ts'

const json = 'application/json'

type BodySchema = { readonly content?: Readonly<Record<string, unknown>> }

const bodySchemaOf = ({ routeOptions }: FastifyRequest): BodySchema | undefined =>
  (routeOptions.schema as { body?: BodySchema } | undefined)?.body

const acceptedTypesOf = (request: FastifyRequest): readonly string[] =>
  Object.keys(bodySchemaOf(request)?.content ?? { [json]: null })

/**
 * What a body may hold, of each request: with more, parsing and checking it would keep all others waiting. 500 memories
 * with 300 labels each fit.
 */
const bodyBounds: JsonBounds = { valuesMax: 200_000, containersMax: 50_000, namesMax: 10_000 }
/** Of a larger body each step takes long enough for others to have their turn before the next. */
const largeBodyBytes = 262_144

const parseJson = async (bytes: Buffer): Promise<unknown> => {
  if (bytes.length === 0) return null
  if (!isUtf8(bytes)) throw malformedJson('it is not UTF-8')
  if (!keepsJsonBounds(bytes, bodyBounds)) throw tooManyValues()
  const isLarge = bytes.length > largeBodyBytes
  if (isLarge) await turn()
  const text = bytes.toString('utf8')
  const read = isLarge ? await inSlices(readJsonSteps(text)) : readJson(text)
  if (isLarge) await turn()
  if (read.ok) return read.value
  throw read.fault === null ? malformedJson('its syntax is wrong') : unsafeText(read.fault)
}

/** A body that its operation reads piece by piece. */
export const isStreamedBody = (body: unknown): body is AsyncIterable<Buffer> =>
  typeof body === 'object' && body !== null && Symbol.asyncIterator in body

const ensureSafe = (value: unknown): void => {
  const fault = findUnsafeText(value)
  if (fault !== null) throw unsafeText(fault)
}

const isEmpty = (body: unknown): boolean =>
  body === null || body === undefined || (typeof body === 'object' && Object.keys(body).length === 0)

/** A GET carries no body, whatever its headers say of one. */
const isSafe = ({ method }: FastifyRequest): boolean => method === 'GET' || method === 'HEAD'

/** Operations that take parameters say in their schema which; the others take none. */
const ensureKnownParameters = ({ routeOptions, query }: FastifyRequest): void => {
  const { schema, config } = routeOptions
  const names = Object.keys(query as object)
  const takesNone = !isForAnybody(config.access) && schema?.querystring === undefined
  if (takesNone && names.length > 0) throw unknownParameters(names)
}

export type BodyOptions = PaceOptions & {
  readonly bodyLimitBytes: number
  readonly clock: Clock
  readonly life: Pick<RequestLife, 'takeBody' | 'signalOf'>
}

export const registerBodyParsers = (app: FastifyInstance, options: BodyOptions): void => {
  const { bodyLimitBytes: limitBytes, clock, life } = options
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(json, async (request: FastifyRequest) => {
    const onPiece = (bytes: number): void => life.takeBody(request, bytes)
    const pace = createPace(options, { clock })
    const signal = life.signalOf(request)
    return parseJson(await readWhole(request.raw, { pace, limitBytes, onPiece, signal }))
  })
  app.addContentTypeParser(ndjson, async (request: FastifyRequest) =>
    piecesOf(request.raw, { pace: createPace(options, { clock }), signal: life.signalOf(request) }),
  )
  app.addHook('preParsing', async (request, reply) => {
    const {
      'content-type': type,
      'content-encoding': encoding = 'identity',
      'content-length': length,
    } = request.headers
    if (type === undefined || request.is404 || isSafe(request)) return
    if (encoding.toLowerCase() !== 'identity') throw unsupportedEncoding()
    const [, mediaType = '', charset] = /^\s*([^\s;]+)\s*(?:;.*?charset="?([^\s;"]+))?/i.exec(type) ?? []
    const isUnderstood = charset === undefined || charset.toLowerCase() === 'utf-8'
    if (!isUnderstood || !acceptedTypesOf(request).includes(mediaType.toLowerCase())) throw unsupportedMediaType()
    if (mediaType.toLowerCase() === json && Number(length) > limitBytes) throw bodyTooLarge()
    // A client that waits to be asked for its body is asked once it is known that the body is wanted.
    if (/^100-continue$/i.test(request.headers.expect ?? '')) reply.raw.writeContinue()
  })

  app.addHook('preValidation', async (request) => {
    if (request.is404) return
    ensureSafe(request.query)
    ensureKnownParameters(request)
    ensureSafe(request.params)
    if (isStreamedBody(request.body)) return
    ensureSafe(request.body)
    if (bodySchemaOf(request) === undefined && !isEmpty(request.body)) throw unexpectedBody()
  })
}
