/**
 * One effect and one answer per Idempotency-Key. The answer is stored in the transaction of the effect, so neither can
 * exist without the other. A second request with the key gets the stored answer; while the first is still under way it
 * gets a 409 from this process, and from another process it waits at the key's row for the few milliseconds of the
 * first one's commit. Refused requests store nothing: they had no effect and may be sent again.
 *
 * A stored answer never outlives what it shows. It is stored while the agent's present life is held, so that an erasure
 * either sees it or keeps it from being stored; and it goes with each memory that it names, while the key stays taken.
 */
import type { Database, TenantTransaction } from '../../ports/database.ts'
import { type Caller, type IdempotencyClaim, keySpaceOf } from '../../shared/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import { memoriesNamedIn, memoriesShownIn } from './answer-memories.ts'
import { agentErased, answerGone, idempotencyConflict, idempotencyInFlight } from './idempotency.errors.ts'
import {
  advanceAnswer,
  findAnswer,
  findLife,
  holdLife,
  insertAnswer,
  type KeyName,
  replaceAnswer,
  type StoredAnswer,
} from './idempotency.repository.ts'

/** Runs the effect in one transaction and stores what it returns, which has to survive a round trip through JSON. */
export type Commit<T> = (work: (tx: TenantTransaction) => Promise<T>) => Promise<T>

/** Puts another answer in place of the stored one, in the transaction of what followed the effect. */
export type Amend<T> = (tx: TenantTransaction, body: T) => Promise<void>

/**
 * Stores the answer in a transaction that is under way, where the effect has one of its own. In place of `commit`. The
 * transaction holds the agent's or its session's row already, which keeps the agent from being erased.
 */
export type Store<T> = (tx: TenantTransaction, body: T) => Promise<void>

export type Operation<T> = (commit: Commit<T>, amend: Amend<T>, store: Store<T>) => Promise<T>

/** What a request in parts has come to; stored with each part, in the part's transaction. */
export type Progress = { readonly part: number }

class KeyTaken extends Error {}

/** An answer that names more is not kept, though its key is: links to all of them would cost more than it is worth. */
const namedMax = 10_000

export type Idempotency = {
  /**
   * Runs `operation`, which prepares and then calls `commit` or `store` once; or answers what it answered before. What
   * follows the commit is not run again either: where it changes the answer, it amends the stored one. An operation that
   * was cut short stores nothing, and is run again.
   * @throws AppError `idempotency.key_reused` (422), `idempotency.in_flight` (409), `idempotency.answer_gone` (410)
   */
  runOnce<T>(
    caller: Caller,
    options: {
      /** The agent whose erasure takes the stored answer with it. */
      readonly agentId: string | null
      readonly operation: Operation<T>
    },
  ): Promise<T>
  /**
   * Runs a request in parts, one at a time for each key in this process, from where it had come to.
   * @throws AppError `idempotency.key_reused` (422), `idempotency.in_flight` (409)
   */
  runInParts<T>(
    caller: Caller & { readonly idempotency: IdempotencyClaim },
    work: (before: Progress | null) => Promise<T>,
  ): Promise<T>
  /** Stores what a request in parts has come to. @throws AppError `idempotency.in_flight` when another was faster */
  advance(
    tx: TenantTransaction,
    caller: Caller & { readonly idempotency: IdempotencyClaim },
    options: { readonly agentId: string; readonly from: number | null; readonly progress: Progress },
  ): Promise<void>
}

const nameOf = (caller: Caller, { key }: IdempotencyClaim): KeyName => ({ space: keySpaceOf(caller), key })

const bodyOf = ({ body, requestHash }: StoredAnswer, claim: IdempotencyClaim): unknown => {
  if (!requestHash.equals(claim.requestHash)) throw idempotencyConflict()
  if (body === null) throw answerGone()
  return body
}

/** Of a request beside this one, with the same key, whose effect stood in the way. */
const mayBeOfTheOther = (error: unknown): boolean =>
  error instanceof KeyTaken ||
  (isAppError(error) && error.status >= 400 && error.status < 500 && !error.code.startsWith('idempotency.'))

