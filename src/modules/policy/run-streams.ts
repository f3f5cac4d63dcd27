/**
 * Runs that are watched: each goes on by itself and fills its feed, whether or not its client stays connected. A feed is
 * kept for `keepMs` after its end. Feeds live in this process; what a run did stands in the trajectory in any case.
 */
import type { Caller } from '../../shared/caller.ts'
import { brokenInvariant, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import { runNotFound } from './policy.errors.ts'
import type { PolicyService } from './policy.service.ts'
import { createRunFeed, type RunFeed } from './run-feed.ts'
import type { RunRequest } from './run-types.ts'

export type RunStreamsOptions = {
  readonly policy: PolicyService
  readonly createId: CreateId
  /** How long a run goes on when its last reader has left. */
  readonly resumeMs: number
}

export type RunStreams = ReturnType<typeof createRunStreams>

export type StartedStream = { readonly runId: string; readonly feed: RunFeed }

const keepMs = 60_000
const aheadMax = 1_000

type Known = { readonly tenantId: string; readonly sessionId: string; readonly feed: RunFeed }

export const createRunStreams = ({ policy, createId, resumeMs }: RunStreamsOptions) => {
  const known = new Map<string, Known>()
  const underWay = new Set<Promise<void>>()

  /** Fills the feed; rejects when the run was refused before anything had happened. */
  const work = async (caller: Caller, request: RunRequest, { runId, feed }: StartedStream): Promise<void> => {
    const watched: Caller = { ...caller, signal: feed.signal }
    try {
      const result = await policy.run(watched, request, { emit: feed.emit, runId })
      await feed.emit({ type: 'done', result })
    } catch (error) {
      if (!feed.hasBegun()) throw error
      const failure = isAppError(error) ? error : brokenInvariant('The run failed in the service.', error)
      await feed.emit({ type: 'error', failure })
      await feed.emit({ type: 'done', result: null })
    } finally {
      feed.end()
      setTimeout(() => known.delete(runId), keepMs).unref()
    }
  }

  return {
    /** Resolves with the first event. @throws AppError what `policy.run` throws, when that is before any event */
    start: async (caller: Caller, request: RunRequest): Promise<StartedStream> => {
      const runId = createId('run')
      const feed = createRunFeed({ graceMs: resumeMs, aheadMax })
      known.set(runId, { tenantId: caller.tenantId, sessionId: request.sessionId, feed })
      const running = work(caller, request, { runId, feed })
      const settled = running.catch(() => undefined).finally(() => underWay.delete(settled))
      underWay.add(settled)
      // A client that leaves before it has begun to read is no reader that could leave.
      caller.signal.addEventListener('abort', feed.expectReader, { once: true })
      await Promise.race([running, feed.begun])
      return { runId, feed }
    },

    /** @throws AppError `policy.run_not_found` (404) */
    find: ({ tenantId }: Caller, { sessionId, runId }: { sessionId: string; runId: string }): StartedStream => {
      const run = known.get(runId)
      if (run === undefined || run.tenantId !== tenantId || run.sessionId !== sessionId) throw runNotFound()
      return { runId, feed: run.feed }
    },

    /** Cancels what runs and waits until it has ended. */
    close: async (): Promise<void> => {
      for (const { feed } of known.values()) feed.cancel()
      await Promise.all(underWay)
    },
  }
}
