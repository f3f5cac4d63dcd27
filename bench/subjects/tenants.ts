/** What more tenants cost: ADD and RETRIEVE with 10 tenants, then with many, each with an agent and a few memories. */
import { ms } from '../figures.ts'
import type { Bench } from '../service.ts'
import type { Subject } from '../subject.ts'
import { agentOf, fillTenants, memoriesEach, secretOf } from '../tenants-fill.ts'
import { textAt } from '../texts.ts'
import { repeat, type Timing } from '../timing.ts'

const few = 10
const growthMax = 1.5

type Measured = { readonly add: Timing; readonly retrieve: Timing }

/** One client whose requests go to one tenant after another, in no order that a cache could follow. */
const measure = async (bench: Bench, seconds: number, tenants: number): Promise<Measured> => {
  let at = 0
  const next = () => {
    at += 1
    const tenant = (at * 7_919) % tenants
    return { client: bench.client.withKey(secretOf(tenant)), at }
  }
  const retrieve = () => {
    const { client } = next()
    return client.post(`/v1/agents/${agentOf}/memories/search`, { query: textAt(at % memoriesEach), top_k: 3 })
  }
  const add = () => {
    const { client } = next()
    return client.post(`/v1/agents/${agentOf}/memories`, { content: textAt(900_000 + at) })
  }
  const load = { seconds, connections: 1 }
  return { retrieve: await repeat(load, retrieve), add: await repeat(load, add) }
}

export const benchTenants: Subject = async (bench, { report, seconds, tenantsMax }) => {
  await fillTenants(bench.pool, { from: 0, to: few })
  const before = await measure(bench, seconds, few)
  await fillTenants(bench.pool, { from: few, to: tenantsMax })
  const many = tenantsMax.toLocaleString('en')
  const sameTenants = await measure(bench, seconds, few)
  const allTenants = await measure(bench, seconds, tenantsMax)
  for (const [where, after] of [
    [`requests to the same ${few}`, sameTenants],
    ['each request to another tenant', allTenants],
  ] as const)
    for (const [name, kind] of [
      ['ADD', 'add'],
      ['RETRIEVE', 'retrieve'],
    ] as const) {
      const ratio = after[kind].p50 / before[kind].p50
      report.add({
        what: `${name} with ${many} tenants, ${where}`,
        figure: `p50 ${ms(after[kind].p50)}`,
        floor: `with ${few} tenants p50 ${ms(before[kind].p50)}`,
        ratio,
        target: { text: `${growthMax}`, isMet: ratio <= growthMax },
      })
    }
}
