/**
 * Splits text that arrives in pieces into what is thinking and what is the answer, by the tags of the step format. Calls
 * are shown when they run and not while they are written, so the text of a tool_call block is dropped. A piece may end
 * within a tag: what may still become one is held back until it is clear.
 */
export type StreamPart = { readonly kind: 'thinking' | 'token'; readonly text: string }

type Place = 'outside' | 'think' | 'answer' | 'tool_call'

const tagPattern = /<(\/?)(think|tool_call|answer)>/i
const longestTag = '</tool_call>'.length

/** Where a tag may begin that the text does not end yet. */
const openEnd = (text: string): number => {
  const start = text.lastIndexOf('<')
  const tail = text.slice(start).toLowerCase()
  const mayBecomeTag = ['think', 'tool_call', 'answer'].some(
    (name) => `<${name}>`.startsWith(tail) || `</${name}>`.startsWith(tail),
  )
  return start !== -1 && tail.length < longestTag && mayBecomeTag ? start : text.length
}

const partsAt = (place: Place, text: string, outside: StreamPart['kind'] | null): readonly StreamPart[] => {
  const kind = place === 'think' ? 'thinking' : place === 'answer' ? 'token' : place === 'outside' ? outside : null
  return text === '' || kind === null ? [] : [{ kind, text }]
}

/** `outside`: what text outside any block is shown as; null: not at all. */
export const createStreamSplitter = (outside: StreamPart['kind'] | null) => {
  let place: Place = 'outside'
  let held = ''

  const take = (text: string): readonly StreamPart[] => {
    const parts: StreamPart[] = []
    let rest = text
    for (let found = tagPattern.exec(rest); found !== null; found = tagPattern.exec(rest)) {
      const [tag, slash, name = ''] = found
      parts.push(...partsAt(place, rest.slice(0, found.index), outside))
      const isInside = place !== 'outside' && place !== name.toLowerCase()
      if (isInside) parts.push(...partsAt(place, tag, outside))
      else place = slash === '' ? (name.toLowerCase() as Place) : 'outside'
      rest = rest.slice(found.index + tag.length)
    }
    const end = openEnd(rest)
    held = rest.slice(end)
    return [...parts, ...partsAt(place, rest.slice(0, end), outside)]
  }

  return {
    feed: (piece: string): readonly StreamPart[] => take(held + piece),
    /** What was held back and did not become a tag. */
    end: (): readonly StreamPart[] => {
      const parts = partsAt(place, held, outside)
      held = ''
      return parts
    },
  }
}
