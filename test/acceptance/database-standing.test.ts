/** PostgreSQL stands still: it takes connections and statements and answers none. What clients see meanwhile. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signalDatabase } from '../../chaos/support/cluster.ts'
import { type OwnDatabase, startOnOwnDatabase, type TestService } from '../support/service.ts'
import { call } from '../support/service-process.ts'

describe('a database that stands still', () => {
  let own: OwnDatabase
  let service: TestService

  beforeAll(async () => {
    own = await startOnOwnDatabase({
      AGEMEM_REQUEST_TIMEOUT_MS: '1000',
      AGEMEM_STREAM_TIMEOUT_MS: '1000',
      // Nothing but the deadline of the request can end a wait within the test.
      AGEMEM_STATEMENT_TIMEOUT_MS: '600000',
      AGEMEM_DATABASE_CONNECT_TIMEOUT_MS: '600000',
    })
    service = own.service
  }, 90_000)
  afterAll(async () => {
    await signalDatabase(own.folder, 'SIGCONT', 'all')
    await own.close()
  }, 60_000)

  const body = { content: 'Ana is allergic to peanuts.' }
  const toolCall = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'Add_memory', arguments: body },
  }
  const mcpHeaders = { 'agemem-agent': 'a', accept: 'application/json, text/event-stream' }
  const chat = { model: 'm', messages: [{ role: 'user', content: 'hello' }] }
  const chatHeaders = { 'agemem-session': 's', 'agemem-agent': 'a' }
  const doors: readonly (readonly [string, string, Parameters<typeof call>[2]])[] = [
    ['a read', '/v1/agents', {}],
    ['a write', '/v1/agents/a/memories', { body }],
    ['a write with a key to repeat it', '/v1/agents/a/memories', { body, headers: { 'idempotency-key': 'once' } }],
    ['an export', '/v1/agents/a/memories/export', {}],
    ['MCP', '/mcp', { body: toolCall, headers: mcpHeaders }],
    ['a chat', '/v1/chat/completions', { body: chat, headers: chatHeaders }],
    ['a chat with events', '/v1/chat/completions', { body: { ...chat, stream: true }, headers: chatHeaders }],
  ]

  it('A5: every door answers by the deadline, with a key that is known as with one that is not; and all is well after', async () => {
    expect((await call(service, '/v1/agents/a/memories', { body })).status).toBe(201)
    const stranger = { url: service.url, key: `${service.key.slice(0, -4)}AAAA` }
    expect((await call(stranger, '/v1/agents')).status).toBe(401)
    await signalDatabase(own.folder, 'SIGSTOP', 'all')
    const answers = await Promise.all(
      [service, stranger].flatMap((who) =>
        doors.map(async ([door, path, options]) => {
          const response = await call(who, path, options)
          return { door, status: response.status, code: ((await response.json()) as { code: string }).code }
        }),
      ),
    )
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, code: 'request.deadline' })
    await signalDatabase(own.folder, 'SIGCONT', 'all')
    await expect.poll(async () => (await call(service, '/v1/agents/a')).status).toBe(200)
    expect((await call(stranger, '/v1/agents')).status).toBe(401)
  }, 120_000)

  it('A5: what waits in the database when it stops, its key found and its body read, is answered too', async () => {
    const path = '/v1/agents/a/memories'
    const many = Promise.all(Array.from({ length: 20 }, () => call(service, path, { body })))
    await signalDatabase(own.folder, 'SIGSTOP', 'all')
    for (const { status } of await many) expect([201, 503]).toContain(status)
    await signalDatabase(own.folder, 'SIGCONT', 'all')
    await expect.poll(async () => (await call(service, '/v1/agents/a')).status).toBe(200)
  }, 120_000)
})
