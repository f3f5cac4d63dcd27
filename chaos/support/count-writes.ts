/** What is there of what was written: each acknowledged write once, one that nobody answered once or not at all, nothing else. */
import type { Finding } from '../scenario.ts'
import { textAt } from './door.ts'
import type { Acknowledged, Book, Write } from './keyed-writes.ts'
import type { Random } from './random.ts'
import { readList, readMemories } from './read-all.ts'
import type { Tenant } from './service.ts'
import { someOf } from './tally.ts'

export type Stored = {
  readonly memories: readonly string[]
  readonly messages: readonly string[]
  readonly sessions: readonly string[]
}

export const readStored = async (
  tenant: Tenant,
  places: readonly { agent: string; session: string }[],
): Promise<Stored> => {
  const [memories, messages, sessions]: [string[], string[], string[]] = [[], [], []]
  for (const { agent, session } of places) {
    memories.push(...(await readMemories(tenant, agent)).map((memory) => textAt(memory, 'content')))
    const listed = await readList(tenant, `/v1/sessions/${session}/messages`)
    messages.push(...listed.filter((one) => one.kind === 'appended').map((one) => textAt(one, 'content')))
    const made = await readList(tenant, `/v1/sessions?agent_id=${encodeURIComponent(agent)}`)
    sessions.push(...made.map((one) => textAt(one, 'session_id')).filter((id) => id.startsWith('made-')))
  }
  return { memories, messages, sessions }
}

export type Count = {
  readonly lost: readonly string[]
  readonly double: readonly string[]
  readonly phantom: readonly string[]
}

const countsOf = (items: readonly string[]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return counts
}

export const countWrites = ({ acknowledged, open }: Book, stored: Stored): Count => {
  const parts = ['memories', 'messages', 'sessions'] as const
  const judged = parts.map((part): Count => {
    const counts = countsOf(stored[part])
    const wanted = acknowledged.flatMap(({ write }: Acknowledged) => write[part])
    const possible = new Set([...wanted, ...[...open].flatMap((write: Write) => write[part])])
    return {
      lost: wanted.filter((text) => !counts.has(text)),
      double: [...counts].filter(([text, count]) => count > 1 && possible.has(text)).map(([text]) => text),
      phantom: [...counts.keys()].filter((text) => !possible.has(text)),
    }
  })
  const all = (name: keyof Count) => judged.flatMap((count) => count[name])
  return { lost: all('lost'), double: all('double'), phantom: all('phantom') }
}

export const findingsOf = ({ lost, double, phantom }: Count): readonly Finding[] =>
  [
    { guarantee: 'M1', what: 'acknowledged and lost', items: lost },
    { guarantee: 'M2', what: 'there twice', items: double },
    { guarantee: 'M1', what: 'there and never written', items: phantom },
  ].flatMap(({ guarantee, what, items }) =>
    items.length === 0 ? [] : [{ guarantee, what: `${items.length} ${what}: ${someOf(items)}` }],
  )

const replaysMax = 25

/** An answer without what tells of the moment at which it was given. */
const lasting = (text: string): string =>
  text.replaceAll(/"index_state":"\w+"/g, '').replaceAll(/"request_id":"[^"]*"/g, '')

/** Acknowledged writes sent again get the answers that they got. */
export const checkReplays = async (tenant: Tenant, { acknowledged }: Book, random: Random) => {
  const findings: Finding[] = []
  const sample = Array.from({ length: Math.min(replaysMax, acknowledged.length) }, () => random.pick(acknowledged))
  for (const { write, answer } of sample) {
    const again = await tenant.ask(write.asked)
    if (again.status === answer.status && lasting(again.text) === lasting(answer.text)) continue
    findings.push({
      guarantee: 'M2',
      what: `${write.kind} sent again: ${again.status} ${again.text.slice(0, 120)} instead of ${answer.status} ${answer.text.slice(0, 120)}`,
    })
  }
  return { count: sample.length, findings: findings.slice(0, 5) }
}
