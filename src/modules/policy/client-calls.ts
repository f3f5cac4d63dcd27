/**
 * Calls of the client's own functions that a model wrote as tags. The parser knows the six tools alone, so to it they are
 * calls of unknown tools; here those that the client offers are taken out, and are a departure from the format no more.
 */
import type { ToolCallMessage } from '../../shared/chat.ts'
import type { ParsedCall } from '../tool/read-calls.ts'
import type { Violation } from '../tool/violations.ts'
import type { ReadReply } from './run-state.ts'

const toMessage = ({ toolCallId, name, arguments: args, raw }: ParsedCall): ToolCallMessage => ({
  id: toolCallId,
  type: 'function',
  function: { name, arguments: raw ?? JSON.stringify(args) },
})

/** Without `known` of the unknown tools. */
const withoutKnown = (violations: readonly Violation[], known: number): readonly Violation[] =>
  violations
    .map((violation) =>
      violation.code === 'unknown_tool' ? { ...violation, count: violation.count - known } : violation,
    )
    .filter(({ count }) => count > 0)

/** `read` keeps what the service runs or answers itself, unknown names among it. */
export const takeClientCalls = (
  read: ReadReply,
  names: ReadonlySet<string>,
): { readonly read: ReadReply; readonly clientCalls: readonly ToolCallMessage[] } => {
  const taken = read.calls.filter(({ tool, name }) => tool === null && names.has(name))
  if (taken.length === 0) return { read, clientCalls: [] }
  const calls = read.calls.filter((call) => !taken.includes(call))
  const violations = withoutKnown(read.violations, taken.length)
  // What stands outside of thinking in a text that calls is the JSON of the calls.
  return { read: { ...read, calls, violations, looseText: null }, clientCalls: taken.map(toMessage) }
}
