/** The words that the texts teach, and what prompts ask for besides. */
'use strict';

/** @typedef {{text: string, tag: boolean, pictures: number} & Record<Standing, number>} Term */
/** @typedef {{text: string, how: string}} Near */
/** @typedef {{text: string, prompts: number, term: Term|null, near: Near[]}} Asked */
/** @typedef {'unseen'|'near'|'apart'|'contradicted'|'few'|'taught'|'aside'} Place */
/** @typedef {{prompts: number, within: number} & Record<Place, Asked[]>} Answer */
/** @typedef {{pictures: number, few: number, count: number, words: Term[], sentences: string[], prompts: Answer|null}} Coverage */

const coverage = /** @type {Coverage|null} */ (data.coverage);
const WORDS_FIRST = 100;
const ASKED_FIRST = 60;
const EVIDENCE = [...STANDINGS].sort((a, b) => Number(b === 'supported') - Number(a === 'supported'));

/** The lists of an answer: title, what it means, and what is said of each word. @type {[Place, string, string, (asked: Asked) => Child[]][]} */
const ASKED = [
  ['unseen', 'Never seen', 'No text has them, so the hypernetwork is never trained on them.', () => []],
  ['near', 'Never seen, but something near', 'No text has them as they are written here.', nearly],
  ['apart', 'Never side by side', 'Each word is taught, and in no text do they stand next to each other.', () => []],
  [
    'contradicted',
    'Seen where the pictures contradict it',
    'What is learnt for them is likely to be something else.',
    ({ term }) => (term ? [icon('contradicted'), `on ${term.contradicted} of ${term.pictures}`] : []),
  ],
  [
    'few',
    'On few pictures',
    `On ${coverage?.few ?? 0} or fewer, which is little to learn from.`,
    ({ term }) => (term ? [`on ${many(term.pictures, 'picture')}`] : []),
  ],
  ['taught', 'Taught', '', ({ term }) => (term ? [`on ${many(term.pictures, 'picture')}`] : [])],
];

/** @param {Asked} asked @returns {Child[]} */
function nearly({ near }) {
  const words = near.flatMap(({ text }, place) => [place ? ', ' : '', make('bdi', {}, text)]);
  return [near[0]?.how === 'spelling' ? 'spelt like ' : 'the set has ', ...words];
}

/** @param {Asked} asked @param {Child[]} said */
function askedItem(asked, said) {
  const often = asked.prompts > 1 ? make('span', { class: 'count' }, `in ${asked.prompts} prompts`) : null;
  const words = said.length ? make('span', { class: 'said' }, said) : null;
  return make('li', {}, make('bdi', { class: 'tag-text' }, asked.text), often, words);
}

/** @param {Answer} answer @returns {HTMLElement[]} */
function askedLists(answer) {
  return ASKED.flatMap(([place, title, meaning, say]) => {
    const all = answer[place];
    if (!all.length) return [];
    const items = (/** @type {Asked[]} */ some) => some.map((asked) => askedItem(asked, say(asked)));
    const rest = all.length - ASKED_FIRST;
    return make(
      'section',
      { class: `asked ${place}` },
      make('h3', {}, `${title} `, make('span', { class: 'count' }, all.length.toLocaleString('en'))),
      meaning ? make('p', { class: 'explanation' }, meaning) : null,
      make('ul', {}, items(all.slice(0, ASKED_FIRST))),
      rest > 0 ? fold('rest', `${rest.toLocaleString('en')} more`, () => [make('ul', {}, items(all.slice(ASKED_FIRST)))]) : null,
    );
  });
}

/** @param {Answer} answer */
function askedPart(answer) {
  const some = answer.within === 1 ? '1 asks' : `${answer.within || 'none'} ask${answer.within ? '' : 's'}`;
  return make(
    'section',
    { class: 'prompts', 'aria-label': 'Prompts' },
    make('h2', {}, 'What your prompts ask for'),
    make('p', {}, `Of ${many(answer.prompts, 'prompt')} ${some} only for what the set teaches.`),
    askedLists(answer),
  );
}

/** @param {Term} term */
function evidence(term) {
  const states = EVIDENCE.filter((state) => term[state]);
  return make(
    'ul',
    { class: 'states' },
    states.map((state) => make('li', {}, icon(state), ` ${term[state].toLocaleString('en')} ${WORDS[state]}`)),
  );
}

/** @param {Term} term @param {number} pictures of the whole set */
function termRow(term, pictures) {
  const place = term.tag ? data.tags.findIndex((tag) => tag.kept && tag.text === term.text) : -1;
  const text = make('bdi', { class: 'tag-text' }, term.text);
  const share = make('span', { class: 'share', 'aria-hidden': 'true' }, make('span', {}));
  /** @type {HTMLElement} */ (share.firstChild).style.width = `${(100 * term.pictures) / pictures}%`;
  return make(
    'tr',
    { role: 'row' },
    make('td', { role: 'cell' }, place < 0 ? text : button({ class: 'link', 'data-tag': place }, text)),
    make('td', { role: 'cell' }, share, `${term.pictures.toLocaleString('en')} of ${many(pictures, 'picture')}`),
    make('td', { role: 'cell' }, evidence(term)),
  );
}

/** @param {number} count */
function termTable({ words, pictures }, count) {
  const head = ['Word or tag', 'In the text of', 'Evidence on these pictures'];
  return make(
    'table',
    { role: 'table', 'aria-label': 'Words' },
    make(
      'thead',
      { role: 'rowgroup' },
      make(
        'tr',
        { role: 'row' },
        head.map((label) => make('th', { role: 'columnheader', scope: 'col' }, label)),
      ),
    ),
    make(
      'tbody',
      { role: 'rowgroup' },
      words.slice(0, count).map((/** @type {Term} */ term) => termRow(term, pictures)),
    ),
  );
}

/** @param {number} count how many words of the table are drawn */
function drawWords(count) {
  if (!coverage) {
    byId('words-link').remove();
    return;
  }
  byId('count-words').textContent = coverage.count.toLocaleString('en');
  if (!coverage.words.length) {
    byId('words').replaceChildren(
      make('p', { class: 'empty large' }, withCode('No texts yet. Run `capprep caption --blip --booru`.')),
    );
    return;
  }
  const total = coverage.words.length;
  const all = `Show ${total < coverage.count ? 'the first' : 'all'} ${total.toLocaleString('en')}`;
  const asking = 'To see which words of prompts they do not teach, run `capprep review --prompts prompts.txt`.';
  const text = `A hypernetwork learns the words of its texts.${coverage.prompts ? '' : ` ${asking}`}`;
  byId('words').replaceChildren(
    make('p', { class: 'explanation' }, withCode(text)),
    make(
      'ul',
      { class: 'sentences' },
      coverage.sentences.map((sentence) => make('li', {}, sentence)),
    ),
    ...(coverage.prompts ? [askedPart(coverage.prompts)] : []),
    make('h2', {}, 'What the texts teach'),
    termTable(coverage, count),
    make('p', { class: 'more' }, total > count ? button({ class: 'quiet', 'data-all': true }, all) : null),
  );
}

byId('words').addEventListener('click', (/** @type {MouseEvent} */ event) => {
  const pressed = /** @type {HTMLElement} */ (event.target).closest('button');
  if (pressed && 'all' in pressed.dataset) drawWords(Infinity);
});
