/** Memories as resources: each has a URI; those of the agent that the headers name can be listed. */
import type {
  ListResourcesResult,
  ReadResourceResult,
  Resource,
  ResourceTemplate,
} from '@modelcontextprotocol/sdk/types.js'
import { ensureAgentAllowed } from '../modules/agent/agent-access.ts'
import { memoryNotFound } from '../modules/memory/memory.errors.ts'
import { toMemoryBody } from '../modules/memory/memory-body.ts'
import type { Memory } from '../modules/memory/memory-types.ts'
import { cutText } from '../shared/cut-text.ts'
import { clientIdPattern, idPattern } from '../shared/ids.ts'
import { toSafeText } from '../shared/json-limits.ts'
import { boundAgentId } from './binding.ts'
import type { McpCall } from './call.ts'

const mimeType = 'application/json'
const pageLimit = 50
const titleLengthMax = 80
/** More than a title shows, and little beside the longest content. */
const titleSourceMax = 400

export const resourceTemplates: ResourceTemplate[] = [
  {
    uriTemplate: 'agemem://agents/{agent_id}/memories/{memory_id}',
    name: 'memory',
    title: 'A memory',
    description: 'One long-term memory of an agent, as JSON.',
    mimeType,
  },
]

const uriOf = ({ agentId, memoryId }: Pick<Memory, 'agentId' | 'memoryId'>): string =>
  `agemem://agents/${encodeURIComponent(agentId)}/memories/${memoryId}`

const agentIdForm = new RegExp(clientIdPattern)
const memoryIdForm = new RegExp(idPattern('mem'))

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw memoryNotFound()
  }
}

/** What no memory can be called by is not found, as any other URI that names none. */
const memoryOfUri = (uri: string) => {
  const [, agent = '', memory = ''] = /^agemem:\/\/agents\/([^/?#]+)\/memories\/([^/?#]+)$/.exec(uri) ?? []
  const [agentId, memoryId] = [decoded(agent), decoded(memory)]
  if (!agentIdForm.test(agentId) || !memoryIdForm.test(memoryId)) throw memoryNotFound()
  return { agentId, memoryId }
}

const titleOf = (content: string): string => {
  const line = toSafeText(content.slice(0, titleSourceMax)).trim().replaceAll(/\s+/g, ' ')
  return line.length <= titleLengthMax ? line : `${cutText(line, titleLengthMax)}…`
}

const toResource = (memory: Memory): Resource => ({
  uri: uriOf(memory),
  name: memory.memoryId,
  title: titleOf(memory.content),
  mimeType,
  annotations: { lastModified: memory.updatedAt },
})

const everyMemory = { memoryType: null, metadata: {}, createdAfter: null, createdBefore: null, indexState: null }

/** The newest first; empty when the headers name no agent. */
export const listResources = async (
  { caller, binding, door }: McpCall,
  cursor: string | undefined,
): Promise<ListResourcesResult> => {
  const agentId = await boundAgentId(door.sessions, caller, binding)
  if (agentId === null) return { resources: [] }
  const { data, nextCursor } = await door.memories.list(
    caller,
    { ...everyMemory, agentId, order: 'desc' },
    { cursor: cursor ?? null, limit: pageLimit },
  )
  return { resources: data.map(toResource), ...(nextCursor === null ? {} : { nextCursor }) }
}

/** @throws AppError `memory.not_found`, `auth.agent_not_allowed` */
export const readResource = async ({ caller, door }: McpCall, uri: string): Promise<ReadResourceResult> => {
  const named = memoryOfUri(uri)
  ensureAgentAllowed(caller, named.agentId)
  const memory = await door.memories.get(caller, named)
  return { contents: [{ uri, mimeType, text: JSON.stringify(toMemoryBody(memory)) }] }
}
