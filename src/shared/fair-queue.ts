/**
 * Whose turn it is at something that all tenants share. A pure structure: it holds items by tenant and decides; nobody
 * waits in here.
 *
 * Tenants take turns (round robin) and are served in order of arrival within (FIFO). A tenant that comes anew stands at
 * the end of the round, so before its first item each other tenant has one turn at most, however many it queued.
 * A tenant at its own bound is passed over and keeps its place. When the queue is full, a newcomer takes the place of the
 * youngest item of the longest line, if that line is longer than its own would be; else it is turned away. So one
 * tenant can fill the queue but not shut others out of it. What may run at once needs no room.
 *
 * Invariants: running <= runningMax, running of a tenant <= runningPerTenantMax, waiting <= waitingMax; no item waits
 * while a place is free for its tenant, once `next` was asked until it had none.
 */
export type FairQueueBounds = {
  readonly runningMax: number
  /** A number for all, or one that may differ from tenant to tenant and from moment to moment. */
  readonly runningPerTenantMax: number | ((tenantId: string) => number)
  readonly waitingMax: number
}

export type Admission<T> = { readonly outcome: 'waits'; readonly displaced: T | null } | { readonly outcome: 'full' }

export type FairQueue<T> = {
  add(tenantId: string, item: T): Admission<T>
  /** Takes the item whose turn it is; it runs until `finish`. Undefined: none may run now. */
  next(): T | undefined
  finish(tenantId: string): void
  /** An item that no longer wants to wait. False: it was not waiting. */
  remove(tenantId: string, item: T): boolean
  waiting(): number
}

export const createFairQueue = <T>(bounds: FairQueueBounds): FairQueue<T> => {
  /** In the order of the round: the first tenant is next. Lines are never empty. */
  const lines = new Map<string, Set<T>>()
  const runningOf = new Map<string, number>()
  let running = 0
  let waiting = 0

  const remove = (tenantId: string, item: T): boolean => {
    const line = lines.get(tenantId)
    if (line?.delete(item) !== true) return false
    waiting -= 1
    if (line.size === 0) lines.delete(tenantId)
    return true
  }

  const longestLine = (): readonly [string, ReadonlySet<T>] => {
    const byLength = [...lines].sort(([, one], [, other]) => other.size - one.size)
    return byLength[0] ?? ['', new Set<T>()]
  }

  /** Makes room for a newcomer of the tenant; null when nobody has to give way to it. */
  const displaceFor = (tenantId: string): { readonly item: T } | null => {
    const [longestTenantId, line] = longestLine()
    const youngest = [...line].at(-1)
    if (youngest === undefined || line.size <= (lines.get(tenantId)?.size ?? 0) + 1) return null
    remove(longestTenantId, youngest)
    return { item: youngest }
  }

  const ownMaxOf = (tenantId: string): number => {
    const { runningPerTenantMax: max } = bounds
    return typeof max === 'number' ? max : max(tenantId)
  }

  const mayRun = (tenantId: string): boolean =>
    running < bounds.runningMax && (runningOf.get(tenantId) ?? 0) < ownMaxOf(tenantId)

  return {
    add: (tenantId, item) => {
      const needsRoom = waiting >= bounds.waitingMax && !mayRun(tenantId)
      const displaced = needsRoom ? displaceFor(tenantId) : null
      if (needsRoom && displaced === null) return { outcome: 'full' }
      const line = lines.get(tenantId) ?? new Set<T>()
      lines.set(tenantId, line.add(item))
      waiting += 1
      return { outcome: 'waits', displaced: displaced?.item ?? null }
    },
    next: () => {
      for (const [tenantId, line] of lines) {
        const [first] = line
        if (first === undefined || !mayRun(tenantId)) continue
        remove(tenantId, first)
        if (lines.delete(tenantId)) lines.set(tenantId, line)
        runningOf.set(tenantId, (runningOf.get(tenantId) ?? 0) + 1)
        running += 1
        return first
      }
      return undefined
    },
    finish: (tenantId) => {
      const runs = runningOf.get(tenantId) ?? 0
      if (runs === 0) return
      running -= 1
      if (runs === 1) runningOf.delete(tenantId)
      else runningOf.set(tenantId, runs - 1)
    },
    remove,
    waiting: () => waiting,
  }
}
