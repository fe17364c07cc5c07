/** The tags of the set as a table. */
'use strict';

const ROWS = 200;
const EXPLANATION =
  'A verdict compares the pictures that have a tag in their text with those that have not. AUC is the share of ' +
  'such pairs in which the picture with the tag fits it better: 0.5 is chance, 1 is always.';

/** @typedef {{label: string, number?: boolean, of: (tag: Tag) => string|number|null, cell: (tag: Tag) => Child}} Column */

/** @type {Column[]} */
const COLUMNS = [
  {
    label: 'Tag',
    of: (tag) => tag.text,
    cell: (tag) =>
      button({ class: 'link', 'data-tag': data.tags.indexOf(tag) }, make('bdi', { class: 'tag-text' }, tag.text)),
  },
  { label: 'Category', of: (tag) => tag.category, cell: (tag) => tag.category },
  { label: 'In texts', number: true, of: (tag) => tag.kept, cell: (tag) => String(tag.kept) },
  { label: 'Left out', number: true, of: (tag) => tag.dropped, cell: (tag) => String(tag.dropped) },
  { label: 'Mean probability', number: true, of: (tag) => tag.probability, cell: (tag) => fixed(tag.probability, 2) },
  { label: 'Verdict', of: (tag) => STANDINGS.indexOf(tag.verdict.state), cell: (tag) => badge(tag.verdict.state) },
  { label: 'AUC', number: true, of: (tag) => tag.verdict.auc, cell: (tag) => fixed(tag.verdict.auc, 2) },
  { label: 'Reason', of: (tag) => tag.verdict.reason, cell: (tag) => tag.verdict.reason },
];
const table = { column: 2, down: true, unused: false, rows: ROWS };
const collator = new Intl.Collator('en', { numeric: true });

/** Rows without a value come last whichever way. @param {Tag} a @param {Tag} b */
function compare(a, b) {
  const [x, y] = [COLUMNS[table.column].of(a), COLUMNS[table.column].of(b)];
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  const sign = typeof x === 'string' ? collator.compare(x, String(y)) : x - Number(y);
  return (table.down ? -sign : sign) || collator.compare(a.text, b.text);
}

/** @param {Tag[]} tags */
function tagTable(tags) {
  const heads = COLUMNS.map(({ label, number }, place) => {
    const sort = place !== table.column ? null : table.down ? 'descending' : 'ascending';
    const attributes = { role: 'columnheader', scope: 'col', class: number ? 'number' : null, 'aria-sort': sort };
    return make('th', attributes, button({ 'data-column': place }, label));
  });
  const rows = tags.map((tag) => {
    const cells = COLUMNS.map(({ label, number, cell }) =>
      make('td', { role: 'cell', class: number ? 'number' : null, 'data-label': label }, cell(tag)),
    );
    return make('tr', { role: 'row' }, cells);
  });
  return make(
    'table',
    { role: 'table', 'aria-label': 'Tags' },
    make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, heads)),
    make('tbody', { role: 'rowgroup' }, rows),
  );
}

function drawTags() {
  if (!data.tags.length) {
    byId('tags').replaceChildren(
      make('p', { class: 'empty large' }, withCode('No tags yet. Run `capprep caption --booru`.')),
    );
    return;
  }
  const tags = data.tags.filter((tag) => table.unused || tag.kept).sort(compare);
  const unused = data.tags.filter((tag) => !tag.kept).length;
  const all = `Show all ${many(tags.length, 'tag')}`;
  const others = `${table.unused ? 'Hide' : 'Show'} ${many(unused, 'tag')} that no text holds`;
  byId('tags').replaceChildren(
    make('p', { class: 'explanation' }, EXPLANATION),
    tagTable(tags.slice(0, table.rows)),
    make(
      'p',
      { class: 'more' },
      tags.length > table.rows ? button({ class: 'quiet', 'data-more': true }, all) : null,
      unused
        ? button({ class: 'quiet', 'data-unused': true, 'aria-pressed': table.unused ? 'true' : 'false' }, others)
        : null,
    ),
  );
}

byId('tags').addEventListener('click', (/** @type {MouseEvent} */ event) => {
  const pressed = /** @type {HTMLElement} */ (event.target).closest('button');
  if (!pressed || pressed.dataset.tag) return;
  if (pressed.dataset.column) {
    const column = Number(pressed.dataset.column);
    table.down = column === table.column ? !table.down : Boolean(COLUMNS[column].number);
    table.column = column;
  } else if ('unused' in pressed.dataset) table.unused = !table.unused;
  else table.rows = Infinity;
  drawTags();
  const again = pressed.dataset.column ? `[data-column="${pressed.dataset.column}"]` : '[data-unused]';
  /** @type {HTMLElement|null} */ (byId('tags').querySelector(again))?.focus();
});
