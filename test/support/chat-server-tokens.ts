/** Tokens of the stand-in: a word with the space before it is one. Ids are given out as words come. */
export const startId = 1
export const endId = 2

export type Vocabulary = {
  idOf(piece: string): number
  encode(text: string): readonly number[]
}

export const piecesOf = (text: string): readonly string[] => text.match(/\s*\S+|\s+$/gu) ?? []

export const createVocabulary = (): Vocabulary => {
  const ids = new Map<string, number>()
  const idOf = (piece: string): number => {
    const id = ids.get(piece) ?? ids.size + 10
    ids.set(piece, id)
    return id
  }
  return { idOf, encode: (text) => piecesOf(text).map(idOf) }
}

/** The same id always has the same one. */
export const logprobOf = (id: number): number => -((id % 7) + 1) / 10

type Message = { readonly role: string; readonly content?: string | null; readonly tool_calls?: unknown }

export type Prompt = { readonly messages: readonly Message[]; readonly tools?: readonly unknown[] }

/** The chat template of the stand-in: what stands in a prompt, with the start of the answer. */
export const promptIdsOf = ({ messages, tools = [] }: Prompt, { idOf, encode }: Vocabulary): readonly number[] => [
  ...(tools.length === 0 ? [] : [startId, idOf('tools'), ...encode(JSON.stringify(tools)), endId]),
  ...messages.flatMap(({ role, content, tool_calls }) => [
    ...[startId, idOf(role), ...encode(content ?? '')],
    ...(tool_calls === undefined ? [] : encode(JSON.stringify(tool_calls))),
    endId,
  ]),
  ...[startId, idOf('assistant')],
]

const cacheBlockTokens = 16

/** How much of a prompt was seen before with the same salt, in whole blocks, as vLLM's prefix cache counts. */
export const createPrefixCache = () => {
  const seen = new Map<string, (readonly number[])[]>()
  return {
    cachedTokens: (salt: string, prompt: readonly number[]): number => {
      const before = seen.get(salt) ?? []
      const common = before.map((other) => {
        const differs = prompt.findIndex((id, place) => other[place] !== id)
        return differs === -1 ? prompt.length - 1 : differs
      })
      seen.set(salt, [...before, prompt])
      return Math.floor(Math.max(0, ...common) / cacheBlockTokens) * cacheBlockTokens
    },
  }
}
