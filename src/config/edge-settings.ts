/** The HTTP edge: where it listens, whom it lets in, and how much at once. */
import { bearerKey, choice, number, text } from './setting.ts'

const day = 86_400_000
const gibibyte = 1_073_741_824

export const edgeSettings = {
  host: text({ name: 'AGEMEM_HOST', default: '127.0.0.1', doc: 'Address to listen on.' }),
  port: number({
    name: 'AGEMEM_PORT',
    default: 8080,
    minimum: 0,
    maximum: 65_535,
    doc: 'Port to listen on; 0 picks a free one and prints it.',
  }),
  logLevel: choice({
    name: 'AGEMEM_LOG_LEVEL',
    default: 'info',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    doc: 'Lowest level that is logged. Logs hold ids and counts, never content, keys or queries.',
  }),
  operatorKey: bearerKey({
    name: 'AGEMEM_OPERATOR_KEY',
    doc: 'Key of the operator, for /v1/admin and /metrics. Absent: made on the first start and printed once.',
  }),
  metricsKey: bearerKey({
    name: 'AGEMEM_METRICS_KEY',
    doc: 'Key that can read /metrics and nothing else, for the scraper. The operator key reads /metrics too.',
  }),
  trustProxy: text({
    name: 'AGEMEM_TRUST_PROXY',
    default: '',
    doc: 'Addresses of reverse proxies, comma-separated (10.0.0.0/8, 127.0.0.1), whose X-Forwarded-For is believed.',
    pattern: /^[0-9A-Fa-f.:/, ]*$/,
    shape: 'a list of addresses or networks',
  }),
  mcpOrigins: text({
    name: 'AGEMEM_MCP_ORIGINS',
    default: '',
    doc: 'Origins of web pages that may use /mcp, comma-separated (https://app.example.com), beside those of this machine.',
    pattern: /^[A-Za-z0-9.:/[\], -]*$/,
    shape: 'a list of origins',
  }),
  requestTimeoutMs: number({
    name: 'AGEMEM_REQUEST_TIMEOUT_MS',
    unit: 'ms',
    default: 30_000,
    minimum: 100,
    maximum: day,
    doc: 'Longest time for a request; then its work is aborted and it gets a 503.',
  }),
  streamTimeoutMs: number({
    name: 'AGEMEM_STREAM_TIMEOUT_MS',
    unit: 'ms',
    default: 600_000,
    minimum: 100,
    maximum: day,
    doc: 'The same for streamed imports, exports and events, and for receiving any one request.',
  }),
  drainTimeoutMs: number({
    name: 'AGEMEM_DRAIN_TIMEOUT_MS',
    unit: 'ms',
    default: 20_000,
    minimum: 0,
    maximum: day,
    doc: 'How long requests under way may take to finish when the service stops.',
  }),
  bodyLimitBytes: number({
    name: 'AGEMEM_BODY_LIMIT_BYTES',
    unit: 'bytes',
    default: 4_194_304,
    minimum: 1_024,
    maximum: gibibyte,
    doc: 'Largest JSON body. Streamed imports are bounded by line instead.',
  }),
  requestsInFlightMax: number({
    name: 'AGEMEM_REQUESTS_IN_FLIGHT_MAX',
    default: 512,
    minimum: 1,
    maximum: 1_000_000,
    doc: 'Requests under way at once; those above get a 503 at once.',
  }),
  bodyBytesInFlightMax: number({
    name: 'AGEMEM_BODY_BYTES_IN_FLIGHT_MAX',
    unit: 'bytes',
    default: 134_217_728,
    minimum: 1_024,
    maximum: 64 * gibibyte,
    doc: 'Bodies under way at once, together; requests above get a 503 at once.',
  }),
  rateLimitPerSecond: number({
    name: 'AGEMEM_RATE_LIMIT_PER_SECOND',
    unit: 'requests per second',
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    doc: 'Rate of a tenant whose quota sets none, in each process; 0: no limit.',
  }),
  authFailuresPerMinute: number({
    name: 'AGEMEM_AUTH_FAILURES_PER_MINUTE',
    unit: 'requests per minute',
    default: 600,
    minimum: 1,
    maximum: 1_000_000,
    doc: 'Wrong keys from one address before it gets a 429.',
  }),
  keyCacheMs: number({
    name: 'AGEMEM_KEY_CACHE_MS',
    unit: 'ms',
    default: 1_000,
    minimum: 0,
    maximum: 60_000,
    doc: 'How long a verified key is believed without asking the database; 0: never. Another process may accept a revoked key for this long; the one that revoked it does not.',
  }),
  idempotencyTtlHours: number({
    name: 'AGEMEM_IDEMPOTENCY_TTL_HOURS',
    unit: 'hours',
    default: 24,
    minimum: 1,
    maximum: 720,
    doc: 'How long the answer of an Idempotency-Key is kept.',
  }),
} as const
