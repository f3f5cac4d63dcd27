/**
 * Writes tenants straight into the tables, as the service and its indexer leave them: a key, an agent and a few memories
 * that are indexed. All have the same memories, so that only their number differs.
 */
import type pg from 'pg'
import { encodeVector } from '../src/modules/indexing/index-point.ts'
import { sparseVectorOf } from '../src/modules/indexing/lexical.ts'
import { hashOf } from '../src/modules/tenant/key-secret.ts'
import { tenantScopes } from '../src/shared/caller.ts'
import { createFastEmbedder } from './fast-embedder.ts'
import { textAt } from './texts.ts'

export const memoriesEach = 5
export const agentOf = 'growth'

const chunk = 1_000
const hexOf = (tenant: number): string => `f${tenant.toString(16).padStart(31, '0')}`
const tenantIdOf = (tenant: number): string => `ten_${hexOf(tenant)}`

/** The key of a tenant by its number; not random, so nothing has to be kept. */
export const secretOf = (tenant: number): string =>
  `agm_${Buffer.concat([Buffer.from(hexOf(tenant), 'hex'), Buffer.alloc(32, 7)]).toString('base64url')}`

const statements = {
  tenants: `insert into tenant (tenant_id, name) select id, id from unnest($1::text[]) as id`,
  keys: `insert into api_key (tenant_id, key_id, name, key_hash, scopes)
    select id, 'key_bench', 'bench', hash, $3::text[] from unnest($1::text[], $2::bytea[]) as input(id, hash)`,
  agents: `insert into agent (tenant_id, agent_id, space_id, revision, indexed_revision, embedded_revision, publication,
      memory_count, document_count)
    select id, $2, 'spc_' || substr(id, 5), 1, 1, 1, 1, $3, $3 from unnest($1::text[]) as id`,
  memories: `insert into memory (tenant_id, agent_id, memory_id, content, revision, content_revision, content_hash, tokens,
      changed_by, created_at, updated_at)
    select id, $2, 'mem_' || lpad(place::text, 32, '0'), content, 1, 1, place, 20, 'key_bench', now(), now()
    from unnest($1::text[]) as id, unnest($3::text[]) with ordinality as memory(content, place)`,
  entries: `insert into index_entry (tenant_id, agent_id, memory_id, revision, counted, term_ids, embedding,
      embedding_model, content_revision, published)
    select id, $2, 'mem_' || lpad(place::text, 32, '0'), 1, true,
      array(select jsonb_array_elements_text(terms)::bigint), embedding, 'bench', 1, 1
    from unnest($1::text[]) as id,
      unnest($3::jsonb[], $4::bytea[]) with ordinality as memory(terms, embedding, place)`,
  terms: `insert into agent_term (tenant_id, agent_id, term_id, document_count)
    select id, $2, term, count(*) from unnest($1::text[]) as id, unnest($3::bigint[]) as term group by id, term`,
}

/** Tenants from number `from` up to but without `to`. */
export const fillTenants = async (pool: pg.Pool, { from, to }: { from: number; to: number }): Promise<void> => {
  const contents = Array.from({ length: memoriesEach }, (_, at) => textAt(at))
  const vectors = await createFastEmbedder().embed(contents, 'passage')
  const terms = contents.map((content) => sparseVectorOf(content).indices)
  for (let start = from; start < to; start += chunk) {
    const numbers = Array.from({ length: Math.min(chunk, to - start) }, (_, offset) => start + offset)
    const ids = numbers.map(tenantIdOf)
    const hashes = numbers.map((tenant) => hashOf(secretOf(tenant)))
    await pool.query(statements.tenants, [ids])
    await pool.query(statements.keys, [ids, hashes, tenantScopes])
    await pool.query(statements.agents, [ids, agentOf, memoriesEach])
    await pool.query(statements.memories, [ids, agentOf, contents])
    const termLists = terms.map((list) => JSON.stringify(list))
    await pool.query(statements.entries, [ids, agentOf, termLists, vectors.map(encodeVector)])
    await pool.query(statements.terms, [ids, agentOf, terms.flat()])
  }
  await pool.query('analyze')
}
