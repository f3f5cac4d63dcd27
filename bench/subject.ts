import type { Report } from './figures.ts'
import type { Bench } from './service.ts'

export type BenchOptions = {
  readonly report: Report
  /** Of one measurement that repeats its work. */
  readonly seconds: number
  /** The largest number of memories in one agent. */
  readonly memoriesMax: number
  readonly tenantsMax: number
}

/** One subject of the benchmarks: measures and reports, on a service that earlier subjects may have filled. */
export type Subject = (bench: Bench, options: BenchOptions) => Promise<void>
