import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, createHttp, expectStatus, type Http, idMatching } from '../support/http.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'

type Event = { readonly id: string; readonly event: string; readonly data: Record<string, unknown> }

const parse = (block: string): Event[] => {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
  const [id, event, data] = [field('id'), field('event'), field('data')]
  return id === undefined || event === undefined || data === undefined ? [] : [{ id, event, data: JSON.parse(data) }]
}

/** A stream of events over a real connection, which can be broken. */
const connect = async (url: string, init: RequestInit) => {
  const controller = new AbortController()
  const response = await fetch(url, { ...init, method: 'POST', signal: controller.signal })
  const events: Event[] = []
  const ended = (async () => {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const piece of response.body ?? []) {
      rest += decoder.decode(piece as Uint8Array, { stream: true })
      const blocks = rest.split('\n\n')
      rest = blocks.pop() ?? ''
      events.push(...blocks.flatMap(parse))
    }
  })().catch(() => undefined)
  return { response, events, ended, abort: () => controller.abort() }
}

describe('a run as server-sent events', () => {
  let test: PolicyTest
  let http: Http
  let key: string
  let tenantId: string
  let url: string
  let sessions = 0
  let session: string

  beforeAll(async () => {
    test = await createPolicyTest()
    ;({ key, tenantId } = await test.makeKey())
    http = createHttp(test, key)
    url = await test.app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(() => test.close())

  beforeEach(async () => {
    sessions += 1
    session = `events-${sessions}`
    expectStatus(await http.post('/v1/sessions', { agent_id: `agent-${sessions}`, session_id: session }), 201)
    test.server.reply(() => answering('Blue.'))
  })

  const watch = (body: object, headers: Record<string, string> = {}) =>
    connect(`${url}/v1/sessions/${session}/policy/run`, {
      headers: {
        authorization: `Bearer ${key}`,
        accept: 'text/event-stream',
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(body),
    })
  const namesOf = (events: readonly Event[]) =>
    events.map(({ event }) => event).filter((name, at, all) => name !== all[at - 1])
  const textOf = (events: readonly Event[], name: string) =>
    events.flatMap(({ event, data }) => (event === name ? [data.text] : [])).join('')
  /** A reply of the model that comes when it is let go. */
  const hold = () => {
    let release = () => {}
    const waiting = new Promise<void>((resolve) => {
      release = resolve
    })
    test.server.reply(async () => {
      await waiting
      return answering('Late.')
    })
    return () => release()
  }

  it('tells what happens in the order in which it happens, and ends with the run that the JSON form gives', async () => {
    test.server.reply(calling({ name: 'Add_memory', arguments: { content: 'The sky is blue.' } }))
    const { response, events, ended } = await watch({ input: 'What colour is the sky?' })
    await ended
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(namesOf(events)).toEqual([
      ...['step.started', 'thinking', 'tool.called', 'tool.result', 'context.edited'],
      ...['step.started', 'thinking', 'token', 'context.edited', 'answer', 'done'],
    ])
    expect(textOf(events, 'thinking')).toBe('Let me see.Let me see.')
    expect(textOf(events, 'token')).toBe('Blue.')
    expect(events.find(({ event }) => event === 'tool.called')?.data).toMatchObject({
      name: 'Add_memory',
      arguments: { content: 'The sky is blue.' },
    })
    expect(events.find(({ event }) => event === 'tool.result')?.data).toMatchObject({ status: 'ok' })
    expect(events.at(-1)?.data).toMatchObject({
      run_id: idMatching('run'),
      answer: 'Blue.',
      finish_reason: 'answer',
      steps: [{ turn: 1 }, { turn: 2 }],
    })
    expect(events.map(({ id }) => Number(id.split(':')[1]))).toEqual(events.map((_, at) => at + 1))
  })

  it('goes on after the last event that a client has seen, and the run goes on meanwhile', async () => {
    test.server.reply(calling({ name: 'Add_memory', arguments: { content: 'A fact.' } }))
    const release = hold()
    const first = await watch({ input: 'Hello' })
    await expect.poll(() => first.events.some(({ event }) => event === 'tool.result')).toBe(true)
    first.abort()
    await first.ended
    const seen = first.events.slice(0, 3)
    const second = await watch({}, { 'last-event-id': seen.at(-1)?.id ?? '' })
    release()
    await second.ended
    expect([...seen, ...second.events].map(({ id }) => Number(id.split(':')[1]))).toEqual(
      [...seen, ...second.events].map((_, at) => at + 1),
    )
    expect(second.events.at(-1)?.data).toMatchObject({ answer: 'Late.' })
  })

  it('is cancelled when its client has gone and does not come back, and the model server sees it', async () => {
    hold()
    const before = test.server.turns().length
    const { ended, abort } = await watch({ input: 'Hello' })
    await expect.poll(() => test.server.turns().length).toBe(before + 1)
    const turn = test.server.turns().at(-1)
    abort()
    await ended
    await expect.poll(() => turn?.isAborted).toBe(true)
    test.server.reply(() => answering('Back.'))
    await expect.poll(async () => (await http.post(`/v1/sessions/${session}/policy/run`, {})).statusCode).toBe(200)
  })

  it('answers a problem in place of a stream when it is refused at once', async () => {
    const { response } = await connect(`${url}/v1/sessions/nowhere/policy/run`, {
      headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream', 'content-type': 'application/json' },
      body: '{}',
    })
    expect(response.status).toBe(404)
    for (const [lastEventId, code] of [
      ['nonsense', 'policy.invalid_event_id'],
      [`run_${'0'.repeat(32)}:4`, 'policy.run_not_found'],
    ] as const) {
      const headers = { accept: 'text/event-stream', 'last-event-id': lastEventId }
      const answer = await http.post(`/v1/sessions/${session}/policy/run`, {}, headers)
      expect(codeOf(answer)[1]).toBe(code)
    }
  })

  it("finds no other tenant's run, none of an agent that the key is not bound to, and none of another session", async () => {
    const { events, ended } = await watch({ input: 'Hello' })
    await ended
    const headers = { accept: 'text/event-stream', 'last-event-id': events[0]?.id ?? '' }
    const other = createHttp(test, (await test.makeKey()).key)
    const bound = createHttp(test, (await test.makeKey({ tenantId, agentIds: ['another'] })).key)
    for (const stranger of [other, bound])
      expect(codeOf(await stranger.post(`/v1/sessions/${session}/policy/run`, {}, headers))).toEqual([
        404,
        'session.not_found',
      ])
    expectStatus(await http.post('/v1/sessions', { agent_id: 'a', session_id: `${session}-other` }), 201)
    const elsewhere = await http.post(`/v1/sessions/${session}-other/policy/run`, {}, headers)
    expect(codeOf(elsewhere)).toEqual([404, 'policy.run_not_found'])
  })

  it('tells of a failure in the middle as an event, and keeps what was done', async () => {
    test.server.reply(() => {
      test.server.fail('down')
      return calling({ name: 'Add_memory', arguments: { content: 'Kept.' } })
    })
    const { events, ended } = await watch({ input: 'Hello' })
    await ended
    test.server.fail(null)
    expect(events.slice(-2)).toMatchObject([
      { event: 'error', data: { code: 'inference.unavailable' } },
      { event: 'done', data: {} },
    ])
    expect((await http.get(`/v1/agents/agent-${sessions}`)).data.memory_count).toBe(1)
  })
})
