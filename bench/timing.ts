/** Times pieces of work, one after another or side by side. */
export type Timing = { readonly perSecond: number; readonly p50: number; readonly p95: number; readonly p99: number }

export const percentileOf = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

export const timingOf = (durationsMs: readonly number[], perSecond = 0): Timing => ({
  perSecond,
  p50: percentileOf(durationsMs, 0.5),
  p95: percentileOf(durationsMs, 0.95),
  p99: percentileOf(durationsMs, 0.99),
})

export const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

const warmUpMs = 1_000

/** Repeats the work for so long, on so many connections at once; what it does in a second before counts for nothing. */
export const repeat = async (
  { seconds, connections }: { seconds: number; connections: number },
  work: () => Promise<unknown>,
): Promise<Timing> => {
  const durations: number[] = []
  const startedMs = performance.now() + warmUpMs
  const endMs = startedMs + seconds * 1_000
  const worker = async () => {
    while (performance.now() < startedMs) await work()
    while (performance.now() < endMs) durations.push(await timed(work))
  }
  await Promise.all(Array.from({ length: connections }, worker))
  return timingOf(durations, (durations.length / (performance.now() - startedMs)) * 1_000)
}

/**
 * Rounds in which every piece of work has its turn, so that what else the machine does falls on all of them alike. The
 * first round counts for none: it fills caches and prepares statements.
 */
export const interleave = async <Name extends string>(
  rounds: number,
  pieces: Readonly<Record<Name, (round: number) => Promise<unknown>>>,
): Promise<Readonly<Record<Name, Timing>>> => {
  const names = Object.keys(pieces) as Name[]
  const durations = new Map(names.map((name) => [name, [] as number[]]))
  for (let round = 0; round <= rounds; round += 1)
    for (const name of names) {
      const durationMs = await timed(() => pieces[name](round))
      if (round > 0) durations.get(name)?.push(durationMs)
    }
  return Object.fromEntries(names.map((name) => [name, timingOf(durations.get(name) ?? [])])) as Record<Name, Timing>
}
