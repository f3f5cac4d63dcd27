/** Where memories are kept and found: database, vector index, embedder. */
import { apiKey, choice, databaseUrl, httpUrl, number, optionalText, text } from './setting.ts'

const day = 86_400_000
const gibibyte = 1_073_741_824

export const storeSettings = {
  dataDir: text({
    name: 'AGEMEM_DATA_DIR',
    default: './data',
    doc: 'Folder of the embedded database. Unused with AGEMEM_DATABASE_URL.',
  }),
  databaseUrl: databaseUrl({
    name: 'AGEMEM_DATABASE_URL',
    doc: 'PostgreSQL 15 or newer. Absent: an embedded PostgreSQL.',
  }),
  databaseOwnerUrl: databaseUrl({
    name: 'AGEMEM_DATABASE_OWNER_URL',
    doc: 'Login that migrates: owns the tables and may create roles. Absent: AGEMEM_DATABASE_URL.',
  }),
  databaseBackgroundUrl: databaseUrl({
    name: 'AGEMEM_DATABASE_BACKGROUND_URL',
    doc: 'Login of what belongs to no tenant, so that the one of requests cannot look across. Absent: AGEMEM_DATABASE_URL.',
  }),
  poolMax: number({
    name: 'AGEMEM_POOL_MAX',
    unit: 'connections',
    default: 10,
    minimum: 2,
    maximum: 1_000,
    doc: 'Database connections of this process for tenants, three quarters of them for any one; 3 more for what belongs to none.',
  }),
  databaseConnectTimeoutMs: number({
    name: 'AGEMEM_DATABASE_CONNECT_TIMEOUT_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 100,
    maximum: 600_000,
    doc: 'Longest wait for a database connection.',
  }),
  statementTimeoutMs: number({
    name: 'AGEMEM_STATEMENT_TIMEOUT_MS',
    unit: 'ms',
    default: 10_000,
    minimum: 100,
    maximum: 600_000,
    doc: 'Longest time for one SQL statement.',
  }),
  lockTimeoutMs: number({
    name: 'AGEMEM_LOCK_TIMEOUT_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 50,
    maximum: 600_000,
    doc: 'Longest wait of a statement for what another one holds; then the request gets a 503.',
  }),
  qdrantUrl: httpUrl({
    name: 'AGEMEM_QDRANT_URL',
    doc: 'Qdrant 1.16 or newer. Absent: the exact index in this process.',
  }),
  qdrantApiKey: apiKey({ name: 'AGEMEM_QDRANT_API_KEY', doc: 'Key of Qdrant.' }),
  exactIndexBytes: number({
    name: 'AGEMEM_EXACT_INDEX_BYTES',
    unit: 'bytes',
    default: 536_870_912,
    minimum: 1_048_576,
    maximum: 1_024 * gibibyte,
    doc: 'Memory for the exact index; the agents used longest ago give way.',
  }),
  indexPollMs: number({
    name: 'AGEMEM_INDEX_POLL_MS',
    unit: 'ms',
    default: 500,
    minimum: 10,
    maximum: 600_000,
    doc: 'How often the indexer looks for writes of other processes; its own wake it at once.',
  }),
  indexRestMs: number({
    name: 'AGEMEM_INDEX_REST_MS',
    unit: 'ms',
    default: 100,
    minimum: 0,
    maximum: 60_000,
    doc: 'How long writes gather before they are indexed together; searches see them meanwhile all the same.',
  }),
  indexVectorLoops: number({
    name: 'AGEMEM_INDEX_VECTOR_LOOPS',
    unit: 'rounds',
    default: 4,
    minimum: 1,
    maximum: 64,
    doc: 'Rounds of embedding what was written, at once in this process; one tenant has half of them at most.',
  }),
  indexTimeoutMs: number({
    name: 'AGEMEM_INDEX_TIMEOUT_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 50,
    maximum: 600_000,
    doc: 'Longest wait for the vector index before a search goes on without it.',
  }),
  embedderUrl: httpUrl({
    name: 'AGEMEM_EMBEDDER_URL',
    doc: 'Server with an OpenAI-compatible /v1/embeddings. Absent: the bundled English embedder.',
  }),
  embedderModel: optionalText({ name: 'AGEMEM_EMBEDDER_MODEL', doc: 'Model to ask the embedding server for.' }),
  embedderApiKey: apiKey({ name: 'AGEMEM_EMBEDDER_API_KEY', doc: 'Key of the embedding server.' }),
  embedderInputType: choice({
    name: 'AGEMEM_EMBEDDER_INPUT_TYPE',
    default: 'none',
    values: ['none', 'query-passage'],
    doc: 'query-passage: tell the server by `input_type` whether a text is a query or a passage.',
  }),
  embedderQueryPrefix: text({
    name: 'AGEMEM_EMBEDDER_QUERY_PREFIX',
    default: '',
    doc: 'Text put before every query, as some models want it: `query: `.',
  }),
  embedderPassagePrefix: text({
    name: 'AGEMEM_EMBEDDER_PASSAGE_PREFIX',
    default: '',
    doc: 'Text put before every passage, as some models want it: `passage: `.',
  }),
  embedTimeoutMs: number({
    name: 'AGEMEM_EMBED_TIMEOUT_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 50,
    maximum: 600_000,
    doc: 'Longest wait for the embedder before a search goes on with words alone.',
  }),
  embeddingCacheBytes: number({
    name: 'AGEMEM_EMBEDDING_CACHE_BYTES',
    unit: 'bytes',
    default: 33_554_432,
    minimum: 0,
    maximum: 64 * gibibyte,
    doc: 'Memory for vectors of texts embedded in the last ten minutes, found by a hash of the text.',
  }),
  maintenanceIntervalMs: number({
    name: 'AGEMEM_MAINTENANCE_INTERVAL_MS',
    unit: 'ms',
    default: 30_000,
    minimum: 100,
    maximum: day,
    doc: 'How often expired memories are purged and interrupted erasures finished.',
  }),
} as const
