import { describe, expect, it } from 'vitest'
import { createHttp, expectStatus } from '../support/http.ts'
import { answering, createPolicyTest } from '../support/policy.ts'

const hello = { messages: [{ role: 'user', content: 'Hello' }], model: 'agemem' }

describe('event streams', () => {
  it('A2: a chat is counted as a stream when its body asks for one, whatever it accepts; MCP has none to count', async () => {
    const test = await createPolicyTest({ app: { streamsInFlightMax: 4, streamsInFlightPerTenantMax: 1 } })
    try {
      const { key } = await test.makeKey()
      const { key: other } = await test.makeKey()
      const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
      let answer = () => {}
      const asked = new Promise<void>((resolve) => {
        answer = resolve
      })
      test.server.reply(async () => {
        await asked
        return answering('Done.')
      })
      let sessions = 0
      const chat = (owner: string, body: object, accept: string) => {
        sessions += 1
        const headers = {
          authorization: `Bearer ${owner}`,
          ...{ 'content-type': 'application/json', accept },
          ...{ 'agemem-session': `s${sessions}`, 'agemem-agent': 'a' },
        }
        return fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) })
      }
      const json = 'application/json'
      // So that neither tenant is alone.
      for (const owner of [other, key]) expectStatus(await createHttp(test, owner).get('/v1/agents'), 200)
      const streaming = chat(key, { ...hello, stream: true }, json)
      await expect.poll(() => test.server.turns().length).toBe(1)
      const refused = await chat(key, { ...hello, stream: true }, json)
      expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
        429,
        'quota.streams_in_flight',
      ])
      expect(test.server.turns()).toHaveLength(1)
      const whole = chat(key, { ...hello, stream: false }, 'text/event-stream')
      const others = chat(other, { ...hello, stream: true }, json)
      await expect.poll(() => test.server.turns().length).toBe(3)
      const mcp = { authorization: `Bearer ${key}`, accept: 'text/event-stream' }
      expect((await fetch(`${url}/mcp`, { headers: mcp })).status).toBe(405)
      answer()
      for (const sent of [streaming, whole, others]) {
        const response = await sent
        expect([response.status, (await response.text()).includes('Done.')]).toEqual([200, true])
      }
      expect((await chat(key, { ...hello, stream: true }, json)).status).toBe(200)
    } finally {
      await test.close()
    }
  })
})
