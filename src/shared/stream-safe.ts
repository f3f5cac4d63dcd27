/** UAX #15, section 13: a text is stream-safe when no more than 30 marks follow one another. No language needs more. */
const marksTooMany = /(\p{M}{30})\p{M}+/gu

/**
 * Cuts runs of combining marks at 30, in linear time. Normalization sorts the marks of one run, which takes quadratic
 * time in its length, so no text of a tenant is normalised that did not go through here before.
 */
export const streamSafe = (text: string): string => text.replace(marksTooMany, '$1')
