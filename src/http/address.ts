/**
 * Whose an address is. An IPv6 client has a whole /64 to take addresses from, so that counts as one; an IPv4 address that
 * is written as an IPv6 one is what it is.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

const groupsOf = (part: string): readonly string[] => (part === '' ? [] : part.split(':'))

const networkOf = (address: string): string => {
  const [head = '', tail = ''] = address.split('::')
  const [before, after] = [groupsOf(head), groupsOf(tail)]
  const zeros = address.includes('::')
    ? Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
    : []
  const groups = [...before, ...zeros, ...after].slice(0, 4)
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')
}

export const addressOwner = (address: string | undefined): string => {
  const [plain = ''] = (address ?? '').toLowerCase().split('%')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1]
  if (mapped !== undefined) return mapped
  return isIPv6(plain) ? `${networkOf(plain)}::/64` : plain
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')

/** Whether an address is one of a list of addresses and networks, as AGEMEM_TRUST_PROXY has them. */
export const createAddressList = (listed: string): ((address: string | undefined) => boolean) => {
  const list = new BlockList()
  for (const entry of listed.split(',').map((one) => one.trim())) {
    const [address = '', bits] = entry.split('/')
    if (!isIPv4(address) && !isIPv6(address)) continue
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return (address) => {
    const plain = address?.replace(/^::ffff:(?=\d+\.)/i, '') ?? ''
    return (isIPv4(plain) || isIPv6(plain)) && list.check(plain, familyOf(plain))
  }
}
