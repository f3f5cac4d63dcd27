/**
 * PostgreSQL, reachable only through a tenant. A repository function takes a `TenantTransaction` first, so SQL without
 * a tenant does not compile; what must cross tenants (the indexer's lease, the operator's list of tenants) goes through
 * the few `security definer` functions that `SystemTransaction` may call.
 */
import type { SqlStatement } from '../shared/sql.ts'

declare const tenantBrand: unique symbol
declare const systemBrand: unique symbol

type Queryable = {
  /** Rows of one statement. @throws AppError translated from the SQLSTATE, with the driver's error as its cause */
  query<Row>(statement: SqlStatement): Promise<readonly Row[]>
}

/** A transaction in which row level security shows exactly one tenant. */
export type TenantTransaction = Queryable & { readonly tenantId: string; readonly [tenantBrand]: true }

/** A transaction with no tenant: tables with tenants in them refuse it, definer functions answer. */
export type SystemTransaction = Queryable & { readonly [systemBrand]: true }

export type TransactOptions = { readonly signal?: AbortSignal | undefined }

export type PoolState = { readonly total: number; readonly idle: number; readonly waiting: number }

export type Database = {
  /**
   * Runs `work` in one transaction of the tenant and commits, or rolls back when it throws. Nothing but SQL belongs in
   * `work`: the transaction holds row locks. Serialization failures and deadlocks are retried, so `work` may run again.
   * Statements that need nothing of each other may leave together (`Promise.all`); what comes after the end is refused.
   */
  transact<T>(
    tenantId: string,
    work: (transaction: TenantTransaction) => Promise<T>,
    options?: TransactOptions,
  ): Promise<T>
  /** Runs `work` read-only on one snapshot: several statements see the same moment. */
  read<T>(tenantId: string, work: (transaction: TenantTransaction) => Promise<T>, options?: TransactOptions): Promise<T>
  transactAsSystem<T>(work: (transaction: SystemTransaction) => Promise<T>, options?: TransactOptions): Promise<T>
  checkHealth(options?: TransactOptions): Promise<{ readonly ready: boolean; readonly detail: string }>
  poolState(): PoolState
  close(): Promise<void>
}
