/** True for text without a shape: white space, and characters such as a zero width space. */
export const isBlank = (text: string): boolean => /^[\s\p{Z}\p{Cc}\p{Cf}]*$/u.test(text)