export const createIdempotency = ({
  database,
  ttlSeconds,
}: {
  database: Database
  ttlSeconds: number
}): Idempotency => {
  const inFlight = new Set<string>()

  const inFlightOnce = async <T>(caller: Caller, claim: IdempotencyClaim, work: () => Promise<T>): Promise<T> => {
    const flight = `${caller.tenantId} ${keySpaceOf(caller)} ${claim.key}`
    if (inFlight.has(flight)) throw idempotencyInFlight()
    inFlight.add(flight)
    try {
      return await work()
    } finally {
      inFlight.delete(flight)
    }
  }

  const find = (caller: Caller, claim: IdempotencyClaim): Promise<StoredAnswer | null> =>
    database.transact(caller.tenantId, (tx) => findAnswer(tx, nameOf(caller, claim)), caller)

  /** What was answered before and, in the same round trip, which life the agent lives. */
  const readBefore = (caller: Caller, claim: IdempotencyClaim, agentId: string | null) =>
    database.transact(
      caller.tenantId,
      (tx) =>
        Promise.all([findAnswer(tx, nameOf(caller, claim)), agentId === null ? null : findLife(tx, agentId)] as const),
      caller,
    )

  const storeAnswer = async (
    tx: TenantTransaction,
    { name, claim, agentId, body }: { name: KeyName; claim: IdempotencyClaim; agentId: string | null; body: unknown },
  ): Promise<void> => {
    const text = JSON.stringify(body)
    const named = agentId === null ? [] : memoriesNamedIn(text)
    const isKept = named.length <= namedMax
    const stored = await insertAnswer(tx, {
      ...{ name, requestHash: claim.requestHash, agentId, ttlSeconds },
      text: isKept ? text : null,
      shown: isKept && agentId !== null ? memoriesShownIn(body) : [],
      named: isKept ? named : [],
    })
    if (!stored) throw new KeyTaken()
  }

  const carryOut = async <T>(
    caller: Caller,
    claim: IdempotencyClaim,
    { agentId, operation }: { agentId: string | null; operation: Operation<T> },
  ): Promise<T> => {
    const name = nameOf(caller, claim)
    const [before, life] = await readBefore(caller, claim, agentId)
    if (before !== null) return bodyOf(before, claim) as T
    const store: Store<T> = (tx, body) => storeAnswer(tx, { name, claim, agentId, body })
    const commit: Commit<T> = (work) =>
      database.transact(
        caller.tenantId,
        async (tx) => {
          const hold = agentId === null || life === null ? true : holdLife(tx, { agentId, life })
          const [isHeld, body] = await Promise.all([hold, work(tx)])
          if (!isHeld) throw agentErased()
          await store(tx, body)
          return body
        },
        caller,
      )
    try {
      return await operation(commit, (tx, body) => replaceAnswer(tx, name, body), store)
    } catch (error) {
      if (!mayBeOfTheOther(error) || caller.signal.aborted) throw error
      const other = await find(caller, claim)
      if (other !== null) return bodyOf(other, claim) as T
      throw error instanceof KeyTaken ? idempotencyInFlight() : error
    }
  }

  return {
    runOnce: async (caller, options) => {
      const claim = caller.idempotency
      if (claim !== null) return inFlightOnce(caller, claim, () => carryOut(caller, claim, options))
      const nothing = async () => {}
      return options.operation((work) => database.transact(caller.tenantId, work, caller), nothing, nothing)
    },

    runInParts: (caller, work) =>
      inFlightOnce(caller, caller.idempotency, async () => {
        const before = await find(caller, caller.idempotency)
        return work(before === null ? null : (bodyOf(before, caller.idempotency) as Progress))
      }),

    advance: async (tx, caller, { agentId, from, progress }) => {
      const claim = caller.idempotency
      const name = nameOf(caller, claim)
      const isAdvanced =
        from === null
          ? await insertAnswer(tx, {
              ...{ name, requestHash: claim.requestHash, agentId, ttlSeconds },
              ...{ text: JSON.stringify(progress), shown: [], named: [] },
            })
          : await advanceAnswer(tx, { name, from, body: progress, ttlSeconds })
      if (!isAdvanced) throw idempotencyInFlight()
    },
  }
}
