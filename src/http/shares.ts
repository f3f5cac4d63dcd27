/**
 * What tenants hold at once of something that the process has so much of: requests, bytes of bodies, streams. What does not
 * fit is refused at once and does not queue, since a request that waits holds its connection and its body too.
 *
 * Invariants: held <= wholeMax; held of a tenant <= perTenantMax, or, while it is alone, <= wholeMax - perTenantMax, so
 * that a newcomer finds its own share free. A tenant that holds nothing may take one thing of any size that there is room for.
 */
export type ShareBounds = { readonly wholeMax: number; readonly perTenantMax: number }

export type Taking = 'taken' | 'own bound' | 'whole bound'

export type Share = {
  take(tenantId: string, weight: number): Taking
  giveBack(tenantId: string, weight: number): void
  held(): number
}

export const createShare = (
  { wholeMax, perTenantMax }: ShareBounds,
  isAlone: (tenantId: string) => boolean = () => false,
): Share => {
  const heldBy = new Map<string, number>()
  let held = 0

  const ownMaxOf = (tenantId: string): number =>
    isAlone(tenantId) ? Math.max(perTenantMax, wholeMax - perTenantMax) : perTenantMax

  const add = (tenantId: string, weight: number): void => {
    held += weight
    const own = (heldBy.get(tenantId) ?? 0) + weight
    if (own === 0) heldBy.delete(tenantId)
    else heldBy.set(tenantId, own)
  }

  return {
    take: (tenantId, weight) => {
      if (weight === 0) return 'taken'
      const own = heldBy.get(tenantId) ?? 0
      if (own > 0 && own + weight > ownMaxOf(tenantId)) return 'own bound'
      if (held + weight > wholeMax) return 'whole bound'
      add(tenantId, weight)
      return 'taken'
    },
    giveBack: (tenantId, weight) => {
      if (weight > 0) add(tenantId, -weight)
    },
    held: () => held,
  }
}

/** Tells who has had the process to itself: no other tenant has come for `aloneMs`. */
export const createCompany = ({ monotonicMs, aloneMs }: { monotonicMs: () => number; aloneMs: number }) => {
  let latest = { tenantId: '', atMs: Number.NEGATIVE_INFINITY }
  let otherAtMs = Number.NEGATIVE_INFINITY
  return {
    note: (tenantId: string): void => {
      if (tenantId !== latest.tenantId) otherAtMs = latest.atMs
      latest = { tenantId, atMs: monotonicMs() }
    },
    isAlone: (tenantId: string): boolean => {
      const othersMs = latest.tenantId === tenantId ? otherAtMs : latest.atMs
      return monotonicMs() - othersMs > aloneMs
    },
  }
}
