/**
 * Which memories the messages of a context show, and at which version: one that has changed since is shown again, since
 * the model would go on with what is outdated.
 */
import { isJsonObject } from '../../shared/json-limits.ts'
import type { Context, ShownMemory } from './context-types.ts'

const oldestVersion = 1
const idPattern = /^mem_[0-9a-f]{32}$/

const parsedJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const memoriesIn = (content: string): readonly Readonly<Record<string, unknown>>[] | null => {
  const result = parsedJson(content)
  if (!isJsonObject(result) || !Array.isArray(result.memories)) return null
  return result.memories.filter(isJsonObject).filter(({ memory_id }) => idPattern.test(String(memory_id)))
}

/**
 * What a client appends of an earlier RETRIEVE shows its memories as one inserted by the service does. Where it does not
 * say which version, any that changed since its first counts as newer.
 */
export const memoriesShownBy = (content: string): readonly ShownMemory[] => {
  const memories = memoriesIn(content)
  const shown =
    memories === null
      ? (content.match(/mem_[0-9a-f]{32}/g) ?? []).map((memoryId) => ({ memoryId, version: oldestVersion }))
      : memories.map(({ memory_id, version }) => ({
          memoryId: String(memory_id),
          version: Number.isSafeInteger(version) ? Number(version) : oldestVersion,
        }))
  return [...new Map(shown.map((memory) => [memory.memoryId, memory])).values()]
}

/** Tells whether a message of the context shows the memory at this version, or a newer one. */
export const createIsShown = (context: Context): ((memory: ShownMemory) => boolean) => {
  const newest = new Map<string, number>()
  for (const { memoryId, version } of context.messages.flatMap(({ recalledMemories }) => recalledMemories))
    newest.set(memoryId, Math.max(version, newest.get(memoryId) ?? 0))
  return ({ memoryId, version }) => (newest.get(memoryId) ?? 0) >= version
}
