/** The page: its views and its keys, and what happens when it opens. */
'use strict';

// Views

const VIEWS = ['pictures', 'tags', ...(data.coverage ? ['words'] : []), 'duplicates', 'left-out'];
/** @type {Record<string, number>} how far each view was scrolled */
const scrolled = {};
let view = '';

function route() {
  const wanted = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : VIEWS[0];
  if (view && view !== wanted) scrolled[view] = window.scrollY;
  const before = view;
  view = wanted;
  for (const name of VIEWS) byId(name).hidden = name !== view;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${view}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  byId('tools').hidden = view !== 'pictures';
  if (before && before !== view) window.scrollTo(0, scrolled[view] ?? below());
}

/** @param {string} wanted a view; the way back leads to the one shown now */
function go(wanted) {
  location.hash = wanted;
  route();
}

// Keys

/** The picture that the keys go out from: the one in focus, else the one before the first in sight. */
function here() {
  const focused = document.activeElement?.closest('.card');
  const all = Array.from(cards.children);
  if (focused) return all.indexOf(focused);
  const top = byId('bar').getBoundingClientRect().bottom;
  const first = all.findIndex((element) => element.getBoundingClientRect().bottom > top + 40);
  return (first < 0 ? all.length : first) - 1;
}

/** @param {number} direction 1 or -1 @param {(picture: Picture) => boolean} wanted */
function step(direction, wanted) {
  let place = here() + direction;
  while (place >= 0 && place < results.length && !wanted(data.pictures[results[place]])) place += direction;
  if (place < 0 || place >= results.length) return;
  if (place >= drawn) draw(place + CHUNK);
  const target = /** @type {HTMLElement} */ (cards.children[place]);
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: 'start' });
}

/** @type {Map<string, () => void>} */
const KEYS = new Map(
  Object.entries({
    j: () => step(1, () => true),
    k: () => step(-1, () => true),
    n: () => step(1, (picture) => picture.standing === 'contradicted'),
    p: () => step(-1, (picture) => picture.standing === 'contradicted'),
    s: () => {
      order.selectedIndex = (order.selectedIndex + 1) % order.options.length;
      refresh();
    },
    '/': () => filter.focus(),
    '?': () => byId('help').showModal(),
  }),
);

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open) return;
  const typing = event.target instanceof HTMLInputElement && event.target.type === 'search';
  if (event.key === 'Escape') {
    if (view === 'pictures' && filter.value) setFilter('');
    else if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    return;
  }
  if (typing || event.target instanceof HTMLSelectElement) return;
  if (/^[1-5]$/u.test(event.key)) {
    go(VIEWS[Number(event.key) - 1]);
    return;
  }
  const act = view === 'pictures' || event.key === '?' ? KEYS.get(event.key) : undefined;
  if (act) {
    event.preventDefault();
    act();
  }
});

// Start

document.addEventListener('click', (event) => {
  const pressed = /** @type {HTMLElement} */ (event.target).closest('button');
  if (pressed?.dataset.tag) {
    go('pictures');
    setFilter(filterFor(data.tags[Number(pressed.dataset.tag)]));
  } else if (pressed?.dataset.picture) {
    go('pictures');
    setFilter(`file:${quoted(data.pictures[Number(pressed.dataset.picture)].name)}`);
  } else if (pressed?.dataset.group) showGroup(Number(pressed.dataset.group));
  else if (pressed && 'clear' in pressed.dataset) setFilter('');
});
byId('help-open').addEventListener('click', () => byId('help').showModal());
byId('tools').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
byId('tools').addEventListener('input', refresh);
// what gets the focus must not come to lie under the bar, whose height depends on the window's width
new ResizeObserver(([{ target }]) => {
  const height = getComputedStyle(target).position === 'sticky' ? target.getBoundingClientRect().height : 0;
  document.documentElement.style.scrollPaddingTop = `${height + 12}px`;
}).observe(byId('bar'));
window.addEventListener('hashchange', route);
window.addEventListener('beforeprint', () => draw(results.length));

drawHead();
drawStandings();
drawTags();
drawWords(WORDS_FIRST);
drawGroups(MEMBERS);
drawLeftOut(ROWS);
refresh();
route();
