/** An app and requests of one key to it, and what tests of every operation look at. */
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { type Answer, createTestApp, type TestApp } from './app.ts'

type Headers = Readonly<Record<string, string>>

export type Http = {
  get(url: string, headers?: Headers): Promise<Answer>
  delete(url: string, headers?: Headers): Promise<Answer>
  post(url: string, payload?: object | string, headers?: Headers): Promise<Answer>
  patch(url: string, payload: object, headers?: Headers): Promise<Answer>
}

export const createHttp = (test: Pick<TestApp, 'request'>, key: string | null): Http => ({
  get: (url, headers = {}) => test.request(key, { url, headers }),
  delete: (url, headers = {}) => test.request(key, { method: 'DELETE', url, headers }),
  post: (url, payload, headers = {}) =>
    test.request(key, { method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) }),
  patch: (url, payload, headers = {}) => test.request(key, { method: 'PATCH', url, payload, headers }),
})

/** An app for the tests of a `describe`, opened before them and closed after, and requests of a tenant's key to it. */
export const useAppOf = <App extends TestApp>(open: () => Promise<App>) => {
  let test: App
  let own: Http
  beforeAll(async () => {
    test = await open()
    own = createHttp(test, (await test.makeKey()).key)
  })
  afterAll(() => test.close())
  const http: Http = {
    get: (...request) => own.get(...request),
    delete: (...request) => own.delete(...request),
    post: (...request) => own.post(...request),
    patch: (...request) => own.patch(...request),
  }
  return { http, app: (): App => test }
}

export const useApp = () => useAppOf(() => createTestApp())

/** A session for each test, of an agent of its own. */
export const useSessions = (http: Http, name: string) => {
  let count = 0
  const [sessionId, agentId] = [() => `${name}-${count}`, () => `agent-${count}`]
  beforeEach(async () => {
    count += 1
    expectStatus(await http.post('/v1/sessions', { agent_id: agentId(), session_id: sessionId() }), 201)
  })
  return {
    sessionId,
    agentId,
    session: () => `/v1/sessions/${sessionId()}`,
    agent: () => `/v1/agents/${agentId()}`,
  }
}

export const codeOf = ({ statusCode, data }: Answer): readonly [number, unknown] => [statusCode, data.code]

/** A problem document as RFC 9457 and the contract want it. */
export const expectProblem = (
  answer: Pick<Answer, 'statusCode' | 'headers' | 'data'>,
  status: number,
  code: string,
): void => {
  expect([answer.statusCode, answer.data.code]).toEqual([status, code])
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(answer.data).toMatchObject({ type: `docs/errors.md#${code.replace('.', '')}`, status })
  expect(answer.data.title).toEqual(expect.any(String))
  expect(answer.data.detail).toMatch(/\.$/)
  expect(answer.data.request_id).toBe(answer.headers['x-request-id'])
}

export const anyVersion = { 'if-match': '*' }
export const once = (key: string): Headers => ({ 'idempotency-key': key })

export const expectStatus = (answer: Answer, status: number): Answer => {
  expect([answer.statusCode, answer.statusCode === status ? '' : answer.payload]).toEqual([status, ''])
  return answer
}

export const idMatching = (prefix: string) => expect.stringMatching(new RegExp(`^${prefix}_[0-9a-f]{32}$`))
/** RFC 3339 in UTC. */
export const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)

type Item = Readonly<Record<string, unknown>>

/** Every item of a list, page by page; `between` runs after each page. */
export const readPages = async (
  http: Http,
  url: string,
  { limit = 1, between = async () => {} }: { limit?: number; between?: () => Promise<unknown> } = {},
): Promise<readonly Item[]> => {
  const items: Item[] = []
  const separator = url.includes('?') ? '&' : '?'
  for (let cursor: string | null = ''; cursor !== null; ) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const answer: Answer = expectStatus(await http.get(`${url}${separator}limit=${limit}${from}`), 200)
    const page: { data: Item[]; next_cursor: string | null } = answer.json()
    expect(Object.keys(page).sort()).toEqual(['data', 'next_cursor'])
    expect(page.data.length).toBeLessThanOrEqual(limit)
    items.push(...page.data)
    cursor = page.next_cursor
    await between()
  }
  return items
}
