/** Reading and editing a context of 500 messages, beside the statements and the bare route that it needs. */
import { moveMessages, readContextMessages } from '../../src/modules/context/context.repository.ts'
import { type BareSql, openBareSql } from '../bare-sql.ts'
import { ms } from '../figures.ts'
import type { Bench } from '../service.ts'
import type { Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { percentileOf, timed } from '../timing.ts'

const rounds = 15
const partSizes = [200, 200, 100]
const messageCount = 500

const createFullSession = async ({ client }: Bench, session: string): Promise<void> => {
  await client.post('/v1/sessions', { agent_id: 'context', session_id: session })
  for (const [part, size] of partSizes.entries()) {
    const messages = Array.from({ length: size }, (_, at) => ({
      role: at % 2 === 0 ? 'user' : 'assistant',
      content: textAt(part * 200 + at),
    }))
    await client.post(`/v1/sessions/${session}/messages`, { messages })
  }
}

/** Takes so many messages out of the context, and takes that back. */
const moveAndRollBack = async ({ tx }: BareSql, session: string, count: number): Promise<void> => {
  const statement = (text: string) => ({ name: `bench ${text}`, text, values: [] })
  await tx.query(statement('begin'))
  const messages = await readContextMessages(tx, session)
  const removed = messages.slice(0, count).map(({ messageId }) => ({ messageId, state: 'filtered' as const }))
  await moveMessages(tx, { sessionId: session, editId: 'edt_bench', removed, restoredMessageIds: [] })
  await tx.query(statement('rollback'))
}

type FilterAnswer = { readonly result: { readonly removed: readonly unknown[] } }

type Samples = Record<'read' | 'filter' | 'summary' | 'readRows' | 'filterRows' | 'summaryRows' | 'route', number[]>

const measureOne = async (bench: Bench, sql: BareSql, { session, samples }: { session: string; samples: Samples }) => {
  const { client, floor } = bench
  const criteria = textAt(1)
  await createFullSession(bench, session)
  samples.route.push(await timed(() => floor.post('/', { criteria })))
  samples.read.push(await timed(() => client.get(`/v1/sessions/${session}/context`)))
  samples.readRows.push(await timed(() => readContextMessages(sql.tx, session)))
  samples.summaryRows.push(await timed(() => moveAndRollBack(sql, session, messageCount)))
  const filtered = await client.post<FilterAnswer>(`/v1/sessions/${session}/tools/filter_context`, { criteria })
  const { length: removedCount } = filtered.result.removed
  const other = `${session}-again`
  await createFullSession(bench, other)
  samples.filterRows.push(await timed(() => moveAndRollBack(sql, other, removedCount)))
  samples.filter.push(await timed(() => client.post(`/v1/sessions/${other}/tools/filter_context`, { criteria })))
  const last = `${session}-last`
  await createFullSession(bench, last)
  samples.summary.push(await timed(() => client.post(`/v1/sessions/${last}/tools/summary_context`, { span: 'all' })))
}

export const benchContext: Subject = async (bench, { report }) => {
  const sql = await openBareSql(bench)
  const samples: Samples = {
    read: [],
    filter: [],
    summary: [],
    readRows: [],
    filterRows: [],
    summaryRows: [],
    route: [],
  }
  for (let round = 0; round < rounds; round += 1) await measureOne(bench, sql, { session: `context-${round}`, samples })
  await sql.close()
  const medianOf = (name: keyof Samples) => percentileOf(samples[name], 0.5)
  const route = medianOf('route')
  for (const [what, name, rows] of [
    ['context read, 500 messages', 'read', 'readRows'],
    ['FILTER, 500 messages', 'filter', 'filterRows'],
    ['SUMMARY, 500 messages, extractive', 'summary', 'summaryRows'],
  ] as const)
    report.add({
      what,
      figure: `median ${ms(medianOf(name))}`,
      floor: `statements ${ms(medianOf(rows))}, bare route ${ms(route)}`,
      ratio: medianOf(name) / (medianOf(rows) + route),
    })
}
