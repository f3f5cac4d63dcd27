/** kill -9 of the service and of the database under keyed writes of all kinds: each acknowledged write is there once. */
import type { ChaosContext, Figure, Finding, Outcome, Scenario } from '../scenario.ts'
import { signalDatabase } from '../support/cluster.ts'
import type { Service } from '../support/service.ts'
import { startEmbeddings } from '../support/stand-ins.ts'
import { sleep } from '../support/wait.ts'
import { startWriters } from '../support/writers.ts'

const readyWithinMs = 60_000
/** A context grows with each append, so rounds have agents and sessions of their own. */
const killsPerRound = 4

export type KillTarget = 'service' | 'database'

const killOne = async (service: Service, target: KillTarget): Promise<void> => {
  if (target === 'database') {
    await signalDatabase(service.dataDir, 'SIGKILL')
    return
  }
  await service.kill()
  await service.begin()
}

/** As many rounds as the time allows, each with these kills. */
export const playKill = async (context: ChaosContext, targets: readonly KillTarget[]): Promise<Outcome> => {
  const { lab, random, seconds, say, signal } = context
  const service = await lab.start({ env: await startEmbeddings(lab) })
  const tenant = await service.makeTenant('kill')
  const findings: Finding[] = []
  let figures: readonly Figure[] = []
  let [kills, acknowledged] = [0, 0]
  const endMs = performance.now() + seconds * 1_000
  for (let round = 0; (round === 0 || performance.now() < endMs) && !signal.aborted; round += 1) {
    const writers = await startWriters({ tenant, random, signal, name: `kill-${round}` })
    for (const target of targets) {
      if (signal.aborted) break
      await sleep(400 + random.below(1_200))
      await killOne(service, target)
      kills += 1
      if (!(await service.isReadyWithin(readyWithinMs)))
        findings.push({ guarantee: 'M1', what: `not ready ${readyWithinMs / 1_000} s after the ${target} was killed` })
    }
    await sleep(500)
    const told = await writers.settle()
    acknowledged += writers.book.acknowledged.length
    findings.push(...told.findings)
    figures = told.figures
    say(`${kills} kills, ${acknowledged} acknowledged, ${findings.length} findings`)
  }
  return {
    figures: [
      { what: 'kills', value: String(kills) },
      { what: 'acknowledged in all', value: String(acknowledged) },
      ...figures.map(({ what, value }) => ({ what: `last round: ${what}`, value })),
    ],
    findings: findings.slice(0, 20),
  }
}

export const kill: Scenario = {
  name: 'kill',
  guards: ['M1', 'M2'],
  run: (context) =>
    playKill(
      context,
      Array.from({ length: killsPerRound }, (_, at) => (at % 2 === 0 ? 'service' : 'database')),
    ),
}
