import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { codeOf, createHttp, expectStatus, type Http } from '../support/http.ts'

const ndjson = { 'content-type': 'application/x-ndjson' }

describe('the lines of an import', () => {
  let test: TestApp
  let http: Http

  const send = (agent: string, lines: readonly (string | object)[]) =>
    http.post(
      `/v1/agents/${agent}/memories/import`,
      lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
      ndjson,
    )
  const exported = async (agent: string): Promise<readonly Record<string, unknown>[]> => {
    const { payload } = expectStatus(await http.get(`/v1/agents/${agent}/memories/export`), 200)
    return payload.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }

  beforeAll(async () => {
    test = await createTestApp()
    http = createHttp(test, (await test.makeKey()).key)
  })
  afterAll(() => test.close())

  it('takes bytes as they were meant or rejects their line: nothing is replaced, cut or dropped', async () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1')
    const body = Buffer.concat([
      Buffer.from('\ufeff{"content":"Mark"}\r\n'),
      bytes('{"content":"caf\xe9"}\n'),
      Buffer.from('{"content":"café"}\n'),
      bytes('{"content":"cut"}\xe2\x82'),
    ])
    const answer = await http.post('/v1/agents/bytes/memories/import', body, ndjson)
    const invalid = { code: 'memory.invalid', errors: [{ pointer: '', detail: 'is not UTF-8' }] }
    expect(answer.data).toMatchObject({
      created: 2,
      rejected: [
        { line: 2, problem: invalid },
        { line: 4, problem: invalid },
      ],
    })
    expect((await exported('bytes')).map(({ content }) => content).sort()).toEqual(['Mark', 'café'])
  })

  it('takes a memory of full length however its characters are escaped, and no line without end', async () => {
    const escaped = `{"content":"${'\\ud83d\\ude00'.repeat(32_768)}"}`
    const endless = JSON.stringify({ content: 'x'.repeat(600_000) })
    const { created, rejected } = (await send('long', [escaped, endless, '{"content":"After"}'])).json()
    expect([created, rejected.map(({ line }: { line: number }) => line)]).toEqual([2, [2]])
    expect((await exported('long')).map(({ content }) => [...String(content)].length).sort()).toEqual([32_768, 5])
  })

  it('rejects a line that has expired already, which nobody would ever see', async () => {
    const lines = ['2020-01-01T00:00:00Z', '2099-01-01T00:00:00Z'].map((expires_at) => ({ content: 'x', expires_at }))
    const { created, rejected } = (await send('over', lines)).json()
    expect([created, rejected]).toMatchObject([1, [{ line: 1, problem: { errors: [{ pointer: '/expires_at' }] } }]])
  })

  it("counts an agent's default time to live from the import, however old a memory is", async () => {
    await http.post('/v1/agents/kept/memories', { content: 'First' })
    await http.patch('/v1/agents/kept', { defaults: { memory_ttl_seconds: 600 } })
    await send('kept', [{ content: 'Old', created_at: '2020-01-01T00:00:00Z' }])
    const old = (await exported('kept')).find(({ content }) => content === 'Old')
    expect(Date.parse(String(old?.expires_at))).toBeGreaterThan(test.modules.clock.nowMs())
  })

  it('that breaks off says up to which line it came, when it has stored some', async () => {
    const caller = await test.modules.makeCaller()
    async function* lines(count: number) {
      for (let line = 1; line <= count; line += 1) yield { line, memory: { content: `Line ${line}` } }
      throw new DOMException('late', 'TimeoutError')
    }
    const importing = (count: number) => test.modules.transfer.importAll(caller, `broken-${count}`, lines(count))
    await expect(importing(400)).rejects.toMatchObject({ name: 'TimeoutError' })
    const detail = expect.stringContaining('The lines up to 500 are dealt with, and 500 memories')
    await expect(importing(700)).rejects.toMatchObject({ code: 'memory.import_broke_off', status: 503, detail })
    expect((await test.modules.agents.get(caller, 'broken-700')).memoryCount).toBe(500)
  })

  it('names the lines that a quota has kept out, when others were stored before it was reached', async () => {
    const { key: limited } = await test.makeKey({ quotas: { memoriesMax: 600 } })
    const lines = Array.from({ length: 1_100 }, (_, at) => JSON.stringify({ content: `Line ${at + 1}` })).join('\n')
    const post = (agent: string) => createHttp(test, limited).post(`/v1/agents/${agent}/memories/import`, lines, ndjson)
    const { created, rejected, rejected_count } = expectStatus(await post('some'), 200).json()
    expect([created, rejected_count, rejected[0].line]).toEqual([600, 500, 501])
    expect(rejected[0].problem).toMatchObject({ code: 'quota.memories', status: 429 })
    expect(codeOf(await post('none'))).toEqual([429, 'quota.memories'])
  })
})
