/** `npm run chat` as a process of its own, with lines piped in as from a script. */
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp } from '../support/app.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'
import { root } from '../support/service-process.ts'

type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

const runChat = (args: readonly string[], lines: readonly string[]): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/chat.ts', ...args], {
      cwd: root,
      env: { PATH: process.env.PATH ?? '' },
      timeout: 60_000,
    })
    let [out, err] = ['', '']
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString()
    })
    child.stderr.on('data', (piece: Buffer) => {
      err += piece.toString()
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
    child.stdin.end(lines.map((line) => `${line}\n`).join(''))
  })

describe('npm run chat', () => {
  let test: PolicyTest
  let service: readonly string[]

  beforeAll(async () => {
    test = await createPolicyTest()
    const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
    service = ['--url', url, '--key', (await test.makeKey()).key]
  })
  afterAll(() => test.close())

  it('shows thinking, calls with their results, the pressure and the answer, and obeys its commands', async () => {
    test.server.reply(calling({ name: 'Add_memory', arguments: { content: 'Ana is allergic to peanuts.' } }))
    test.server.reply(calling({ name: 'Retrieve_memory', arguments: { query: 'allergies' } }))
    test.server.reply(calling({ name: 'Forget_all', arguments: {} }))
    test.server.reply(answering(`I will remember that. ${'Peanuts are in many things. '.repeat(20)}`))
    const summary = { name: 'Summary_context', arguments: { span: 'all' } }
    test.server.reply(calling(summary))
    test.server.reply({ text: 'Ana is allergic to peanuts, and that was saved.' })
    test.server.reply(answering('There is room again.'))
    const lines = [
      'I am allergic to peanuts.',
      'Make room.',
      '/memories',
      '/context',
      '/edits',
      '/undo',
      '/edits',
      '/what',
      '/quit',
    ]
    const { code, out, err } = await runChat([...service, '--agent', 'ana'], [...lines, 'never said'])
    expect([code, err]).toEqual([0, ''])
    const inOrder = [
      ...['of agent ana', 'you> I am allergic to peanuts.', 'thinks Let me see.', 'Add_memory {"content":"Ana is'],
      ...['-> {"memory_id":"mem_', 'of 8,192 tokens', 'Retrieve_memory', 'Forget_all', '-> failed: There is no tool'],
      ...[
        'agent> I will remember that.',
        'you> Make room.',
        'Summary_context',
        'agent> There is room',
        'you> /memories',
        'Ana is allergic to peanuts.',
        '1 memories of ana',
      ],
      ...['you> /context', 'Summary of earlier', 'user       Make room.', 'you> /edits', 'summary ', 'you> /undo'],
      ...[
        'is undone',
        'you> /edits',
        'undone',
        'undo ',
        'you> /what',
        '/memories  what the agent remembers',
        'you> /quit',
      ],
    ]
    let place = 0
    for (const part of inOrder) {
      const found = out.indexOf(part, place)
      expect(found, `${part} in\n${out.slice(place)}`).toBeGreaterThanOrEqual(0)
      place = found
    }
    expect(out).not.toContain('never said')
  })

  it('a line that fails is no end: the next one is answered, in the session that was named', async () => {
    test.server.fail('down', { times: 1 })
    test.server.reply(answering('Back again.'))
    const first = await runChat(service, ['Hello?', 'Hello again?'])
    expect(first.code).toBe(0)
    expect(first.out).toMatch(/failed: [^\n]*\n[\s\S]*agent> Back again\./)
    const session = /^session (\S+)/m.exec(first.out)?.[1] ?? ''
    const second = await runChat([...service, '--session', session], ['/context'])
    expect(second.out).toContain('Back again.')
  })

  it('says what is missing when the service has no model, and exits with 1', async () => {
    const plain = await createTestApp()
    try {
      const url = await plain.app.listen({ host: '127.0.0.1', port: 0 })
      const { code, err } = await runChat(['--url', url, '--key', (await plain.makeKey()).key], ['Hello'])
      expect([code, err]).toEqual([1, expect.stringMatching(/no model[\s\S]*AGEMEM_VLLM_URL and AGEMEM_VLLM_MODEL/)])
    } finally {
      await plain.close()
    }
  })

  it('wrong usage is a 2', async () => {
    const { code, err } = await runChat(['--url', 'http://127.0.0.1:1'], [])
    expect([code, err]).toEqual([2, expect.stringContaining('--key')])
  })
})
