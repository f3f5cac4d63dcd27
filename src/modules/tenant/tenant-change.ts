/** What an operator changes of a tenant: what is not given stays. */
import { fromRetentionBody, toRetentionBody } from './retention-body.ts'
import type { RetentionBody } from './tenant.schemas.ts'
import { toQuotasBody } from './tenant-body.ts'
import { isKept, type Quotas, type Retention, type SettableStatus, type Tenant } from './tenant-types.ts'

export type TenantChange = {
  readonly name: string | undefined
  readonly quotas: Partial<Quotas>
  readonly retention: RetentionBody
  readonly status: SettableStatus | undefined
}

export type ChangedTenant = Pick<Tenant, 'name' | 'quotas'> & {
  readonly retention: Retention
  readonly status: SettableStatus
}

/** Null: the tenant is being deleted, or is deleted. */
export const changed = (before: Tenant, { name, quotas, retention, status }: TenantChange): ChangedTenant | null =>
  isKept(before.status)
    ? {
        name: name ?? before.name,
        quotas: { ...before.quotas, ...quotas },
        retention: fromRetentionBody(retention, toRetentionBody(before.retention)),
        status: status ?? before.status,
      }
    : null

/** For the audit, in the words of the API. */
export const changeDetails = ({ name, quotas, retention, status }: ChangedTenant) => ({
  name,
  status,
  quotas: toQuotasBody(quotas),
  retention: toRetentionBody(retention),
})
