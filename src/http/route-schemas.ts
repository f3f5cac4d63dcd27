/** Pieces of schema that every module's routes share. Components are registered once, under the names used here. */
import { Type } from 'typebox'
import type { Page, PageRequest } from '../shared/page.ts'

export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'A heading of docs/errors.md.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable and machine-readable.' }),
    detail: Type.String({ description: 'What is wrong and what to do.' }),
    request_id: Type.String(),
    errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
    error: Type.Optional(
      Type.Object(
        {
          message: Type.String(),
          type: Type.String(),
          code: Type.String(),
          param: Type.Union([Type.String(), Type.Null()]),
        },
        { description: "The same for OpenAI's clients; on their paths alone." },
      ),
    ),
  },
  {
    $id: 'Problem',
    additionalProperties: true,
    description: 'RFC 9457',
    examples: [
      {
        type: 'docs/errors.md#memorynot_found',
        title: 'Not Found',
        status: 404,
        code: 'memory.not_found',
        detail: 'This agent has no memory with that id. List or search its memories for the ids it has.',
        request_id: 'req_019e8b2a6c5d7f10a3b4c5d6e7f80912',
      },
    ],
  },
)

const reasons: Readonly<Record<number, string>> = {
  400: 'The request is not readable: malformed JSON, a bad header or parameter.',
  401: 'The key is missing, unknown, expired or revoked.',
  403: 'The key lacks the scope, is bound to other agents, or belongs to a suspended tenant.',
  404: 'There is no such thing, or it is not yours.',
  409: 'It is in another state than the request needs.',
  410: 'What was answered under this Idempotency-Key named a memory that was deleted since.',
  412: 'The version in If-Match has passed.',
  413: 'The body is too large.',
  415: 'The content type is not accepted.',
  422: 'The request is readable and cannot be carried out as it is.',
  428: 'If-Match is required.',
  429: 'A rate limit or quota is reached. Retry-After says when to try again.',
  502: 'The model server refused the request, or broke its own contract.',
  503: 'A part that is needed is away, or the service sheds load. Retry-After says when to try again, where waiting helps.',
}

const retryAfter = { 'Retry-After': { type: 'integer', description: 'Seconds to wait.' } }

/** The problem document under a status, as routes declare it. */
export const problemResponse = (status: number) => ({
  description: reasons[status] ?? 'A problem.',
  ...([409, 429, 503].includes(status) ? { headers: retryAfter } : {}),
  content: { 'application/problem+json': { schema: { $ref: 'Problem' } } },
})

const answerHeaders = {
  ETag: { type: 'string', description: 'The version, for If-Match.' },
  Location: { type: 'string', description: 'The path of what was created.' },
}

/** An answer of the component `name` that carries these headers. */
export const withHeaders = (
  name: string,
  description: string,
  ...headers: readonly (keyof typeof answerHeaders)[]
) => ({
  description,
  headers: Object.fromEntries(headers.map((header) => [header, answerHeaders[header]])),
  content: { 'application/json': { schema: { $ref: name } } },
})

/** What any route with a key can answer, plus the given statuses. */
export const problems = (...statuses: readonly number[]) =>
  Object.fromEntries([400, 401, 403, 422, 429, 503, ...statuses].map((status) => [status, problemResponse(status)]))

/** Problems of a route that takes a JSON body. */
export const bodyProblems = (...statuses: readonly number[]) => problems(413, 415, ...statuses)

export const pageQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 2_048, description: '`next_cursor` of the page before.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
}

/** The query of a list that takes nothing else. */
export const pageQuerySchema = Type.Object(pageQuery, { additionalProperties: false })

type PageQuery = { readonly cursor?: string | undefined; readonly limit?: number | undefined }

export const pageRequestOf = ({ cursor, limit }: PageQuery): PageRequest => ({
  cursor: cursor ?? null,
  limit: limit ?? 50,
})

/** The component `AgentPage`, a page of `Agent`. */
export const pageComponent = (item: string) =>
  Type.Object(
    { data: Type.Array(Type.Unsafe<object>(Type.Ref(item))), next_cursor: Type.Union([Type.String(), Type.Null()]) },
    { $id: `${item}Page` },
  )

export const toPageBody = <T, Body>(page: Page<T>, toBody: (item: T) => Body) => ({
  data: page.data.map(toBody),
  next_cursor: page.nextCursor,
})
