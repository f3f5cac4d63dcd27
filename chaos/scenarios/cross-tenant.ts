/**
 * Every operation of openapi.json and every other door, asked with the ids of another tenant by those who may not see it:
 * no byte of it in any answer, log or prompt, and nothing of it changed.
 */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import type { Answer } from '../support/door.ts'
import { createForeignRequests, type ForeignRequest } from '../support/foreign-requests.ts'
import type { ApiDocument, Operation } from '../support/openapi.ts'
import type { Random } from '../support/random.ts'
import { everyScope, type Service } from '../support/service.ts'
import { startEmbeddings, startModel } from '../support/stand-ins.ts'
import { createTally, someOf } from '../support/tally.ts'
import { makeVictim, type Victim } from '../support/victim.ts'

type Stranger = {
  readonly name: string
  readonly key: string | null
  /** Ids of the victim are not kept from it; its texts always are. */
  readonly seesIds: boolean
  readonly mayBeAsked?: (operation: Operation) => boolean
  readonly share: number
}

/** What the operator may do to a tenant is no leak, and would leave no victim. */
const operatorMay = (operation: Operation): boolean => operation.method === 'GET' || !operation.path.includes('/admin/')

const requestsAtOnce = 12
const requestsMax = 100_000
const findingsMax = 20

const makeStrangers = async (service: Service, victim: Victim): Promise<readonly Stranger[]> => {
  const other = await service.makeTenant('stranger')
  const third = await service.makeTenant('bystander')
  const boundTo = victim.agents[0] ?? ''
  const [boundElsewhere, boundSameName] = await Promise.all([
    // Not for keys: who may revoke the tenant's keys may end the victim.
    service.makeKey(victim.tenant, {
      agentIds: ['somebody-else'],
      scopes: everyScope.filter((one) => one !== 'keys:manage'),
    }),
    service.makeKey(third, { agentIds: [boundTo] }),
  ])
  return [
    { name: 'another tenant', key: other.key, seesIds: false, share: 55 },
    { name: "a key bound to another of the tenant's agents", key: boundElsewhere, seesIds: true, share: 20 },
    { name: "another tenant's key bound to an agent of that name", key: boundSameName, seesIds: false, share: 12 },
    { name: 'the operator', key: service.operatorKey, seesIds: true, share: 10, mayBeAsked: operatorMay },
    { name: 'nobody', key: null, seesIds: false, share: 2 },
    { name: 'a wrong key', key: `agm_${'A'.repeat(64)}`, seesIds: false, share: 1 },
  ]
}

const pickStranger = (strangers: readonly Stranger[], random: Random): Stranger => {
  let left = random.below(strangers.reduce((sum, { share }) => sum + share, 0))
  const isMeant = ({ share }: Stranger) => {
    left -= share
    return left < 0
  }
  return strangers.find(isMeant) ?? random.pick(strangers)
}

/** Bytes of the victim in an answer: its mark, or an id of its that nobody ever sent. */
const leakedBytes = ({ canary, secretIds }: Victim, answer: Answer, { seesIds }: Stranger): number => {
  const told = JSON.stringify(answer.headers) + answer.text
  const marks = told.split(canary).length - 1
  const strange = seesIds ? [] : secretIds.filter((id) => told.includes(id))
  return marks * canary.length + strange.reduce((sum, id) => sum + id.length, 0)
}

const startOf = (text: string): string => text.slice(0, 160)

const createRecord = () => ({
  statuses: createTally(),
  doors: createTally(),
  findings: [] as Finding[],
  bytes: 0,
  requests: 0,
})
type Record = ReturnType<typeof createRecord>

type Asking = { readonly stranger: Stranger; readonly request: ForeignRequest; readonly answer: Answer }

const note = (record: Record, victim: Victim, { stranger, request, answer }: Asking): void => {
  const leaked = leakedBytes(victim, answer, stranger)
  record.doors.add(request.name)
  record.statuses.add(answer.status)
  record.bytes += leaked
  if (record.findings.length >= findingsMax) return
  const { method = '', path } = request.asked
  const what = `${stranger.name}, ${method} ${startOf(path)}: ${answer.status} ${startOf(answer.text)}`
  if (leaked > 0) record.findings.push({ guarantee: 'T1', what })
  if (answer.status === 500) record.findings.push({ guarantee: 'never 500', what })
}

type Prey = { readonly service: Service; readonly victim: Victim; readonly document: ApiDocument }

const fuzz = async (context: ChaosContext, { service, victim, document }: Prey, requestsWanted: number) => {
  const { random, seconds, signal, say } = context
  const strangers = await makeStrangers(service, victim)
  const next = createForeignRequests({ random, victim, document })
  const record = createRecord()
  const endMs = performance.now() + seconds * 1_000
  const work = async () => {
    while (record.requests < requestsWanted && performance.now() < endMs && !signal.aborted) {
      record.requests += 1
      const stranger = pickStranger(strangers, random)
      const request = next(stranger.mayBeAsked ?? (() => true))
      const answer = await service.ask({ key: stranger.key, ...request.asked })
      note(record, victim, { stranger, request, answer })
      if (record.requests % 5_000 === 0) say(`${record.requests} requests, ${record.bytes} bytes leaked`)
    }
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, work))
  return record
}

/** What is left to look at when all have asked. */
const lookAround = async (
  { service, victim }: Prey,
  { before, leakedPrompts }: { before: string; leakedPrompts: number },
) => {
  const metrics = await service.ask({ path: '/metrics', key: service.operatorKey })
  const seen: readonly (readonly [boolean, string])[] = [
    [(await victim.readState()) !== before, 'what the tenant holds was changed by others'],
    [leakedPrompts > 0, `${leakedPrompts} prompts of others hold its text`],
    [service.output().includes(victim.canary), 'the log holds its text'],
    [[victim.canary, victim.tenant.tenantId].some((one) => metrics.text.includes(one)), 'the metrics name it'],
  ]
  return seen.flatMap(([isBroken, what]): readonly Finding[] => (isBroken ? [{ guarantee: 'T1', what }] : []))
}

export const playCrossTenant = async (context: ChaosContext, requestsWanted: number): Promise<Outcome> => {
  const { lab, random } = context
  let leakedPrompts = 0
  let canary: string | null = null
  const onPrompt = (prompt: string) => {
    if (canary !== null && prompt.includes(canary)) leakedPrompts += 1
  }
  const partners = { ...(await startEmbeddings(lab)), ...(await startModel(lab, onPrompt)) }
  const service = await lab.start({ env: { ...partners, AGEMEM_AUTH_FAILURES_PER_MINUTE: '1000000' } })
  const victim = await makeVictim(service, random)
  canary = victim.canary
  const { text } = await service.ask({ path: '/openapi.json' })
  const prey = { service, victim, document: JSON.parse(text) as ApiDocument }
  const before = await victim.readState()
  const record = await fuzz(context, prey, requestsWanted)
  const asked = record.doors.toString().split(', ')
  return {
    figures: [
      { what: 'requests', value: String(record.requests) },
      { what: 'operations and doors', value: `${asked.length}, least asked ${someOf(asked.reverse(), 3)}` },
      { what: 'answers', value: String(record.statuses) },
      { what: 'bytes leaked', value: String(record.bytes) },
    ],
    findings: [...record.findings, ...(await lookAround(prey, { before, leakedPrompts }))],
  }
}

export const crossTenant: Scenario = {
  name: 'cross-tenant',
  guards: ['T1'],
  run: (context) => playCrossTenant(context, requestsMax),
}
