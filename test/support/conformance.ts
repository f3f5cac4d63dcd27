/**
 * Holds every answer to the API reference: its status is declared for the operation, the headers that are declared for
 * the status are there, and a JSON body validates against the declared schema.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'

type DeclaredResponse = { readonly headers?: Readonly<Record<string, unknown>>; readonly content?: object }
type Operation = { readonly operationId: string; readonly responses: Readonly<Record<string, DeclaredResponse>> }
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>

type Route = { readonly pattern: RegExp; readonly path: string; readonly method: string; readonly operation: Operation }

/** What the edge answers before it knows the operation: bad HTTP, a path that is no URL, an unknown one. */
const edgeCodes = [
  'request.route_not_found',
  'request.malformed',
  'request.malformed_http',
  'request.headers_too_large',
]

const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/
const escaped = (segment: string): string => segment.replaceAll('~', '~0').replaceAll('/', '~1')

/** Paths without parameters come first, as the router has it. */
const routesOf = (paths: Paths): readonly Route[] =>
  Object.entries(paths)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method,
        operation,
        pattern: new RegExp(`^${path.replace(/\{[a-z_]+\}/g, '[^/]+')}$`),
      })),
    )
    .sort((one, other) => one.path.split('{').length - other.path.split('{').length)

/** What only the operator can set right, so that waiting does not help. */
const operatorsMatter = new Set(['inference.not_configured', 'embedder.misbehaved'])

/** Some conflicts end by waiting, others do not. */
const isOptional = (header: string, { statusCode, payload }: LightMyRequestResponse): boolean =>
  header === 'Retry-After' &&
  (statusCode === 409 || (statusCode === 503 && operatorsMatter.has(String(JSON.parse(payload).code))))

const isJson = (type: string): boolean => type === 'application/json' || type === 'application/problem+json'

export type Conformance = (options: InjectOptions, response: LightMyRequestResponse) => void

export const createConformance = (document: unknown): Conformance => {
  const routes = routesOf((document as { paths: Paths }).paths)
  const ajv = new Ajv2020({ strict: false, validateSchema: false, formats: { 'date-time': moment } })
  ajv.addSchema(document as object, 'openapi')
  const validators = new Map<string, ValidateFunction>()

  const validatorOf = (pointer: string): ValidateFunction => {
    const known = validators.get(pointer) ?? ajv.compile({ $ref: `openapi#${encodeURI(pointer)}` })
    validators.set(pointer, known)
    return known
  }

  const faultOf = ({ path, method, operation }: Route, response: LightMyRequestResponse): string | null => {
    const status = String(response.statusCode)
    const declared = operation.responses[status]
    if (declared === undefined) return 'which is not declared'
    const missing = Object.keys(declared.headers ?? {}).filter(
      (name) => response.headers[name.toLowerCase()] === undefined && !isOptional(name, response),
    )
    if (missing.length > 0) return `without the header ${missing.join(', ')}`
    const type = String(response.headers['content-type'] ?? '').split(';')[0] ?? ''
    const wantsBody = Object.keys(declared.content ?? {}).some(isJson)
    if (response.payload === '') return wantsBody ? 'without the body that is declared' : null
    if (!Object.hasOwn(declared.content ?? {}, type)) return `as ${type}, which is not declared`
    if (!isJson(type)) return null
    const pointer = ['paths', path, method, 'responses', status, 'content', type, 'schema'].map(escaped).join('/')
    const validate = validatorOf(`/${pointer}`)
    return validate(response.json()) ? null : `with a body that ${ajv.errorsText(validate.errors)}`
  }

  /** @throws Error that names the operation and what departs from the reference */
  return ({ method = 'GET', url = '' }, response) => {
    const path = String(url).split('?')[0] ?? ''
    const wanted = method.toLowerCase()
    const route = routes.find((candidate) => candidate.method === wanted && candidate.pattern.test(path))
    if (route === undefined) return
    if (response.statusCode >= 400 && edgeCodes.includes(response.json().code)) return
    const fault = faultOf(route, response)
    if (fault !== null) throw new Error(`${route.operation.operationId} answered ${response.statusCode}, ${fault}.`)
  }
}
