/** What the demo's story is made of: days, talk, and the calls of a wise policy. */
export type Line = {
  readonly role: 'user' | 'assistant'
  readonly content: string
  /** On the topics that FILTER is asked to remove. */
  readonly chatter?: true
}

/** `fact` is the demo's own name for a memory; the service gives the id. */
export type Beat =
  | { readonly kind: 'day'; readonly title: string }
  | { readonly kind: 'say'; readonly lines: readonly Line[] }
  | {
      readonly kind: 'add'
      readonly fact: string
      readonly content: string
      readonly memoryType: string
      readonly why: string
    }
  | { readonly kind: 'update'; readonly fact: string; readonly content: string; readonly why: string }
  | { readonly kind: 'delete'; readonly fact: string; readonly why: string }
  | {
      readonly kind: 'retrieve'
      readonly query: string
      readonly topK: number
      readonly expected: readonly string[]
      readonly why: string
    }
  | { readonly kind: 'filter'; readonly criteria: string; readonly why: string }
  | { readonly kind: 'summary'; readonly span: string; readonly why: string }

export type BeatOf<Kind extends Beat['kind']> = Extract<Beat, { kind: Kind }>

export const nora = (content: string): Line => ({ role: 'user', content })
export const helper = (content: string): Line => ({ role: 'assistant', content })
export const aside = (line: Line): Line => ({ ...line, chatter: true })
