/**
 * `npm run chaos`: tries to break what docs/invariants.md promises, over HTTP against processes of its own, and exits with
 * 1 where it did. docs/chaos.md says how to read it.
 *
 *   npm run chaos -- --minutes 60 --only kill,one-session --seed 7 --json chaos.json
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { toSummary, toTable, verdictOf } from './report.ts'
import { type Result, runScenario } from './run-scenario.ts'
import { scenarios } from './scenarios.ts'

const names = scenarios.map(({ name }) => name)

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    only: { type: 'string', default: names.join(',') },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
})

const numberOf = (option: 'minutes' | 'seed'): number => {
  const value = Number(values[option])
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${option} is a number above 0.`)
}

const wanted = values.only.split(',').map((name) => {
  const scenario = scenarios.find((one) => one.name === name)
  if (scenario === undefined) throw new Error(`${name} is none of ${names.join(', ')}.`)
  return scenario
})

const print = (line: string) => process.stdout.write(`${line}\n`)
const seconds = Math.max(5, Math.floor((numberOf('minutes') * 60) / wanted.length))
const seed = numberOf('seed')

/** The first Ctrl-C breaks off and cleans up; nothing is left behind. */
const broken = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (!broken.signal.aborted) print(`${signal}: cleaning up`)
    broken.abort(new Error(`broken off by ${signal}`))
  })

/** What nobody waits for and fails would end the process with its services still running. */
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => {
    print(`${event}: ${error instanceof Error ? error.stack : String(error)}`)
    broken.abort(new Error(`broken off by ${event}`))
  })

const results: Result[] = []
for (const scenario of wanted) {
  if (broken.signal.aborted) break
  print(`${scenario.name}: ${scenario.guards.join(', ')} for ${seconds} s`)
  const result = await runScenario(scenario, { seconds, seed, signal: broken.signal, say: print })
  results.push(result)
  print(`${scenario.name}: ${verdictOf(result)}${result.failure === undefined ? '' : `, ${result.failure}`}`)
}

print(`\n${toTable(results)}\n\n${toSummary(results)}`)
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ seed, seconds, results }, null, 2)}\n`)
const isGreen =
  results.length === wanted.length && results.every((result) => ['held', 'not run'].includes(verdictOf(result)))
process.exit(broken.signal.aborted ? 130 : isGreen ? 0 : 1)
