/**
 * Group commit: what arrives while a transaction of the same tenant is under way waits for it and then goes in one
 * transaction together. Under load a commit is shared by many; an item that finds nothing under way goes at once.
 *
 * One group of a tenant is under way at a time, which makes the next one large; but a group that takes longer than
 * `patienceMs` (it may wait for one agent's lock) holds nobody up: another starts beside it, up to `groupsMax`. Items of
 * a group succeed or fail together, so a group that was refused, perhaps for one item's sake, is repeated one by one.
 */
import { isAppError } from '../../shared/errors.ts'

export type GroupCommitOptions<Item, Result> = {
  /** Stores the items in one transaction, and answers one result per item in their order. */
  readonly commit: (tenantId: string, items: readonly Item[]) => Promise<readonly Result[]>
  readonly sizeMax: number
  readonly groupsMax: number
  readonly patienceMs: number
}

type Entry<Item, Result> = {
  readonly item: Item
  readonly signal: AbortSignal
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

type Queue<Item, Result> = { waiting: Entry<Item, Result>[]; groups: number; isPatient: boolean }

export const createGroupCommit = <Item, Result>(options: GroupCommitOptions<Item, Result>) => {
  const { commit, sizeMax, groupsMax, patienceMs } = options
  const queues = new Map<string, Queue<Item, Result>>()

  const settle = async (tenantId: string, group: readonly Entry<Item, Result>[]): Promise<void> => {
    const items = group.map(({ item }) => item)
    try {
      const results = await commit(tenantId, items)
      for (const [at, result] of results.entries()) group[at]?.resolve(result)
    } catch (error) {
      if (group.length > 1 && isAppError(error) && !error.retryable)
        await Promise.all(group.map((entry) => settle(tenantId, [entry])))
      else for (const entry of group) entry.reject(error)
    }
  }

  /** The next group; whoever gave up while waiting is told so and left out. */
  const take = (queue: Queue<Item, Result>): readonly Entry<Item, Result>[] => {
    const live = queue.waiting.filter(({ signal, reject }) => {
      if (signal.aborted) reject(signal.reason)
      return !signal.aborted
    })
    queue.waiting = live.slice(sizeMax)
    return live.slice(0, sizeMax)
  }

  const proceed = (tenantId: string, queue: Queue<Item, Result>): void => {
    if (queue.groups > 0 && (queue.isPatient || queue.groups >= groupsMax)) return
    const group = take(queue)
    if (group.length === 0) {
      if (queue.groups === 0) queues.delete(tenantId)
      return
    }
    queue.groups += 1
    queue.isPatient = true
    const impatience = setTimeout(() => {
      queue.isPatient = false
      proceed(tenantId, queue)
    }, patienceMs)
    void settle(tenantId, group).then(() => {
      clearTimeout(impatience)
      queue.groups -= 1
      proceed(tenantId, queue)
    })
  }

  /** @throws what `commit` throws, or the signal's reason when it aborts before the item's group has started */
  return (tenantId: string, item: Item, signal: AbortSignal): Promise<Result> =>
    new Promise((resolve, reject) => {
      const queue = queues.get(tenantId) ?? { waiting: [], groups: 0, isPatient: true }
      queues.set(tenantId, queue)
      queue.waiting.push({ item, signal, resolve, reject })
      proceed(tenantId, queue)
    })
}
