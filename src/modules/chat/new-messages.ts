/**
 * Which messages of a request are new to the session. Clients of chat endpoints send the history again each time: the
 * whole of it, its last part, or nothing but the latest message. A session only ever grows, so what it holds already is
 * recognised, and what follows the last message that was recognised is appended.
 *
 * 1. Where the history's beginning is the session's end, the rest is new. That is the usual case; the longest such
 *    overlap counts.
 * 2. A history that begins as the session does, and departs from it later, has been edited; or the session holds more
 *    than the client knows of. Then the messages are looked up one after another, each behind the one before, and those
 *    that are not found are passed over.
 * 3. A question that was recognised as the very last message, and has been answered since, is asked again: it is new.
 *
 * System messages stand apart: each text is new once, whatever its place.
 *
 * Invariants: the new messages of a conversation are its last ones, in order; the latest user message is always either
 * new or still unanswered in the session; a whole history or a last part of it is never appended twice. Each message that
 * was sent is compared once with each that is known, in a step of its own, and those that are equal share the outcome.
 */
import { mapSteps, type Steps } from '../../shared/yielding.ts'
import type { ContextMessage } from '../context/context-types.ts'
import type { NewMessage } from '../context/plan-append.ts'
import { findToolKey } from '../tool/tool-definitions.ts'

export type KnownMessage = Pick<ContextMessage, 'role' | 'content' | 'toolCalls' | 'toolCallId'>

const callsOf = ({ toolCalls }: Pick<NewMessage, 'toolCalls'>) => toolCalls ?? []

const isOwnCall = ({ function: { name } }: { readonly function: { readonly name: string } }): boolean =>
  findToolKey(name) !== null

/** What of a session its client has seen: no summaries, no recalls, and none of the memory tools' calls and results. */
export const seenByClient = (
  messages: readonly (KnownMessage & Pick<ContextMessage, 'kind'>)[],
): readonly KnownMessage[] => {
  const ownCallIds = new Set(
    messages.flatMap((message) =>
      callsOf(message)
        .filter(isOwnCall)
        .map(({ id }) => id),
    ),
  )
  return messages
    .filter(({ kind }) => kind === 'appended')
    .filter(({ role, toolCallId }) => role !== 'tool' || !ownCallIds.has(toolCallId ?? ''))
    .map((message) => ({ ...message, toolCalls: callsOf(message).filter((call) => !isOwnCall(call)) }))
    .filter(({ role, content, toolCalls }) => role !== 'assistant' || content.trim() !== '' || toolCalls.length > 0)
}

/** A message as it is compared: equal texts have equal numbers, so that long ones are compared once. */
type Compared = {
  readonly role: NewMessage['role']
  readonly text: string
  readonly textNumber: number
  readonly callIds: ReadonlySet<string>
  readonly toolCallId: string | null | undefined
}

const createComparer = () => {
  const numbers = new Map<string, number>()
  const numberOf = (text: string): number => {
    const number = numbers.get(text) ?? numbers.size
    numbers.set(text, number)
    return number
  }
  return (message: Pick<NewMessage, 'role' | 'content' | 'toolCalls' | 'toolCallId'>): Compared => {
    const text = message.content.trim()
    const callIds = new Set(callsOf(message).map(({ id }) => id))
    return { role: message.role, text, textNumber: numberOf(text), callIds, toolCallId: message.toolCallId }
  }
}

/** A streamed answer may begin with what the model said before it called a tool, so its end decides. */
const isSameAssistant = (sent: Compared, known: Compared): boolean => {
  if (sent.callIds.size > 0) return [...sent.callIds].every((id) => known.callIds.has(id))
  if (known.callIds.size > 0 || known.text === '') return false
  return (
    sent.textNumber === known.textNumber || (sent.text.length > known.text.length && sent.text.endsWith(known.text))
  )
}

