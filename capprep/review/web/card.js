/** One picture as a card. */
'use strict';

/**
 * Whether a tag in a picture's text should be looked at: contradicted, or weak where a person wrote it.
 * @param {Picture} picture
 * @param {Verdict} verdict
 */
const doubtful = (picture, verdict) => verdict.state === 'contradicted' || (picture.edited && verdict.kind === 'weak');

/** @param {Picture} picture @param {number} place @param {number|null} probability */
function keptChip(picture, place, probability) {
  const { text, category, verdict } = data.tags[place];
  const word = WORDS[verdict.state];
  const title = `${category} tag, ${word}${verdict.reason ? `: ${verdict.reason}` : ''}`;
  const marked = doubtful(picture, verdict);
  const chip = button(
    { class: `chip ${verdict.state}${marked ? ' doubtful' : ''}`, 'data-tag': place, title },
    icon(verdict.state),
    make('bdi', { class: 'tag-text' }, text),
    make('span', { class: 'probability' }, probability === null ? 'by hand' : fixed(probability, 2)),
    marked ? make('strong', {}, word) : make('span', { class: 'hidden-label' }, word),
  );
  return make('li', {}, chip);
}

/** @param {number} place @param {number|null} probability */
function droppedChip(place, probability) {
  const { text, category } = data.tags[place];
  const chip = button(
    { class: 'chip dropped', 'data-tag': place, title: `${category} tag, left out` },
    make('s', {}, make('bdi', { class: 'tag-text' }, text)),
    make('span', { class: 'probability' }, fixed(probability, 2)),
  );
  return make('li', {}, chip);
}

/** The tags left out, those with the same reason together; built when opened, for there may be many. @param {Picture} picture */
function dropped(picture) {
  if (!picture.dropped.length) return null;
  const lists = () =>
    Array.from(new Set(picture.dropped.map(([, , reason]) => reason)), (reason) => {
      const chips = picture.dropped
        .filter((entry) => entry[2] === reason)
        .map(([tag, chance]) => droppedChip(tag, chance));
      const words = data.reasons[reason] || 'no reason recorded';
      return make('div', {}, make('p', { class: 'reason' }, words), make('ul', { class: 'chips' }, chips));
    });
  return fold('dropped', `${many(picture.dropped.length, 'tag')} left out`, lists);
}

/** The marked tags, each with the reason. @param {Picture} picture */
function doubts(picture) {
  const against = picture.kept.map(([tag]) => data.tags[tag]).filter(({ verdict }) => doubtful(picture, verdict));
  if (!against.length) return null;
  const items = against.map(({ text, verdict }) =>
    make(
      'li',
      {},
      icon(verdict.state),
      make('span', {}, make('bdi', { class: 'tag-text' }, text), ` ${verdict.reason}`),
    ),
  );
  return make('ul', { class: 'against' }, items);
}

/** Names in one line, each kept from turning the direction of the others. @param {string[]} names @returns {Child[]} */
const listed = (names) => names.flatMap((name, place) => [place ? ', ' : null, make('bdi', {}, name)]);

/** @param {Picture} picture */
function head(picture) {
  const [first, ...others] = picture.sources;
  const mark = (/** @type {string} */ words, name = 'mark') => make('span', { class: name }, words);
  return [
    make(
      'header',
      {},
      make('h2', { dir: 'auto' }, picture.name),
      picture.edited ? mark('text edited by hand') : null,
      picture.pixelsEdited ? mark('picture edited by hand') : null,
      picture.mirror ? mark('with a mirrored copy', 'mark calm') : null,
    ),
    first === undefined
      ? null
      : make(
          'p',
          { class: 'sources' },
          'from ',
          listed([first]),
          others.length ? ['; the same picture as ', ...listed(others)] : null,
        ),
  ];
}

/** The caption with its verdict, the tags in the text, what speaks against them. @param {Picture} picture @returns {Child[]} */
function words(picture) {
  const { caption, replaced, kept, dropped: out, remarks: said } = picture;
  if (caption === null && replaced === null && !kept.length && !out.length)
    return [make('p', { class: 'empty' }, 'no caption and no tags yet')];
  const none = make('p', { class: 'empty' }, out.length ? 'every tag was left out' : 'no tags');
  const chips = kept.map(([tag, probability]) => keptChip(picture, tag, probability));
  return [
    caption === null
      ? make('p', { class: 'empty' }, 'no caption')
      : make('p', { class: 'caption', dir: 'auto' }, caption || '(an empty caption)'),
    caption === null ? null : judgement(picture.verdict),
    replaced === null
      ? null
      : make('p', { class: 'replaced' }, "the captioner's was: ", make('s', {}, make('bdi', {}, replaced))),
    chips.length ? make('ul', { class: 'chips', 'aria-label': 'Tags in the text' }, chips) : none,
    doubts(picture),
    ...said.map((remark) => make('p', { class: 'reason remark', dir: 'auto' }, remark)),
  ];
}

/** What a person should look at, why it was chosen, what it is like. @param {Picture} picture */
function remarks(picture) {
  const { flaws, chosen } = picture;
  const group = groupOf.get(picture);
  const others = group === undefined ? 0 : data.groups[group].members.length - 1;
  return [
    flaws.length
      ? make(
          'div',
          { class: 'flaws' },
          make('span', { class: 'badge flawed' }, icon('warning'), 'to look at'),
          make(
            'ul',
            {},
            flaws.map((flaw) => make('li', {}, flaw)),
          ),
        )
      : null,
    chosen || group !== undefined
      ? make(
          'div',
          { class: 'chosen' },
          chosen ? make('p', {}, `among the best: ${chosen}`) : null,
          group === undefined
            ? null
            : make(
                'p',
                {},
                button({ class: 'link', 'data-group': group }, many(others, 'other picture')),
                ` ${others === 1 ? 'shows' : 'show'} the same`,
              ),
        )
      : null,
  ];
}

/** What the mirrored copy has of its own. @param {Picture} picture */
function mirrored({ mirror }) {
  if (!mirror || (mirror.text === null && !mirror.pixelsEdited)) return [];
  return [
    mirror.pixelsEdited
      ? make(
          'div',
          { class: 'mirrored' },
          preview(mirror, 96),
          make('p', { class: 'reason' }, 'the mirrored copy, its picture edited by hand'),
        )
      : null,
    mirror.text === null ? null : filewords(mirror),
  ];
}

/** What the trainer reads in place of [filewords]. @param {{name: string, text: string|null}} picture */
function filewords({ name, text }) {
  if (text === null) return null;
  const caption = make('figcaption', {}, make('bdi', {}, `${name}.txt`));
  return make('figure', { class: 'filewords' }, caption, make('pre', { dir: 'auto' }, text || '(empty)'));
}

/** @param {Picture} picture @param {number} place @param {number} total */
function card(picture, place, total) {
  const attributes = { tabindex: 0, 'aria-label': picture.name, 'aria-posinset': place + 1, 'aria-setsize': total };
  return make(
    'article',
    { class: 'card', ...attributes },
    make('div', { class: 'look' }, preview(picture, 192), sourceFacts(picture.source)),
    make(
      'div',
      { class: 'words' },
      head(picture),
      remarks(picture),
      words(picture),
      filewords(picture),
      mirrored(picture),
      dropped(picture),
      squareFold(picture),
    ),
  );
}
