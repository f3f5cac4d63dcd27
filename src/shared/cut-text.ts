/**
 * The beginning of a text, cut between two characters as people see them: an emoji of several parts, a flag or a letter with
 * its marks stays whole or goes (grapheme clusters, UAX 29). One of more than 64 UTF-16 units, such as a letter under
 * hundreds of marks, is cut between code points.
 */
const clusterUnitsMax = 64

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })

/** At most `unitsMax` UTF-16 units of it. */
export const cutText = (text: string, unitsMax: number): string => {
  if (text.length <= unitsMax) return text
  const cluster = segmenter.segment(text.slice(0, unitsMax + clusterUnitsMax)).containing(unitsMax)
  const end = cluster?.index ?? 0
  return unitsMax - end <= clusterUnitsMax
    ? text.slice(0, end)
    : text.slice(0, unitsMax).replace(/[\uD800-\uDBFF]$/, '')
}
