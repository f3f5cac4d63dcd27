/**
 * One effect and one answer per Idempotency-Key. The answer is stored in the transaction of the effect, so neither can
 * exist without the other. A second request with the key gets the stored answer; while the first is still under way it
 * gets a 409 from this process, and from another process it waits at the key's row for the few milliseconds of the
 * first one's commit. Refused requests store nothing: they had no effect and may be sent again.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { idempotencyConflict, idempotencyInFlight } from './idempotency.errors.ts'
import { findAnswer, insertAnswer, replaceAnswer } from './idempotency.repository.ts'

/** Runs the effect in one transaction and stores what it returns, which has to survive a round trip through JSON. */
export type Commit<T> = (work: (tx: TenantTransaction) => Promise<T>) => Promise<T>

/** Puts another answer in place of the stored one, in the transaction of what followed the effect. */
export type Amend<T> = (tx: TenantTransaction, body: T) => Promise<void>

/** Stores the answer in a transaction that is under way, where the effect has one of its own. In place of `commit`. */
export type Store<T> = (tx: TenantTransaction, body: T) => Promise<void>

export type Operation<T> = (commit: Commit<T>, amend: Amend<T>, store: Store<T>) => Promise<T>

class KeyTaken extends Error {}

export type Idempotency = {
  /**
   * Runs `operation`, which prepares and then calls `commit` or `store` once; or answers what it answered before. What
   * follows the commit is not run again either: where it changes the answer, it amends the stored one. An operation that
   * was cut short stores nothing, and is run again.
   * @throws AppError `idempotency.key_reused` (422), `idempotency.in_flight` (409)
   */
  runOnce<T>(
    caller: Caller,
    options: {
      /** The agent whose erasure takes the stored answer with it. */
      readonly agentId: string | null
      readonly operation: Operation<T>
    },
  ): Promise<T>
}

export const createIdempotency = ({
  database,
  ttlSeconds,
}: {
  database: Database
  ttlSeconds: number
}): Idempotency => {
  const inFlight = new Set<string>()

  const findReplay = async (caller: Caller, key: string, requestHash: Buffer): Promise<{ body: unknown } | null> => {
    const stored = await database.transact(caller.tenantId, (tx) => findAnswer(tx, key), caller)
    if (stored === null) return null
    if (!stored.requestHash.equals(requestHash)) throw idempotencyConflict()
    return stored
  }

  return {
    runOnce: async <T>(
      caller: Caller,
      { agentId, operation }: { agentId: string | null; operation: Operation<T> },
    ): Promise<T> => {
      const claim = caller.idempotency
      if (claim === null)
        return operation(
          (work) => database.transact(caller.tenantId, work, caller),
          async () => {},
          async () => {},
        )
      const flight = `${caller.tenantId} ${claim.key}`
      if (inFlight.has(flight)) throw idempotencyInFlight()
      inFlight.add(flight)
      try {
        const replay = await findReplay(caller, claim.key, claim.requestHash)
        if (replay !== null) return replay.body as T
        const store: Store<T> = async (tx, body) => {
          if (!(await insertAnswer(tx, { claim, agentId, body, ttlSeconds }))) throw new KeyTaken()
        }
        const commit: Commit<T> = (work) =>
          database.transact(
            caller.tenantId,
            async (tx) => {
              const body = await work(tx)
              await store(tx, body)
              return body
            },
            caller,
          )
        return await operation(commit, (tx, body) => replaceAnswer(tx, claim.key, body), store)
      } catch (error) {
        if (!(error instanceof KeyTaken)) throw error
        const replay = await findReplay(caller, claim.key, claim.requestHash)
        if (replay === null) throw idempotencyInFlight()
        return replay.body as T
      } finally {
        inFlight.delete(flight)
      }
    },
  }
}
