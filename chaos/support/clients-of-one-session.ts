/** What clients of one session do at once, by every door, and what they were told was done. */

import { type Answer, type Asked, at, listAt, textAt } from './door.ts'
import type { Random } from './random.ts'
import type { Tenant } from './service.ts'
import { createTally } from './tally.ts'

type Place = { readonly tenant: Tenant; readonly agent: string; readonly session: string }

/** What was acknowledged. */
export const createLedger = () => ({
  statuses: createTally(),
  /** By message id: each with its content. */
  appended: new Map<string, string>(),
  /** Versions of the context that appends made. */
  appendVersions: [] as number[],
  /** By memory id: the content that it was added with. */
  added: new Map<string, string>(),
  /** Memories that a delete was sent for, whatever came back. */
  deleting: new Set<string>(),
  /** `id@version` of acknowledged updates with If-Match. */
  updates: [] as string[],
  edits: new Set<string>(),
  unanswered: createTally(),
  /** Answers of a kind that a client should never get. */
  wrong: [] as string[],
})

export type Ledger = ReturnType<typeof createLedger>

type Act = { readonly name: string; readonly weight: number; run(): Promise<unknown> }

const note = (ledger: Ledger, name: string, answer: Answer): Answer => {
  const code = textAt(answer.fields, 'code')
  ledger.statuses.add(code === '' ? answer.status : `${answer.status} ${code}`)
  if (answer.status === 0) ledger.unanswered.add(name)
  const isHonest = answer.status === 503 && answer.headers['retry-after'] !== undefined
  if (answer.status >= 500 && !isHonest) ledger.wrong.push(`${name}: ${answer.status} ${code}`)
  return answer
}

const isOk = ({ status }: Answer): boolean => status >= 200 && status < 300

