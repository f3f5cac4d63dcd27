/** Requests of a stranger: by openapi.json, by MCP and by model output, with the ids of another tenant. */
import type { Asked } from './door.ts'
import { type ApiDocument, createMaker, type Operation, operationsOf } from './openapi.ts'
import type { Random } from './random.ts'
import { commonWords, type Victim } from './victim.ts'

const faultShare = 0.06

export type Fuzz = { readonly random: Random; readonly document: ApiDocument; readonly victim: Victim }

/** A value of the victim's for the field, or none so that the schema's is taken. */
const createKnownOf =
  ({ random, victim }: Fuzz) =>
  (name: string): unknown => {
    const list = victim.values.get(name)
    return list === undefined || random.chance(0.08) ? undefined : random.pick(list)
  }

const importLine = ({ random, victim }: Fuzz): string =>
  JSON.stringify({
    memory_id: random.pick(victim.values.get('memory_id') ?? ['mem_1']),
    content: random.words(5),
    version: 1,
  })

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

type Make = ReturnType<typeof createMaker>

const createOfOperation = (fuzz: Fuzz, make: Make) => {
  const { random } = fuzz
  const knownOf = createKnownOf(fuzz)
  const bodyOf = (operation: Operation): Pick<Asked, 'body' | 'headers'> => {
    if (operation.bodyType === null) return {}
    if (operation.bodyType === 'application/json') return { body: make(operation.bodySchema, '') ?? {} }
    const lines = Array.from({ length: 1 + random.below(3) }, () => importLine(fuzz))
    return { body: lines.join('\n'), headers: { 'content-type': operation.bodyType } }
  }
  return (operation: Operation): Asked => {
    const given = (place: string) =>
      operation.parameters
        .filter((one) => one.in === place && (one.required === true || random.chance(0.35)))
        .map(({ name, schema }) => [name, textOf(make(schema, name))] as const)
    const query = given('query').map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(textOf(knownOf(name) ?? random.words(1))),
    )
    const headers = given('header').map(([name, value]) => [name, value.replaceAll(/[^\x20-\x7e]/g, '?')])
    const { body, headers: typed = {} } = bodyOf(operation)
    return {
      method: operation.method,
      path: query.length === 0 ? path : `${path}?${query.join('&')}`,
      headers: { ...Object.fromEntries(headers), ...typed },
      ...(body === undefined ? {} : { body }),
    }
  }
}

const toolCallOf = ({ random, victim }: Fuzz): { readonly name: string; readonly arguments: object } => {
  const memory = () => random.pick(victim.values.get('memory_id') ?? ['mem_1'])
  return random.pick([
    { name: 'Add_memory', arguments: { content: random.words(4) } },
    { name: 'Update_memory', arguments: { memory_id: memory(), content: random.words(4) } },
    { name: 'Delete_memory', arguments: { memory_id: memory(), confirmation: true } },
    { name: 'Retrieve_memory', arguments: { query: commonWords, top_k: 50 } },
    { name: 'Summary_context', arguments: { span: 'all' } },
    { name: 'Filter_context', arguments: { criteria: commonWords } },
  ])
}

const mcpRequestOf = (fuzz: Fuzz): Asked => {
  const { random, victim } = fuzz
  const session = random.pick(victim.sessions)
  const agent = random.pick(victim.agents)
  const call = toolCallOf(fuzz)
  const withSession = { ...call, arguments: { ...call.arguments, session_id: session } }
  const uri = `agemem://agents/${agent}/memories/${random.pick(victim.values.get('memory_id') ?? ['mem_1'])}`
  const message = random.pick([
    { method: 'tools/call', params: call },
    { method: 'tools/call', params: withSession },
    { method: 'resources/list', params: {} },
    { method: 'resources/read', params: { uri } },
    { method: 'tools/list', params: {} },
  ])
  const bound = random.pick([{ 'agemem-session': session }, { 'agemem-agent': agent }, {}])
  const headers = { accept: 'application/json, text/event-stream', ...bound }
  return { path: '/mcp', method: 'POST', body: { jsonrpc: '2.0', id: 1, ...message }, headers }
}

const outputRequestOf = (fuzz: Fuzz): Asked => ({
  path: `/v1/sessions/${fuzz.random.pick(fuzz.victim.sessions)}/tool_calls`,
  method: 'POST',
  body: { output: `<tool_call>${JSON.stringify(toolCallOf(fuzz))}</tool_call>`, append: fuzz.random.chance(0.5) },
})

export type ForeignRequest = { readonly name: string; readonly asked: Asked }

/** The next request of somebody who may be asked to do only some operations. */
export const createForeignRequests = (fuzz: Fuzz) => {
  const { random, document } = fuzz
  const operations = operationsOf(document)
  const ofOperation = createOfOperation(fuzz, createMaker(document, random, createKnownOf(fuzz), faultShare))
  return (isAllowed: (operation: Operation) => boolean): ForeignRequest => {
    const door = random.below(100)
    if (door < 12) return { name: 'mcp', asked: mcpRequestOf(fuzz) }
    if (door < 20) return { name: 'tool_calls by text', asked: outputRequestOf(fuzz) }
    const operation = random.pick(operations.filter(isAllowed))
    return { name: operation.id, asked: ofOperation(operation) }
  }
}
