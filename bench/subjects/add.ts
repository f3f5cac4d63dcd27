/** ADD one by one, by tool and in batches, beside a bare insert and a bare route. */
import { latencies, rate } from '../figures.ts'
import type { Bench } from '../service.ts'
import type { Subject } from '../subject.ts'
import { textAt } from '../texts.ts'
import { repeat, type Timing } from '../timing.ts'

const agents = 100
const bareInsert = {
  name: 'floor',
  text: 'insert into bench_floor (content, metadata) values ($1, $2)',
}

const prepare = async ({ pool, client }: Bench): Promise<void> => {
  await pool.query(
    'create table bench_floor (id bigint generated always as identity primary key, content text, metadata jsonb)',
  )
  for (let at = 0; at < agents; at += 1)
    await client.post('/v1/sessions', { agent_id: `add-${at}`, session_id: `add-${at}` })
}

export const benchAdd: Subject = async (bench, { report, seconds }) => {
  await prepare(bench)
  let at = 0
  const next = () => {
    at += 1
    return { agent: `add-${at % agents}`, content: textAt(at) }
  }
  const insert = () => bench.pool.query({ ...bareInsert, values: [next().content, '{}'] })
  const route = () => bench.floor.post('/', { content: next().content })
  const add = () => {
    const { agent, content } = next()
    return bench.client.post(`/v1/agents/${agent}/memories`, { content })
  }
  const addByTool = () => {
    const { agent, content } = next()
    return bench.client.post(`/v1/sessions/${agent}/tools/add_memory`, { content })
  }
  const floorOf = (inserts: Timing, routes: Timing) =>
    `bare insert ${rate(inserts.perSecond)} p50 ${inserts.p50.toFixed(2)} ms, bare route ${rate(routes.perSecond)} p50 ${routes.p50.toFixed(2)} ms`

  for (const connections of [10, 1]) {
    const load = { seconds, connections }
    const [inserts, routes] = [await repeat(load, insert), await repeat(load, route)]
    const clients = connections === 1 ? 'one client' : `${connections} clients`
    for (const [name, work] of [
      ['ADD', add],
      ['ADD by tool', addByTool],
    ] as const) {
      const figure = await repeat(load, work)
      const ratio = figure.perSecond / inserts.perSecond
      const target = { text: '0.5 of the bare insert', isMet: ratio >= 0.5 }
      report.add({
        what: `${name}, ${clients}, ${agents} agents`,
        figure: `${rate(figure.perSecond)}, ${latencies(figure)}`,
        floor: floorOf(inserts, routes),
        ratio,
        ...(name === 'ADD' && connections > 1 ? { target } : {}),
      })
    }
  }
}

const batchSize = 500
const batches = 20

export const benchBatch: Subject = async (bench, { report }) => {
  const contents = Array.from({ length: batchSize }, (_, at) => textAt(at))
  await bench.pool.query(
    'create table if not exists bench_batches (id bigint generated always as identity, content text)',
  )
  const startedMs = performance.now()
  for (let round = 0; round < batches; round += 1)
    await bench.pool.query('insert into bench_batches (content) select unnest($1::text[])', [contents])
  const floor = (batches * batchSize * 1_000) / (performance.now() - startedMs)
  await bench.ensureFilled('batch-warm-up', batches * batchSize)
  const perSecond = await bench.ensureFilled('batch', batches * batchSize)
  report.add({
    what: `batch ADD of ${batchSize}, one client`,
    figure: `${rate(perSecond)} memories`,
    floor: `bare insert of ${batchSize} rows: ${rate(floor)}`,
    ratio: perSecond / floor,
    target: { text: '10,000/s', isMet: perSecond >= 10_000 },
  })
}
