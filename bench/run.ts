/**
 * `npm run bench`: what the service costs above its parts. Each figure stands beside a floor measured in the same run on
 * the same machine, as a ratio, because absolute times say more about the machine than about the service.
 *
 *   npm run bench -- --only retrieve,memory --memories 100000 --seconds 5
 */
import { parseArgs } from 'node:util'
import { createReport } from './figures.ts'
import { startBench } from './service.ts'
import type { Subject } from './subject.ts'
import { benchAdd, benchBatch } from './subjects/add.ts'
import { benchContext } from './subjects/context.ts'
import { benchIndex } from './subjects/index.ts'
import { benchMemory } from './subjects/memory.ts'
import { benchPolicy } from './subjects/policy.ts'
import { benchRetrieve } from './subjects/retrieve.ts'
import { benchSearchable } from './subjects/searchable.ts'
import { benchTenants } from './subjects/tenants.ts'

const subjects: Readonly<Record<string, Subject>> = {
  add: benchAdd,
  batch: benchBatch,
  context: benchContext,
  policy: benchPolicy,
  searchable: benchSearchable,
  tenants: benchTenants,
  index: benchIndex,
  retrieve: benchRetrieve,
  memory: benchMemory,
}

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(subjects).join(',') },
    seconds: { type: 'string', default: '5' },
    memories: { type: 'string', default: '100000' },
    tenants: { type: 'string', default: '10000' },
  },
})

const wanted = values.only.split(',').map((name) => {
  const subject = subjects[name]
  if (subject === undefined) throw new Error(`${name} is none of ${Object.keys(subjects).join(', ')}`)
  return subject
})

const print = (line: string) => process.stdout.write(`${line}\n`)
const report = createReport(print)
const options = {
  report,
  seconds: Number(values.seconds),
  memoriesMax: Number(values.memories),
  tenantsMax: Number(values.tenants),
}

const bench = await startBench()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void bench.close().finally(() => process.exit(1)))
try {
  for (const subject of wanted) await subject(bench, options)
} finally {
  await bench.close()
}
print(`\n${report.toTable()}`)
