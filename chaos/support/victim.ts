/** A tenant with something of everything, each text of it marked, and the ids that others will be tried with. */
import { type Answer, type Fields, listAt, textAt } from './door.ts'
import type { Random } from './random.ts'
import { readMemories } from './read-all.ts'
import type { Service, Tenant } from './service.ts'

export type Victim = {
  readonly tenant: Tenant
  /** Stands in each of its texts and is never sent by others. */
  readonly canary: string
  /** By the name of the field that they are for. */
  readonly values: ReadonlyMap<string, readonly string[]>
  /** Ids that the service made for it and that nobody sends: others can know them from a leak alone. */
  readonly secretIds: readonly string[]
  readonly agents: readonly string[]
  readonly sessions: readonly string[]
  /** All that it holds, to be compared afterwards. */
  readState(): Promise<string>
}

const must = (answer: Answer): Answer => {
  if (answer.status >= 200 && answer.status < 300) return answer
  throw new Error(`the victim could not be set up: ${answer.status} ${answer.text.slice(0, 300)}`)
}

const idPattern = /\b(?:mem|msg|stp|ses|edt|edi|key|rew|evt|ers|run|aud|era|rwd)_[0-9a-f]{32}\b/g
/** Stand in its texts too, and are what others search for. */
export const commonWords = 'harbour lantern quokka ledger'

/** What a session of it goes through: all tools, an edit, a reward. */
const live = async (
  tenant: Tenant,
  { agent, session, text }: { agent: string; session: string; text: () => string },
) => {
  const answers: Answer[] = []
  const ask = async (path: string, body: object, headers: Readonly<Record<string, string>> = {}) => {
    const answer = must(await tenant.ask({ path, body, headers }))
    answers.push(answer)
    return answer
  }
  const path = `/v1/sessions/${session}`
  await ask('/v1/sessions', { agent_id: agent, session_id: session, metadata: { note: text() } })
  const messages = Array.from({ length: 6 }, () => ({ role: 'user', content: `${text()} ${text()} ${text()}` }))
  await ask(`${path}/messages`, { messages }, { 'idempotency-key': `shared-${session}-append` })
  await ask(`${path}/tools/add_memory`, { content: text() }, { 'idempotency-key': `shared-${session}-add` })
  for (let at = 0; at < 4; at += 1)
    await ask(`/v1/agents/${agent}/memories`, { content: text(), metadata: { label: text() } })
  await ask(`${path}/tools/retrieve_memory`, { query: text() })
  await tenant.ask({ path: `${path}/tools/summary_context`, body: { span: 4 } }).then((answer) => answers.push(answer))
  await ask(`${path}/tool_calls`, {
    tool_calls: [
      {
        id: 'call_1',
        type: 'function',
        function: { name: 'Add_memory', arguments: JSON.stringify({ content: text() }) },
      },
    ],
    append: true,
  })
  await ask(`${path}/rewards`, { key: 'outcome', value: 1 })
  return answers
}

const listsOf = (agent: string, session: string) => [
  `/v1/agents/${agent}/memories?limit=1`,
  `/v1/sessions/${session}/messages?limit=1`,
  `/v1/sessions/${session}/edits?limit=1`,
  `/v1/sessions/${session}/trajectory?limit=1`,
  '/v1/sessions?limit=1',
  '/v1/agents?limit=1',
  '/v1/keys?limit=1',
  '/v1/audit_events?limit=1',
]

const stateOf = async (tenant: Tenant, agents: readonly string[], sessions: readonly string[]): Promise<string> => {
  const memories = await Promise.all(agents.map((agent) => readMemories(tenant, agent)))
  const contexts = await Promise.all(sessions.map((session) => tenant.ask({ path: `/v1/sessions/${session}/context` })))
  const plain = (memory: Fields) => [memory.memory_id, memory.content, memory.version, memory.metadata]
  return JSON.stringify([memories.map((list) => list.map(plain)), contexts.map(({ text }) => text)])
}

export const makeVictim = async (service: Service, random: Random): Promise<Victim> => {
  const canary = `zq${random.hex(12)}`
  const tenant = await service.makeTenant('victim')
  const text = () => `${canary} ${commonWords} ${random.words(4)}`
  const agents = [`victim:${random.hex(6)}`, `victim-two:${random.hex(6)}`]
  const sessions = agents.map((agent) => `talk-${agent.replace(':', '-')}`)
  const lived = await Promise.all(
    agents.map((agent, place) => live(tenant, { agent, session: sessions[place] ?? '', text })),
  )
  const lists = await Promise.all(
    agents.flatMap((agent, place) => listsOf(agent, sessions[place] ?? '').map((path) => tenant.ask({ path }))),
  )
  const answers = [...lived.flat(), ...lists]
  const madeIds = [...new Set(answers.flatMap(({ text: body }) => body.match(idPattern) ?? []))]
  const sentIds = madeIds.filter((_, place) => place % 2 === 0)
  const of = (prefix: string) => sentIds.filter((id) => id.startsWith(prefix))
  const cursors = lists.map(({ fields }) => textAt(fields, 'next_cursor')).filter((cursor) => cursor !== '')
  const edits = answers.flatMap(({ fields }) => listAt(fields, 'data')).map((item) => textAt(item, 'edit_id'))
  const etags = answers.map(({ headers }) => String(headers.etag ?? '')).filter((etag) => etag !== '')
  const keys = sessions.flatMap((session) => [`shared-${session}-append`, `shared-${session}-add`])
  const values = new Map<string, readonly string[]>([
    ['agent_id', agents],
    ['agemem-agent', agents],
    ['session_id', sessions],
    ['agemem-session', sessions],
    ['memory_id', of('mem_')],
    ['message_id', of('msg_')],
    ['edit_id', edits.filter((id) => id !== '')],
    ['key_id', of('key_')],
    ['tenant_id', [tenant.tenantId]],
    ['erasure_id', of('er')],
    ['cursor', cursors],
    ['if-match', [...etags, '*']],
    ['idempotency-key', keys],
    ['query', [commonWords, 'lantern', 'quokka ledger']],
    ['criteria', [commonWords]],
    ['source_id', [...sessions, ...agents]],
    ['last-event-id', of('run')],
  ])
  return {
    ...{ tenant, canary, agents, sessions },
    secretIds: madeIds.filter((id) => !sentIds.includes(id)),
    values: new Map([...values].filter(([, list]) => list.length > 0)),
    readState: () => stateOf(tenant, agents, sessions),
  }
}
