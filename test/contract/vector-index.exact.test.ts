import { createExactIndex } from '../../src/drivers/vector-index/exact-index.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { dimensions } from './vector-index.data.ts'
import { createSpaceRecorder } from './vector-index.recorder.ts'
import { describeVectorIndexContract } from './vector-index.suite.ts'

describeVectorIndexContract('exact', async () => {
  const { readSpaceChanges, record } = createSpaceRecorder()
  const limits = { maxBytes: 50_000_000, idleMs: 60_000, readTimeoutMs: 5_000 }
  const connect = () => record(createExactIndex({ dimensions, readSpaceChanges, clock: systemClock, ...limits }))
  return { index: connect(), connect, cleanUp: async () => {} }
})
