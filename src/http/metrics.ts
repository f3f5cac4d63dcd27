/** Prometheus metrics, by operation and never by tenant. */
import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { PoolState } from '../ports/database.ts'

export type MetricsSources = {
  readonly poolState: () => PoolState
  readonly readIndexLag: () => Promise<{ readonly agentsBehind: number; readonly revisionsBehind: number }>
  readonly requestsInFlight: () => number
}

/** A generation, with its wait for a place. */
export type ModelCallMeasure = {
  readonly outcome: string
  readonly promptTokens: number
  readonly completionTokens: number
  readonly seconds: number
}

const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const modelBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160]

const createModelMeters = (registry: Registry) => {
  const modelSeconds = new Histogram({
    name: 'agemem_model_seconds',
    help: 'Time of a generation by outcome, its wait for a place included.',
    labelNames: ['outcome'],
    buckets: modelBuckets,
    registers: [registry],
  })
  const modelTokens = new Counter({
    name: 'agemem_model_tokens_total',
    help: 'Tokens of generations that answered, by kind.',
    labelNames: ['kind'],
    registers: [registry],
  })
  return ({ outcome, promptTokens, completionTokens, seconds }: ModelCallMeasure): void => {
    modelSeconds.observe({ outcome }, seconds)
    modelTokens.inc({ kind: 'prompt' }, promptTokens)
    modelTokens.inc({ kind: 'completion' }, completionTokens)
  }
}

/** What is asked while a reading is under way, as all gauges are in one scrape, shares it. */
const sharingReads = <T>(read: () => Promise<T>): (() => Promise<T>) => {
  let reading: Promise<T> | null = null
  return () => {
    reading ??= read().finally(() => {
      reading = null
    })
    return reading
  }
}

export const createMetrics = () => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'agemem_' })
  const requests = new Histogram({
    name: 'agemem_request_seconds',
    help: 'Time of a request by operation and class of status.',
    labelNames: ['operation', 'status'],
    buckets,
    registers: [registry],
  })
  const toolCalls = new Counter({
    name: 'agemem_tool_calls_total',
    help: 'Calls of each tool by outcome.',
    labelNames: ['tool', 'status'],
    registers: [registry],
  })
  const embedSeconds = new Histogram({
    name: 'agemem_embedder_seconds',
    help: 'Time of a call of the embedder by purpose and outcome.',
    labelNames: ['purpose', 'outcome'],
    buckets,
    registers: [registry],
  })

  const gauge = (name: string, help: string, read: () => Promise<number> | number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await Promise.resolve(read()).catch(() => Number.NaN))
      },
    })

  return {
    countToolCall: ({ tool, status }: { tool: string; status: string }) => toolCalls.inc({ tool, status }),
    observeEmbedding: (labels: { purpose: string; outcome: string }, seconds: number) =>
      embedSeconds.observe(labels, seconds),
    observeModelCall: createModelMeters(registry),
    watch: ({ poolState, readIndexLag, requestsInFlight }: MetricsSources) => {
      gauge('agemem_pool_connections', 'Database connections of this process.', () => poolState().total)
      gauge('agemem_pool_idle', 'Database connections that wait for work.', () => poolState().idle)
      gauge('agemem_pool_waiting', 'Work that waits for a database connection.', () => poolState().waiting)
      gauge('agemem_requests_in_flight', 'Requests under way.', requestsInFlight)
      const lagOf = sharingReads(readIndexLag)
      gauge('agemem_index_agents_behind', 'Agents whose index is behind.', async () => (await lagOf()).agentsBehind)
      gauge(
        'agemem_index_lag',
        'Revisions that the index lacks, over all agents.',
        async () => (await lagOf()).revisionsBehind,
      )
    },
    register: (app: FastifyInstance): void => {
      app.addHook('onResponse', async (request, reply) => {
        const schema = request.routeOptions.schema as { operationId?: string } | undefined
        const status = `${Math.floor(reply.statusCode / 100)}xx`
        requests.observe({ operation: schema?.operationId ?? 'none', status }, reply.elapsedTime / 1000)
      })
    },
    render: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

export type Metrics = ReturnType<typeof createMetrics>
