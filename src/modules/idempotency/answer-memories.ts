/** Which memories an answer names or shows, so that what is stored of it can go with them. */

const memoryId = /mem_[0-9a-f]{32}/g

/** Every id of a memory in a text, once. */
export const memoriesNamedIn = (text: string): readonly string[] => [...new Set(text.match(memoryId) ?? [])]

const idOf = (value: unknown): string | null =>
  typeof value === 'string' && value.length === 36 && value.startsWith('mem_') ? value : null

type Fields = Readonly<Record<string, unknown>>

/** Memories whose text stands in the answer: objects with an id and a content, and what a message recalled. */
export const memoriesShownIn = (body: unknown): readonly string[] => {
  const shown = new Set<string>()
  const waiting: unknown[] = [body]
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (value === null || typeof value !== 'object') continue
    const { memoryId: id, memory_id, content, recalledMemories } = value as Fields
    const own = idOf(id) ?? idOf(memory_id)
    if (own !== null && typeof content === 'string') shown.add(own)
    if (Array.isArray(recalledMemories))
      for (const { memoryId: recalled } of recalledMemories as readonly Fields[]) {
        const found = idOf(recalled)
        if (found !== null) shown.add(found)
      }
    for (const child of Object.values(value)) if (child !== undefined) waiting.push(child)
  }
  return [...shown]
}
