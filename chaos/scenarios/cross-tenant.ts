/**
 * Every operation of openapi.json and every other door, asked with the ids of another tenant by those who may not see it:
 * no byte of it in any answer, log or prompt, and nothing of it changed.
 */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import type { Answer, Asked } from '../support/door.ts'
import { type ApiDocument, createMaker, type Operation, operationsOf } from '../support/openapi.ts'
import type { Random } from '../support/random.ts'
import { everyScope, type Service } from '../support/service.ts'
import { startEmbeddings, startModel } from '../support/stand-ins.ts'
import { createTally, someOf } from '../support/tally.ts'
import { makeVictim, type Victim } from '../support/victim.ts'

/** `mayRead`: what of the victim is not kept from it. */
type Stranger = { readonly name: string; readonly key: string | null; readonly seesIds: boolean; readonly share: number }

/** What the operator may do to a tenant is no leak, and would leave no victim. */
const operatorMay = (operation: Operation): boolean => operation.method === 'GET' || !operation.path.includes('/admin/')

const requestsAtOnce = 12
const faultShare = 0.06
const requestsMax = 100_000

const makeStrangers = async (service: Service, victim: Victim): Promise<readonly Stranger[]> => {
  const other = await service.makeTenant('stranger')
  const third = await service.makeTenant('bystander')
  const boundTo = victim.agents[0] ?? ''
  const [boundElsewhere, boundSameName] = await Promise.all([
    // Not for keys: who may revoke the tenant's keys may end the victim.
    service.makeKey(victim.tenant, { agentIds: ['somebody-else'], scopes: everyScope.filter((one) => one !== 'keys:manage') }),
    service.makeKey(third, { agentIds: [boundTo] }),
  ])
  return [
    { name: 'another tenant', key: other.key, seesIds: false, share: 55 },
    { name: "a key bound to another of the tenant's agents", key: boundElsewhere, seesIds: true, share: 20 },
    { name: "another tenant's key bound to an agent of that name", key: boundSameName, seesIds: false, share: 12 },
    { name: 'the operator', key: service.operatorKey, seesIds: true, share: 10 },
    { name: 'nobody', key: null, seesIds: false, share: 2 },
    { name: 'a wrong key', key: `agm_${'A'.repeat(64)}`, seesIds: false, share: 1 },
  ]
}

const pickStranger = (strangers: readonly Stranger[], random: Random): Stranger => {
  let left = random.below(strangers.reduce((sum, { share }) => sum + share, 0))
  return strangers.find(({ share }) => (left -= share) < 0) ?? random.pick(strangers)
}

type Fuzz = { readonly random: Random; readonly document: ApiDocument; readonly victim: Victim }

/** A value of the victim's for the field, or none so that the schema's is taken. */
const createValueOf = ({ random, victim }: Fuzz) => (name: string): unknown => {
  const list = victim.values.get(name)
  return list === undefined || random.chance(0.08) ? undefined : random.pick(list)
}

const importLine = ({ random, victim }: Fuzz): string =>
  JSON.stringify({ memory_id: random.pick(victim.values.get('memory_id') ?? ['mem_1']), content: random.words(5), version: 1 })

const createRequests = (fuzz: Fuzz) => {
  const { random, document, victim } = fuzz
  const operations = operationsOf(document)
  const valueOf = createValueOf(fuzz)
  const make = createMaker(document, random, valueOf, faultShare)
  const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  const bodyOf = (operation: Operation): Pick<Asked, 'body' | 'headers'> => {
    if (operation.bodyType === null) return {}
    if (operation.bodyType === 'application/json') return { body: make(operation.bodySchema, '') ?? {} }
    const lines = Array.from({ length: 1 + random.below(3) }, () => importLine(fuzz))
    return { body: lines.join('\n'), headers: { 'content-type': operation.bodyType } }
  }
  const ofOperation = (operation: Operation): Asked => {
    const given = (place: string) =>
      operation.parameters.filter((one) => one.in === place && (one.required === true || random.chance(0.35)))
    const query = given('query').map((one) => `${one.name}=${encodeURIComponent(textOf(make(one.schema, one.name)))}`)
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(textOf(valueOf(name) ?? random.words(1).replaceAll(' ', '-'))),
    )
    const headers = Object.fromEntries(
      given('header').map((one) => [one.name, textOf(make(one.schema, one.name)).replaceAll(/[^\x20-\x7e]/g, '?')]),
    )
    const { body, headers: typed = {} } = bodyOf(operation)
    return {
      method: operation.method,
      path: query.length === 0 ? path : `${path}?${query.join('&')}`,
      headers: { ...headers, ...typed },
      ...(body === undefined ? {} : { body }),
    }
  }
  const session = () => random.pick(victim.sessions)
  const memory = () => random.pick(victim.values.get('memory_id') ?? ['mem_1'])
  const tools: readonly (() => readonly [string, object])[] = [
    () => ['Add_memory', { content: random.words(4) }],
    () => ['Update_memory', { memory_id: memory(), content: random.words(4) }],
    () => ['Delete_memory', { memory_id: memory(), confirmation: true }],
    () => ['Retrieve_memory', { query: 'harbour lantern quokka ledger', top_k: 50 }],
    () => ['Summary_context', { span: 'all' }],
    () => ['Filter_context', { criteria: 'harbour lantern' }],
  ]
  const ofMcp = (): Asked => {
    const [name, args] = random.pick(tools)()
    const message = random.pick([
      { method: 'tools/call', params: { name, arguments: random.chance(0.3) ? { ...args, session_id: session() } : args } },
      { method: 'resources/list', params: {} },
      { method: 'resources/read', params: { uri: `agemem://agents/${random.pick(victim.agents)}/memories/${memory()}` } },
      { method: 'tools/list', params: {} },
    ])
    const bound = random.pick([{ 'agemem-session': session() }, { 'agemem-agent': random.pick(victim.agents) }, {}])
    const headers = { accept: 'application/json, text/event-stream', ...bound }
    return { path: '/mcp', method: 'POST', body: { jsonrpc: '2.0', id: 1, ...message }, headers }
  }
  const ofOutput = (): Asked => {
    const [name, args] = random.pick(tools)()
    const output = `<tool_call>${JSON.stringify({ name, arguments: args })}</tool_call>`
    return { path: `/v1/sessions/${session()}/tool_calls`, method: 'POST', body: { output, append: random.chance(0.5) } }
  }
  return (stranger: Stranger): { readonly name: string; readonly asked: Asked } => {
    const door = random.below(100)
    if (door < 12) return { name: 'mcp', asked: ofMcp() }
    if (door < 20) return { name: 'tool_calls by text', asked: ofOutput() }
    const allowed = stranger.name === 'the operator' ? operations.filter(operatorMay) : operations
    const operation = random.pick(allowed)
    return { name: operation.id, asked: ofOperation(operation) }
  }
}

