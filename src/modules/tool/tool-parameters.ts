/**
 * What each tool takes, in its wire form: these are the schemas that a model, an MCP client and the API reference see.
 * tool-arguments.ts is what checks arguments; it also accepts the aliases, which models are not told about.
 */
import { type Static, Type } from 'typebox'
import type { Span } from '../context/context-types.ts'
import { contentCharactersMax } from '../memory/memory-input.ts'

export const topKMax = 100
const closed = { additionalProperties: false } as const

const text = (description: string, maxLength = contentCharactersMax) =>
  Type.String({ minLength: 1, maxLength, pattern: '\\S', description })

const jsonObject = (description: string) =>
  Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object', additionalProperties: true, description })

const memoryId = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'The memory_id exactly as Retrieve_memory or Add_memory gave it. Never make one up.',
})

export const toolParameters = {
  add_memory: Type.Object(
    {
      content: text('One fact in one short sentence that can be understood alone: name who and what it is about.'),
      memory_type: Type.Optional(text('A word for the kind of fact, such as fact, preference, event or task.', 128)),
      metadata: Type.Optional(jsonObject('Labels to filter by later, such as {"topic": "travel"}.')),
    },
    closed,
  ),
  update_memory: Type.Object(
    {
      memory_id: memoryId,
      content: Type.Optional(text('The whole new text of the memory. It takes the place of the old text.')),
      metadata: Type.Optional(jsonObject('Labels to set. Labels that are not named here stay as they are.')),
    },
    closed,
  ),
  delete_memory: Type.Object(
    {
      memory_id: memoryId,
      confirmation: Type.Boolean({ description: 'Must be true, or nothing is deleted.' }),
    },
    closed,
  ),
  retrieve_memory: Type.Object(
    {
      query: text('What you want to know, in plain words with the names that matter.'),
      top_k: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: topKMax,
          description: 'How many memories to get at most. Leave it out for the usual number (3).',
        }),
      ),
      metadata_filter: Type.Optional(
        jsonObject('Only memories whose labels equal all of these. "type" stands for the memory_type.'),
      ),
    },
    closed,
  ),
  summary_context: Type.Object(
    {
      span: Type.Union(
        [
          Type.Integer({ minimum: 1, description: 'The last N messages.' }),
          Type.String({ pattern: '^(all|full|[1-9][0-9]*)$', description: 'All messages, or N as text.' }),
        ],
        { description: '"all" for the whole conversation, or a number N for the last N messages.' },
      ),
    },
    closed,
  ),
  filter_context: Type.Object(
    { criteria: text('What to REMOVE: a sentence, or topics with commas between them.') },
    closed,
  ),
}

/** What each tool takes over HTTP: its arguments, with the alias; `parseToolArguments` says what is wrong with the rest. */
export const toolBodies = {
  ...toolParameters,
  delete_memory: Type.Object(
    {
      memory_id: memoryId,
      confirmation: Type.Optional(Type.Boolean({ description: 'Must be true, or nothing is deleted.' })),
      confirmed: Type.Optional(Type.Boolean({ description: 'Another name for confirmation.' })),
    },
    closed,
  ),
}

/** Also the tool's name in routes: `/tools/add_memory`. */
export type ToolKey = keyof typeof toolParameters

/** Checked arguments, in their wire names: these are what a tool runs with, and what its trajectory records. */
export type ToolArguments = {
  readonly add_memory: Static<typeof toolParameters.add_memory>
  /** Holds content, metadata or both. */
  readonly update_memory: Static<typeof toolParameters.update_memory>
  readonly delete_memory: { readonly memory_id: string; readonly confirmation: true }
  readonly retrieve_memory: Static<typeof toolParameters.retrieve_memory>
  readonly summary_context: { readonly span: Span }
  readonly filter_context: Static<typeof toolParameters.filter_context>
}
