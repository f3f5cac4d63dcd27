/**
 * The door for clients of OpenAI's chat endpoint: a chat is a session, a request is a run of its policy. What is new in
 * the request's history is decided when the run holds the session, so that two requests never append the same message.
 */
import type { Caller } from '../../shared/caller.ts'
import { inSlices } from '../../shared/yielding.ts'
import type { ContextService } from '../context/context.service.ts'
import { ensureMessageFits } from '../context/context-body.ts'
import type { NewMessage } from '../context/plan-append.ts'
import type { PolicyService } from '../policy/policy.service.ts'
import type { NumberedEvent } from '../policy/run-feed.ts'
import type { RunStreams } from '../policy/run-streams.ts'
import type { RunEvent, RunRequest, RunResult } from '../policy/run-types.ts'
import type { SessionService } from '../session/session.service.ts'
import { agentMismatch, modelNotFound } from './chat.errors.ts'
import { newMessageSteps, seenByClient } from './new-messages.ts'
import type { ChatRun } from './read-chat-request.ts'

/** Names the model, whichever it is. */
const modelAlias = 'agemem'
/** Messages of the session, the latest, that a request's history is compared with; system messages are never too old. */
const comparedMax = 2_000

export type ChatRequest = {
  readonly sessionId: string
  /** Creates the session when there is none; null: that is a 404. */
  readonly agentId: string | null
  readonly model: string
  /** The history as the client sent it. */
  readonly messages: readonly NewMessage[]
  readonly run: ChatRun
}

export type ChatServiceOptions = {
  readonly sessions: SessionService
  readonly contexts: ContextService
  readonly policy: PolicyService
  /** Its runs end with their client: this door has no way to come back. */
  readonly streams: RunStreams
}

export type ChatService = ReturnType<typeof createChatService>

/** Null while nothing happens. */
export type ChatEvents = AsyncIterable<RunEvent | null>

type EventReader = AsyncIterator<NumberedEvent | null>

/** Up to the first event that tells more than that the run began, so that an early failure has a status of its own. */
const readBeginning = async (reader: EventReader): Promise<readonly (RunEvent | null)[]> => {
  const events: (RunEvent | null)[] = []
  for (;;) {
    const { done, value } = await reader.next()
    if (done) return events
    const event = value?.event ?? null
    if (event?.type === 'error') {
      await reader.return?.()
      throw event.failure
    }
    events.push(event)
    if (event?.type !== 'step.started') return events
  }
}

async function* restOf(reader: EventReader, beginning: readonly (RunEvent | null)[]): AsyncGenerator<RunEvent | null> {
  try {
    yield* beginning
    for (let next = await reader.next(); !next.done; next = await reader.next()) yield next.value?.event ?? null
  } finally {
    await reader.return?.()
  }
}

export const createChatService = ({ sessions, contexts, policy, streams }: ChatServiceOptions) => {
  const openSession = async (caller: Caller, { sessionId, agentId }: ChatRequest): Promise<void> => {
    const session =
      agentId === null ? await sessions.get(caller, sessionId) : await sessions.open(caller, { sessionId, agentId })
    if (agentId !== null && session.agentId !== agentId) throw agentMismatch()
  }

  const readKnown = async (caller: Caller, sessionId: string) => {
    const { context } = await contexts.readSnapshot(caller, sessionId)
    const latest = await contexts.listLatestMessages(caller, sessionId, { limit: comparedMax })
    const rules = context.messages.filter(({ role }) => role === 'system')
    return seenByClient([...rules, ...latest.filter(({ role }) => role !== 'system')])
  }

  const prepare = async (caller: Caller, request: ChatRequest): Promise<RunRequest> => {
    const { model } = policy.ensureConfigured()
    if (request.model !== model && request.model !== modelAlias) throw modelNotFound(model)
    await openSession(caller, request)
    const { sessionId, messages, run } = request
    // Only what is new has to fit: an answer of the model may be longer than what a client may append.
    const input = async (holder: Caller) => {
      const fresh = newMessageSteps(await readKnown(holder, sessionId), messages)
      return (await inSlices(fresh, holder.signal)).map(ensureMessageFits)
    }
    return { ...run, sessionId, input }
  }

  return {
    /** The name of the model that is served; null: none. */
    findModel: (): string | null => policy.findModel(),

    /** @throws AppError as `policy.run`; `session.not_found`, `chat.agent_mismatch`, `chat.model_not_found`, `message.too_large` */
    complete: async (caller: Caller, request: ChatRequest): Promise<RunResult> =>
      policy.run(caller, await prepare(caller, request)),

    /** Resolves when the model has begun to speak, or has long been silent. @throws as `complete`, until then */
    stream: async (
      caller: Caller,
      request: ChatRequest,
      { idleMs }: { readonly idleMs: number },
    ): Promise<{ readonly runId: string; readonly events: ChatEvents }> => {
      const { runId, feed } = await streams.start(caller, await prepare(caller, request))
      if (caller.signal.aborted) feed.cancel()
      caller.signal.addEventListener('abort', feed.cancel, { once: true })
      // The run is cancelled and not left, so that its end is read too, and told to a client whose time is up.
      const reader = feed.read(0, { idleMs, signal: new AbortController().signal })
      return { runId, events: restOf(reader, await readBeginning(reader)) }
    },

    /** Cancels what is streamed and waits until it has ended. */
    close: streams.close,
  }
}
