/** Sockets and bodies that never finish, with a key and without, slow readers and streams, while a neighbour is watched. */
import type { ChaosContext, Outcome, Scenario } from '../scenario.ts'
import { judgePhases, type NeighbourTiming, type Phase, startNeighbour } from '../support/neighbour.ts'
import { createRawSockets, headOf, type RawSockets } from '../support/raw-sockets.ts'
import type { Service, Tenant } from '../support/service.ts'
import { startEmbeddings, startModel } from '../support/stand-ins.ts'
import { sleep } from '../support/wait.ts'

const bodyBytes = 4_194_304
const json = { 'content-type': 'application/json', 'content-length': String(bodyBytes) }
const ndjson = { 'content-type': 'application/x-ndjson', 'transfer-encoding': 'chunked' }
const feedEveryMs = 500
const exportedMemories = 1_500

type Attack = {
  readonly what: string
  readonly guarantee: string
  readonly sockets: number
  /** What the socket numbered so sends at once. */
  head(at: number): string
  /** What each sends now and then, so that it is slow and not silent. */
  readonly drop?: string
  /** Takes nothing of what comes. */
  readonly isDeaf?: boolean
}

const attacksOf = (aggressor: Tenant, narrowKey: string): readonly Attack[] => {
  const { key } = aggressor
  const post = (path: string, with_: { key?: string; headers: Readonly<Record<string, string>> }) =>
    headOf({ path, ...with_ })
  const memories = '/v1/agents/slow/memories'
  const keyed = { key, headers: json }
  return [
    {
      what: '33 bodies to nowhere, no key',
      guarantee: 'A1',
      sockets: 33,
      head: () => post('/nothing', { headers: json }),
    },
    {
      what: '200 bodies to a real route, no key',
      guarantee: 'A1',
      sockets: 200,
      head: () => post(memories, { headers: json }),
      drop: ' ',
    },
    {
      what: '200 heads that never end',
      guarantee: 'A1',
      sockets: 200,
      head: () => `POST ${memories} HTTP/1.1\r\nhost: chaos\r\n`,
      drop: 'x-more: 1\r\n',
    },
    { what: '400 idle connections', guarantee: 'A1', sockets: 400, head: () => '' },
    {
      what: '200 bodies with a wrong key',
      guarantee: 'A1',
      sockets: 200,
      head: () => post(memories, { key: `agm_${'B'.repeat(64)}`, headers: json }),
      drop: ' ',
    },
    {
      what: '540 slow bodies with a key',
      guarantee: 'A2',
      sockets: 540,
      head: () => post(memories, { key: narrowKey, headers: { ...json, 'content-length': '1000' } }),
      drop: ' ',
    },
    {
      what: '40 big bodies with a key',
      guarantee: 'A2',
      sockets: 40,
      head: () => `${post(memories, keyed)}{"content":"`,
      drop: 'a',
    },
    {
      what: '60 slow imports',
      guarantee: 'A2',
      sockets: 60,
      head: (at) => `${post(`/v1/agents/slow-${at % 5}/memories/import`, { key, headers: ndjson })}`,
      drop: '5\r\n{"con\r\n',
    },
    {
      what: '60 exports that nobody reads',
      guarantee: 'A2',
      sockets: 60,
      head: () => headOf({ method: 'GET', path: '/v1/agents/big/memories/export', key }),
      isDeaf: true,
    },
    {
      what: '60 event streams that nobody reads',
      guarantee: 'A2',
      sockets: 60,
      head: () => runHead(key),
      isDeaf: true,
    },
  ]
}

const runHead = (key: string): string => {
  const body = JSON.stringify({ input: 'Say something long.' })
  const headers = {
    accept: 'text/event-stream',
    'content-type': 'application/json',
    'content-length': String(body.length),
  }
  return headOf({ path: '/v1/sessions/big/policy/run', key, headers }) + body
}

const fillAgent = async (aggressor: Tenant): Promise<void> => {
  await aggressor.ask({ path: '/v1/sessions', body: { agent_id: 'big', session_id: 'big' } })
  const memories = Array.from({ length: 250 }, (_, at) => ({ content: `${at} ${'padding '.repeat(400)}` }))
  for (let at = 0; at < exportedMemories; at += memories.length)
    await aggressor.ask({ path: '/v1/agents/big/memories/batch', body: { memories } })
}

const attack = async (raw: RawSockets, { sockets, head, drop, isDeaf }: Attack, seconds: number): Promise<number> => {
  for (let at = 0; at < sockets; at += 1) {
    const socket = raw.open(head(at))
    if (isDeaf === true) socket.pause()
    if (at % 50 === 49) await sleep(10)
  }
  for (const endMs = performance.now() + seconds * 1_000; performance.now() < endMs; await sleep(feedEveryMs))
    if (drop !== undefined) raw.feed(drop)
  const left = raw.openCount()
  raw.closeAll()
  return left
}

const start = async ({ lab }: ChaosContext): Promise<Service> =>
  lab.start({
    env: { ...(await startEmbeddings(lab)), ...(await startModel(lab)), AGEMEM_AUTH_FAILURES_PER_MINUTE: '1000000' },
  })

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, seconds, say, signal } = context
  const service = await start(context)
  const aggressor = await service.makeTenant('aggressor')
  const narrowKey = await service.makeKey(aggressor, { scopes: ['memory:write'] })
  await fillAgent(aggressor)
  const neighbour = await startNeighbour(context, service)
  const attacks = attacksOf(aggressor, narrowKey)
  const phaseSeconds = Math.max(5, (seconds * 0.8) / attacks.length)
  const quietSeconds = Math.max(5, seconds * 0.1)
  const quiet: NeighbourTiming[] = [await neighbour.measureQuiet(quietSeconds)]
  const phases: Phase[] = []
  const left: string[] = []
  for (const one of attacks) {
    if (signal.aborted) break
    const raw = createRawSockets(lab, service.url)
    let open = 0
    const timing = await neighbour.measureWhile(async () => {
      open = await attack(raw, one, phaseSeconds)
    })
    phases.push({ what: one.what, guarantee: one.guarantee, timing })
    left.push(`${one.what}: ${open}`)
    say(`${one.what}: p99 ${Math.round(timing.p99)} ms, refused ${JSON.stringify(timing.refusals)}, ${open} still open`)
    await sleep(1_500)
  }
  quiet.push(await neighbour.measureQuiet(quietSeconds))
  const judged = judgePhases(quiet, phases)
  return {
    figures: [{ what: 'sockets that the service had not closed', value: left.join('; ') }, ...judged.figures],
    findings: judged.findings,
  }
}

export const sockets: Scenario = { name: 'sockets', guards: ['A1', 'A2'], run: play }
