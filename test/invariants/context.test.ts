import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { orderForModel, sumTokens } from '../../src/modules/context/edit-cost.ts'
import { planUndo } from '../../src/modules/context/plan-undo.ts'
import { renderContent, renderContext } from '../../src/modules/context/render-context.ts'
import { currentQueryOf } from '../../src/modules/context/tool-units.ts'
import { applyPlan, type ContextHistory, contextOf } from '../support/context-history.ts'
import { callerOf, countTokens, operations, planOf, runHistory, type Transition } from '../support/context-model.ts'

const everyTransition = (check: (transition: Transition) => void) =>
  fc.assert(
    fc.property(operations(), (asked) => {
      for (const transition of runHistory(asked)) check(transition)
    }),
    { numRuns: 300 },
  )

const everyEnd = (check: (history: ContextHistory) => void) =>
  fc.assert(
    fc.property(operations(), (asked) => {
      const last = runHistory(asked).at(-1)
      if (last !== undefined) check(last.after)
    }),
    { numRuns: 300 },
  )

const idsOf = (messages: readonly { readonly messageId: string }[]): readonly string[] =>
  messages.map((message) => message.messageId)

describe('context', () => {
  it('C1: system messages, pinned messages, the current query and the message that makes the call stay', () => {
    everyTransition(({ operation, before, after }) => {
      const kept = new Set(idsOf(contextOf(after).messages))
      for (const message of after.messages) {
        if (message.role === 'system' || message.pinned) expect(kept).toContain(message.messageId)
      }
      const query = currentQueryOf(contextOf(before).messages)
      if (query !== undefined && operation.type !== 'reset') expect(kept).toContain(query.messageId)
      const caller = callerOf(operation, before)
      if (caller !== null) expect(kept).toContain(caller)
    })
  })

  it('C1: FILTER and SUMMARY leave calls that still await a result, and SUMMARY replaces none but the last N', () => {
    everyTransition(({ operation, before, plan }) => {
      if (plan === null || (operation.type !== 'summary' && operation.type !== 'filter')) return
      const { messages } = contextOf(before)
      const removed = new Set(idsOf(plan.removed))
      const answered = new Set(messages.map(({ toolCallId }) => toolCallId))
      const query = currentQueryOf(messages)
      for (const { messageId, toolCalls, contextPosition } of messages) {
        const isOpen = (toolCalls ?? []).some(({ id }) => !answered.has(id))
        if (isOpen && contextPosition > (query?.contextPosition ?? -1)) expect(removed).not.toContain(messageId)
      }
      if (operation.type !== 'summary' || operation.span === 'all') return
      const last = idsOf(messages.filter(({ role }) => role !== 'system').slice(-operation.span))
      expect(last).toEqual(expect.arrayContaining([...removed]))
    })
  })

  it('C2: no tool result is in the context without its call, and no call without a result that was given', () => {
    everyEnd((history) => {
      const { messages } = contextOf(history)
      const inContext = new Set(idsOf(messages))
      for (const [index, message] of messages.entries()) {
        const called = messages.slice(0, index).flatMap((earlier) => earlier.toolCalls ?? [])
        if (message.role !== 'tool') continue
        expect(called.map((call) => call.id)).toContain(message.toolCallId)
        const results = messages.filter(({ toolCallId }) => toolCallId === message.toolCallId)
        expect(results).toHaveLength(1)
      }
      for (const message of messages) {
        for (const { id } of message.toolCalls ?? []) {
          const result = history.messages.find(({ toolCallId, state }) => toolCallId === id && state !== 'undone')
          if (result !== undefined) expect(inContext).toContain(result.messageId)
        }
      }
    })
  })

  it('C2: rendered, every result follows its call and only a call at the very end is open', () => {
    everyEnd((history) => {
      const messages = renderContext(contextOf(history))
      let open: string[] = []
      for (const message of messages) {
        if (message.role === 'tool') expect(open).toContain(message.tool_call_id)
        else expect(open).toEqual([])
        open = open
          .filter((id) => id !== message.tool_call_id)
          .concat((message.tool_calls ?? []).map((call) => call.id))
      }
    })
  })

  it('C3: order is append order, and a summary stands where the first message of its span stood', () => {
    everyEnd((history) => {
      const positions = contextOf(history).messages.map((message) => message.contextPosition)
      expect(positions).toEqual([...new Set(positions)].sort((one, other) => one - other))
      const byId = new Map(history.messages.map((message) => [message.messageId, message]))
      for (const message of history.messages) {
        if (message.kind !== 'summary') expect(message.contextPosition).toBe(message.sequence)
      }
      for (const { details } of history.edits) {
        if (details.kind !== 'summary') continue
        const replaced = details.replacedMessageIds.map((id) => byId.get(id)?.contextPosition ?? -1)
        expect(byId.get(details.summaryMessageId)?.contextPosition).toBe(Math.min(...replaced))
      }
    })
  })

  it('C4: tokens are the sum of the messages as rendered, and each change makes one version', () => {
    everyTransition(({ before, after, plan }) => {
      const context = contextOf(after)
      const counted = context.messages.map((message) => countTokens({ ...message, content: renderContent(message) }))
      expect(context.tokens).toBe(counted.reduce((sum, tokens) => sum + tokens, 0))
      expect(after.version).toBe(before.version + (after === before ? 0 : 1))
      if (plan === null) return
      expect([plan.tokensBefore, plan.tokensAfter]).toEqual([contextOf(before).tokens, context.tokens])
    })
  })

  it('C4: an edit names the first message from which the model must read again, and the tokens from there', () => {
    everyTransition(({ before, after, plan }) => {
      if (plan === null) return
      const [seenBefore, seenAfter] = [before, after].map((history) => orderForModel(contextOf(history).messages))
      const from = plan.prefillFromPosition
      expect(idsOf(seenAfter?.slice(0, from) ?? [])).toEqual(idsOf(seenBefore?.slice(0, from) ?? []))
      expect(plan.prefillTokens).toBe(sumTokens(seenAfter?.slice(from) ?? []))
      const next = seenAfter?.[from]?.messageId
      expect(next === undefined || next !== seenBefore?.[from]?.messageId).toBe(true)
    })
  })

  it('C5: every message is found again as it was, with the edit that took it out', () => {
    everyTransition(({ before, after }) => {
      const byId = new Map(after.messages.map((message) => [message.messageId, message]))
      for (const message of before.messages) {
        const { content, sequence, contextPosition, tokens } = message
        expect(byId.get(message.messageId)).toMatchObject({ content, sequence, contextPosition, tokens })
      }
      for (const { messageId, state, editId } of after.messages) {
        const edit = after.edits.find((candidate) => candidate.editId === editId)
        if (state === 'in_context') expect(editId).toBeNull()
        else expect(edit?.removed).toContainEqual({ messageId, state })
      }
    })
  })

  it('C5: an edit says of each message that it took out where it went, and its details name the same ones', () => {
    const stateOf = { summary: 'summarized', filter: 'filtered', reset: 'reset', undo: 'undone', recall: null }
    everyTransition(({ before, plan }) => {
      if (plan === null) return
      for (const { state } of plan.removed) expect(state).toBe(stateOf[plan.kind])
      const { details } = plan
      if (details.kind === 'summary') expect(details.replacedMessageIds).toEqual(idsOf(plan.removed))
      if (details.kind === 'filter') {
        expect(idsOf(details.removed)).toEqual(idsOf(plan.removed))
        for (const { similarity } of details.removed) expect(similarity).toBeGreaterThanOrEqual(details.threshold)
      }
      const inContext = idsOf(contextOf(before).messages)
      expect(inContext).toEqual(expect.arrayContaining([...idsOf(plan.removed)]))
    })
  })

  it('C5: lineage has no cycles: what replaces a message is always younger', () => {
    everyEnd((history) => {
      const sequences = new Map(history.messages.map((message) => [message.messageId, message.sequence]))
      for (const { details } of history.edits) {
        if (details.kind !== 'summary') continue
        const summary = sequences.get(details.summaryMessageId) ?? -1
        for (const id of details.replacedMessageIds) expect(sequences.get(id)).toBeLessThan(summary)
      }
      for (const { undoneBy, contextVersion } of history.edits) {
        const undo = history.edits.find((edit) => edit.editId === undoneBy)
        if (undoneBy !== null) expect(undo?.contextVersion).toBeGreaterThan(contextVersion)
      }
    })
  })

  it('C6: undo of an edit restores the context exactly', () => {
    everyTransition(({ before, after, plan, operation }) => {
      const edit = after.edits.at(-1)
      if (plan === null || edit === undefined || operation.type === 'undo') return
      const outcome = planUndo(contextOf(after), { edit, edits: after.edits, messages: after.messages })
      const answersCall = operation.type === 'recall' && plan.added.length === 1
      if (answersCall) return expect(outcome).toMatchObject({ code: 'context.edit_depended_on' })
      const restored = applyPlan(after, planOf(outcome), 'edt_undo')
      expect(contextOf(restored).messages).toEqual(contextOf(before).messages)
      expect(contextOf(restored).tokens).toBe(contextOf(before).tokens)
    })
  })

  it('C6: undone later, an edit gives back what it took and takes back what it gave, and nothing else changes', () => {
    everyTransition(({ before, after, plan }) => {
      if (plan?.details.kind !== 'undo') return
      const { undoneEditId } = plan.details
      const edit = before.edits.find((candidate) => candidate.editId === undoneEditId)
      const added = new Set(edit?.addedMessageIds)
      const removed = edit?.removed.map(({ messageId }) => messageId) ?? []
      const stayed = contextOf(before).messages.filter((message) => !added.has(message.messageId))
      const contextAfter = contextOf(after)
      expect([...idsOf(contextAfter.messages)].sort()).toEqual([...idsOf(stayed), ...removed].sort())
      expect(contextAfter.messages).toEqual(expect.arrayContaining(stayed))
      const tookOut = before.messages.filter((message) => removed.includes(message.messageId))
      for (const message of tookOut) {
        expect(contextAfter.messages).toContainEqual({ ...message, state: 'in_context', editId: null })
      }
    })
  })

  it('C6: undo is refused while a later edit depends on the edit, and an undo is never undone', () => {
    everyEnd((history) => {
      for (const edit of history.edits) {
        if (edit.undoneBy !== null) continue
        const dependent = history.edits.some(
          (later) =>
            later.undoneBy === null && later.removed.some(({ messageId }) => edit.addedMessageIds.includes(messageId)),
        )
        const outcome = planUndo(contextOf(history), { edit, edits: history.edits, messages: history.messages })
        const code = edit.kind === 'undo' ? 'context.undo_not_undoable' : 'context.edit_depended_on'
        if (dependent || edit.kind === 'undo') expect(outcome).toMatchObject({ outcome: 'refused', code })
      }
    })
  })

  it('C6: edits undone from the last to the first bring back every appended message', () => {
    everyEnd((end) => {
      let history: ContextHistory = { ...end, messages: end.messages.map((message) => ({ ...message, pinned: false })) }
      for (const { editId } of end.edits.toReversed()) {
        const edit = history.edits.find((candidate) => candidate.editId === editId)
        if (edit === undefined || edit.undoneBy !== null || edit.kind === 'undo') continue
        const outcome = planUndo(contextOf(history), { edit, edits: history.edits, messages: history.messages })
        if (outcome.outcome === 'edit') history = applyPlan(history, outcome.plan, `${editId}_undo`)
        else expect(edit).toMatchObject({ kind: 'recall', addedMessageIds: [expect.any(String)] })
      }
      const appended = idsOf(history.messages.filter((message) => message.kind === 'appended'))
      expect(idsOf(contextOf(history).messages.filter((message) => message.kind === 'appended'))).toEqual(appended)
    })
  })
})
