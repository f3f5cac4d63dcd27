/**
 * The demo's story: three days of a house move, and what a wise policy does along the way. Dates, prices and wishes change
 * as they do in life, chatter comes in between, and the last day's questions can only be answered from memory.
 */

import type { Beat } from './demo-beats.ts'
import { firstDay } from './demo-first-day.ts'
import { secondDay } from './demo-second-day.ts'
import { thirdDay } from './demo-third-day.ts'

export const demoPrompt =
  'You help Nora with her house move. Keep in long-term memory what will matter later, and keep the conversation short.'

/** Less than the three days take: nobody could keep it all in the context. */
export const demoBudgetTokens = 1_200

export const demoBeats: readonly Beat[] = [...firstDay, ...secondDay, ...thirdDay]

/** Asked at the end of long-term memory itself, past the conversation. */
export type FinalCheck = {
  readonly question: string
  /** One of the three best results must hold each of these. */
  readonly expected: readonly string[]
  /** No memory at all may hold any of these: superseded, or deleted. */
  readonly gone: readonly string[]
}

export const finalChecks: readonly FinalCheck[] = [
  { question: 'When is the move to Hamburg?', expected: ['28 June'], gone: ['21 June'] },
  { question: 'Which movers, and what do they cost?', expected: ['Hansa Umzug', '1,780'], gone: ['1,650'] },
  { question: 'What is the door code of the house?', expected: [], gone: ['4471'] },
  { question: 'What is the address of the new flat?', expected: ['Lindenallee 14'], gone: [] },
  { question: 'May the cat travel in the van?', expected: ['Miso'], gone: [] },
  { question: 'When can I call Nora?', expected: ['5 pm'], gone: [] },
  { question: 'When does the internet technician come?', expected: ['1 July', 'HX-20417'], gone: [] },
  { question: 'By when must the parking permit form be sent?', expected: ['13 June'], gone: [] },
  { question: 'Who takes the keys of the old flat, and when?', expected: ['Mr Brandt', '30 June'], gone: [] },
]
