/** What a scenario of the chaos suite is given and what it tells. */
import type { Lab } from './support/lab.ts'
import type { Random } from './support/random.ts'

export type Figure = { readonly what: string; readonly value: string }

/** A guarantee that was seen broken. */
export type Finding = { readonly guarantee: string; readonly what: string }

export type Outcome = {
  readonly figures: readonly Figure[]
  readonly findings: readonly Finding[]
  /** Why it could not be run here; then nothing was checked, and nothing is green. */
  readonly notRun?: string
}

export type ChaosContext = {
  /** The time that it may use for what it does, beside starting and looking. */
  readonly seconds: number
  readonly random: Random
  readonly lab: Lab
  /** Ends what repeats when the whole run is broken off. */
  readonly signal: AbortSignal
  /** A line of progress. */
  say(line: string): void
}

export type Scenario = {
  readonly name: string
  /** The guarantees of docs/invariants.md that it tries to break. */
  readonly guards: readonly string[]
  run(context: ChaosContext): Promise<Outcome>
}
