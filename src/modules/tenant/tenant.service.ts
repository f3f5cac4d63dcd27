/** Tenants, as the operator keeps them. The operator reads no tenant's content: nothing here touches a memory. */
import type { Logger } from 'pino'
import type { Database, TenantTransaction } from '../../ports/database.ts'
import { type Caller, tenantScopes } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import { insertKey } from './key.repository.ts'
import { createOperatorSecret, createTenantSecret, hashOf } from './key-secret.ts'
import { tenantNotActive, tenantNotFound } from './tenant.errors.ts'
import {
  deleteTenantRest,
  findOperatorKeyHash,
  findTenant,
  insertAuditEvent,
  insertTenant,
  listAuditEvents,
  listTenants,
  lockInstallation,
  readUsage,
  setTenantStatus,
  storeOperatorKeyHash,
  updateTenant,
} from './tenant.repository.ts'
import type { AuditEvent, CreatedKey, NewKey, Quotas, Tenant, Usage } from './tenant-types.ts'

/** Who acts for the operator, for the audit. */
export type OperatorAction = { readonly actor: string; readonly requestId: string }

export type FirstTenant = { readonly tenantKey: string | null; readonly operatorKey: string | null }

export type TenantServiceOptions = {
  readonly database: Database
  readonly createId: CreateId
  readonly logger: Logger
  /** Erases every agent of a tenant; safe to repeat. */
  readonly eraseAgents: (tenantId: string) => Promise<void>
  /** A tenant or its keys have changed. */
  readonly onChange: (tenantId: string) => void
}

export type TenantService = ReturnType<typeof createTenantService>

const noQuotas: Quotas = {
  requestsPerSecond: null,
  memoriesMax: null,
  storedBytesMax: null,
  modelTokensPerDayMax: null,
}
const listMax = 1_000

