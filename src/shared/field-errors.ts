import type { FieldError } from './errors.ts'

const must = 'must be '

/**
 * One error for each place. The branches of a union fail one by one at the same place, and only together do they say what
 * is allowed there: `must be "asc" or "desc"`.
 */
export const joinFieldErrors = (errors: readonly FieldError[]): readonly FieldError[] => {
  const details = new Map<string, Set<string>>()
  for (const { pointer, detail } of errors) details.set(pointer, (details.get(pointer) ?? new Set()).add(detail))
  return [...details].map(([pointer, set]) => {
    const [first = '', ...others] = set
    const isListed = first.startsWith(must)
    const rest = others.map((detail) => (isListed && detail.startsWith(must) ? detail.slice(must.length) : detail))
    return { pointer, detail: [first, ...rest].join(' or ') }
  })
}
