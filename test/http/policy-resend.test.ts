/** A run that broke off and is sent again under its Idempotency-Key (M2). */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, createHttp, expectStatus, type Http, once } from '../support/http.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'

describe('a run that is sent again under its Idempotency-Key', () => {
  let test: PolicyTest
  let http: Http
  let key: string
  let url: string
  let sessions = 0
  let session: string

  beforeAll(async () => {
    test = await createPolicyTest({ timeoutMs: 1_000 })
    ;({ key } = await test.makeKey())
    http = createHttp(test, key)
    url = await test.app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterAll(() => test.close())

  beforeEach(async () => {
    sessions += 1
    session = `resend-${sessions}`
    expectStatus(await http.post('/v1/sessions', { agent_id: `agent-${sessions}`, session_id: session }), 201)
    test.server.fail(null)
    test.server.reply(() => answering('No peanuts.'))
  })

  const body = { input: 'I am allergic to peanuts. What must I not eat?' }
  const run = (more: object = {}) =>
    http.post(`/v1/sessions/${session}/policy/run`, { ...body, ...more }, once(session))
  const talk = async () => {
    const { data } = await http.get(`/v1/sessions/${session}/messages`)
    const messages = data.data as unknown as readonly { role: string; content: string }[]
    return messages.filter(({ role, content }) => role !== 'tool' && content !== '').map(({ content }) => content)
  }
  const memoryCount = async () => (await http.get(`/v1/agents/agent-${sessions}`)).data.memory_count
  /** A turn that saves something, so that a run breaks off with something done. */
  const saveFirst = () =>
    test.server.reply(calling({ name: 'Add_memory', arguments: { content: 'The user is allergic to peanuts.' } }))
  const never = () => new Promise<never>(() => {})

  const expectOneAnswer = async (more = {}) => {
    const answered = await run(more)
    expect(expectStatus(answered, 200).data).toMatchObject({ answer: 'No peanuts.' })
    const turns = test.server.turns().length
    expect((await run(more)).data).toEqual(answered.data)
    expect(test.server.turns().length).toBe(turns)
    expect(await talk()).toEqual([body.input, 'No peanuts.'])
  }

  it.each([
    ['the server was away', 'down', [503, 'inference.unavailable']],
    ['the model said nothing', 'stall-first', [503, 'inference.deadline']],
    ['the server broke off', 'close-early', [503, 'inference.unavailable']],
  ] as const)('M2: its input is appended once, what it did is kept, and it goes on: %s', async (_, fault, code) => {
    test.server.reply(() => {
      test.server.fail(fault)
      return calling({ name: 'Add_memory', arguments: { content: 'The user is allergic to peanuts.' } })
    })
    expect(codeOf(await run())).toEqual(code)
    test.server.fail(null)
    test.server.reply(() => answering('No peanuts.'))
    await expectOneAnswer()
    expect(await memoryCount()).toBe(1)
  })

  it('M2: a run that its client left, before it answered, is taken up again', async () => {
    saveFirst()
    test.server.reply(never)
    const before = test.server.turns().length
    const leaving = new AbortController()
    const left = fetch(`${url}/v1/sessions/${session}/policy/run`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...once(session) },
      body: JSON.stringify(body),
      signal: leaving.signal,
    }).catch(() => null)
    await expect.poll(() => test.server.turns().length).toBe(before + 2)
    leaving.abort()
    await left
    test.server.reply(() => answering('No peanuts.'))
    await expect.poll(async () => (await run()).statusCode).toBe(200)
    await expectOneAnswer()
    expect(await memoryCount()).toBe(1)
  })

  it('M2: a run whose time was up is taken up again', async () => {
    test.server.reply(never)
    const late = await run({ deadline_ms: 300 })
    expect(late.data).toMatchObject({ answer: null, finish_reason: 'deadline', steps: [] })
    test.server.reply(() => answering('No peanuts.'))
    await expectOneAnswer({ deadline_ms: 300 })
  })

  it('M2: the answer enters the context with the stored answer or not at all', async () => {
    const admin = new pg.Client({ connectionString: test.modules.url })
    await admin.connect()
    try {
      await admin.query(`create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'the disk is full' using errcode = '53100'; end $$;
        create trigger refuse before insert on idempotency_key for each row
        when (new.idempotency_key = '${session}') execute function refuse()`)
      expect((await run()).statusCode).toBe(503)
      await admin.query('drop trigger refuse on idempotency_key')
    } finally {
      await admin.end()
    }
    expect(await talk()).toEqual([body.input])
    await expectOneAnswer()
  })

  it('another request under the key of a run that broke off is refused', async () => {
    test.server.fail('down')
    expect(codeOf(await run())[0]).toBe(503)
    expect(codeOf(await run({ input: 'Something else' }))).toEqual([422, 'idempotency.key_reused'])
    expect(await talk()).toEqual([body.input])
  })
})
