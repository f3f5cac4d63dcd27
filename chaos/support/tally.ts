/** Counts by name, for tables. */
export type Tally = {
  add(name: string | number, count?: number): void
  of(name: string | number): number
  total(): number
  toString(): string
}

export const createTally = (): Tally => {
  const counts = new Map<string, number>()
  return {
    add: (name, count = 1) => void counts.set(String(name), (counts.get(String(name)) ?? 0) + count),
    of: (name) => counts.get(String(name)) ?? 0,
    total: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
    toString: () =>
      counts.size === 0
        ? 'none'
        : [...counts]
            .sort(([, one], [, other]) => other - one)
            .map(([name, count]) => `${name}: ${count}`)
            .join(', '),
  }
}

/** The first few of many, so that a table stays a table. */
export const someOf = (items: Iterable<string>, most = 5): string => {
  const all = [...items]
  return all.slice(0, most).join('; ') + (all.length > most ? `; and ${all.length - most} more` : '')
}
