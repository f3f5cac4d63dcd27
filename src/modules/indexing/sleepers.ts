import type { IndexPhase } from './index-lease.repository.ts'

/** Loops that have nothing to do. The first of a phase looks again after a while, the others when they are woken. */
export const createSleepers = (pollMs: number) => {
  const sleeping = new Map<() => void, IndexPhase>()
  return {
    sleep: (phase: IndexPhase, { isFirst }: { readonly isFirst: boolean }): Promise<void> =>
      new Promise((resolve) => {
        const awake = (): void => {
          clearTimeout(timer)
          sleeping.delete(awake)
          resolve()
        }
        const timer = isFirst ? setTimeout(awake, pollMs) : undefined
        sleeping.set(awake, phase)
      }),
    wakeOne: (phase: IndexPhase): void => {
      const found = [...sleeping].find(([, of]) => of === phase)
      found?.[0]()
    },
    wakeAll: (): void => {
      for (const awake of [...sleeping.keys()]) awake()
    },
  }
}
