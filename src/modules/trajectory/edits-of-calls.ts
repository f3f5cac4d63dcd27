/**
 * Which edits of the context a step made. The versions before and after a step do not tell: a client may edit the
 * context while a model's turn is under way. The results of the calls do: SUMMARY and FILTER name their edit, RETRIEVE
 * names the message that its edit added.
 */
import { isJsonObject } from '../../shared/json-limits.ts'
import type { StoredEdit } from '../context/context-edit.repository.ts'
import type { RecordedCall } from './step.repository.ts'

type EditNames = { readonly editIds: readonly string[]; readonly messageIds: readonly string[] }

const textAt = (value: unknown, key: string): readonly string[] => {
  const text = isJsonObject(value) ? value[key] : undefined
  return typeof text === 'string' ? [text] : []
}

const namesOf = (calls: readonly RecordedCall[]): EditNames => {
  const results = calls.filter(({ effective }) => effective).map(({ result }) => result)
  return {
    editIds: results.flatMap((result) => textAt(result, 'edit_id')),
    messageIds: results.flatMap((result) => textAt(result, 'message_id')),
  }
}

export const editsOfCalls = (callsByStep: ReadonlyMap<string, readonly RecordedCall[]>) => ({
  /** Of all the steps' edits together. */
  idsOf: namesOf([...callsByStep.values()].flat()),

  /** Those of one step, among `edits`. */
  editsOf: (stepId: string, edits: readonly StoredEdit[]): readonly StoredEdit[] => {
    const { editIds, messageIds } = namesOf(callsByStep.get(stepId) ?? [])
    return edits.filter(
      ({ editId, kind, addedMessageIds }) =>
        editIds.includes(editId) || (kind === 'recall' && addedMessageIds.some((id) => messageIds.includes(id))),
    )
  },
})
