/** Tenants, as the operator keeps them. The operator reads no tenant's content: nothing here touches a memory. */
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Database, TenantTransaction } from '../../ports/database.ts'
import { type Caller, tenantScopes } from '../../shared/caller.ts'
import type { Clock } from '../../shared/clock.ts'
import type { CreateId } from '../../shared/ids.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../../shared/page.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { insertAuditEvent, listAuditEvents } from './audit.repository.ts'
import { insertKey } from './key.repository.ts'
import { ensureNotOver, makeKeyOnce } from './key-maker.ts'
import { createOperatorSecret, createTenantSecret, hashOf } from './key-secret.ts'
import { dayOf } from './model-tokens.ts'
import { readModelUsage } from './model-usage.repository.ts'
import { makerOf, type OperatorAction } from './operator-action.ts'
import { tenantExists, tenantNotActive, tenantNotFound } from './tenant.errors.ts'
import {
  deleteTenantRest,
  findDeletingTenants,
  findOperatorKeyHash,
  findTenant,
  hasTenants,
  insertTenant,
  listTenants,
  lockInstallation,
  lockTenant,
  readUsage,
  setTenantStatus,
  storeOperatorKeyHash,
  updateTenant,
} from './tenant.repository.ts'
import { changeDetails, changed, type TenantChange } from './tenant-change.ts'
import {
  type AuditEvent,
  type CreatedKey,
  isKept,
  type Key,
  keptForEver,
  type NewKey,
  noQuotas,
  type Quotas,
  type Retention,
  type Tenant,
  type Usage,
} from './tenant-types.ts'

export type FirstTenant = { readonly tenantKey: string | null; readonly operatorKey: string | null }

export type TenantServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly clock: Clock
  readonly createId: CreateId
  readonly logger: Logger
  /** Erases every agent of a tenant; safe to repeat. */
  readonly eraseAgents: (tenantId: string) => Promise<void>
  /** A tenant or its keys have changed. */
  readonly onChange: (tenantId: string) => void
}

export type TenantService = ReturnType<typeof createTenantService>

const deletionsMax = 1_000

