/**
 * May this process run on this schema? The folder says which migrations the process knows, the database which were
 * applied and, in `schema_contract`, the oldest process that the newest of them can live with. Three cases are well: the
 * same on both sides; a process that is newer, which migrates; a process that is older but not too old, which leaves the
 * schema as it is. A process that is too old, and two lines of migrations that parted, are refused.
 */
import { readdir } from 'node:fs/promises'
import type pg from 'pg'
import { AppError } from '../../shared/errors.ts'

export type SchemaState = {
  readonly applied: readonly string[]
  /** Null: the schema asks for nothing, or is not there yet. */
  readonly processMin: number | null
}

export type MigrationPlan = 'migrate' | 'nothing'

/** 5 for `0005-across-tenants`. */
export const versionOf = (name: string): number => Number(/^\d+/.exec(name)?.[0] ?? 0)

/** @returns the names of the migrations that this process knows, in order */
export const listKnownMigrations = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder))
    .filter((name) => name.endsWith('.sql'))
    .map((name) => name.slice(0, -'.sql'.length))
    .sort()

export const schemaVersionOf = (known: readonly string[]): number => Math.max(0, ...known.map(versionOf))

export const readSchemaState = async (client: pg.Client): Promise<SchemaState> => {
  const { rows: tables } = await client.query<{ migration: string | null; contract: string | null }>(
    `select to_regclass('public.migration') as migration, to_regclass('public.schema_contract') as contract`,
  )
  if (!tables[0]?.migration) return { applied: [], processMin: null }
  const { rows } = await client.query<{ name: string }>('select name from migration order by id')
  const contract = tables[0].contract
    ? await client.query<{ process_min: number }>('select process_min from schema_contract')
    : { rows: [] }
  return { applied: rows.map(({ name }) => name), processMin: contract.rows[0]?.process_min ?? null }
}

const schemaRefused = (detail: string) => new AppError({ code: 'database.schema_refused', status: 503, detail })

/** @throws AppError database.schema_refused with what to do */
export const planMigration = (known: readonly string[], { applied, processMin }: SchemaState): MigrationPlan => {
  const version = schemaVersionOf(known)
  if (processMin !== null && processMin > version)
    throw schemaRefused(
      `The database was migrated by a newer release and needs processes that know migration ${processMin}; this one ` +
        `knows ${version}. Start the newer release, or restore the backup that was made before the upgrade.`,
    )
  const missing = known.filter((name) => !applied.includes(name))
  const unknown = applied.filter((name) => !known.includes(name))
  const [foreign] = unknown.filter((name) => versionOf(name) <= version)
  if (foreign !== undefined)
    throw schemaRefused(
      `The database holds migration ${foreign}, which this release does not know though it knows ${version}: it was ` +
        'migrated by another line of releases. Start a release of that line.',
    )
  return missing.length === 0 ? 'nothing' : 'migrate'
}
