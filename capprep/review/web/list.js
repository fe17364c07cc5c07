/** The list of pictures: which pass the filter, in which order, drawn as they come into sight. */
'use strict';

const CHUNK = 24;

const cards = byId('cards');
const filter = /** @type {HTMLInputElement} */ (byId('filter'));
const order = /** @type {HTMLSelectElement} */ (byId('order'));
/** @type {number[]} places of the pictures that pass the filter, in the order shown */
let results = [];
let drawn = 0;

/** What orders other than that of arrival go by, from small to large. @type {Record<string, (picture: Picture) => number>} */
const RANKS = {
  worst: (picture) => picture.worst,
  // what was not measured comes last; a difference of infinities would be no number
  sharpness: (picture) => picture.source.measures?.sharpness ?? Number.MAX_VALUE,
};

/** @param {number} place */
const flawed = (place) => data.pictures[place].flaws.length > 0;

/** Draws cards until this many are there: the page stays light however many pictures there are. @param {number} count */
function draw(count) {
  const end = Math.min(count, results.length);
  const fresh = document.createDocumentFragment();
  for (; drawn < end; drawn += 1) fresh.append(card(data.pictures[results[drawn]], drawn, results.length));
  cards.append(fresh);
}

const nearEnd = new IntersectionObserver(
  ([entry]) => {
    if (!entry.isIntersecting || drawn >= results.length) return;
    draw(drawn + CHUNK);
    watchEnd(); // the observer speaks only when something changes, and the end may still be in sight
  },
  { rootMargin: '1200px' },
);

function watchEnd() {
  nearEnd.disconnect();
  nearEnd.observe(byId('cards-end'));
}

/** Where to scroll so that the view begins right under the bar, unless that is further down than now. */
const below = () => Math.min(window.scrollY, byId('head').offsetHeight);

/** Finds the pictures again and shows them from the first. */
function refresh() {
  const terms = parse(filter.value);
  const tests = terms.map((term) => ({ not: term.not, fits: test(term) }));
  const standing = new FormData(byId('tools')).get('standing');
  const fits = (/** @type {number} */ place) =>
    (standing === 'all' || (standing === 'flawed' ? flawed(place) : data.pictures[place].standing === standing)) &&
    tests.every((one) => one.fits(place) !== one.not);
  results = Array.from(data.pictures.keys()).filter(fits);
  const rank = RANKS[order.value];
  if (rank) results.sort((a, b) => rank(data.pictures[a]) - rank(data.pictures[b]));
  drawn = 0;
  cards.replaceChildren(...(results.length ? [] : [nothing()]));
  draw(CHUNK);
  watchEnd();
  byId('status').textContent = `${results.length.toLocaleString('en')} of ${many(data.pictures.length, 'picture')}`;
  byId('tag-panel').replaceChildren(...tagPanel(terms));
  window.scrollTo(0, below());
}

function nothing() {
  const all = button({ class: 'quiet', 'data-clear': true }, 'Show all');
  const words = data.pictures.length
    ? ['No picture fits this filter. ', all]
    : withCode('No pictures yet. Run `capprep ingest FOLDER`.');
  return make('p', { class: 'empty large' }, words);
}

/** What is known of the one tag that the filter names. @param {Term[]} terms @returns {HTMLElement[]} */
function tagPanel(terms) {
  const [term] = terms;
  if (terms.length !== 1 || term.not || !['tag', 'dropped'].includes(term.field)) return [];
  const tags = tagsOf(term);
  if (tags.size !== 1) return [];
  const { text, category, kept, dropped: out, probability, verdict } = data.tags[[...tags][0]];
  const counts = `${category} tag in ${many(kept, 'text')}, left out of ${many(out, 'text')}`;
  const facts = make('p', {}, `${counts}; mean probability ${fixed(probability, 2)}`);
  const attributes = { class: 'tag-panel', 'aria-label': 'This tag' };
  return [make('section', attributes, make('h2', { dir: 'auto' }, text), facts, judgement(verdict))];
}

/** @param {string} text */
function setFilter(text) {
  filter.value = text;
  byId('tools').elements.standing.value = 'all';
  refresh();
}
