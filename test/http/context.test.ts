import { describe, expect, it } from 'vitest'
import {
  anyVersion,
  codeOf,
  expectStatus,
  idMatching,
  moment,
  once,
  readPages,
  useApp,
  useSessions,
} from '../support/http.ts'

describe('messages and context over HTTP', () => {
  const { http } = useApp()
  const { session, agent } = useSessions(http, 'context')

  const append = (messages: readonly object[], headers = {}) =>
    http.post(`${session()}/messages`, { messages }, headers)
  const said = (...contents: readonly string[]) => contents.map((content) => ({ role: 'user', content }))
  const listed = () => readPages(http, `${session()}/messages`)
  const context = async () => expectStatus(await http.get(`${session()}/context`), 200)
  const call = { id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{"city":"Porto"}' } }

  it('appendMessages answers 201 with the messages and the measure of the context', async () => {
    const messages = [
      { role: 'system', content: 'You help.', pinned: true },
      { role: 'user', content: 'Where is Ana?', name: 'bo' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', content: 'In Porto', tool_call_id: 'call_1' },
    ]
    const answer = expectStatus(await append(messages), 201)
    expect(answer.headers).toMatchObject({ etag: '"v1"', location: `${session()}/messages` })
    const { messages: stored, context: measure } = answer.json()
    const common = { kind: 'appended', tokens: expect.any(Number), state: 'in_context', created_at: moment }
    expect(stored).toEqual(
      messages.map((message) => ({
        pinned: false,
        ...message,
        content: message.content ?? '',
        ...common,
        message_id: idMatching('msg'),
      })),
    )
    expect(measure).toEqual({
      version: 1,
      tokens: stored.reduce((sum: number, { tokens }: { tokens: number }) => sum + tokens, 0),
      budget_tokens: 8_192,
      pressure: measure.tokens / 8_192,
    })
    expect(await listed()).toEqual(stored)
    const shown = await context()
    expect(shown.headers.etag).toBe('"v1"')
    expect(shown.data).toEqual({
      ...measure,
      token_count_source: 'estimate',
      messages: messages.map(
        ({ role, content, pinned: _, ...rest }: { role: string; content: string | null; pinned?: boolean }) => ({
          role,
          content: content ?? '',
          ...rest,
        }),
      ),
    })
    expect((await http.get(`${session()}/context?format=openai`)).data).toEqual(shown.data)
    expect((await http.get(`${session()}/context?format=xml`)).statusCode).toBe(400)
  })

  it.each([
    [[]],
    [Array.from({ length: 201 }, () => ({ role: 'user', content: 'x' }))],
    [[{ role: 'user' }]],
    [[{ role: 'user', content: 5 }]],
    [[{ role: 'user', content: 'x'.repeat(131_073) }]],
    [[{ role: 'user', content: 'x', name: '' }]],
    [[{ role: 'user', content: 'x', pinned: 'yes' }]],
    [[{ role: 'user', content: 'x', tokens: 5 }]],
    [[{ role: 'assistant', content: null, tool_calls: [] }]],
    [[{ role: 'assistant', content: null, tool_calls: [{ ...call, type: 'other' }] }]],
  ])('refuses messages of another form (%#)', async (messages) => {
    expect(codeOf(await append(messages))).toEqual([400, 'request.invalid'])
    expect(await listed()).toEqual([])
  })

  it('takes 200 messages at once, and one of 128 KiB', async () => {
    expectStatus(await append(said(...Array.from({ length: 200 }, (_, at) => `Message ${at}`))), 201)
    expectStatus(await append(said('x'.repeat(131_072))), 201)
    expect(codeOf(await append(said('é'.repeat(65_537))))).toEqual([422, 'message.too_large'])
  })

  it('a batch with a result that answers no call is refused whole', async () => {
    const orphan = { role: 'tool', content: 'x', tool_call_id: 'call_9' }
    expect(codeOf(await append([...said('x'), orphan]))).toEqual([422, 'context.orphan_tool_result'])
    expect(await listed()).toEqual([])
  })

  it.each([
    [{ role: 'user', content: 'x', tool_calls: [call] }, 'tool_calls'],
    [{ role: 'system', content: 'x', tool_calls: [call] }, 'tool_calls'],
    [{ role: 'user', content: 'x', tool_call_id: 'call_1' }, 'tool_call_id'],
    [{ role: 'assistant', content: null, tool_calls: [call, call] }, 'tool_calls'],
  ])('what no chat endpoint would take is refused, not shown to one: %j', async (message, field) => {
    const answer = await append([...said('x'), message])
    expect(codeOf(answer)).toEqual([422, 'message.invalid'])
    expect(answer.data.errors).toMatchObject([{ pointer: `/messages/1/${field}` }])
    const started = await http.post('/v1/sessions', { agent_id: 'a', messages: [message] })
    expect(codeOf(started)).toEqual([422, 'message.invalid'])
    expect(await listed()).toEqual([])
  })

  it('appends at once are all there, in one order, and each made a version', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => append(said(`Message ${at}`))))
    const versions = answers.map((answer) => expectStatus(answer, 201).json().context.version)
    expect([...versions].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    const inOrder = answers.sort((a, b) => a.json().context.version - b.json().context.version)
    const contents = inOrder.map((answer) => answer.json().messages[0].content)
    expect((await listed()).map(({ content }) => content)).toEqual(contents)
  })

  it('every write honours If-Match: a stale version is a 412, another form a 400, and nothing changes', async () => {
    const { messages } = expectStatus(await append(said('First', 'Second')), 201).json()
    const { edit } = (await http.post(`${session()}/context/reset`)).json()
    const before = (await context()).data
    const writes = [
      (headers: object) => append(said('Third'), headers),
      (headers: object) =>
        http.patch(`${session()}/messages/${messages[0].message_id}`, { pinned: false }, { ...headers }),
      (headers: object) => http.post(`${session()}/context/reset`, undefined, { ...headers }),
      (headers: object) => http.post(`${session()}/edits/${edit.edit_id}/undo`, undefined, { ...headers }),
    ]
    for (const write of writes) {
      expect(codeOf(await write({ 'if-match': '"v1"' }))).toEqual([412, 'context.version_mismatch'])
      expect(codeOf(await write({ 'if-match': '1' }))).toEqual([400, 'request.invalid_if_match'])
      expect((await context()).data).toEqual(before)
    }
    expectStatus(await append(said('Third'), { 'if-match': '"v2"' }), 201)
    expectStatus(await append(said('Fourth'), anyVersion), 201)
  })

  it('M2: an append that is sent again answers as the first did, summary and all, also when the session is closed', async () => {
    await http.post('/v1/sessions', { agent_id: 'a', session_id: 'pressed', options: { auto_summary_at: 0.001 } })
    const url = '/v1/sessions/pressed'
    const messages = said('Ana lives in Porto. '.repeat(20), 'Bo lives in Faro. '.repeat(20), 'Who lives where?')
    const send = () => http.post(`${url}/messages`, { messages }, once('append'))
    const first = expectStatus(await send(), 201)
    expect(first.json().context.version).toBe(2)
    const answers = [first.payload, first.headers.etag]
    const again = expectStatus(await send(), 201)
    expect([again.payload, again.headers.etag]).toEqual(answers)
    expectStatus(await http.post(`${url}/messages`, { messages: said('More') }), 201)
    const before = (await http.get(`${url}/context`)).payload
    expect((await send()).payload).toBe(first.payload)
    expectStatus(await http.post(`${url}/close`), 200)
    expect((await send()).payload).toBe(first.payload)
    expect((await http.get(`${url}/context`)).payload).toBe(before)
  })

  it('a pinned message outlives a reset, which says what it took and can be undone', async () => {
    const { messages } = (await append([{ role: 'system', content: 'You help.' }, ...said('Keep', 'Lose')])).json()
    const [, keep, lose] = messages
    const pinned = expectStatus(await http.patch(`${session()}/messages/${keep.message_id}`, { pinned: true }), 200)
    expect([pinned.data, pinned.headers.etag]).toEqual([{ ...keep, pinned: true }, '"v2"'])
    const again = await http.patch(`${session()}/messages/${keep.message_id}`, { pinned: true }, { 'if-match': '"v2"' })
    expect([again.statusCode, again.headers.etag]).toEqual([200, '"v2"'])
    const before = (await context()).json()
    expect(before.version).toBe(2)

    const answer = expectStatus(await http.post(`${session()}/context/reset`), 200)
    expect(answer.headers.etag).toBe('"v3"')
    const { edit, context: measure } = answer.json()
    expect(edit).toEqual({
      edit_id: idMatching('edt'),
      kind: 'reset',
      context_version: 3,
      message_ids: [lose.message_id],
      added_message_ids: [],
      restored_message_ids: [],
      tokens_before: before.tokens,
      tokens_after: measure.tokens,
      prefill_from_position: expect.any(Number),
      details: expect.objectContaining({ kind: 'reset' }),
      created_at: moment,
    })
    expect((await context()).json().messages.map(({ content }: { content: string }) => content)).toEqual([
      'You help.',
      'Keep',
    ])
    expect((await listed())[2]).toMatchObject({ state: 'reset', edit_id: edit.edit_id })

    const undo = expectStatus(await http.post(`${session()}/edits/${edit.edit_id}/undo`), 200)
    expect(undo.headers.etag).toBe('"v4"')
    expect(undo.data).toMatchObject({ kind: 'undo', context_version: 4, restored_message_ids: [lose.message_id] })
    expect((await context()).data).toEqual({ ...before, version: 4 })
    expect((await listed())[2]).not.toHaveProperty('edit_id')
    const edits = await readPages(http, `${session()}/edits`)
    expect(edits).toEqual([{ ...edit, undone_by: undo.data.edit_id }, undo.data])
    expect(codeOf(await http.post(`${session()}/edits/${edit.edit_id}/undo`))).toEqual([
      409,
      'context.edit_already_undone',
    ])
    expect(codeOf(await http.post(`${session()}/edits/${undo.data.edit_id}/undo`))).toEqual([
      409,
      'context.undo_not_undoable',
    ])
  })

  it('a reset with nothing to take says so and makes no version; long-term memory stays', async () => {
    await http.post(`${agent()}/memories`, { content: 'Stays' })
    const before = (await http.get(agent())).data.memory_count
    const answer = expectStatus(await http.post(`${session()}/context/reset`), 200)
    expect(answer.data).toMatchObject({ edit: null, context: { version: 0 } })
    expect((await http.get(agent())).data.memory_count).toBe(before)
  })

  it('a message that has left the context cannot be pinned', async () => {
    const { messages } = (await append(said('Gone'))).json()
    await http.post(`${session()}/context/reset`)
    const pin = (id: string, payload: object) => http.patch(`${session()}/messages/${id}`, payload)
    expect(codeOf(await pin(messages[0].message_id, { pinned: true }))).toEqual([409, 'message.not_in_context'])
    expect(codeOf(await pin(`msg_${'0'.repeat(32)}`, { pinned: true }))).toEqual([404, 'message.not_found'])
    for (const payload of [{}, { pinned: null }, { pinned: true, content: 'x' }])
      expect(codeOf(await pin(messages[0].message_id, payload))).toEqual([400, 'request.invalid'])
  })

  it('an edit or a message of another session is not found', async () => {
    const { messages } = (await append(said('Mine'))).json()
    const { edit } = (await http.post(`${session()}/context/reset`)).json()
    await http.post('/v1/sessions', { agent_id: 'a', session_id: 'stranger' })
    const stranger = '/v1/sessions/stranger'
    expect(codeOf(await http.post(`${stranger}/edits/${edit.edit_id}/undo`))).toEqual([404, 'context.edit_not_found'])
    const pin = await http.patch(`${stranger}/messages/${messages[0].message_id}`, { pinned: true })
    expect(codeOf(pin)).toEqual([404, 'message.not_found'])
  })
})
