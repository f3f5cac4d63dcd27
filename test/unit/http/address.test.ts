import { describe, expect, it } from 'vitest'
import { addressOwner, createAddressList } from '../../../src/http/address.ts'

describe('whose an address is', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:0db8::9', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, ''],
  ])('%s', (address, owner) => {
    expect(addressOwner(address)).toBe(owner)
  })

  it('a list holds addresses and networks of both kinds', () => {
    const isListed = createAddressList('10.0.0.0/8, 127.0.0.1,fd00::/8')
    expect(['10.9.9.9', '::ffff:127.0.0.1', 'fd12::1'].map(isListed)).toEqual([true, true, true])
    expect(['11.0.0.1', '127.0.0.2', 'fe80::1', '', undefined].map(isListed)).toEqual([
      false,
      false,
      false,
      false,
      false,
    ])
    expect(createAddressList('')('127.0.0.1')).toBe(false)
  })
})