export const createTenantService = (options: TenantServiceOptions) => {
  const { database, idempotency, createId, logger, eraseAgents, onChange } = options

  /** A retry names the same tenant, so that it finds what the first request has left there. */
  const tenantIdFor = ({ idempotency: claim }: OperatorAction): string =>
    claim ? `ten_${createHash('sha256').update(`tenant ${claim.key}`).digest('hex').slice(0, 32)}` : createId('ten')

  const audit = (
    tx: TenantTransaction,
    { actor, requestId }: OperatorAction,
    event: Pick<AuditEvent, 'action' | 'target'> & Partial<Pick<AuditEvent, 'agentIds' | 'details'>>,
  ) => insertAuditEvent(tx, { auditEventId: createId('aud'), actor, requestId, agentIds: null, details: {}, ...event })

  const addKey = async (
    tx: TenantTransaction,
    { action, key, keyHash }: { action: OperatorAction; key: NewKey; keyHash: Buffer },
  ): Promise<Key> => {
    const stored = await insertKey(tx, { keyId: createId('key'), keyHash, key, predecessor: null })
    const details = { name: key.name, scopes: key.scopes, agent_ids: key.agentIds }
    await audit(tx, action, { action: 'key.create', target: stored.keyId, agentIds: key.agentIds, details })
    return stored
  }

  /** Erases what a tenant that is being deleted still has, then leaves its row as a receipt. */
  const finishDeletion = async (tenantId: string): Promise<void> => {
    await eraseAgents(tenantId)
    await database.transact(tenantId, deleteTenantRest)
    onChange(tenantId)
  }

  const tryToFinishDeletion = (tenantId: string): Promise<void> =>
    finishDeletion(tenantId).catch((error: unknown) =>
      logger.warn({ err: error, tenantId }, 'a tenant could not be erased yet; maintenance goes on with it'),
    )

  return {
    create: async (
      action: OperatorAction,
      { name, quotas, retention = keptForEver }: { name: string; quotas: Quotas; retention?: Retention },
    ): Promise<Tenant> =>
      idempotency.runOnce(makerOf(action, tenantIdFor(action)), {
        agentId: null,
        operation: (commit) =>
          commit(async (tx) => {
            const tenant = await insertTenant(tx, { name, quotas, retention })
            if (tenant === null) throw tenantExists()
            await audit(tx, action, { action: 'tenant.create', target: tenant.tenantId, details: { name } })
            return tenant
          }),
      }),

    list: async ({ cursor, limit }: PageRequest): Promise<Page<Tenant>> => {
      const [after] = decodeCursor({ list: 'tenants', cursor }, [''] as readonly [string])
      const rows = await database.transactAsSystem((tx) => listTenants(tx, { after, limit: limit + 1 }))
      return pageOf(rows, { list: 'tenants', limit, keysOf: ({ tenantId }) => [tenantId] })
    },

    get: async (tenantId: string): Promise<Tenant> => {
      const tenant = await database.transact(tenantId, findTenant)
      if (tenant === null) throw tenantNotFound()
      return tenant
    },

    /** Of a tenant that becomes suspended every key is refused: here at once, in other processes as they look again. */
    update: async (
      action: OperatorAction,
      { tenantId, ...change }: TenantChange & { readonly tenantId: string },
    ): Promise<Tenant> => {
      const updated = await database.transact(tenantId, async (tx) => {
        const before = await lockTenant(tx)
        if (before === null) throw tenantNotFound()
        const after = changed(before, change)
        if (after === null) throw tenantNotActive()
        await audit(tx, action, { action: 'tenant.update', target: tenantId, details: changeDetails(after) })
        return (await updateTenant(tx, after)) ?? before
      })
      onChange(tenantId)
      return updated
    },

    /** Its keys are dead at once; its data goes in the background, and maintenance goes on with what is left. */
    delete: async (action: OperatorAction, tenantId: string): Promise<Tenant> => {
      const tenant = await database.transact(tenantId, async (tx) => {
        const before = await findTenant(tx)
        if (before === null) throw tenantNotFound()
        if (before.status === 'deleted') return before
        await audit(tx, action, { action: 'tenant.delete', target: tenantId })
        return (await setTenantStatus(tx, 'deleting')) ?? before
      })
      onChange(tenantId)
      if (tenant.status === 'deleting') void tryToFinishDeletion(tenantId)
      return tenant
    },

    /** What interrupted deletions left. Every step is safe to repeat, and beside another process that does the same. */
    finishDeletions: async (signal: AbortSignal): Promise<void> => {
      const tenantIds = await database.transactAsSystem((tx) => findDeletingTenants(tx, deletionsMax))
      for (const tenantId of tenantIds) if (!signal.aborted) await tryToFinishDeletion(tenantId)
    },

    createKey: async (
      action: OperatorAction,
      { tenantId, key }: { tenantId: string; key: NewKey },
    ): Promise<CreatedKey> =>
      makeKeyOnce(idempotency, {
        maker: makerOf(action, tenantId),
        insert: async (tx, keyHash) => {
          const tenant = await findTenant(tx)
          if (tenant === null) throw tenantNotFound()
          if (!isKept(tenant.status)) throw tenantNotActive()
          ensureNotOver(key, options.clock.nowMs())
          return addKey(tx, { action, key, keyHash })
        },
      }),

    /** To a caller that is bound to agents, what those store; tokens of the model are counted for the tenant alone. */
    getUsage: async (caller: Caller): Promise<Usage> =>
      database.read(
        caller.tenantId,
        async (tx) => {
          const tenant = await findTenant(tx)
          if (tenant === null) throw tenantNotFound()
          const { promptTokens, completionTokens } = await readModelUsage(tx, dayOf(options.clock.nowMs()))
          const modelTokensToday = caller.agentIds === null ? promptTokens + completionTokens : null
          return { ...(await readUsage(tx, { only: caller.agentIds })), modelTokensToday, quotas: tenant.quotas }
        },
        caller,
      ),

    /** To a caller that is bound to agents, what was done to keys that reach no further. */
    listAuditEvents: async (caller: Caller, { cursor, limit }: PageRequest): Promise<Page<AuditEvent>> => {
      const [before] = decodeCursor({ list: 'audit', cursor }, [''] as readonly [string])
      const rows = await database.transact(
        caller.tenantId,
        (tx) => listAuditEvents(tx, { before, limit: limit + 1, only: caller.agentIds }),
        caller,
      )
      return pageOf(rows, { list: 'audit', limit, keysOf: ({ auditEventId }) => [auditEventId] })
    },

    readOperatorKeyHash: (): Promise<Buffer | null> => database.transactAsSystem(findOperatorKeyHash),

    /**
     * On the first start of an installation: a tenant with a key of all scopes and, unless one is configured, the
     * operator's key. Both are answered once. Several processes may start at once: one of them makes them.
     */
    ensureFirst: async ({ isOperatorKeyGiven }: { isOperatorKeyGiven: boolean }): Promise<FirstTenant> => {
      const operatorKey = createOperatorSecret()
      const tenantId = createId('ten')
      const tenantKey = createTenantSecret(tenantId)
      const action = { actor: 'operator', requestId: createId('req') }
      return database.transact(tenantId, async (tx) => {
        const { operatorKeyHash } = await lockInstallation(tx)
        const needsOperatorKey = operatorKeyHash === null && !isOperatorKeyGiven
        if (needsOperatorKey) await storeOperatorKeyHash(tx, hashOf(operatorKey))
        const isFirst = !(await hasTenants(tx))
        if (isFirst) {
          await insertTenant(tx, { name: 'default', quotas: noQuotas, retention: keptForEver })
          await audit(tx, action, { action: 'tenant.create', target: tenantId, details: { name: 'default' } })
          const key = { name: 'first key', scopes: tenantScopes, agentIds: null, expiresAt: null }
          await addKey(tx, { action, key, keyHash: hashOf(tenantKey) })
        }
        return { tenantKey: isFirst ? tenantKey : null, operatorKey: needsOperatorKey ? operatorKey : null }
      })
    },
  }
}
