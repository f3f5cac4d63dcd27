import { toolNames } from './tool-definitions.ts'

/** Calls that one step may run. */
export const callsMax = 32

/**
 * The departures from the step format that are noted, each with what is done about it. The detail is written for the
 * model, and carries nothing of what it wrote.
 */
export const violationDetails = {
  empty_output: 'The output is empty. Think, then call tools or answer.',
  missing_think: 'There is no <think> block. Start with one.',
  unopened_think: 'There is a </think> without <think>. All text before it was read as thinking.',
  unclosed_block: 'A block has no closing tag. Close every <think>, <tool_call> and <answer>.',
  stray_tag: 'A closing tag stands where no block is open. It was ignored.',
  repeated_block: 'A step has one <think> and one <tool_call> or <answer>. All calls were read, and the first answer.',
  text_outside_blocks: 'Text outside <think>, <tool_call> and <answer> was ignored.',
  no_action: 'The step neither calls a tool nor answers. Add a <tool_call> or an <answer>.',
  call_and_answer: 'A step calls tools or answers, not both. The answer was not accepted: read the results first.',
  empty_answer: 'The <answer> is empty.',
  empty_tool_call: 'The <tool_call> holds no call. Write [{"name": "…", "arguments": {…}}].',
  malformed_json:
    'The <tool_call> is not valid JSON, so no call of it ran. Write [{"name": "…", "arguments": {…}}] and nothing else.',
  loose_json: 'The JSON was mended. Use double quotes, true, false and null, and no comma before a closing bracket.',
  bare_backslash: 'A backslash that begins no JSON escape was kept as it stands. Write two of them for one.',
  number_as_text:
    'A number that JSON cannot keep as it was written, such as 01234 or one of many digits, was taken as text. Put it in quotes.',
  text_around_json: 'Text around the JSON in <tool_call> was ignored.',
  call_not_in_array: 'The calls in <tool_call> were not in an array. Write [{…}, {…}].',
  malformed_call: 'An entry is not a call and was left out. A call is {"name": "…", "arguments": {…}}.',
  call_shape: 'A call had other fields than name and arguments.',
  arguments_as_text: 'The arguments of a call were JSON inside a string. Write them as an object.',
  invalid_arguments: 'The arguments of the call are not a JSON object.',
  unsafe_text: 'The NUL character, half of a surrogate pair, or a reserved key cannot be stored.',
  unknown_tool: `There is no tool of that name. The tools are ${toolNames.join(', ')}.`,
  duplicate_call: 'The same call was there more than once. It runs once.',
  duplicate_call_id: 'Two calls had the same id. The later one got another.',
  too_many_calls: `A step runs ${callsMax} calls at most. The rest did not run.`,
} as const

export type ViolationCode = keyof typeof violationDetails

/** `count`: how often it occurs in the step. */
export type Violation = { readonly code: ViolationCode; readonly detail: string; readonly count: number }

/** Collects violations: one entry per code, in order of first sight, so that their number is bounded. */
export const createViolations = () => {
  const counts = new Map<ViolationCode, number>()
  return {
    note: (code: ViolationCode): void => {
      counts.set(code, (counts.get(code) ?? 0) + 1)
    },
    list: (): readonly Violation[] =>
      [...counts].map(([code, count]) => ({ code, detail: violationDetails[code], count })),
  }
}

export type Violations = ReturnType<typeof createViolations>