export const createTenantService = ({ database, createId, logger, eraseAgents, onChange }: TenantServiceOptions) => {
  const audit = (
    tx: TenantTransaction,
    { actor, requestId }: OperatorAction,
    event: { action: string; target: string; details?: Record<string, unknown> },
  ) => insertAuditEvent(tx, { auditEventId: createId('aud'), actor, requestId, details: {}, ...event })

  const addKey = async (tx: TenantTransaction, key: NewKey): Promise<CreatedKey> => {
    const secret = createTenantSecret(tx.tenantId)
    const stored = await insertKey(tx, { keyId: createId('key'), keyHash: hashOf(secret), key, rotatedFrom: null })
    return { ...stored, secret }
  }

  /** Erases what a tenant that is being deleted still has, then leaves its row as a receipt. */
  const finishDeletion = async (tenantId: string): Promise<void> => {
    await eraseAgents(tenantId)
    await database.transact(tenantId, deleteTenantRest)
    onChange(tenantId)
  }

  return {
    create: async (action: OperatorAction, { name, quotas }: { name: string; quotas: Quotas }): Promise<Tenant> =>
      database.transact(createId('ten'), async (tx) => {
        const tenant = await insertTenant(tx, { name, quotas })
        await audit(tx, action, { action: 'tenant.create', target: tenant.tenantId, details: { name } })
        return tenant
      }),

    list: async ({ cursor, limit }: PageRequest): Promise<Page<Tenant>> => {
      const [after] = decodeCursor(cursor, [''] as readonly [string])
      const rows = await database.transactAsSystem((tx) => listTenants(tx, { after, limit: limit + 1 }))
      return pageOf(rows, { limit, keysOf: ({ tenantId }) => [tenantId], map: (tenant) => tenant })
    },

    get: async (tenantId: string): Promise<Tenant> => {
      const tenant = await database.transact(tenantId, findTenant)
      if (tenant === null) throw tenantNotFound()
      return tenant
    },

    update: async (
      action: OperatorAction,
      { tenantId, name, quotas }: { tenantId: string; name: string | undefined; quotas: Partial<Quotas> },
    ): Promise<Tenant> => {
      const updated = await database.transact(tenantId, async (tx) => {
        const before = await findTenant(tx)
        if (before === null) throw tenantNotFound()
        if (before.status !== 'active') throw tenantNotActive()
        const after = { name: name ?? before.name, quotas: { ...before.quotas, ...quotas } }
        await audit(tx, action, { action: 'tenant.update', target: tenantId, details: { ...after } })
        return (await updateTenant(tx, after)) ?? before
      })
      onChange(tenantId)
      return updated
    },

    /** Its keys are dead at once; its data goes in the background, and a restart goes on with what is left. */
    delete: async (action: OperatorAction, tenantId: string): Promise<Tenant> => {
      const tenant = await database.transact(tenantId, async (tx) => {
        const before = await findTenant(tx)
        if (before === null) throw tenantNotFound()
        if (before.status === 'deleted') return before
        await audit(tx, action, { action: 'tenant.delete', target: tenantId })
        return (await setTenantStatus(tx, 'deleting')) ?? before
      })
      onChange(tenantId)
      if (tenant.status === 'deleting')
        finishDeletion(tenantId).catch((error: unknown) =>
          logger.warn({ err: error, tenantId }, 'a tenant could not be erased yet; maintenance goes on with it'),
        )
      return tenant
    },

    /** For maintenance: what an interrupted deletion left. */
    finishDeletions: async (): Promise<void> => {
      for (let after = ''; ; ) {
        const from = after
        const tenants = await database.transactAsSystem((tx) => listTenants(tx, { after: from, limit: listMax }))
        for (const { tenantId, status } of tenants) if (status === 'deleting') await finishDeletion(tenantId)
        if (tenants.length < listMax) return
        after = tenants.at(-1)?.tenantId ?? ''
      }
    },

    createKey: async (
      action: OperatorAction,
      { tenantId, key }: { tenantId: string; key: NewKey },
    ): Promise<CreatedKey> =>
      database.transact(tenantId, async (tx) => {
        const tenant = await findTenant(tx)
        if (tenant === null) throw tenantNotFound()
        if (tenant.status !== 'active') throw tenantNotActive()
        const created = await addKey(tx, key)
        const details = { name: key.name, scopes: key.scopes }
        await audit(tx, action, { action: 'key.create', target: created.keyId, details })
        return created
      }),

    getUsage: async (caller: Caller): Promise<Usage> =>
      database.read(
        caller.tenantId,
        async (tx) => {
          const tenant = await findTenant(tx)
          if (tenant === null) throw tenantNotFound()
          return { ...(await readUsage(tx)), quotas: tenant.quotas }
        },
        caller,
      ),

    listAuditEvents: async (caller: Caller, { cursor, limit }: PageRequest): Promise<Page<AuditEvent>> => {
      const [before] = decodeCursor(cursor, [''] as readonly [string])
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listAuditEvents(tx, { before, limit: limit + 1 }),
        caller,
      )
      return pageOf(rows, { limit, keysOf: ({ auditEventId }) => [auditEventId], map: (event) => event })
    },

    readOperatorKeyHash: (): Promise<Buffer | null> => database.transactAsSystem(findOperatorKeyHash),

    /**
     * On the first start of an installation: a tenant with a key of all scopes and, unless one is configured, the
     * operator's key. Both are answered once. Several processes may start at once: one of them makes them.
     */
    ensureFirst: async ({ isOperatorKeyGiven }: { isOperatorKeyGiven: boolean }): Promise<FirstTenant> => {
      const operatorKey = isOperatorKeyGiven ? null : createOperatorSecret()
      const tenantId = createId('ten')
      const isFirst = await database.transactAsSystem(async (tx) => {
        const { operatorKeyHash } = await lockInstallation(tx)
        if (operatorKeyHash === null && operatorKey !== null) await storeOperatorKeyHash(tx, hashOf(operatorKey))
        const tenants = await listTenants(tx, { after: '', limit: 1 })
        if (tenants.length > 0) return { tenant: null, operator: operatorKeyHash === null }
        const key = await database.transact(tenantId, async (own) => {
          await insertTenant(own, { name: 'default', quotas: noQuotas })
          return addKey(own, { name: 'first key', scopes: tenantScopes, agentIds: null, expiresAt: null })
        })
        return { tenant: key.secret, operator: operatorKeyHash === null }
      })
      return {
        tenantKey: isFirst.tenant,
        operatorKey: isFirst.operator ? operatorKey : null,
      }
    },
  }
}
