import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeCursor } from '../../src/shared/page.ts'
import { createTestApp, type TestApp } from '../support/app.ts'
import { anyVersion, codeOf, createHttp, expectStatus, type Http } from '../support/http.ts'

describe('cursors', () => {
  let test: TestApp
  let http: Http
  let versions: string

  const invalid = [400, 'request.invalid_cursor']
  const lists = (): readonly string[] => [
    '/v1/agents',
    '/v1/sessions',
    '/v1/keys',
    '/v1/audit_events',
    '/v1/trajectories',
    '/v1/agents/one/memories',
    '/v1/agents/one/memories?order=asc',
    '/v1/agents/two/memories',
    versions,
    '/v1/sessions/s-one/messages',
    '/v1/sessions/s-two/messages',
    '/v1/sessions/s-one/edits',
    '/v1/sessions/s-one/trajectory',
  ]
  const read = (list: string, query: string) => http.get(`${list}${list.includes('?') ? '&' : '?'}${query}`)

  beforeAll(async () => {
    test = await createTestApp()
    const { key, tenantId } = await test.makeKey()
    await test.makeKey({ tenantId })
    http = createHttp(test, key)
    for (const agent of ['one', 'two']) {
      const session = `/v1/sessions/s-${agent}`
      const messages = [
        { role: 'user', content: 'hello' },
        { role: 'user', content: 'hello?' },
      ]
      expectStatus(await http.post('/v1/sessions', { agent_id: agent, session_id: `s-${agent}`, messages }), 201)
      for (const content of ['a cat', 'a dog'])
        expectStatus(await http.post(`${session}/tools/add_memory`, { content }), 200)
      for (let round = 0; round < 2; round += 1) {
        expectStatus(await http.post(`${session}/context/reset`), 200)
        expectStatus(await http.post(`${session}/messages`, { messages }), 201)
      }
    }
    const [memory] = (await http.get('/v1/agents/one/memories')).json().data
    const url = `/v1/agents/one/memories/${memory.memory_id}`
    expectStatus(await http.patch(url, { content: 'a lion' }, anyVersion), 200)
    versions = `${url}/versions`
  })
  afterAll(() => test.close())

  it('a cursor of one list is refused by every other, of another parent and in another order too', async () => {
    for (const list of lists()) {
      const cursor: string | null = expectStatus(await read(list, 'limit=1'), 200).json().next_cursor
      expect([list, cursor]).toEqual([list, expect.any(String)])
      expectStatus(await read(list, `cursor=${cursor}`), 200)
      for (const other of lists().filter((one) => one !== list))
        expect([list, other, ...codeOf(await read(other, `cursor=${cursor}`))]).toEqual([list, other, ...invalid])
    }
  })

  it('a forged cursor is a 400, or a place in the list, whatever it holds', async () => {
    const names = ['agents', 'sessions', 'keys', 'audit', 'trajectories', 'memories desc one', 'messages s-one']
    const nameOf = async (list: string): Promise<string> => {
      const cursor: string = expectStatus(await read(list, 'limit=1'), 200).json().next_cursor
      return JSON.parse(Buffer.from(cursor, 'base64url').toString())[0]
    }
    const places: (readonly (string | number)[])[] = [[-2_147_483_647], [2_147_483_647], [''], ['~'], ['a', 'b'], []]
    const impossible = [[9_007_199_254_740_991], [-9_007_199_254_740_991], [1.5], ['\u0000'], ['\ud800']]
    for (const list of lists()) {
      const own = await nameOf(list)
      for (const keys of places)
        expect([200, 400]).toContain((await read(list, `cursor=${encodeCursor(own, keys)}`)).statusCode)
      for (const keys of impossible)
        expect(codeOf(await read(list, `cursor=${encodeCursor(own, keys)}`))).toEqual(invalid)
      for (const other of names.filter((name) => name !== own))
        expect(codeOf(await read(list, `cursor=${encodeCursor(other, ['a'])}`))).toEqual(invalid)
    }
  })

  it.each(['', 'x', 'e30', 'bnVsbA', 'W10', 'WzFlOTk5XQ', '!'])('%j is no cursor of any list', async (text) => {
    for (const list of lists())
      expect([list, ...codeOf(await read(list, `cursor=${text}`))]).toEqual([list, ...invalid])
  })
})
