import type { Caller } from '../../shared/caller.ts'
import { AppError } from '../../shared/errors.ts'

/** @throws AppError `auth.agent_not_allowed` (403) when the key is bound to other agents */
export const ensureAgentAllowed = (caller: Caller, agentId: string): void => {
  if (caller.agentIds === null || caller.agentIds.includes(agentId)) return
  throw new AppError({
    code: 'auth.agent_not_allowed',
    status: 403,
    detail: 'This key is bound to other agents. Use a key that is bound to this agent, or to none.',
  })
}
