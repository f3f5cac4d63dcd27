/**
 * Every way to cut a list of names in two halves, once each. The service's ranking weights are fixed, so nothing is fitted
 * on one half and tried on the other: how far the halves lie apart shows how much a figure depends on the conversations
 * that happen to be in it. It says nothing of how a ranking does on data it was not tuned on.
 */

export type Split = { readonly left: readonly string[]; readonly right: readonly string[] }

/** More names than this have too many splits to list (12 names: 462). */
export const splitNamesMax = 12

const choose = (names: readonly string[], size: number): readonly (readonly string[])[] => {
  if (size === 0) return [[]]
  return names.flatMap((name, index) => choose(names.slice(index + 1), size - 1).map((rest) => [name, ...rest]))
}

/** For an odd number the left half has one more or one less. Empty for fewer than 2 names or more than `splitNamesMax`. */
export const halfSplits = (names: readonly string[]): readonly Split[] => {
  const [first, ...others] = names
  if (first === undefined || others.length === 0 || names.length > splitNamesMax) return []
  const half = Math.floor(names.length / 2)
  const sizes = names.length % 2 === 0 ? [half] : [half, half + 1]
  return sizes.flatMap((size) =>
    choose(others, size - 1).map((rest) => {
      const left = [first, ...rest]
      return { left, right: names.filter((name) => !left.includes(name)) }
    }),
  )
}
