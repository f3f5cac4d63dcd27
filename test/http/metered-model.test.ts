/** Tokens are counted for their tenant however a call of the model ends. */
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { codeOf, createHttp, expectStatus, useAppOf } from '../support/http.ts'
import { createPolicyTest } from '../support/policy.ts'

const hello = { messages: [{ role: 'user', content: 'Hello' }], model: 'agemem' }

describe('tokens of a call whose client hangs up', () => {
  const { app } = useAppOf(async () => {
    const test = await createPolicyTest({ settings: { policyResumeMs: 1 } })
    await test.app.listen({ host: '127.0.0.1', port: 0 })
    return test
  })
  afterEach(() => app().server.fail(null))

  const open = async () => {
    const { key } = await app().makeKey({ quotas: { modelTokensPerDayMax: 1 } })
    const http = createHttp(app(), key)
    expectStatus(await http.post('/v1/sessions', { agent_id: 'a', session_id: 's' }), 201)
    const tokens = async () => Number((await http.get('/v1/usage')).data.model_tokens_today)
    return { http, key, tokens }
  }

  const doors: readonly (readonly [string, string, object, Record<string, string>])[] = [
    ['a chat with events', '/v1/chat/completions', { ...hello, stream: true }, { 'agemem-session': 's' }],
    ['a chat', '/v1/chat/completions', hello, { 'agemem-session': 's' }],
    ['a run with events', '/v1/sessions/s/policy/run', { input: 'Hello' }, { accept: 'text/event-stream' }],
    ['a run', '/v1/sessions/s/policy/run', { input: 'Hello' }, {}],
    ['a step', '/v1/sessions/s/policy/step', { input: 'Hello' }, {}],
  ]

  it.each(doors)('count, of %s, once, and towards the quota', async (_, path, body, headers) => {
    const { http, key, tokens } = await open()
    const { server } = app()
    server.reply(() => ({ text: '<think>Let me see.</think><answer>One two three four five six seven.</answer>' }))
    server.fail('stall-middle', { times: 1 })
    const asked = server.turns().length
    const leaving = new AbortController()
    const url = `http://127.0.0.1:${(app().app.server.address() as AddressInfo).port}${path}`
    const request = {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: leaving.signal,
    }
    const left = fetch(url, request)
      .then((response) => response.text())
      .catch((error: Error) => error.name)
    await expect.poll(() => server.turns().length).toBe(asked + 1)
    leaving.abort()
    expect(await left).toBe('AbortError')
    await expect.poll(() => server.turns()[asked]?.isAborted).toBe(true)

    await expect.poll(tokens).toBeGreaterThan(1)
    const counted = await tokens()
    await app().modules.modelTokens.flush()
    expect(await tokens()).toBe(counted)
    expect(codeOf(await http.post('/v1/sessions/s/policy/run', { input: 'More' }))).toEqual([429, 'quota.model_tokens'])
    const { data } = await http.get('/v1/sessions/s/trajectory')
    expect(data.steps).toEqual([])
  })
})
