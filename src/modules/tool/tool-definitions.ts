/** The six tools: one definition each for HTTP, MCP, the model's prompt and the trajectory. */
import type { TSchema } from 'typebox'
import { type ToolKey, toolParameters } from './tool-parameters.ts'

/** `long_term` changes or reads the agent's memory, `short_term` edits the session's context. */
export type ToolKind = 'long_term' | 'short_term'

export type ToolDefinition<Key extends ToolKey = ToolKey> = {
  readonly key: Key
  /** The name on the wire. */
  readonly name: string
  /** Other names that are accepted, in lower case. */
  readonly aliases: readonly string[]
  readonly title: string
  readonly operationId: string
  readonly kind: ToolKind
  readonly description: string
  readonly parameters: TSchema
  /** No memory changes, and nothing leaves the context. */
  readonly isReadOnly: boolean
  /** What it takes away cannot be had back. */
  readonly isDestructive: boolean
  /** A second call with the same arguments changes nothing more. */
  readonly isIdempotent: boolean
}

type Facts = Pick<
  ToolDefinition,
  'title' | 'operationId' | 'kind' | 'isReadOnly' | 'isDestructive' | 'isIdempotent'
> & {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly description: string
  readonly example: Readonly<Record<string, unknown>>
}

const define = <Key extends ToolKey>(key: Key, { example, aliases = [], ...facts }: Facts): ToolDefinition<Key> => ({
  ...facts,
  key,
  aliases,
  description: `${facts.description} Example: ${JSON.stringify({ name: facts.name, arguments: example })}`,
  parameters: toolParameters[key],
})

const additive = { isReadOnly: false, isDestructive: false, isIdempotent: false }

export const toolDefinitions: { readonly [Key in ToolKey]: ToolDefinition<Key> } = {
  add_memory: define('add_memory', {
    ...additive,
    name: 'Add_memory',
    title: 'Add a memory',
    operationId: 'callAddMemory',
    kind: 'long_term',
    description:
      'Save one new fact to long-term memory, which lasts after this conversation. ' +
      'Use it when you learn something that will matter later: a name, a date, a preference, a decision, a result. ' +
      'Make one call for each fact. Do not save small talk, guesses, or what memory already holds; ' +
      'when a saved fact has changed, call Update_memory.',
    example: { content: 'Ana Silva is allergic to peanuts.', memory_type: 'preference' },
  }),
  update_memory: define('update_memory', {
    ...additive,
    name: 'Update_memory',
    title: 'Update a memory',
    operationId: 'callUpdateMemory',
    kind: 'long_term',
    description:
      'Correct a saved memory that is out of date, wrong or incomplete. Give its memory_id, and the new content, new ' +
      'metadata, or both. Use it when new information replaces a fact you have retrieved. ' +
      'Do not use it for a fact that memory does not hold yet: call Add_memory.',
    example: { memory_id: 'mem_0198f2', content: 'Ana Silva moved from Porto to Lisbon in May 2024.' },
  }),
  delete_memory: define('delete_memory', {
    name: 'Delete_memory',
    title: 'Delete a memory',
    operationId: 'callDeleteMemory',
    kind: 'long_term',
    isReadOnly: false,
    isDestructive: true,
    isIdempotent: true,
    description:
      'Remove one memory for good. Use it when a saved fact is false, or when the user asks you to forget it, and set ' +
      'confirmation to true. Do not use it for a fact that has only changed: call Update_memory. ' +
      'It does not shorten the conversation: for that, call Filter_context or Summary_context.',
    example: { memory_id: 'mem_0198f2', confirmation: true },
  }),
  retrieve_memory: define('retrieve_memory', {
    name: 'Retrieve_memory',
    title: 'Retrieve memories',
    operationId: 'callRetrieveMemory',
    kind: 'long_term',
    isReadOnly: true,
    isDestructive: false,
    isIdempotent: true,
    description:
      'Search long-term memory. The memories that match best enter the conversation, with their memory_id. ' +
      'Use it before you answer from earlier conversations, and before Update_memory or Delete_memory to find the ' +
      'memory_id. Ask for one thing at a time; if nothing fits, try other words. ' +
      'Do not use it for what the conversation already shows.',
    example: { query: 'What is Ana Silva allergic to?', top_k: 3 },
  }),
  summary_context: define('summary_context', {
    ...additive,
    name: 'Summary_context',
    title: 'Summarize the context',
    operationId: 'callSummaryContext',
    kind: 'short_term',
    description:
      'Replace messages of this conversation by one short summary, to make room. ' +
      'Use it when the conversation is long and still matters, for instance before a long answer. ' +
      'The current question and system messages stay. Do not use it when the exact words are needed next, ' +
      'or for messages that do not matter at all: call Filter_context.',
    example: { span: 'all' },
  }),
  filter_context: define('filter_context', {
    name: 'Filter_context',
    aliases: ['clear_context'],
    title: 'Filter the context',
    operationId: 'callFilterContext',
    kind: 'short_term',
    isReadOnly: false,
    isDestructive: false,
    isIdempotent: true,
    description:
      'Remove messages from this conversation. Every message that matches the criteria is REMOVED, so name what you ' +
      'want to lose, never what you want to keep. Use it when messages on other topics distract from the task. ' +
      'The current question and system messages stay, and long-term memory does not change. ' +
      'Do not use it for messages that still matter: call Summary_context.',
    example: { criteria: 'weather, lunch plans, pets' },
  }),
}

export const toolKeys = Object.keys(toolDefinitions) as readonly ToolKey[]

export const toolNames: readonly string[] = toolKeys.map((key) => toolDefinitions[key].name)

const keyByName: ReadonlyMap<string, ToolKey> = new Map(
  toolKeys.flatMap((key) => [key, ...toolDefinitions[key].aliases].map((name) => [name, key] as const)),
)

/** The tool with this wire name, route name or alias, whatever its case; null when there is none. */
export const findToolKey = (name: string): ToolKey | null => keyByName.get(name.trim().toLowerCase()) ?? null
