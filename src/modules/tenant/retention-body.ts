import type { RetentionBody } from './tenant.schemas.ts'
import type { Retention } from './tenant-types.ts'

export const toRetentionBody = (retention: Retention): Required<RetentionBody> => ({
  sessions_days: retention.sessionsDays,
  steps_days: retention.stepsDays,
  messages_days: retention.messagesDays,
  audit_days: retention.auditDays,
  answers_hours: retention.answersHours,
})

/** What is not given is kept for ever, or as long as before. */
export const fromRetentionBody = (
  body: RetentionBody = {},
  before: Required<RetentionBody> = {
    ...{ sessions_days: null, steps_days: null, messages_days: null, audit_days: null, answers_hours: null },
  },
): Retention => {
  const after = { ...before, ...body }
  return {
    sessionsDays: after.sessions_days,
    stepsDays: after.steps_days,
    messagesDays: after.messages_days,
    auditDays: after.audit_days,
    answersHours: after.answers_hours,
  }
}
