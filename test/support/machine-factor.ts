/**
 * How much slower this machine is now than the quiet one that bounds in time were set on: it may be older, or do much else.
 * At least 1, so that a fast machine makes no bound tighter.
 */
const referenceMs = 12

/** Regular expressions, maps and strings: what reading texts is made of. */
const referenceWork = (): number => {
  const words = 'the quick brown fox jumps over a lazy dog '.repeat(1_500).match(/\p{L}+/gu) ?? []
  const counts = new Map<string, number>()
  for (const [index, word] of words.entries()) {
    const key = `${word}${index % 4_096}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts.keys()].sort().length
}

const timeOf = (work: () => unknown): number => {
  const startedMs = performance.now()
  work()
  return performance.now() - startedMs
}

export const machineFactor = (): number => {
  const times = Array.from({ length: 5 }, () => timeOf(referenceWork)).sort((one, other) => one - other)
  return Math.max(1, (times[2] ?? 0) / referenceMs)
}
