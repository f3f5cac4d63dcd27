/** One request at the door of MCP, as its tools and resources see it. */
import type { MemoryService } from '../modules/memory/memory.service.ts'
import type { SessionService } from '../modules/session/session.service.ts'
import type { ToolService } from '../modules/tool/tool.service.ts'
import type { Caller } from '../shared/caller.ts'
import type { AppError } from '../shared/errors.ts'
import type { Binding } from './binding.ts'

/** What stands behind the door. */
export type McpDoor = {
  readonly sessions: Pick<SessionService, 'get' | 'open'>
  readonly tools: Pick<ToolService, 'call'>
  readonly memories: Pick<MemoryService, 'get' | 'list'>
}

export type McpCall = {
  readonly caller: Caller
  readonly binding: Binding
  readonly door: McpDoor
  /** Tells the operator of a failure of the service; of the client's errors nothing is told. */
  readonly reportFailure: (error: AppError) => void
}
