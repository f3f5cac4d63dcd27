import { computedMs } from './event-loop-stop.ts'

/**
 * How much slower this machine is now than the quiet one that bounds in time were set on: it may be older, or do much else.
 * At least 1, so that a fast machine makes no bound tighter.
 */
const referenceMs = 5.9

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

const repetitions = 8

/** Of one piece of work, by what the thread computes: that it waits for its turn says nothing about the machine. */
const workMs = (): number => {
  const startedMs = computedMs()
  for (let count = 0; count < repetitions; count += 1) referenceWork()
  return (computedMs() - startedMs) / repetitions
}

export const machineFactor = (): number => Math.max(1, workMs() / referenceMs)