/** Bytes of the victim in an answer: its mark, or an id of its that nobody ever sent. */
const leakedBytes = ({ canary, secretIds }: Victim, answer: Answer, { seesIds }: Stranger): number => {
  const told = JSON.stringify(answer.headers) + answer.text
  const marks = told.split(canary).length - 1
  const strange = seesIds ? [] : secretIds.filter((id) => told.includes(id))
  return marks * canary.length + strange.reduce((sum, id) => sum + id.length, 0)
}

const startOf = (text: string): string => text.slice(0, 160)

export const playCrossTenant = async (context: ChaosContext, requestsWanted: number): Promise<Outcome> => {
  const { lab, random, seconds, signal, say } = context
  let promptLeaks = 0
  let canary: string | null = null
  const onPrompt = (prompt: string) => {
    if (canary !== null && prompt.includes(canary)) promptLeaks += 1
  }
  const env = {
    ...(await startEmbeddings(lab)),
    ...(await startModel(lab, onPrompt)),
    AGEMEM_AUTH_FAILURES_PER_MINUTE: '1000000',
  }
  const service = await lab.start({ env })
  const victim = await makeVictim(service, random)
  canary = victim.canary
  const strangers = await makeStrangers(service, victim)
  const before = await victim.readState()
  const { text } = await service.ask({ path: '/openapi.json' })
  const nextRequest = createRequests({ random, victim, document: JSON.parse(text) as ApiDocument })

  const statuses = createTally()
  const asked = createTally()
  const findings: Finding[] = []
  let bytes = 0
  let requests = 0
  const endMs = performance.now() + seconds * 1_000
  const work = async () => {
    while (requests < requestsWanted && performance.now() < endMs && !signal.aborted) {
      requests += 1
      const stranger = pickStranger(strangers, random)
      const { name, asked: request } = nextRequest(stranger)
      const answer = await service.ask({ key: stranger.key, timeoutMs: 60_000, ...request })
      asked.add(name)
      statuses.add(answer.status)
      const leaked = leakedBytes(victim, answer, stranger)
      bytes += leaked
      const where = `${stranger.name}, ${request.method ?? ''} ${startOf(request.path)}`
      if (leaked > 0 && findings.length < 20)
        findings.push({ guarantee: 'T1', what: `${where}: ${answer.status} ${startOf(answer.text)}` })
      if (answer.status === 500 && findings.length < 20)
        findings.push({ guarantee: 'never 500', what: `${where}: ${startOf(answer.text)}` })
      if (requests % 5_000 === 0) say(`${requests} requests, ${bytes} bytes leaked`)
    }
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, work))

  if ((await victim.readState()) !== before) findings.push({ guarantee: 'T1', what: 'what the tenant holds was changed by others' })
  if (promptLeaks > 0) findings.push({ guarantee: 'T1', what: `${promptLeaks} prompts of others hold its text` })
  if (service.output().includes(victim.canary)) findings.push({ guarantee: 'T1', what: 'the log holds its text' })
  const metrics = await service.ask({ path: '/metrics', key: service.operatorKey })
  if ([victim.canary, victim.tenant.tenantId].some((one) => metrics.text.includes(one)))
    findings.push({ guarantee: 'T1', what: 'the metrics name it' })
  return {
    figures: [
      { what: 'requests', value: String(requests) },
      { what: 'operations and doors', value: String(asked.toString().split(', ').length) },
      { what: 'answers', value: String(statuses) },
      { what: 'bytes leaked', value: String(bytes) },
      { what: 'operations that were asked least', value: someOf(asked.toString().split(', ').reverse(), 3) },
    ],
    findings,
  }
}

export const crossTenant: Scenario = {
  name: 'cross-tenant',
  guards: ['T1'],
  run: (context) => playCrossTenant(context, requestsMax),
}
