import { type Static, Type } from 'typebox'
import { tenantScopes } from '../../shared/caller.ts'
import { clientIdPattern } from '../../shared/ids.ts'
import { anyObject, refTo } from '../../shared/schema.ts'
import { storedKinds } from './tenant-types.ts'

const momentSchema = Type.String({ format: 'date-time' })
const nullableMoment = Type.Union([momentSchema, Type.Null()])
const limitSchema = (minimum: number) =>
  Type.Union([Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()], {
    description: 'Null: no limit.',
  })
const scopeSchema = Type.Union(tenantScopes.map((scope) => Type.Literal(scope)))

export const quotasSchema = Type.Object(
  {
    requests_per_second: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], { description: 'Null: no limit.' }),
    ),
    memories: Type.Optional(limitSchema(0)),
    stored_bytes: Type.Optional(limitSchema(0)),
    model_tokens_per_day: Type.Optional(limitSchema(0)),
  },
  { $id: 'Quotas', additionalProperties: false },
)
export type QuotasBody = Static<typeof quotasSchema>

const keptSchema = (unit: string, maximum: number, description: string, whenNull = 'for ever') =>
  Type.Optional(
    Type.Union([Type.Integer({ minimum: 1, maximum }), Type.Null()], {
      description: `${description}, in ${unit}. Null: ${whenNull}.`,
    }),
  )

export const retentionSchema = Type.Object(
  {
    sessions_days: keptSchema(
      'days',
      36_500,
      'Sessions since they last changed, closed or not, with all that is in them',
    ),
    steps_days: keptSchema('days', 36_500, 'Steps of sessions, with their tool calls'),
    messages_days: keptSchema(
      'days',
      36_500,
      'Messages since they left the context, with the edits that took them out',
    ),
    audit_days: keptSchema('days', 36_500, 'Audit events and receipts of erasures'),
    answers_hours: keptSchema(
      'hours',
      24,
      'Answers under an Idempotency-Key, where the service keeps them longer',
      'as long as the service keeps them, 24 hours unless the operator sets less',
    ),
  },
  {
    $id: 'Retention',
    additionalProperties: false,
    description: 'How long is kept what nobody deletes. What is in a live context is always kept.',
  },
)
export type RetentionBody = Static<typeof retentionSchema>

export const newKeySchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128 }),
    scopes: Type.Array(scopeSchema, { minItems: 1, maxItems: tenantScopes.length, uniqueItems: true }),
    agent_ids: Type.Optional(
      Type.Array(Type.String({ pattern: clientIdPattern }), {
        minItems: 1,
        maxItems: 1_000,
        description: 'Binds the key to these agents.',
      }),
    ),
    expires_at: Type.Optional(momentSchema),
  },
  {
    $id: 'NewKey',
    additionalProperties: false,
    examples: [{ name: 'support bot', scopes: ['memory:read', 'memory:write', 'session:read', 'session:write'] }],
  },
)
export type NewKeyBody = Static<typeof newKeySchema>

export const keySchema = Type.Object(
  {
    key_id: Type.String(),
    key: Type.Optional(Type.String({ description: 'The key itself, in the answer that creates it and nowhere else.' })),
    name: Type.String(),
    scopes: Type.Array(Type.String()),
    agent_ids: Type.Union([Type.Array(Type.String()), Type.Null()]),
    created_at: momentSchema,
    expires_at: nullableMoment,
    revoked_at: nullableMoment,
    rotated_from: Type.Union([Type.String(), Type.Null()]),
  },
  { $id: 'Key' },
)

export const keyRotationSchema = Type.Object(
  {
    grace_seconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2_592_000, default: 86_400, description: 'How long the old key lives on.' }),
    ),
  },
  { $id: 'KeyRotation', additionalProperties: false, examples: [{ grace_seconds: 3_600 }] },
)

export const tenantSchema = Type.Object(
  {
    tenant_id: Type.String(),
    name: Type.String(),
    status: Type.Union(
      [Type.Literal('active'), Type.Literal('suspended'), Type.Literal('deleting'), Type.Literal('deleted')],
      { description: 'Suspended: it keeps all it has, and its keys answer 403.' },
    ),
    quotas: refTo<QuotasBody>('Quotas'),
    retention: refTo<RetentionBody>('Retention'),
    created_at: momentSchema,
    updated_at: momentSchema,
  },
  { $id: 'Tenant' },
)

export const newTenantSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 256 }),
    quotas: Type.Optional(refTo<QuotasBody>('Quotas')),
    retention: Type.Optional(refTo<RetentionBody>('Retention')),
  },
  {
    $id: 'NewTenant',
    additionalProperties: false,
    examples: [{ name: 'Harbour Books', quotas: { memories: 100_000 } }],
  },
)

export const tenantChangeSchema = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    quotas: Type.Optional(refTo<QuotasBody>('Quotas')),
    retention: Type.Optional(refTo<RetentionBody>('Retention')),
    status: Type.Optional(
      Type.Union([Type.Literal('active'), Type.Literal('suspended')], {
        description: 'Suspended: its keys answer 403 at once, and nothing is deleted.',
      }),
    ),
  },
  {
    $id: 'TenantChange',
    additionalProperties: false,
    minProperties: 1,
    examples: [{ quotas: { requests_per_second: 50 } }],
  },
)

export const usageSchema = Type.Object(
  {
    agents: Type.Integer(),
    sessions: Type.Integer(),
    memories: Type.Integer(),
    memory_tokens: Type.Integer(),
    stored_bytes: Type.Integer({ description: 'All of it: what is in bytes_by_kind.' }),
    bytes_by_kind: Type.Object(Object.fromEntries(storedKinds.map((kind) => [kind, Type.Integer()])), {
      description: 'What texts, metadata and tokens take, by what they belong to.',
    }),
    model_tokens_today: Type.Union([Type.Integer(), Type.Null()], {
      description:
        'Prompt and completion together, since midnight UTC. Null to a key that is bound to agents: they are counted for the tenant.',
    }),
    quotas: refTo<QuotasBody>('Quotas'),
  },
  { $id: 'Usage' },
)

export const auditEventSchema = Type.Object(
  {
    audit_event_id: Type.String(),
    actor: Type.String(),
    action: Type.String(),
    target: Type.String(),
    details: anyObject(),
    request_id: Type.String(),
    created_at: momentSchema,
  },
  { $id: 'AuditEvent' },
)

export const tenantComponents = [
  quotasSchema,
  retentionSchema,
  newKeySchema,
  keySchema,
  keyRotationSchema,
  tenantSchema,
  newTenantSchema,
  tenantChangeSchema,
  usageSchema,
  auditEventSchema,
] as const
