/** The database stands still, then is stopped and started: bounded answers meanwhile, honest readiness, and nothing lost. */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { signalDatabase } from '../support/cluster.ts'
import type { Service } from '../support/service.ts'
import { startEmbeddings } from '../support/stand-ins.ts'
import { sleep } from '../support/wait.ts'
import { startWriters, type Writers } from '../support/writers.ts'

const requestTimeoutMs = 5_000
/** What an answer may take above the deadline on a busy machine. */
const answerSlackMs = 3_000
const standsMs = 9_000
const recoversWithinMs = 60_000
const readinessWithinMs = 5_000

const settings = {
  AGEMEM_REQUEST_TIMEOUT_MS: String(requestTimeoutMs),
  // Imports have a deadline of their own.
  AGEMEM_STREAM_TIMEOUT_MS: String(requestTimeoutMs),
  AGEMEM_STATEMENT_TIMEOUT_MS: '4000',
  AGEMEM_DATABASE_CONNECT_TIMEOUT_MS: '2000',
}

type Told = { readonly findings: Finding[]; readonly readiness: string[] }

const askReadiness = async (service: Service, when: string, { findings, readiness }: Told): Promise<void> => {
  const { status, ms } = await service.ask({ path: '/health/ready', timeoutMs: 20_000 })
  readiness.push(`${when} ${status} after ${Math.round(ms)} ms`)
  if (status === 200) findings.push({ guarantee: 'readiness', what: `says ready ${when}` })
  if (status === 0 || ms > readinessWithinMs)
    findings.push({ guarantee: 'readiness', what: `takes ${Math.round(ms)} ms ${when}` })
}

const standStill = async (service: Service, told: Told): Promise<void> => {
  await signalDatabase(service.dataDir, 'SIGSTOP', 'all')
  try {
    await sleep(standsMs / 2)
    await askReadiness(service, 'while the database stands', told)
    await sleep(standsMs / 2)
  } finally {
    await signalDatabase(service.dataDir, 'SIGCONT', 'all')
  }
}

const recover = async (service: Service, writers: Writers, after: string, { findings }: Told): Promise<number> => {
  const startedMs = performance.now()
  if (!(await service.isReadyWithin(recoversWithinMs)))
    findings.push({ guarantee: 'recovery', what: `not ready after ${after}` })
  if (!(await writers.goOn(10, recoversWithinMs)))
    findings.push({ guarantee: 'recovery', what: `no writes after ${after}` })
  return performance.now() - startedMs
}

const play = async ({ lab, random, seconds, signal, say }: ChaosContext): Promise<Outcome> => {
  const service = await lab.start({ env: { ...(await startEmbeddings(lab)), ...settings } })
  const tenant = await service.makeTenant('database stopped')
  const told: Told = { findings: [], readiness: [] }
  const recoveries: string[] = []
  const timeoutMs = requestTimeoutMs + 4 * answerSlackMs
  const writers = await startWriters({ tenant, random, signal, name: 'stopped', timeoutMs })
  const endMs = performance.now() + seconds * 1_000
  let rounds = 0
  do {
    rounds += 1
    await writers.goOn(10, recoversWithinMs)
    await standStill(service, told)
    recoveries.push(`standing ${Math.round(await recover(service, writers, 'the database stood still', told))} ms`)
    await signalDatabase(service.dataDir, 'SIGINT')
    recoveries.push(`stopped ${Math.round(await recover(service, writers, 'the database was stopped', told))} ms`)
    say(`round ${rounds}: ${recoveries.slice(-2).join(', ')}`)
  } while (performance.now() < endMs && !signal.aborted)
  const settled = await writers.settle()
  const slowest = writers.book.slowestMs
  if (slowest > requestTimeoutMs + answerSlackMs)
    told.findings.push({
      guarantee: 'deadlines',
      what: `an answer took ${Math.round(slowest)} ms (${writers.book.slowestKind}); the deadline is ${requestTimeoutMs} ms`,
    })
  return {
    figures: [
      { what: 'times stopped, each way', value: String(rounds) },
      { what: 'readiness', value: told.readiness.slice(-4).join('; ') },
      { what: 'writes again after', value: recoveries.slice(-4).join(', ') },
      ...settled.figures,
    ],
    findings: [...told.findings, ...settled.findings],
  }
}

export const databaseStopped: Scenario = { name: 'database-stopped', guards: ['M1', 'M2', 'A5'], run: play }
