import { describe, expect, it } from 'vitest'
import type { StoredEdit } from '../../../src/modules/context/context-edit.repository.ts'
import { editsOfCalls } from '../../../src/modules/trajectory/edits-of-calls.ts'
import type { RecordedCall } from '../../../src/modules/trajectory/step.repository.ts'

const makeCall = (result: unknown, effective = true): RecordedCall => ({
  toolCallId: 'call_1',
  name: 'x',
  arguments: {},
  status: 'ok',
  effective,
  result,
  problem: null,
})
const makeEdit = (editId: string, kind: 'summary' | 'recall' | 'undo', addedMessageIds: readonly string[]) =>
  ({ editId, kind, addedMessageIds }) as unknown as StoredEdit

const edits = [
  makeEdit('edt_1', 'summary', ['msg_9']),
  makeEdit('edt_2', 'recall', ['msg_1', 'msg_2']),
  makeEdit('edt_3', 'undo', ['msg_2']),
]

describe('the edits of a step', () => {
  it('are those that the results of its calls name, by edit or by the message that was added', () => {
    const calls = new Map([
      ['stp_1', [makeCall({ edit_id: 'edt_1' })]],
      ['stp_2', [makeCall({ message_id: 'msg_2' }), makeCall({ memory_id: 'mem_1' })]],
      ['stp_3', [makeCall(null), makeCall('text'), makeCall({ message_id: null })]],
    ])
    const { idsOf, editsOf } = editsOfCalls(calls)
    expect(idsOf).toEqual({ editIds: ['edt_1'], messageIds: ['msg_2'] })
    const idsAt = (stepId: string) => editsOf(stepId, edits).map(({ editId }) => editId)
    expect([idsAt('stp_1'), idsAt('stp_2'), idsAt('stp_3'), idsAt('stp_4')]).toEqual([['edt_1'], ['edt_2'], [], []])
  })

  it('are none of a call that changed nothing', () => {
    expect(editsOfCalls(new Map([['stp_1', [makeCall({ edit_id: 'edt_1' }, false)]]])).idsOf.editIds).toEqual([])
  })
})
