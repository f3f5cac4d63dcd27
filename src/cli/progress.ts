/**
 * Progress for people, on stderr: a bar that redraws itself on a terminal, else a plain line every now and then, so that
 * a log stays readable. Rates are over the present stage; a stage begins when its label changes.
 */

export type ProgressOptions = {
  readonly stream: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number }
  readonly nowMs: () => number
}

const drawEveryMs = 100
const lineEveryMs = 10_000
const barWidth = 24
/** Share of the work from which its pace says how long the rest takes. */
const forecastFrom = 0.1

/** `75 s`, `12 min 05 s`. */
export const formatSeconds = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds))
  return whole < 100 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}

const bar = (share: number): string => {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * barWidth)
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`
}

type Stage = { readonly label: string; readonly startedAtMs: number; readonly startedAt: number }

export const createProgress = ({ stream, nowMs }: ProgressOptions) => {
  const isTTY = stream.isTTY === true
  let stage: Stage | null = null
  let shownAtMs = Number.NEGATIVE_INFINITY

  const textOf = ({ startedAtMs, startedAt }: Stage, unit: string, done: number, total: number): string => {
    const seconds = (nowMs() - startedAtMs) / 1000
    const rate = seconds > 0 ? (done - startedAt) / seconds : 0
    const left = done >= forecastFrom * total && rate > 0 ? `${formatSeconds((total - done) / rate)} left` : ''
    const time = done >= total ? `in ${formatSeconds(seconds)}` : left
    return `${done}/${total} ${unit}, ${rate.toFixed(1)}/s${time === '' ? '' : `, ${time}`}`
  }

  return {
    report: (label: string, unit: string, done: number, total: number): void => {
      const isNew = stage?.label !== label
      if (isNew || stage === null) stage = { label, startedAtMs: nowMs(), startedAt: done }
      const isDone = done >= total
      const isDue = nowMs() - shownAtMs >= (isTTY ? drawEveryMs : lineEveryMs)
      if (!isNew && !isDone && !isDue) return
      shownAtMs = nowMs()
      const text = `${label.padEnd(18)} ${isTTY ? `${bar(total === 0 ? 1 : done / total)} ` : ''}${textOf(stage, unit, done, total)}`
      if (!isTTY) stream.write(`${text}\n`)
      else stream.write(`\r\x1b[2K${text.slice(0, (stream.columns ?? 100) - 1)}${isDone ? '\n' : ''}`)
      if (isDone) stage = null
    },
  }
}
