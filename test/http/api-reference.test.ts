import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'

type Operation = {
  readonly operationId: string
  readonly description?: string
  readonly security?: readonly Record<string, readonly string[]>[]
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly responses: Record<string, { readonly content?: unknown; readonly headers?: Record<string, unknown> }>
}

const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }

describe('the OpenAPI document', () => {
  let test: TestApp
  let operations: readonly (Operation & { readonly method: string; readonly path: string })[]
  let components: Record<string, unknown>

  beforeAll(async () => {
    test = await createTestApp()
    const document = (await test.request(null, { url: '/openapi.json' })).json()
    components = document.components.schemas
    operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
      ([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ ...operation, method, path })),
    )
  })
  afterAll(() => test.close())

  const keyed = () => operations.filter(({ security }) => security?.length !== 0)

  it('gives every operation that takes a key the problems that any of them can answer', () => {
    for (const { operationId, responses } of keyed()) {
      for (const status of ['400', '401', '403', '422', '429', '503'])
        expect(responses[status]?.content, `${operationId} ${status}`).toEqual(problem)
      for (const status of ['429', '503'])
        expect(responses[status]?.headers?.['Retry-After'], operationId).toMatchObject({ schema: { type: 'integer' } })
    }
  })

  it('says whose key each operation takes, and which scope', () => {
    for (const { operationId, path, security, description } of keyed())
      if (path.startsWith('/v1/admin')) expect(security, operationId).toEqual([{ operator_key: [] }])
      else expect(description, operationId).toMatch(/^Scope: `[a-z]+:[a-z]+`\.$/)
  })

  it('offers an Idempotency-Key on every POST that writes and does not repeat safely, on PATCH of a memory, and nowhere else', () => {
    const offering = operations.filter(({ parameters = [] }) =>
      parameters.some((parameter) => parameter.in === 'header' && parameter.name === 'idempotency-key'),
    )
    const others = operations.filter((operation) => operation.method === 'post' && !offering.includes(operation))
    const notPosts = offering.filter(({ method }) => method !== 'post')
    expect(notPosts.map(({ operationId }) => operationId)).toEqual(['updateMemory'])
    expect(others.map(({ operationId }) => operationId).sort()).toEqual([
      'reindex',
      'repairConsistency',
      'searchMemories',
    ])
  })

  it('names every component as the contract does', () => {
    expect(Object.keys(components)).toEqual(
      expect.arrayContaining(['Problem', 'Memory', 'Agent', 'Session', 'Key', 'Tenant']),
    )
    for (const name of Object.keys(components)) expect(name).toMatch(/^[A-Z][A-Za-z]+$/)
    expect(Object.keys(components).filter((name) => /^(Schema|def)/.test(name))).toEqual([])
  })
})
