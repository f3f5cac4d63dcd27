/** The clock of the day is set back and forth by an hour under load: who was out stays out, who was in stays in. */
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { textAt } from '../support/door.ts'
import type { Service, Tenant } from '../support/service.ts'
import { startEmbeddings } from '../support/stand-ins.ts'
import { createTally } from '../support/tally.ts'
import { forSeconds, waitUntil } from '../support/wait.ts'

const hourMs = 3_600_000
const stepsOf: readonly number[] = [0, -hourMs, 0, hourMs, 0, -24 * hourMs, 0]
/** A rate is a matter of seconds, whatever the clock says. */
const letInWithinMs = 10_000

const makeRevoked = async (tenant: Tenant): Promise<string> => {
  const made = await tenant.ask({ path: '/v1/keys', body: { name: 'short-lived', scopes: ['usage:read'] } })
  const key = textAt(made.fields, 'key')
  await tenant.ask({ key, path: '/v1/usage' })
  await tenant.ask({ method: 'DELETE', path: `/v1/keys/${textAt(made.fields, 'key_id')}` })
  return key
}

type Cast = {
  readonly service: Service
  readonly tenant: Tenant
  readonly limited: Tenant
  readonly revoked: string[]
  readonly lasting: string
}

const checkStep = async ({ tenant, limited, revoked, lasting }: Cast, when: string): Promise<readonly Finding[]> => {
  const findings: Finding[] = []
  for (const key of revoked) {
    const { status } = await tenant.ask({ key, path: '/v1/usage' })
    if (status !== 401) findings.push({ guarantee: 'revoked keys stay revoked', what: `${status} ${when}` })
  }
  const isLetIn = await waitUntil(async () => (await limited.ask({ path: '/v1/usage' })).status === 200, {
    withinMs: letInWithinMs,
    everyMs: 1_000,
  })
  if (!isLetIn) findings.push({ guarantee: 'A2', what: `a tenant with a rate is locked out ${when}` })
  const kept = await tenant.ask({ path: lasting })
  if (kept.status !== 200)
    findings.push({ guarantee: 'M1', what: `a memory that lives two days: ${kept.status} ${when}` })
  return findings
}

const play = async ({ lab, random, seconds, signal, say }: ChaosContext): Promise<Outcome> => {
  const service = await lab.start({ env: await startEmbeddings(lab) })
  const tenant = await service.makeTenant('clock')
  const limited = await service.makeTenant('limited', { requests_per_second: 5 })
  const added = await tenant.ask({
    path: '/v1/agents/clock/memories',
    body: { content: 'It lives two days', ttl_seconds: 172_800 },
  })
  const lasting = `/v1/agents/clock/memories/${textAt(added.fields, 'memory_id')}`
  const cast: Cast = { service, tenant, limited, lasting, revoked: [await makeRevoked(tenant)] }
  const statuses = createTally()
  const findings: Finding[] = []
  let steps = 0
  const load = (worker: number) =>
    tenant
      .ask(
        worker % 2 === 0
          ? {
              path: '/v1/agents/clock/memories',
              body: { content: random.words(8) },
              headers: { 'idempotency-key': `clock-${random.hex(20)}` },
            }
          : { path: '/v1/agents/clock/memories/search', body: { query: random.words(2) } },
      )
      .then(({ status, fields }) => statuses.add(status < 400 ? status : `${status} ${String(fields.code ?? '')}`))
  const endMs = performance.now() + seconds * 1_000
  do {
    for (const offsetMs of stepsOf) {
      if (signal.aborted) break
      steps += 1
      await service.setClockOffset(offsetMs)
      cast.revoked.splice(3)
      cast.revoked.push(await makeRevoked(tenant))
      await Promise.all([
        forSeconds({ seconds: 1.5, workers: 4, signal }, load),
        checkStep(cast, `with the clock ${offsetMs / hourMs} h off`).then((found) => findings.push(...found)),
      ])
    }
    say(`${steps} steps: ${statuses}`)
  } while (performance.now() < endMs && !signal.aborted)
  await service.setClockOffset(0)
  const bad = statuses
    .toString()
    .split(', ')
    .filter((one) => /^(0|4|5)/.test(one))
  if (bad.length > 0) findings.push({ guarantee: 'nobody is refused', what: bad.join(', ') })
  return {
    figures: [
      { what: 'steps of the clock', value: String(steps) },
      { what: 'answers', value: String(statuses) },
    ],
    findings: findings.slice(0, 20),
  }
}

export const clock: Scenario = { name: 'clock', guards: ['A2', 'M1'], run: play }
