/**
 * The neighbour, a process of its own so that what the suite does elsewhere is not in its figures: one client that does a
 * fixed mix of small requests at a modest rate, one after another.
 */
import { timingOf } from '../../bench/timing.ts'
import { createDoor } from './door.ts'
import type { NeighbourTiming } from './neighbour.ts'
import { createRandom } from './random.ts'

type Given = { readonly url: string; readonly key: string; readonly seed: number; readonly perSecond: number }

const { url, key, seed, perSecond } = JSON.parse(process.argv[2] ?? '{}') as Given
const random = createRandom(seed)
const door = createDoor(() => url, { connectionsMax: 2 })
const everyMs = 1_000 / perSecond
/** So that its own context and agent stay small however long the run. */
const roundsPerSession = 40

let durations: number[] = []
let missed: number[] = []
let refusals: Record<string, number> = {}
let isMeasuring = false

const ask = async (path: string, body: object, isCounted = true): Promise<void> => {
  const answer = await door.ask({ path, key, body, timeoutMs: 40_000 })
  if (!isCounted || !isMeasuring) return
  durations.push(answer.ms)
  // Who stands in line asks less often: what it would have asked meanwhile would have waited as well.
  for (let waitedMs = answer.ms - everyMs; waitedMs > everyMs; waitedMs -= everyMs) missed.push(waitedMs)
  if (answer.status >= 200 && answer.status < 300) return
  const name = `${answer.status || 'no answer'} ${String(answer.fields.code ?? '')}`.trim()
  refusals[name] = (refusals[name] ?? 0) + 1
}

const stepsOf = (name: string): readonly (() => Promise<void>)[] => [
  () => ask(`/v1/agents/${name}/memories`, { content: random.words(9) }),
  () => ask(`/v1/agents/${name}/memories/search`, { query: random.words(3), top_k: 5 }),
  () => ask(`/v1/sessions/${name}/messages`, { messages: [{ role: 'user', content: random.words(12) }] }),
  () => ask(`/v1/sessions/${name}/tools/add_memory`, { content: random.words(8) }),
]

const live = async (): Promise<never> => {
  for (let session = 0; ; session += 1) {
    const name = `neighbour-${seed}-${session}`
    await ask('/v1/sessions', { agent_id: name, session_id: name }, false)
    const steps = stepsOf(name)
    for (let round = 0; round < roundsPerSession; round += 1) {
      const begunMs = performance.now()
      await steps[round % steps.length]?.()
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, everyMs - (performance.now() - begunMs))))
    }
  }
}

process.on('disconnect', () => process.exit(0))
process.on('message', (message: 'begin' | 'end') => {
  if (message === 'begin') {
    durations = []
    missed = []
    refusals = {}
    isMeasuring = true
    return
  }
  isMeasuring = false
  const { p50, p99 } = timingOf([...durations, ...missed])
  const timing: NeighbourTiming = { count: durations.length, p50, p99, max: Math.max(0, ...durations), refusals }
  process.send?.(timing)
})

await live()
