/** The nearest-rank percentile: the smallest value that at least `percent` of the values do not exceed. NaN for none. */
export const percentileOf = (values: readonly number[], percent: number): number => {
  const sorted = [...values].sort((one, other) => one - other)
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length))
  return sorted[rank - 1] ?? Number.NaN
}

export type Latency = { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number }

/** Of times in milliseconds. */
export const latencyOf = (times: readonly number[]): Latency => ({
  p50: percentileOf(times, 50),
  p95: percentileOf(times, 95),
  p99: percentileOf(times, 99),
  max: percentileOf(times, 100),
})
