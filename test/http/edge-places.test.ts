import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { openRaw, problemOf } from '../support/raw-socket.ts'

const metricsKey = 'scraper-0123456789'
const bearer = (secret: string) => `Authorization: Bearer ${secret}`
const head = (line: string, ...headers: readonly string[]) => `${[line, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`
const portOf = ({ app }: TestApp) => (app.server.address() as AddressInfo).port

describe('places of those who are no tenant', () => {
  let test: TestApp
  let key: string

  beforeAll(async () => {
    const bounds = { requestsInFlightMax: 64, requestsInFlightPerTenantMax: 24 }
    test = await createTestApp({ app: { ...bounds, metricsKey, trustProxy: '127.0.0.1' } })
    key = (await test.makeKey()).key
    await test.app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(() => test.close())

  const statusOf = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(`http://127.0.0.1:${portOf(test)}${path}`, { headers })).status
  const authorization = (secret: string) => ({ authorization: `Bearer ${secret}` })

  it('A1: a flood of pages and of metrics that nobody reads takes none of a tenant, the operator or a probe', async () => {
    const flood = await openRaw(portOf(test))
    flood.socket.pause()
    const page = head('GET /docs/static/swagger-ui-bundle.js HTTP/1.1')
    flood.write(page.repeat(20) + head('GET /metrics HTTP/1.1', bearer(metricsKey)).repeat(20))

    await expect.poll(() => statusOf('/openapi.json')).toBe(429)
    await expect.poll(() => statusOf('/metrics', authorization(metricsKey))).toBe(429)
    expect(await statusOf('/openapi.json', { 'x-forwarded-for': '192.0.2.1' })).toBe(200)
    expect(await statusOf('/metrics', authorization(test.operatorKey))).toBe(200)
    expect(await statusOf('/v1/agents', authorization(key))).toBe(200)
    for (const probe of ['/health/live', '/health/ready']) expect(await statusOf(probe)).toBe(200)
    await expect.poll(test.life.inFlight).toBe(0)

    flood.socket.destroy()
    await expect.poll(() => statusOf('/openapi.json')).toBe(200)
    await expect.poll(() => statusOf('/metrics', authorization(metricsKey))).toBe(200)
  })

  it('a connection has so many requests under way and no more: with more it is closed, and nothing stays taken', async () => {
    const some = await openRaw(portOf(test))
    some.write(head('GET /health/ready HTTP/1.1').repeat(40) + head('GET /health/live HTTP/1.1', 'Connection: close'))
    expect((await some.closed).answer.match(/HTTP\/1\.1 200/g)).toHaveLength(41)
    for (const request of [
      head('GET /health/ready HTTP/1.1'),
      head('GET /openapi.json HTTP/1.1'),
      head('GET /v1/agents HTTP/1.1', bearer(key)),
    ]) {
      const many = await openRaw(portOf(test))
      many.write(request.repeat(200))
      expect((await many.closed).answer.match(/HTTP\/1\.1 200/g) ?? []).not.toHaveLength(200)
    }
    await expect.poll(test.life.inFlight).toBe(0)
    await expect.poll(() => statusOf('/openapi.json')).toBe(200)
  })
})

describe('a body that has not come by the deadline', () => {
  it('ends with 408 however steadily it comes, and gives its place back', async () => {
    const test = await createTestApp({ app: { requestTimeoutMs: 400 } })
    try {
      const { key } = await test.makeKey()
      await test.app.listen({ host: '127.0.0.1', port: 0 })
      const connection = await openRaw(portOf(test))
      const framing = ['Content-Type: application/json', 'Transfer-Encoding: chunked']
      connection.write(head('POST /v1/agents/a/memories HTTP/1.1', bearer(key), ...framing))
      const dripping = setInterval(() => connection.write('1\r\n \r\n'), 20)
      const { answer } = await connection.closed.finally(() => clearInterval(dripping))
      expect(problemOf(answer)).toMatchObject({ status: 408, code: 'request.too_slow' })
      await expect.poll(test.life.inFlight).toBe(0)
    } finally {
      await test.close()
    }
  })
})
