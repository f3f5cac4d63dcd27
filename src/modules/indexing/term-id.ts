/**
 * FNV-1a, 32 bits, over the UTF-8 bytes (draft-eastlake-fnv): an unsigned integer. Half of a surrogate pair counts as
 * U+FFFD. The bytes are not written down, since a text without spaces has tens of thousands of terms.
 */
export function termIdOf(term: string): number {
  let hash = 0x811c9dc5
  const mix = (byte: number): void => {
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  for (let at = 0; at < term.length; at += 1) {
    const point = term.codePointAt(at) ?? 0
    const code = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point
    if (code < 0x80) mix(code)
    else {
      if (code < 0x800) mix(0xc0 | (code >> 6))
      else {
        if (code < 0x10000) mix(0xe0 | (code >> 12))
        else {
          mix(0xf0 | (code >> 18))
          mix(0x80 | ((code >> 12) & 0x3f))
          at += 1
        }
        mix(0x80 | ((code >> 6) & 0x3f))
      }
      mix(0x80 | (code & 0x3f))
    }
  }
  return hash >>> 0
}
