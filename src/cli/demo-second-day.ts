/** Thursday 5 June: plans change. */
import { type Beat, helper, nora } from './demo-beats.ts'

export const secondDay: readonly Beat[] = [
  { kind: 'day', title: 'Thursday 5 June: plans change' },
  {
    kind: 'say',
    lines: [
      nora('Bad news from the landlord: we get the keys in Hamburg a week later. What date did we have for the move?'),
    ],
  },
  {
    kind: 'retrieve',
    query: "When is Nora's move to Hamburg?",
    topK: 3,
    expected: ['date'],
    why: 'the new day began with an empty context, so the answer and the memory_id come from memory',
  },
  {
    kind: 'say',
    lines: [
      helper('Saturday 21 June. Shall I move everything by a week?'),
      nora('Yes, the move is now on Saturday 28 June. Hansa Umzug can do it, but for 1,780 euros.'),
    ],
  },
  {
    kind: 'update',
    fact: 'date',
    content: "Nora's move to Hamburg is on Saturday 28 June.",
    why: 'the fact has changed: one memory stays true, instead of two that contradict each other',
  },
  {
    kind: 'retrieve',
    query: 'Which movers did Nora choose, and for what price?',
    topK: 3,
    expected: ['movers'],
    why: 'UPDATE needs the memory_id of the decision',
  },
  {
    kind: 'update',
    fact: 'movers',
    content: 'Nora chose the movers Hansa Umzug for 1,780 euros, insurance included.',
    why: 'a new price takes the place of the old one',
  },
  {
    kind: 'say',
    lines: [
      helper('Done. 1,780 euros is still within your limit.'),
      nora('One more thing: the caretaker was angry that I passed the door code on. Please forget it.'),
    ],
  },
  {
    kind: 'delete',
    fact: 'door code',
    why: 'the user asked to forget it, and a search must never find it again',
  },
  {
    kind: 'say',
    lines: [
      helper('It is gone. What else is open?'),
      nora(
        'The internet contract. I ordered it today, order number HX-20417, and the technician comes on Tuesday 1 July from 8 to 12.',
      ),
      helper('Someone has to be at home on that morning, then.'),
      nora('My brother Jonas can be there, he has the week off. He also lends us his drill and the long ladder.'),
      helper('Good. The ladder will help with the lamps, the ceilings are 3.20 metres high.'),
      nora(
        'The van needs a parking permit in front of the house. The district office wants the form 14 days ahead and 45 euros.',
      ),
      helper('For Saturday 28 June the form must be there by Saturday 14 June, better by Friday 13 June.'),
      nora('I will send the form this week. Then the sofa: it is 228 centimetres long and the stairs turn twice.'),
      helper('The stairwell is 1.10 metres wide. If the legs come off, the sofa should go around both turns.'),
      nora('The legs do come off. If it does not fit all the same, we sell it and buy a smaller one in Hamburg.'),
      helper('Agreed: try it without legs first, otherwise sell it.'),
      nora(
        'We have 64 boxes so far: 22 with books, 9 with kitchen things, 6 marked fragile, the rest clothes and toys.',
      ),
      helper('Books should go in small boxes of 20 kilograms at most, or the movers refuse them.'),
      nora('Then I repack 8 of the book boxes. The plants go to my neighbour Mrs Otto, all but the lemon tree.'),
      helper('The lemon tree can travel in the car beside the cat, if the seat is free.'),
      nora('The washing machine needs its transport bolts. I think they are in the cellar, behind the bicycles.'),
      helper('Without the bolts the drum can break on the way. Please look for them before the last weekend.'),
      nora('I will. That was a lot. Can you sum up what we have settled?'),
    ],
  },
  {
    kind: 'add',
    fact: 'internet',
    content:
      'The internet technician comes to Lindenallee on Tuesday 1 July from 8 to 12; order number HX-20417; Jonas is there.',
    memoryType: 'event',
    why: 'an appointment with a number that nobody remembers',
  },
  {
    kind: 'add',
    fact: 'parking',
    content: 'The parking permit for the van costs 45 euros and the form must reach the district office by 13 June.',
    memoryType: 'task',
    why: 'a task with a deadline',
  },
  {
    kind: 'summary',
    span: 'all',
    why: 'the context is nearly full; what was said still matters, word for word it does not. The originals are kept, and it can be undone',
  },
  {
    kind: 'say',
    lines: [
      helper(
        'Settled: 28 June with Hansa Umzug, technician on 1 July, permit form by 13 June, sofa without legs, bolts to be found.',
      ),
      nora('Perfect. Talk to you after the painting.'),
    ],
  },
]