/** What a client of this session may do; each is told apart by its name in findings. */
export const actsOf = (place: Place, random: Random, ledger: Ledger): readonly Act[] => {
  const { tenant, agent, session } = place
  const path = `/v1/sessions/${session}`
  const memories = `/v1/agents/${agent}/memories`
  let serial = 0
  const unique = (what: string) => {
    serial += 1
    return `${what} ${random.hex(10)}-${serial} ${random.words(6)}`
  }
  const ask = async (name: string, asked: Asked) =>
    note(ledger, name, await tenant.ask({ timeoutMs: 45_000, ...asked }))
  const anyMemory = () => (ledger.added.size === 0 ? 'mem_none' : random.pick([...ledger.added.keys()].slice(-40)))
  const keepAdded = (id: string, content: string) => {
    if (id !== '') ledger.added.set(id, content)
  }
  const keepAppended = (answer: Answer) => {
    if (!isOk(answer)) return
    for (const message of listAt(answer.fields, 'messages'))
      ledger.appended.set(textAt(message, 'message_id'), textAt(message, 'content'))
    ledger.appendVersions.push(Number(at(answer.fields, 'context.version')))
  }
  const append = async (messages: readonly object[]) =>
    keepAppended(await ask('append', { path: `${path}/messages`, body: { messages } }))
  const tool = (key: string, body: object) => ask(key, { path: `${path}/tools/${key}`, body })
  const calls = (name: string, args: object) =>
    ask(`tool_calls ${name}`, {
      path: `${path}/tool_calls`,
      body: {
        append: random.chance(0.5),
        tool_calls: [
          { id: `call_${random.hex(12)}`, type: 'function', function: { name, arguments: JSON.stringify(args) } },
        ],
      },
    })
  const mcp = (name: string, args: object) =>
    ask(`mcp ${name}`, {
      path: '/mcp',
      headers: { accept: 'application/json, text/event-stream', 'agemem-session': session },
      body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } },
    })

  const patch = async () => {
    const id = anyMemory()
    const read = await ask('get memory', { path: `${memories}/${id}` })
    if (!isOk(read)) return
    const body = { metadata: { round: random.hex(6) } }
    const headers = { 'if-match': String(read.headers.etag) }
    const changed = await ask('patch memory', { method: 'PATCH', path: `${memories}/${id}`, body, headers })
    if (isOk(changed)) ledger.updates.push(`${id}@${textAt(changed.fields, 'version')}`)
  }
  const pin = async () => {
    if (ledger.appended.size === 0) return
    const id = random.pick([...ledger.appended.keys()].slice(-30))
    await ask('pin', { method: 'PATCH', path: `${path}/messages/${id}`, body: { pinned: random.chance(0.3) } })
  }
  const undo = async () => {
    const listed = await ask('list edits', { path: `${path}/edits?limit=10` })
    const edits = listAt(listed.fields, 'data')
    if (edits.length === 0) return
    await ask('undo', { method: 'POST', path: `${path}/edits/${textAt(random.pick(edits), 'edit_id')}/undo` })
  }
  const remove = async () => {
    const id = anyMemory()
    ledger.deleting.add(id)
    await tool('delete_memory', { memory_id: id, confirmation: true })
  }
  const callWithResult = async () => {
    const id = `call_${random.hex(12)}`
    const call = { id, type: 'function', function: { name: 'look_up', arguments: '{}' } }
    await append([
      { role: 'assistant', content: unique('asks'), tool_calls: [call] },
      { role: 'tool', content: unique('answers'), tool_call_id: id },
    ])
  }
  return [
    {
      name: 'append',
      weight: 5,
      run: () => append([{ role: 'user', content: unique('says'), pinned: random.chance(0.05) }]),
    },
    { name: 'append system', weight: 1, run: () => append([{ role: 'system', content: unique('rules') }]) },
    { name: 'append call', weight: 3, run: callWithResult },
    { name: 'pin', weight: 2, run: pin },
    { name: 'undo', weight: 2, run: undo },
    { name: 'reset', weight: 1, run: () => ask('reset', { method: 'POST', path: `${path}/context/reset` }) },
    { name: 'context', weight: 2, run: () => ask('context', { path: `${path}/context` }) },
    { name: 'messages', weight: 1, run: () => ask('messages', { path: `${path}/messages?limit=20` }) },
    {
      name: 'add by tool',
      weight: 4,
      run: async () => {
        const content = unique('fact')
        keepAdded(textAt((await tool('add_memory', { content })).fields, 'result.memory_id'), content)
      },
    },
    {
      name: 'add by tool_calls',
      weight: 4,
      run: async () => {
        const content = unique('fact')
        keepAdded(textAt((await calls('Add_memory', { content })).fields, 'calls.0.result.memory_id'), content)
      },
    },
    {
      name: 'add by mcp',
      weight: 2,
      run: async () => {
        const content = unique('fact')
        const told = await mcp('Add_memory', { content })
        const inner = /mem_[0-9a-f]{32}/.exec(told.text)?.[0] ?? ''
        keepAdded(inner, content)
      },
    },
    {
      name: 'add by REST',
      weight: 3,
      run: async () => {
        const content = unique('fact')
        const told = await ask('add', { path: memories, body: { content } })
        if (isOk(told)) keepAdded(textAt(told.fields, 'memory_id'), content)
      },
    },
    { name: 'retrieve', weight: 2, run: () => tool('retrieve_memory', { query: random.words(3) }) },
    { name: 'retrieve by tool_calls', weight: 1, run: () => calls('Retrieve_memory', { query: random.words(3) }) },
    {
      name: 'update',
      weight: 2,
      run: () => tool('update_memory', { memory_id: anyMemory(), metadata: { by: 'tool' } }),
    },
    { name: 'delete', weight: 1, run: remove },
    { name: 'summary', weight: 2, run: () => tool('summary_context', { span: random.chance(0.5) ? 'all' : 4 }) },
    { name: 'filter', weight: 1, run: () => tool('filter_context', { criteria: random.words(2) }) },
    { name: 'patch', weight: 3, run: patch },
    {
      name: 'search',
      weight: 2,
      run: () => ask('search', { path: `${memories}/search`, body: { query: random.words(3) } }),
    },
  ]
}

export const pickAct = (acts: readonly Act[], random: Random): Act => {
  let left = random.below(acts.reduce((sum, { weight }) => sum + weight, 0))
  for (const act of acts) {
    left -= act.weight
    if (left < 0) return act
  }
  return random.pick(acts)
}
