/**
 * Reads OpenAI's `tool_calls`. Here every call has an id that the chat's format wants an answer to, so none with an id is
 * left out: one that must not run is kept with its problem.
 */
import { isJsonObject, isUnsafeText } from '../../shared/json-limits.ts'
import { atOnce, mapSteps, type Steps } from '../../shared/yielding.ts'
import type { ParsedStep } from './parse-output.ts'
import { type CallDraft, type CallProblem, callIdentity, draftCall, type ParsedCall, problemOf } from './read-calls.ts'
import { callsMax, createViolations, type Violations } from './violations.ts'

const draftOf = (entry: unknown, violations: Violations): CallDraft | null => {
  if (isJsonObject(entry) && isJsonObject(entry.function))
    return draftCall(entry.function.name, entry.function.arguments, violations)
  violations.note('malformed_call')
  return null
}

const idOf = (entry: unknown): string | null => {
  const id = isJsonObject(entry) ? entry.id : null
  return typeof id === 'string' && id !== '' && id.length <= 256 && !isUnsafeText(id) ? id : null
}

/** Ids given are kept; a missing one, or the second of its kind, becomes `call_<position>`. */
const createIdGiver = (entries: readonly unknown[], violations: Violations) => {
  const taken = new Set<string>()
  const given = new Set(entries.map(idOf))
  return (entry: unknown, index: number): string => {
    const id = idOf(entry)
    const isRepeated = id !== null && taken.has(id)
    if (isRepeated) violations.note('duplicate_call_id')
    let unique = id !== null && !isRepeated ? id : `call_${index + 1}`
    while (taken.has(unique) || (unique !== id && given.has(unique))) unique += '_'
    taken.add(unique)
    return unique
  }
}

/**
 * The step of an assistant message that has these `tool_calls`. `arguments` may be JSON text or an object. The second of
 * two equal calls, and those after the 32nd, carry a problem. Never throws; what is no array has no calls.
 */
export function* openAiCallSteps(toolCalls: unknown): Steps<ParsedStep> {
  const violations = createViolations()
  const entries: readonly unknown[] = Array.isArray(toolCalls) ? toolCalls : []
  if (!Array.isArray(toolCalls)) violations.note('malformed_call')
  const giveId = createIdGiver(entries, violations)
  const seen = new Set<string>()
  const read = yield* mapSteps(entries, (entry, index): readonly ParsedCall[] => {
    const draft = draftOf(entry, violations)
    if (draft === null) return []
    const toolCallId = giveId(entry, index)
    const identity = callIdentity(draft)
    const excess: CallProblem['code'] | null = seen.has(identity)
      ? 'duplicate_call'
      : seen.size >= callsMax
        ? 'too_many_calls'
        : null
    if (excess === null) seen.add(identity)
    else violations.note(excess)
    return [{ toolCallId, ...draft, ...(excess === null ? {} : { problem: problemOf(excess) }) }]
  })
  const calls = read.flat()
  if (calls.length === 0) violations.note('no_action')
  return { think: null, answer: null, calls, violations: violations.list() }
}

/** `openAiCallSteps` at once. */
export const parseOpenAiToolCalls = (toolCalls: unknown): ParsedStep => atOnce(openAiCallSteps(toolCalls))
