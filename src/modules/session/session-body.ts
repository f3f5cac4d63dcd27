import type { SessionOptionsBody } from './session.schemas.ts'
import type { ContextMeasure, Session, SessionOptions } from './session-types.ts'

export const toMeasureBody = (context: ContextMeasure) => ({
  version: context.version,
  tokens: context.tokens,
  budget_tokens: context.budgetTokens,
  pressure: context.pressure,
})

const toOptionsBody = (options: SessionOptions): SessionOptionsBody => ({
  ...(options.filterThreshold === undefined ? {} : { filter_threshold: options.filterThreshold }),
  ...(options.topK === undefined ? {} : { top_k: options.topK }),
  ...(options.summaryStyle === undefined ? {} : { summary_style: options.summaryStyle }),
  ...(options.autoSummaryAt === undefined ? {} : { auto_summary_at: options.autoSummaryAt }),
})

export const fromOptionsBody = (body: SessionOptionsBody): SessionOptions => ({
  ...(body.filter_threshold === undefined ? {} : { filterThreshold: body.filter_threshold }),
  ...(body.top_k === undefined ? {} : { topK: body.top_k }),
  ...(body.summary_style === undefined ? {} : { summaryStyle: body.summary_style }),
  ...(body.auto_summary_at === undefined ? {} : { autoSummaryAt: body.auto_summary_at }),
})

export const toSessionBody = (session: Session) => ({
  session_id: session.sessionId,
  agent_id: session.agentId,
  status: session.status,
  options: toOptionsBody(session.options),
  metadata: session.metadata,
  context: toMeasureBody(session.context),
  created_at: session.createdAt,
  updated_at: session.updatedAt,
  closed_at: session.closedAt,
})
