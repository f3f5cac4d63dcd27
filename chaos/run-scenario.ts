/** One scenario from its first process to its last, within a time, whatever becomes of it. */
import type { Outcome, Scenario } from './scenario.ts'
import { createLab } from './support/lab.ts'
import { createRandom } from './support/random.ts'

export type RunOptions = {
  readonly seconds: number
  readonly seed: number
  readonly signal: AbortSignal
  say(line: string): void
}

export type Result = Outcome & {
  readonly name: string
  readonly guards: readonly string[]
  readonly seconds: number
  /** It ended otherwise than it should have: the suite's fault or the service's, and nothing that can be called green. */
  readonly failure?: string
}

/** For starting, restarting, looking and cleaning up, beside the time that it was given. */
const slackSeconds = 300

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A scenario's number among the seeds follows from its name, so that running it alone makes the same requests. */
const seedFor = (name: string, seed: number): number =>
  [...name].reduce((mixed, letter) => (Math.imul(mixed, 31) + letter.charCodeAt(0)) >>> 0, seed)

export const runScenario = async (scenario: Scenario, options: RunOptions): Promise<Result> => {
  const { name, guards } = scenario
  const { seconds, seed, say } = options
  const startedMs = performance.now()
  const lab = createLab()
  const late = new AbortController()
  const timer = setTimeout(
    () => late.abort(new Error(`it did not end in ${seconds + slackSeconds} s`)),
    (seconds + slackSeconds) * 1_000,
  )
  const signal = AbortSignal.any([options.signal, late.signal])
  const broken = new Promise<never>((_, reject) => {
    const fail = () => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
  broken.catch(() => undefined)
  const random = createRandom(seedFor(name, seed))
  const told = (rest: Omit<Result, 'name' | 'guards' | 'seconds'>): Result => ({
    ...{ name, guards, seconds: Math.round((performance.now() - startedMs) / 1_000) },
    ...rest,
  })
  try {
    const work = scenario.run({ seconds, random, lab, signal, say: (line) => say(`${name}: ${line}`) })
    work.catch(() => undefined)
    return told(await Promise.race([work, broken]))
  } catch (error) {
    return told({ figures: [], findings: [], failure: messageOf(error) })
  } finally {
    clearTimeout(timer)
    await lab.close()
  }
}
