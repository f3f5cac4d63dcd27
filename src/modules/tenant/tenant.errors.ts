import { AppError } from '../../shared/errors.ts'

export const tenantNotFound = () =>
  new AppError({ code: 'tenant.not_found', status: 404, detail: 'There is no tenant with that id.' })

export const tenantExists = () =>
  new AppError({
    code: 'tenant.exists',
    status: 409,
    detail: 'A tenant was created with this Idempotency-Key before, and its answer is no longer kept. Use a new key.',
  })

export const tenantNotActive = () =>
  new AppError({ code: 'tenant.not_active', status: 409, detail: 'The tenant is being deleted, or is deleted.' })

export const keyNotFound = () =>
  new AppError({ code: 'key.not_found', status: 404, detail: 'There is no key with that id.' })

export const keyOver = () =>
  new AppError({
    code: 'key.expiry_passed',
    status: 422,
    detail: 'A key that has expired already is of no use. Give a later expires_at, or leave it out.',
    errors: [{ pointer: '/expires_at', detail: 'has passed already' }],
  })

export const keyNotLive = () =>
  new AppError({
    code: 'key.not_live',
    status: 409,
    detail: 'The key is revoked or expired, so it cannot be rotated. Create a new key.',
  })

export const scopeNotGrantable = (scopes: readonly string[]) =>
  new AppError({
    code: 'key.scope_not_grantable',
    status: 403,
    detail: `A key can grant only what it has itself. It lacks: ${scopes.join(', ')}.`,
  })

export const modelTokensUsedUp = (limit: number, retryAfterSeconds: number) =>
  new AppError({
    code: 'quota.model_tokens',
    status: 429,
    retryAfterSeconds,
    detail: `The tenant's quota of ${limit} model tokens a day is used up. Wait for the next day (UTC), or ask the operator for more.`,
  })
