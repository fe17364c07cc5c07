/** The head of the page: what the set is like, in words and bars, and how it was made. */
'use strict';

/** @param {string} title @param {Record<Standing, number>} tally @returns {HTMLElement|null} */
function tallyBar(title, tally) {
  const states = STANDINGS.filter((state) => tally[state]).reverse();
  if (!states.length) return null;
  const parts = states.map((state) => {
    const part = make('span', { class: `part ${state}` });
    part.style.flexGrow = String(tally[state]);
    return part;
  });
  return make(
    'div',
    { class: 'tally' },
    make('h2', {}, title),
    make('div', { class: 'track', 'aria-hidden': 'true' }, parts),
    make(
      'ul',
      {},
      states.map((state) => make('li', {}, icon(state), `${tally[state].toLocaleString('en')} ${WORDS[state]}`)),
    ),
  );
}

function drawHead() {
  byId('title').textContent = shown(data.title);
  byId('when').append(make('time', { datetime: data.made }, data.when));
  byId('notices').append(
    ...data.notices.map((text) =>
      make('p', { class: 'notice' }, icon('warning'), make('strong', {}, 'Note: '), withCode(text)),
    ),
  );
  byId('overview').append(
    ...data.overview.flatMap((sentence) => [...withCode(sentence), ' ']).map((child) => child ?? ''),
  );
  byId('bars').append(
    ...[tallyBar('Captions', data.tallies.captions), tallyBar('Tags', data.tallies.tags)].flatMap((bar) => bar ?? []),
  );
  byId('facts-block').hidden = !data.facts.length;
  byId('facts').append(
    ...data.facts.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', { dir: 'auto' }, value))),
  );
  byId('count-pictures').textContent = data.pictures.length.toLocaleString('en');
  byId('count-tags').textContent = data.tags.filter((tag) => tag.kept).length.toLocaleString('en');
  byId('count-duplicates').textContent = data.groups.length.toLocaleString('en');
  byId('count-left').textContent = data.left.length.toLocaleString('en');
}

function drawStandings() {
  const tally = data.tallies.pictures;
  const choice = (/** @type {string} */ value, /** @type {Child[]} */ words, /** @type {number} */ count) =>
    make(
      'label',
      { class: `choice ${value}` },
      make('input', { type: 'radio', name: 'standing', value, checked: value === 'all' }),
      make('span', {}, words, make('span', { class: 'count' }, count.toLocaleString('en'))),
    );
  const offered = STANDINGS.filter((state) => state !== 'unscored' || tally.unscored);
  const doubted = data.pictures.filter((picture) => picture.flaws.length).length;
  byId('standings').append(
    choice('all', ['all'], data.pictures.length),
    ...offered.map((state) => choice(state, [icon(state), WORDS[state]], tally[state])),
    ...(doubted ? [choice('flawed', [icon('warning'), 'to look at'], doubted)] : []),
  );
}
