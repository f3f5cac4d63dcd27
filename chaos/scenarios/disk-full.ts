/** The disk of the database fills up and gets room again: writes are refused honestly, nothing acknowledged is lost. */
import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChaosContext, Finding, Outcome, Scenario } from '../scenario.ts'
import { startEmbeddings } from '../support/stand-ins.ts'
import { sleep } from '../support/wait.ts'
import { startWriters } from '../support/writers.ts'

const diskMegabytes = 220
const leftBytes = 2 * 2 ** 20
const chunkBytes = 2 ** 20
const fullSeconds = 6
const recoversWithinMs = 120_000

/** Takes all the room but a little. @returns the bytes it took */
const fill = async (folder: string): Promise<number> => {
  const handle = await open(join(folder, 'ballast'), 'w')
  let taken = 0
  try {
    for (;;) {
      const { bavail, bsize } = await statfs(folder)
      const size = Math.min(chunkBytes, bavail * bsize - leftBytes)
      if (size <= 0) return taken
      taken += (await handle.write(Buffer.alloc(size))).bytesWritten
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return taken
    throw error
  } finally {
    await handle.close()
  }
}

/** Big writes until the database has no room for one: a log that was made ahead takes some. */
const writeUntilRefused = async (
  { random, signal }: ChaosContext,
  ask: (content: string) => Promise<{ readonly status: number; readonly code: string; readonly isRetryable: boolean }>,
) => {
  const refusals: { readonly status: number; readonly code: string; readonly isRetryable: boolean }[] = []
  let written = 0
  for (let tries = 0; tries < 4_000 && refusals.length < 20 && !signal.aborted; tries += 1) {
    const told = await ask(`${random.hex(32_000)}`)
    if (told.status === 201) written += 1
    else {
      refusals.push(told)
      await sleep(200)
    }
  }
  return { refusals, written }
}

const play = async (context: ChaosContext): Promise<Outcome> => {
  const { lab, random, signal, say } = context
  const mounted = await lab.mountSmall(diskMegabytes)
  if ('refusal' in mounted)
    return { figures: [], findings: [], notRun: `a small filesystem may not be mounted: ${mounted.refusal}` }
  const { folder } = mounted
  const service = await lab.start({ env: await startEmbeddings(lab), dataDir: folder })
  const tenant = await service.makeTenant('disk full')
  const findings: Finding[] = []
  const writers = await startWriters({ tenant, random, signal, name: 'full', count: 3 })
  await writers.goOn(15, 60_000)
  const taken = await fill(folder)
  say(`the disk is full, ${Math.round(taken / 1e6)} MB taken`)
  const { refusals, written } = await writeUntilRefused(context, async (content) => {
    const { status, headers, fields } = await tenant.ask({ path: '/v1/agents/big/memories', body: { content } })
    const isRetryable = status === 503 && headers['retry-after'] !== undefined
    return { status, code: String(fields.code ?? ''), isRetryable }
  })
  await sleep(fullSeconds * 1_000)
  const live = await service.ask({ path: '/health/live', timeoutMs: 5_000 })
  if (live.status !== 200)
    findings.push({ guarantee: 'the process lives', what: `liveness ${live.status} on a full disk` })
  const dishonest = refusals.filter((one) => !one.isRetryable)
  if (dishonest.length > 0)
    findings.push({
      guarantee: 'honest answers',
      what: `on a full disk: ${dishonest[0]?.status} ${dishonest[0]?.code}`,
    })
  await rm(join(folder, 'ballast'), { force: true })
  const roomMs = performance.now()
  const isBack = (await service.isReadyWithin(recoversWithinMs)) && (await writers.goOn(10, recoversWithinMs))
  if (!isBack)
    findings.push({ guarantee: 'recovery', what: `no writes ${recoversWithinMs / 1_000} s after there was room again` })
  const recoveredMs = performance.now() - roomMs
  const settled = await writers.settle()
  const kept = Number((await tenant.ask({ path: '/v1/agents/big' })).fields.memory_count ?? 0)
  if (kept < written) findings.push({ guarantee: 'M1', what: `${written - kept} of ${written} big writes are lost` })
  return {
    figures: [
      { what: 'disk', value: `${diskMegabytes} MB` },
      { what: 'big writes before it was full', value: String(written) },
      { what: 'refusals', value: [...new Set(refusals.map(({ status, code }) => `${status} ${code}`))].join(', ') },
      { what: 'writes again after', value: `${Math.round(recoveredMs)} ms` },
      ...settled.figures,
    ],
    findings: [...findings, ...settled.findings],
  }
}

export const diskFull: Scenario = { name: 'disk-full', guards: ['M1', 'M2'], run: play }
