/** Another tenant, whose latency and refusals are watched while somebody is greedy: quiet before, under it, quiet after. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { ChaosContext, Figure, Finding } from '../scenario.ts'
import type { Service } from './service.ts'
import { sleep } from './wait.ts'

export type NeighbourTiming = {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly refusals: Readonly<Record<string, number>>
}

export type Neighbour = {
  /** The quiet figures first; more than one reading can be taken, and the slowest counts. */
  measureQuiet(seconds: number): Promise<NeighbourTiming>
  /** While the work is done. */
  measureWhile(work: () => Promise<unknown>): Promise<NeighbourTiming>
}

const requestsPerSecond = 20
const timesQuietMax = 5
/** On a machine that others use too, a latency below this says more about the machine than about the service. */
const latencyNoiseMs = 60
const answerWithinMs = 60_000

export const startNeighbour = async ({ lab, random }: ChaosContext, service: Service): Promise<Neighbour> => {
  const tenant = await service.makeTenant('neighbour')
  const given = { url: service.url, key: tenant.key, seed: random.below(1_000_000), perSecond: requestsPerSecond }
  const child = fork(new URL('neighbour-process.ts', import.meta.url), [JSON.stringify(given)], {
    execArgv: ['--import', 'tsx'],
  })
  child.on('error', () => undefined)
  lab.defer(() => child.kill('SIGKILL'))
  const measureWhile = async (work: () => Promise<unknown>): Promise<NeighbourTiming> => {
    child.send('begin')
    await work()
    const told = once(child, 'message', { signal: AbortSignal.timeout(answerWithinMs) })
    child.send('end')
    return ((await told) as [NeighbourTiming])[0]
  }
  await sleep(1_500)
  return { measureWhile, measureQuiet: (seconds) => measureWhile(() => sleep(seconds * 1_000)) }
}

const ms = (value: number): string => `${value.toFixed(0)} ms`
const refused = ({ refusals }: NeighbourTiming): string =>
  Object.entries(refusals)
    .map(([name, count]) => `${name}: ${count}`)
    .join(', ')

export const timingText = (timing: NeighbourTiming): string =>
  `${timing.count} requests, p50 ${ms(timing.p50)}, p99 ${ms(timing.p99)}, max ${ms(timing.max)}` +
  (refused(timing) === '' ? '' : `, refused ${refused(timing)}`)

export type Phase = { readonly what: string; readonly guarantee: string; readonly timing: NeighbourTiming }

/** Each phase beside the slower of the quiet readings. */
export const judgePhases = (
  quiet: readonly NeighbourTiming[],
  phases: readonly Phase[],
): { readonly figures: readonly Figure[]; readonly findings: readonly Finding[] } => {
  const quietP99 = Math.max(1, ...quiet.map(({ p99 }) => p99))
  const limitMs = Math.max(latencyNoiseMs, timesQuietMax * quietP99)
  const figures = [
    ...quiet.map((timing, at) => ({ what: `neighbour, quiet ${at + 1}`, value: timingText(timing) })),
    ...phases.map(({ what, timing }) => ({
      what: `neighbour, ${what}`,
      value: `${timingText(timing)} (${(timing.p99 / quietP99).toFixed(1)} times quiet)`,
    })),
  ]
  const findings = phases.flatMap(({ what, guarantee, timing }) => [
    ...(refused(timing) === '' ? [] : [{ guarantee, what: `${what}: a neighbour is refused, ${refused(timing)}` }]),
    ...(timing.p99 <= limitMs
      ? []
      : [{ guarantee, what: `${what}: a neighbour's p99 is ${ms(timing.p99)}, quiet ${ms(quietP99)}` }]),
    ...(timing.count > 0 ? [] : [{ guarantee, what: `${what}: a neighbour got no answer at all` }]),
  ])
  return { figures, findings }
}
