/** The story's calls that tend long-term memory: ADD, UPDATE, DELETE and RETRIEVE. */
import type { BeatOf } from './demo-beats.ts'
import type { Stage } from './demo-stage.ts'
import { HttpProblem } from './http-request.ts'

export const playAdd = async (stage: Stage, { fact, content, memoryType, why }: BeatOf<'add'>): Promise<void> => {
  const { client, screen, sessionId } = stage
  const before = await stage.countMemories()
  screen.call('ADD', content, why)
  const args = { content, memory_type: memoryType }
  const { result, context, degraded } = await client.callTool(sessionId, 'add_memory', args)
  stage.memories.set(fact, { memoryId: result.memory_id, content })
  if (result.duplicate_of) screen.detail('near', 'a memory that says nearly the same is there already')
  const after = await stage.showMemories(before)
  stage.showContext(context, degraded)
  stage.expect(after === before + 1, `ADD of "${fact}" did not add one memory`)
}

export const playUpdate = async (stage: Stage, { fact, content, why }: BeatOf<'update'>): Promise<void> => {
  const { client, screen, sessionId } = stage
  const { memoryId, content: old } = stage.memoryOf(fact)
  screen.call('UPDATE', content, why)
  const { result, context, degraded } = await client.callTool(sessionId, 'update_memory', {
    memory_id: memoryId,
    content,
  })
  stage.memories.set(fact, { memoryId, content })
  screen.detail('was', old)
  screen.detail('memory', `the same memory, version ${result.version}; the old text is kept as history`)
  stage.showContext(context, degraded)
  stage.expect(result.version >= 2, `UPDATE of "${fact}" made no new version`)
}

const isGone = (error: unknown): null => {
  if (error instanceof HttpProblem && error.status === 404) return null
  throw error
}

export const playDelete = async (stage: Stage, { fact, why }: BeatOf<'delete'>): Promise<void> => {
  const { client, screen, sessionId, agentId } = stage
  const { memoryId, content } = stage.memoryOf(fact)
  const before = await stage.countMemories()
  screen.call('DELETE', content, why)
  const args = { memory_id: memoryId, confirmation: true }
  const { context, degraded } = await client.callTool(sessionId, 'delete_memory', args)
  await stage.showMemories(before)
  stage.showContext(context, degraded)
  const found = await client.getMemory(agentId, memoryId).catch(isGone)
  stage.expect(found === null, `"${fact}" can still be read after DELETE`)
}

export const playRetrieve = async (stage: Stage, beat: BeatOf<'retrieve'>): Promise<void> => {
  const { client, screen, sessionId } = stage
  screen.call('RETRIEVE', beat.query, beat.why)
  const args = { query: beat.query, top_k: beat.topK }
  const { result, context, degraded } = await client.callTool(sessionId, 'retrieve_memory', args)
  for (const { content, score } of result.memories) screen.detail(score.toFixed(2), content)
  const known = result.already_in_context.length
  if (known > 0) screen.detail('known', `${known} already in the context, so not shown again`)
  stage.showContext(context, degraded)
  const shown = new Set([...result.memories.map((memory) => memory.memory_id), ...result.already_in_context])
  for (const fact of beat.expected) {
    stage.expect(shown.has(stage.memoryOf(fact).memoryId), `RETRIEVE did not find "${fact}"`)
  }
}
