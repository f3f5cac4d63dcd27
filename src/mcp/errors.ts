/** What the door of MCP refuses, and how errors look inside the protocol. */
import { ErrorCode } from '@modelcontextprotocol/sdk/types.js'
import { problemOf } from '../modules/tool/tool-answers.ts'
import { AppError } from '../shared/errors.ts'

export const methodNotAllowed = () =>
  new AppError({
    code: 'mcp.method_not_allowed',
    status: 405,
    detail: 'The service keeps no MCP sessions and opens no streams of its own: send each message as a POST.',
  })

export const originNotAllowed = () =>
  new AppError({
    code: 'mcp.origin_not_allowed',
    status: 403,
    detail: 'Web pages of this origin may not use the service. The operator lists those that may.',
  })

export const batchNotAllowed = () =>
  new AppError({ code: 'mcp.batch', status: 400, detail: 'Send one JSON-RPC message in each request, not an array.' })

export const sessionOfAnotherAgent = () =>
  new AppError({
    code: 'mcp.session_of_another_agent',
    status: 409,
    detail: "The session is another agent's than AgeMem-Agent names. Send the headers of one agent.",
  })

/** The protocol's own code for a resource that is not there. */
const resourceNotFoundCode = -32_002

/** An error that the SDK sends as it is: its own class puts its name before every message. */
export const rpcError = (code: number, message: string, data?: unknown): Error =>
  Object.assign(new Error(message), { code, ...(data === undefined ? {} : { data }) })

/** What a client reads of a failure: the problem, and how long to wait where that helps. */
export const problemData = (error: AppError) => ({
  ...problemOf(error),
  ...(error.retryAfterSeconds === undefined ? {} : { retry_after_seconds: error.retryAfterSeconds }),
})

const rpcCodeOf = (status: number): number => {
  if (status === 404) return resourceNotFoundCode
  return status < 500 ? ErrorCode.InvalidParams : ErrorCode.InternalError
}

export const rpcErrorOf = (error: AppError): Error =>
  rpcError(rpcCodeOf(error.status), error.detail, problemData(error))

/** A JSON-RPC answer to a message that never reached the protocol, since its id was not read. */
export const rpcRefusal = (error: AppError) => ({
  jsonrpc: '2.0' as const,
  id: null,
  error: { code: ErrorCode.InvalidRequest, message: error.detail, data: problemData(error) },
})
