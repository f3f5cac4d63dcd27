/** Monday 2 June: the new flat. */
import { aside, type Beat, helper, nora } from './demo-beats.ts'

export const firstDay: readonly Beat[] = [
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
