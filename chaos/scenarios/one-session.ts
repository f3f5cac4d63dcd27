/** Many clients of all verbs on one session: no deadlock, nothing lost, and the laws of a context hold whenever it is quiet. */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { actsOf, createLedger, type Ledger, pickAct } from '../support/clients-of-one-session.ts'
import { countDeadlocks } from '../support/cluster.ts'
import { checkLaws } from '../support/context-laws.ts'
import { readList, readMemories, readWell } from '../support/read-all.ts'
import type { Tenant } from '../support/service.ts'
import { startEmbeddings } from '../support/stand-ins.ts'
import { someOf } from '../support/tally.ts'
import { forSeconds } from '../support/wait.ts'

const roundSecondsMax = 15

const readReported = async (tenant: Tenant, { agent, session }: { agent: string; session: string }) => {
  const path = `/v1/sessions/${session}`
  return {
    messages: await readList(tenant, `${path}/messages`),
    context: (await readWell(tenant, `${path}/context`)).fields,
    edits: await readList(tenant, `${path}/edits`),
    memories: await readMemories(tenant, agent),
  }
}

/** A session of its own for each round, so that its lists stay short however long the run. */
const playRound = async (
  { random, signal }: ChaosContext,
  { tenant, name, clients, seconds }: { tenant: Tenant; name: string; clients: number; seconds: number },
): Promise<{ readonly ledger: Ledger; readonly findings: readonly Finding[] }> => {
  const place = { agent: `agent-${name}`, session: `session-${name}` }
  const body = { agent_id: place.agent, session_id: place.session, budget_tokens: 2_000 }
  const made = await tenant.ask({ path: '/v1/sessions', body })
  if (made.status !== 201) throw new Error(`no session: ${made.status} ${made.text.slice(0, 200)}`)
  const ledger = createLedger()
  const sources = Array.from({ length: clients }, () => random.fork())
  const acts = sources.map((source) => actsOf({ tenant, ...place }, source, ledger))
  await forSeconds({ seconds, workers: clients, signal }, async (worker) => {
    const source = sources[worker] ?? random
    await pickAct(acts[worker] ?? [], source).run()
  })
  return { ledger, findings: checkLaws(await readReported(tenant, place), ledger) }
}

export const playOneSession = async (context: ChaosContext, clients: number): Promise<Outcome> => {
  const { lab, seconds, say, signal } = context
  const env = await startEmbeddings(lab)
  const service = await lab.start({ env })
  const tenant = await service.makeTenant('one session')
  const rounds = Math.max(1, Math.round(seconds / roundSecondsMax))
  const findings: Finding[] = []
  const statuses: string[] = []
  let requests = 0
  for (let round = 0; round < rounds && !signal.aborted; round += 1) {
    const played = await playRound(context, { tenant, name: String(round), clients, seconds: seconds / rounds })
    const { ledger } = played
    requests += ledger.statuses.total()
    statuses.push(String(ledger.statuses))
    findings.push(...played.findings)
    if (ledger.wrong.length > 0)
      findings.push({ guarantee: 'honest answers', what: `${ledger.wrong.length}: ${someOf(new Set(ledger.wrong))}` })
    if (ledger.unanswered.total() > 0)
      findings.push({ guarantee: 'A4', what: `no answer in 45 s: ${ledger.unanswered}` })
    say(`round ${round + 1} of ${rounds}: ${ledger.statuses}`)
  }
  const deadlocks = await countDeadlocks(service.dataDir)
  if (deadlocks > 0) findings.push({ guarantee: 'A4', what: `the database broke ${deadlocks} deadlocks` })
  return {
    figures: [
      { what: `requests of ${clients} clients on one session`, value: String(requests) },
      { what: 'answers of the last round', value: statuses.at(-1) ?? '' },
      { what: 'deadlocks', value: String(deadlocks) },
    ],
    findings,
  }
}

export const oneSession: Scenario = {
  name: 'one-session',
  guards: ['C1', 'C2', 'C3', 'C4', 'C5', 'C8', 'A4', 'M1'],
  run: (context) => playOneSession(context, 16),
}
