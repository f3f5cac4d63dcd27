/**
 * Loaded into a process of the service with `--import`: writes each stop of its event loop to CHAOS_LOOP_FILE, a line of
 * JSON each. `wallMs` is how long the loop stood, `cpuMs` how much of it the thread itself was computing: a thread that
 * waits for its turn on a busy machine stands as well, and that says nothing about the service.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const tickMs = 10
const toldFromMs = 40
const linesMax = 20_000

const clock = `/proc/${process.pid}/task/${process.pid}/schedstat`

/** Null where the system does not count it. */
const readCpuMs = () => {
  try {
    return Number(readFileSync(clock, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return null
  }
}

const watch = (file) => {
  let lines = 0
  let lastMs = performance.now()
  let lastCpuMs = readCpuMs()
  const look = () => {
    const nowMs = performance.now()
    const cpuMs = readCpuMs()
    const wallMs = nowMs - lastMs - tickMs
    const ownMs = cpuMs === null || lastCpuMs === null ? wallMs : Math.min(wallMs, cpuMs - lastCpuMs)
    if (wallMs >= toldFromMs && lines < linesMax) {
      lines += 1
      appendFileSync(file, `${JSON.stringify({ wallMs: Math.round(wallMs), cpuMs: Math.round(ownMs) })}\n`)
    }
    lastMs = nowMs
    lastCpuMs = cpuMs
  }
  setInterval(look, tickMs).unref()
}

if (isMainThread && process.env.CHAOS_LOOP_FILE) watch(process.env.CHAOS_LOOP_FILE)
