/**
 * Texts whose likeness is known, to learn what a cosine means to a model that nobody has calibrated. A message is on
 * the topic of its own criterion and off that of every other one; a restatement says the same as its statement, a
 * neighbour says something else about the same person or thing.
 */
export const topicAnchors: readonly { readonly criterion: string; readonly message: string }[] = [
  { criterion: 'weather', message: 'It has been raining since noon and the wind is getting stronger.' },
  { criterion: 'pets and animals', message: 'Our rabbit escaped from its hutch and hid under the shed.' },
  { criterion: 'small talk about food', message: 'The pancakes were still warm, with honey and walnuts on top.' },
  { criterion: 'sports results', message: 'They lost the final in the last minute, three goals to two.' },
  { criterion: 'health', message: 'The doctor said my cough should be gone in a week.' },
  { criterion: 'movies', message: 'We saw that thriller at the cinema, the ending surprised everybody.' },
  { criterion: 'travel plans', message: 'We take the night train to Vienna and stay for five days.' },
  { criterion: 'software errors', message: 'The build fails with a null pointer exception in the parser.' },
  { criterion: 'messages about money and prices', message: 'The invoice was 90 euros higher than the offer.' },
  { criterion: 'school', message: 'The teacher gave us twelve pages of homework for the holidays.' },
]

export const statementAnchors: readonly {
  readonly statement: string
  readonly restatement: string
  readonly neighbour: string
}[] = [
  {
    statement: 'The customer pays by invoice.',
    restatement: 'Customer prefers payment by invoice.',
    neighbour: 'The customer ordered twice in May.',
  },
  {
    statement: 'Jonas moved to Madrid in 2020.',
    restatement: 'In 2020 Jonas moved to Madrid.',
    neighbour: 'Jonas speaks Spanish with his mother.',
  },
  {
    statement: 'The user has two sons.',
    restatement: 'User is the parent of two boys.',
    neighbour: 'The user has a garden.',
  },
  {
    statement: 'The office closes at six in the evening.',
    restatement: 'Office hours end at 6 pm.',
    neighbour: 'The office is on the second floor.',
  },
  {
    statement: 'Clara plays chess every Tuesday.',
    restatement: 'Every Tuesday Clara plays chess.',
    neighbour: 'Clara prefers tea to coffee.',
  },
  {
    statement: 'The red box contains the spare batteries.',
    restatement: 'Spare batteries are in the red box.',
    neighbour: 'The blue box contains old letters.',
  },
  {
    statement: 'The build server has 64 GB of memory.',
    restatement: 'The memory of the build server is 64 GB.',
    neighbour: 'The build server is in the basement.',
  },
  {
    statement: 'The user is afraid of flying.',
    restatement: 'User has a fear of flying.',
    neighbour: 'The user flew to Oslo last year.',
  },
]
