/** For messages that say "did you mean …?": which known name a mistyped one is closest to. */

/** Insertions, deletions and substitutions between two words (Levenshtein). */
const editsBetween = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substituted, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous.at(-1) ?? 0
}

/** The closest of the names, or null when none differs by less than a third of its length. */
export const nearestOf = (word: string, names: readonly string[]): string | null => {
  const [best] = names
    .map((name) => ({ name, edits: editsBetween(word, name) }))
    .sort((a, b) => a.edits - b.edits || (a.name < b.name ? -1 : 1))
  return best !== undefined && best.edits * 3 < best.name.length ? best.name : null
}
