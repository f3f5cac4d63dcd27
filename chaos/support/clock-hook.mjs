/**
 * Loaded into a process of the service with `--import`: its clock of the day is off by as many milliseconds as the file
 * CHAOS_CLOCK_FILE says, from 50 ms after it says so. The monotonic clock goes on as it does when the day's clock is set.
 */
import { readFileSync } from 'node:fs'

const lookEveryMs = 50
const RealDate = Date
let offsetMs = 0

const look = () => {
  try {
    offsetMs = Number(readFileSync(process.env.CHAOS_CLOCK_FILE, 'utf8')) || 0
  } catch {
    offsetMs = 0
  }
}

class ShiftedDate extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + offsetMs)
    else super(...given)
  }
  static now() {
    return RealDate.now() + offsetMs
  }
}

/** `Date()` without `new` answers text. */
const callable = new Proxy(ShiftedDate, { apply: () => new ShiftedDate().toString() })

if (process.env.CHAOS_CLOCK_FILE) {
  globalThis.Date = callable
  look()
  setInterval(look, lookEveryMs).unref()
}
