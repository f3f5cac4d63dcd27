/** The definitions in the forms that clients pass on to a model. */
import type { TSchema } from 'typebox'
import { type ToolDefinition, type ToolKind, toolDefinitions, toolKeys } from './tool-definitions.ts'
import type { ToolKey } from './tool-parameters.ts'

export const toolFormats = ['agemem', 'openai', 'anthropic', 'mcp'] as const

export type ToolFormat = (typeof toolFormats)[number]

/** Each as its API takes it; `agemem` is this service's own. */
export type FormattedTool = {
  readonly agemem: {
    readonly name: string
    readonly key: ToolKey
    readonly kind: ToolKind
    readonly description: string
    readonly parameters: TSchema
  }
  readonly openai: {
    readonly type: 'function'
    readonly function: { readonly name: string; readonly description: string; readonly parameters: TSchema }
  }
  readonly anthropic: { readonly name: string; readonly description: string; readonly input_schema: TSchema }
  readonly mcp: {
    readonly name: string
    readonly title: string
    readonly description: string
    readonly inputSchema: TSchema
    readonly annotations: {
      readonly title: string
      readonly readOnlyHint: boolean
      readonly destructiveHint: boolean
      readonly idempotentHint: boolean
      readonly openWorldHint: boolean
    }
  }
}

const formatters: { readonly [Format in ToolFormat]: (tool: ToolDefinition) => FormattedTool[Format] } = {
  agemem: ({ name, key, kind, description, parameters }) => ({ name, key, kind, description, parameters }),
  openai: ({ name, description, parameters }) => ({ type: 'function', function: { name, description, parameters } }),
  anthropic: ({ name, description, parameters }) => ({ name, description, input_schema: parameters }),
  mcp: (tool) => ({
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: tool.parameters,
    annotations: {
      title: tool.title,
      readOnlyHint: tool.isReadOnly,
      destructiveHint: tool.isDestructive,
      idempotentHint: tool.isIdempotent,
      openWorldHint: false,
    },
  }),
}

/** All six, in the same order in every format. */
export const formatTools = <Format extends ToolFormat>(format: Format): readonly FormattedTool[Format][] => {
  const formatter = formatters[format]
  return toolKeys.map((key) => formatter(toolDefinitions[key]))
}
