import { describe, expect, it } from 'vitest'
import type { Generation } from '../../../src/modules/trajectory/step.repository.ts'
import { toStepRecord, unusableReason } from '../../../src/modules/trajectory/step-record.ts'

const generation: Generation = {
  runId: 'run_1',
  turn: 1,
  model: 'scripted-1',
  modelVersion: 42,
  promptVersion: 'v1',
  situation: {},
  promptMessageIds: [],
  clientTools: null,
  promptTokenIds: [1, 2, 3],
  output: 'x',
  tokenIds: [4, 5],
  logprobs: [-0.5, -1e-9],
  finishReason: 'length',
  sampling: { temperature: 1 },
  usage: {},
}
const place = { run: 3, step: 5, isLast: true }
const input = { sessionId: 's', agentId: 'a', stepId: 'stp_1', generation, tools: [], place, reward: null }

describe('a step record', () => {
  it('of a call whose tokens are complete is trainable and gives no reason', () => {
    const record = toStepRecord(input)
    expect(record).toMatchObject({ trainable: true, run: 3, step: 5, is_last_step: true, model_version: 42 })
    expect(record).toMatchObject({ temperature: 1, finish_reason: 'length', reward: null, reward_parts: null })
    expect('unusable' in record).toBe(false)
  })

  it('is never trainable with tokens that are missing, uneven, empty or not finite', () => {
    const broken: Partial<Generation>[] = [
      { promptTokenIds: null },
      { promptTokenIds: [] },
      { tokenIds: null },
      { logprobs: null },
      { tokenIds: [4] },
      { tokenIds: [], logprobs: [] },
      { logprobs: [-0.5, Number.NEGATIVE_INFINITY] },
      { logprobs: [-0.5, Number.NaN] },
    ]
    for (const tokens of broken) {
      const record = toStepRecord({ ...input, generation: { ...generation, ...tokens } })
      expect([tokens, record.trainable, typeof record.unusable]).toEqual([tokens, false, 'string'])
    }
    expect(unusableReason(generation)).toBeNull()
  })

  it('has no temperature where none was recorded', () => {
    expect(toStepRecord({ ...input, generation: { ...generation, sampling: {} } }).temperature).toBeNull()
  })
})
