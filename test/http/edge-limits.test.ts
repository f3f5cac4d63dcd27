import { Writable } from 'node:stream'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { type Answer, createTestApp } from '../support/app.ts'
import { expectProblem } from '../support/http.ts'

const json = { 'content-type': 'application/json' }

describe('limits', () => {
  it('on wrong keys hold for those alone: missing keys and good ones of the same address cost nothing', async () => {
    const test = await createTestApp({ app: { authFailuresPerMinute: 3 } })
    try {
      const { key } = await test.makeKey()
      const status = async (given: string | null) => (await test.request(given, { url: '/v1/usage' })).statusCode
      for (let i = 0; i < 5; i += 1) expect([await status(null), await status(key)]).toEqual([401, 200])
      const wrong = `${key.slice(0, -2)}AA`
      expect([await status(wrong), await status(wrong), await status('agmop_x'), await status(wrong)]).toEqual([
        401, 401, 401, 429,
      ])
      const refused = await test.request(wrong, { url: '/v1/usage' })
      expectProblem(refused, 429, 'auth.too_many_wrong_keys')
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      const admin = { url: '/v1/admin/tenants' }
      for (let i = 0; i < 5; i += 1) {
        expect([await status(wrong), await status(key)]).toEqual([429, 200])
        expect((await test.request(test.operatorKey, admin)).statusCode).toBe(200)
      }
      expect(await status(null)).toBe(401)
    } finally {
      await test.close()
    }
  })

  it('A1: a good key is answered at once while its address tries many that are wrong', async () => {
    const test = await createTestApp()
    try {
      const { key } = await test.makeKey()
      const status = async (given: string) => (await test.request(given, { url: '/v1/usage' })).statusCode
      expect(await status(key)).toBe(200)
      const wrong = Array.from({ length: 600 }, (_, at) => key.slice(0, -4) + String(at).padStart(4, 'A'))
      let isOver = false
      const tried = Promise.all(wrong.map(status)).finally(() => {
        isOver = true
      })
      let answered = 0
      while (!isOver) {
        test.modules.clock.advance(1_001)
        expect(await status(key)).toBe(200)
        answered += 1
      }
      expect(answered).toBeGreaterThan(1)
      // Beyond those that may wait, the rest is turned away.
      expect([...new Set(await tried)].sort()).toEqual([401, 503])
    } finally {
      await test.close()
    }
  })

  it('on the rate of a tenant leave other tenants alone', async () => {
    const test = await createTestApp()
    try {
      const { key: slow } = await test.makeKey({ quotas: { requestsPerSecond: 2 } })
      const { key: other } = await test.makeKey()
      const burst = await Promise.all(Array.from({ length: 30 }, () => test.request(slow, { url: '/v1/usage' })))
      const refused = burst.filter(({ statusCode }) => statusCode === 429)
      expect(refused.length).toBeGreaterThan(5)
      expectProblem(refused[0] as Answer, 429, 'quota.requests_per_second')
      expect(refused[0]?.headers['retry-after']).toBe('1')
      expect((await test.request(other, { url: '/v1/usage' })).statusCode).toBe(200)
    } finally {
      await test.close()
    }
  })

  it('the key of metrics reads the metrics, as the operator does, and nothing else', async () => {
    const metricsKey = 'scraper-0123456789'
    const test = await createTestApp({ app: { metricsKey } })
    try {
      const { key } = await test.makeKey()
      const metrics = async (given: string | null) => test.request(given, { url: '/metrics' })
      expect((await metrics(null)).statusCode).toBe(401)
      expect((await metrics(key)).statusCode).toBe(403)
      expect((await metrics(test.operatorKey)).statusCode).toBe(200)
      await test.request(key, { url: '/v1/usage' })
      const shown = await metrics(metricsKey)
      expect(shown.payload).toMatch(/agemem_request_seconds_count\{operation="getUsage",status="2xx"\} 1/)
      expect(shown.payload).not.toMatch(/ten_|key_|tenant/)
      expect((await test.request(metricsKey, { url: '/v1/admin/tenants' })).statusCode).toBe(401)
    } finally {
      await test.close()
    }
  })

  it('on which tenant and content are: T1, no log line holds content, a query, a key or another header', async () => {
    const lines: string[] = []
    const sink = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    })
    const test = await createTestApp({ app: { logger: pino({ level: 'trace' }, sink) } })
    try {
      const { key } = await test.makeKey()
      const headers = { 'x-secret': 'peanut' }
      await test.request(key, { method: 'POST', url: '/v1/agents/a/memories', payload: { content: 'peanut' }, headers })
      await test.request(key, { url: '/v1/agents/a/memories?memory_type=peanut' })
      await test.request(key, {
        method: 'POST',
        url: '/v1/agents/a/memories',
        payload: '{"content":"peanut',
        headers: json,
      })
      await test.request('peanut', { url: '/v1/agents/peanut/memories' })
      expect(lines.filter((line) => line.includes('"status":')).length).toBeGreaterThanOrEqual(4)
      for (const line of lines) {
        expect(line).not.toContain('peanut')
        expect(line).not.toContain(key)
      }
    } finally {
      await test.close()
    }
  })
})
