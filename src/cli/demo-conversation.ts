/**
 * The demo's story: three days of a house move, and what a wise policy does along the way. Dates, prices and wishes change
 * as they do in life, chatter comes in between, and the last day's questions can only be answered from memory.
 */

export type Line = {
  readonly role: 'user' | 'assistant'
  readonly content: string
  /** On the topics that FILTER is asked to remove. */
  readonly chatter?: true
}

/** `fact` is the demo's own name for a memory; the service gives the id. */
export type Beat =
  | { readonly kind: 'day'; readonly title: string }
  | { readonly kind: 'say'; readonly lines: readonly Line[] }
  | {
      readonly kind: 'add'
      readonly fact: string
      readonly content: string
      readonly memoryType: string
      readonly why: string
    }
  | { readonly kind: 'update'; readonly fact: string; readonly content: string; readonly why: string }
  | { readonly kind: 'delete'; readonly fact: string; readonly why: string }
  | {
      readonly kind: 'retrieve'
      readonly query: string
      readonly topK: number
      readonly expected: readonly string[]
      readonly why: string
    }
  | { readonly kind: 'filter'; readonly criteria: string; readonly why: string }
  | { readonly kind: 'summary'; readonly span: string; readonly why: string }

export type BeatOf<Kind extends Beat['kind']> = Extract<Beat, { kind: Kind }>

const nora = (content: string): Line => ({ role: 'user', content })
const helper = (content: string): Line => ({ role: 'assistant', content })
const aside = (line: Line): Line => ({ ...line, chatter: true })

export const demoPrompt =
  'You help Nora with her house move. Keep in long-term memory what will matter later, and keep the conversation short.'

/** Less than the three days take: nobody could keep it all in the context. */
export const demoBudgetTokens = 1_200

const firstDay: readonly Beat[] = [
  { kind: 'day', title: 'Monday 2 June: the new flat' },
  {
    kind: 'say',
    lines: [
      nora(
        'We got the flat! We are moving from Leipzig to Hamburg, to Lindenallee 14, third floor, and there is no lift.',
      ),
      helper('Congratulations! Three floors of stairs will matter to the movers. When is the big day?'),
      nora('The move is on Saturday 21 June. The movers may cost 1,800 euros at most.'),
      helper('Understood. Is there anything that has to be done in a special way?'),
      nora('Miso, our cat, travels with me in the car, never in the van. He panics at engine noise.'),
      helper('The cat goes with you, then.'),
    ],
  },
  {
    kind: 'add',
    fact: 'address',
    content: "Nora's new flat is at Lindenallee 14 in Hamburg, third floor, no lift.",
    memoryType: 'fact',
    why: 'an address will be needed again, on other days',
  },
  {
    kind: 'add',
    fact: 'date',
    content: "Nora's move to Hamburg is on Saturday 21 June.",
    memoryType: 'event',
    why: 'every other plan hangs on this date',
  },
  {
    kind: 'add',
    fact: 'budget',
    content: 'Nora pays at most 1,800 euros for the movers.',
    memoryType: 'fact',
    why: 'a limit that quotes will be held against',
  },
  {
    kind: 'add',
    fact: 'cat',
    content: 'Miso, the cat, travels with Nora in the car and never in the van, because engine noise scares him.',
    memoryType: 'preference',
    why: 'a wish that must not be forgotten on the day itself',
  },
  {
    kind: 'say',
    lines: [
      aside(nora('What a weather, by the way. Rain and wind since Saturday, and more rain in the forecast.')),
      aside(helper('The forecast says the rain stops on Wednesday, then sunny weather with 24 degrees.')),
      aside(nora('Did you see the football match last night? Two goals in the last five minutes!')),
      aside(helper('I did not watch the football match, but two late goals sound exciting.')),
      aside(nora('For lunch I had a terrible pizza. Tomorrow I eat a salad for lunch.')),
      aside(helper('A salad for lunch sounds good. Enjoy your meal.')),
      nora(
        'Back to work. Two quotes came in: Hansa Umzug wants 1,650 euros with insurance, Elbe Transport 1,420 without.',
      ),
      helper('Both stay under your limit. With three floors of stairs I would want the insurance.'),
      nora('Agreed, we take Hansa Umzug for 1,650 euros.'),
      helper('Shall I remember how they can reach you?'),
      nora('Please never call me before 5 pm, I teach until then. E-mail is fine at any time.'),
      helper('Calls after 5 pm only, otherwise by e-mail.'),
      nora('And note the door code of the new house: 4471. The caretaker gave it to me.'),
    ],
  },
  {
    kind: 'filter',
    criteria: 'weather, football, lunch',
    why: 'small talk takes room and distracts; a bag of words names what is to go',
  },
  {
    kind: 'add',
    fact: 'movers',
    content: 'Nora chose the movers Hansa Umzug for 1,650 euros, insurance included.',
    memoryType: 'decision',
    why: 'a decision, with its price',
  },
  {
    kind: 'add',
    fact: 'calls',
    content: 'Nora teaches and must not be called before 5 pm; e-mail is fine at any time.',
    memoryType: 'preference',
    why: 'a preference for all days to come',
  },
  {
    kind: 'add',
    fact: 'door code',
    content: 'The door code of the house in Lindenallee is 4471.',
    memoryType: 'fact',
    why: 'the user asked for it',
  },
  {
    kind: 'say',
    lines: [
      helper('Noted. What happens to the old flat?'),
      nora('Mr Brandt takes the keys of the old flat on Monday 30 June at 10:00. The walls have to be white by then.'),
      helper('So the painting has to be done before 30 June.'),
    ],
  },
  {
    kind: 'add',
    fact: 'handover',
    content:
      'Mr Brandt takes the keys of the old flat in Leipzig on Monday 30 June at 10:00; its walls must be white by then.',
    memoryType: 'event',
    why: 'a deadline with a person, a day and an hour',
  },
]

const secondDay: readonly Beat[] = [
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

const thirdDay: readonly Beat[] = [
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
