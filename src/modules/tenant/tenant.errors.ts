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
  new AppError({
    code: 'tenant.not_active',
    status: 409,
    detail: 'The tenant is being deleted, or is deleted.',
  })

export const tenantSuspended = () =>
  new AppError({
    code: 'tenant.suspended',
    status: 403,
    detail:
      'The operator has suspended the tenant. Nothing is deleted; its keys are good again once it is active. Ask the operator.',
  })

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

export const expiryNotGrantable = (expiresAt: string) =>
  new AppError({
    code: 'key.expiry_not_grantable',
    status: 403,
    detail: `A key makes no key that outlives it. This one ends at ${expiresAt}: give an expires_at that is not later.`,
    errors: [{ pointer: '/expires_at', detail: 'is later than the end of the key that asks' }],
  })

export const makerNotLive = () =>
  new AppError({
    code: 'key.maker_not_live',
    status: 401,
    detail: 'The key that asks was revoked or has expired meanwhile. Ask with a live one.',
  })

export const lastManager = () =>
  new AppError({
    code: 'key.last_manager',
    status: 409,
    detail: 'This is the last live key with keys:manage: without it nobody could make keys. Create another one first.',
  })

export const tooManyUnknownKeys = (retryAfterSeconds: number) =>
  new AppError({
    code: 'auth.too_many_unknown_keys',
    status: 503,
    retryable: true,
    retryAfterSeconds,
    detail: 'Too many keys that are not known to be good are being looked up. Try again.',
  })

export const modelTokensUsedUp = (limit: number, retryAfterSeconds: number) =>
  new AppError({
    code: 'quota.model_tokens',
    status: 429,
    retryAfterSeconds,
    detail: `The tenant's quota of ${limit} model tokens a day is used up. Wait for the next day (UTC), or ask the operator for more.`,
  })
