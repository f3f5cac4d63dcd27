/** From JSON values to calls: what both wire formats, text and OpenAI's `tool_calls`, have in common. */
import {
  canonicalJson,
  depthOf,
  findUnsafeText,
  isJsonObject,
  isUnsafeText,
  jsonDepthMax,
} from '../../shared/json-limits.ts'
import { readLooseJson } from './repair-json.ts'
import { findToolKey } from './tool-definitions.ts'
import type { ToolKey } from './tool-parameters.ts'
import { type ViolationCode, type Violations, violationDetails } from './violations.ts'

const nameCharactersMax = 128

/** Why a call cannot run. It is kept all the same, so that the model gets an answer to it. */
export type CallProblem = {
  readonly code: Extract<
    ViolationCode,
    'unknown_tool' | 'invalid_arguments' | 'unsafe_text' | 'duplicate_call' | 'too_many_calls'
  >
  readonly detail: string
}

export type ParsedCall = {
  readonly toolCallId: string
  /** As the model gave it. */
  readonly name: string
  /** Null for an unknown tool. */
  readonly tool: ToolKey | null
  /** Not checked against the tool's schema, but safe to store. `{}` where what the model gave is not. */
  readonly arguments: Readonly<Record<string, unknown>>
  /** The arguments that the model gave, as JSON in safe text, when `arguments` could not hold them. */
  readonly raw?: string
  /** Must not run; answer it with this. */
  readonly problem?: CallProblem
}

export type CallDraft = Omit<ParsedCall, 'toolCallId'>

export const problemOf = (code: CallProblem['code']): CallProblem => ({ code, detail: violationDetails[code] })

/** More than content and metadata of full size take, with each of their characters escaped. Longer text is read by nobody. */
const argumentsCharsMax = 524_288

/** Arguments that are JSON in a string are unpacked; text that is no JSON object stays as it is. */
const unpack = (given: unknown, violations: Violations): unknown => {
  if (typeof given !== 'string') return given ?? {}
  if (given.trim() === '') return {}
  if (given.length > argumentsCharsMax) return given
  const read = readLooseJson(given)
  if (!read.ok || given.slice(read.end).trim() !== '' || !isJsonObject(read.value)) return given
  for (const note of read.notes) violations.note(note)
  return read.value
}

const faultOf = (given: unknown): CallProblem['code'] | null => {
  if (!isJsonObject(given)) return 'invalid_arguments'
  return findUnsafeText(given) === null ? null : 'unsafe_text'
}

/**
 * A call of this name. Null when the name is none at all, or the arguments are nested too deep to be written out again.
 */
export const draftCall = (name: unknown, given: unknown, violations: Violations): CallDraft | null => {
  const args = unpack(given, violations)
  const isName = typeof name === 'string' && name.trim() !== '' && name.length <= nameCharactersMax
  if (!isName || isUnsafeText(name) || depthOf(args) > jsonDepthMax) {
    violations.note('malformed_call')
    return null
  }
  const tool = findToolKey(name)
  const fault = faultOf(args)
  if (fault !== null) violations.note(fault)
  if (tool === null) violations.note('unknown_tool')
  const code = tool === null ? 'unknown_tool' : fault
  return {
    name,
    tool,
    ...(fault === null && isJsonObject(args) ? { arguments: args } : { arguments: {}, raw: JSON.stringify(args) }),
    ...(code === null ? {} : { problem: problemOf(code) }),
  }
}

const argumentNames = ['arguments', 'parameters', 'args', 'input'] as const

/** A call from an entry of a `<tool_call>` block: `{name, arguments}`, or a shape that other formats use. */
export const callFromEntry = (entry: unknown, violations: Violations): CallDraft | null => {
  const call = isJsonObject(entry) && isJsonObject(entry.function) ? entry.function : entry
  if (!isJsonObject(call)) {
    violations.note('malformed_call')
    return null
  }
  const argumentName = argumentNames.find((name) => Object.hasOwn(call, name)) ?? 'arguments'
  const isStandard = call === entry && Object.keys(call).every((key) => key === 'name' || key === 'arguments')
  if (!isStandard) violations.note('call_shape')
  const given = call[argumentName]
  if (typeof given === 'string') violations.note('arguments_as_text')
  return draftCall(call.name, given, violations)
}

/** Equal for calls that would do the same: the tool by any of its names, with equal arguments. */
export const callIdentity = (call: CallDraft): string =>
  `${call.tool ?? call.name}\n${call.raw ?? canonicalJson(call.arguments)}`
