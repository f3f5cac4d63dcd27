/** Tuesday 24 June: four days to go. */
import { type Beat, helper, nora } from './demo-beats.ts'

export const thirdDay: readonly Beat[] = [
  { kind: 'day', title: 'Tuesday 24 June: four days to go' },
  {
    kind: 'say',
    lines: [nora('Hansa Umzug asks for the date, the address and the price once more. What do I write?')],
  },
  {
    kind: 'retrieve',
    query: 'Date of the move, address of the new flat, movers and price',
    topK: 5,
    expected: ['date', 'address', 'movers'],
    why: 'three facts from two days, each in its present form',
  },
  {
    kind: 'say',
    lines: [
      helper('Saturday 28 June, Lindenallee 14 in Hamburg, third floor without a lift, 1,780 euros with insurance.'),
      nora('Thank you! Their driver offers to take the cat along in the van. Good idea?'),
    ],
  },
  {
    kind: 'retrieve',
    query: 'How does the cat travel?',
    topK: 3,
    expected: ['cat'],
    why: 'a wish from the first day; the conversation of that day is long gone',
  },
  {
    kind: 'say',
    lines: [
      helper('No: Miso travels with you in the car. Engine noise scares him.'),
      nora('Right. And the driver wants to call me tomorrow morning.'),
    ],
  },
  {
    kind: 'retrieve',
    query: 'When may people call Nora?',
    topK: 3,
    expected: ['calls'],
    why: 'the preference holds for everyone, not only for that day',
  },
  {
    kind: 'say',
    lines: [
      helper('Ask him to call after 5 pm, or to send an e-mail: you teach until then.'),
      nora('I will. Who lets the internet technician in, and when?'),
    ],
  },
  {
    kind: 'retrieve',
    query: 'When does the internet technician come, and who is there?',
    topK: 3,
    expected: ['internet'],
    why: 'an appointment, with its number',
  },
  { kind: 'say', lines: [helper('Jonas does, on Tuesday 1 July between 8 and 12. The order number is HX-20417.')] },
]
