/** A function call as OpenAI's chat messages carry it; `arguments` is JSON as text, as the model wrote it. */
export type ToolCallMessage = {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: string }
}
