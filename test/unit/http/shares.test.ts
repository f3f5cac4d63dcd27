import { describe, expect, it } from 'vitest'
import { createCompany, createShare } from '../../../src/http/shares.ts'

describe('shares of what a process has', () => {
  it('A2: a tenant at its own bound leaves room for the others', () => {
    const share = createShare({ wholeMax: 8, perTenantMax: 2 })
    expect([share.take('a', 1), share.take('a', 1), share.take('a', 1)]).toEqual(['taken', 'taken', 'own bound'])
    expect([share.take('b', 1), share.held()]).toEqual(['taken', 3])
    share.giveBack('a', 1)
    expect(share.take('a', 1)).toBe('taken')
  })

  it('the whole is never exceeded', () => {
    const share = createShare({ wholeMax: 3, perTenantMax: 2 })
    const taken = ['a', 'b', 'c', 'd'].map((tenantId) => share.take(tenantId, 1))
    expect(taken).toEqual(['taken', 'taken', 'taken', 'whole bound'])
  })

  it('one thing that is larger than a share goes alone', () => {
    const share = createShare({ wholeMax: 10, perTenantMax: 2 })
    expect([share.take('a', 5), share.take('a', 1), share.take('b', 11)]).toEqual(['taken', 'own bound', 'whole bound'])
  })

  it('a tenant that is alone has all but what a newcomer may have, and its share once another has come', () => {
    let nowMs = 0
    const company = createCompany({ monotonicMs: () => nowMs, aloneMs: 1_000 })
    const share = createShare({ wholeMax: 8, perTenantMax: 2 }, company.isAlone)
    const take = (tenantId: string) => {
      company.note(tenantId)
      return share.take(tenantId, 1)
    }
    const many = Array.from({ length: 8 }, () => take('a'))
    expect(many).toEqual([...Array.from({ length: 6 }, () => 'taken'), 'own bound', 'own bound'])
    expect([take('b'), take('b')]).toEqual(['taken', 'taken'])
    share.giveBack('a', 1)
    expect(take('a')).toBe('own bound')
    nowMs = 5_000
    expect(take('a')).toBe('taken')
  })
})