const isSame = (sent: Compared, known: Compared): boolean => {
  if (sent.role !== known.role) return false
  if (sent.role === 'assistant') return isSameAssistant(sent, known)
  return sent.role === 'tool' ? sent.toolCallId === known.toolCallId : sent.textNumber === known.textNumber
}

/** Of one message that was sent: 1 at each place of what is known where it is the same. */
type Places = Uint8Array

type Conversation = { readonly sent: readonly Places[]; readonly known: readonly Compared[] }

/** The places of each message that was sent. */
function* placesSteps(sent: readonly Compared[], known: readonly Compared[]): Steps<readonly Places[]> {
  const byMessage = new Map<string, Places>()
  return yield* mapSteps(sent, (message) => {
    const { role, textNumber, callIds, toolCallId } = message
    const key = JSON.stringify([role, textNumber, [...callIds], toolCallId])
    const places = byMessage.get(key) ?? Uint8Array.from(known, (other) => (isSame(message, other) ? 1 : 0))
    byMessage.set(key, places)
    return places
  })
}

/** How many of `sent`, from the first on, stand in `known` from `start` on. */
const commonFrom = ({ sent, known }: Conversation, start: number): number => {
  let length = 0
  while (start + length < known.length && sent[length]?.[start + length] === 1) length += 1
  return length
}

/** Length of the longest beginning of `sent` that is the end of `known`. */
function* overlapSteps(conversation: Conversation): Steps<number> {
  const { sent, known } = conversation
  for (let length = Math.min(sent.length, known.length); length > 0; length -= 1) {
    if (commonFrom(conversation, known.length - length) === length) return length
    yield
  }
  return 0
}

/** How many of `sent` come before the first that is new, when each is looked up behind the one before. */
const lookedUp = ({ sent }: Conversation): number => {
  let next = 0
  let recognised = 0
  for (const [index, places] of sent.entries()) {
    const place = places.indexOf(1, next)
    if (place === -1) continue
    next = place + 1
    recognised = index + 1
  }
  return recognised
}

const isAnswered = (question: Places, known: readonly Compared[]): boolean =>
  known.slice(question.lastIndexOf(1) + 1).some(({ role }) => role === 'assistant')

/** How many of the last messages that were sent are new. */
function* countNew(said: readonly Compared[], known: readonly Compared[]): Steps<number> {
  const sent = yield* placesSteps(said, known)
  const conversation = { sent, known }
  const overlap = yield* overlapSteps(conversation)
  const recognised = overlap > 0 && overlap >= commonFrom(conversation, 0) ? overlap : lookedUp(conversation)
  const last = sent.at(-1)
  const isQuestion = said.at(-1)?.role === 'user'
  const isAskedAgain = recognised === sent.length && last !== undefined && isQuestion && isAnswered(last, known)
  return isAskedAgain ? 1 : sent.length - recognised
}

const isSaying = ({ role, content, toolCalls }: NewMessage): boolean =>
  role !== 'assistant' || content.trim() !== '' || (toolCalls ?? []).length > 0

/** `known`: what the client has seen of the session, in order, with every system message. */
export function* newMessageSteps(
  known: readonly KnownMessage[],
  sent: readonly NewMessage[],
): Steps<readonly NewMessage[]> {
  const isSystem = ({ role }: Pick<NewMessage, 'role'>) => role === 'system'
  const compared = createComparer()
  const said = sent.filter((message) => !isSystem(message) && isSaying(message))
  const seen = known.filter((message) => !isSystem(message))
  const newCount = yield* countNew(yield* mapSteps(said, compared), yield* mapSteps(seen, compared))
  const rules = new Set(known.filter(isSystem).map(({ content }) => content.trim()))
  const isNewRule = ({ content }: NewMessage): boolean => {
    const isNew = !rules.has(content.trim())
    rules.add(content.trim())
    return isNew
  }
  // By identity: one text may be there twice, once known and once new.
  const fresh = new Set(said.slice(said.length - newCount))
  return sent.filter((message) => (isSystem(message) ? isNewRule(message) : fresh.has(message)))
}
