/** One picture as a card. */
'use strict';

/** @param {Picture} picture */
function thumbnail(picture) {
  if (!picture.thumbnail) {
    return make('p', { class: 'thumbnail none' }, icon('warning'), `no preview: ${picture.problem}`);
  }
  return make('img', {
    class: 'thumbnail',
    src: picture.thumbnail,
    alt: `Preview of ${picture.name}`,
    width: 192,
    height: 192,
    decoding: 'async',
  });
}

/** The crop on the whole picture, small. @param {Source} source */
function cropMap({ width, height, box }) {
  const [left, top, right, bottom] = box.map((edge) => edge ?? 0);
  const inner = make('span', {});
  const map = make('span', { class: 'crop-map', 'aria-hidden': 'true' }, inner);
  map.style.aspectRatio = `${width} / ${height}`;
  map.style.width = `${(3 * Math.min(1, width / height)).toFixed(2)}rem`;
  const insets = [top / height, 1 - right / width, 1 - bottom / height, left / width];
  inner.style.inset = insets.map((share) => `${(share * 100).toFixed(2)}%`).join(' ');
  return map;
}

/** @param {Source} source */
function resized({ scale, size }) {
  if (scale === null || scale <= 0) return null;
  if (scale < 1)
    return make('li', { class: 'enlarged' }, icon('warning'), `enlarged ${(1 / scale).toFixed(2)}\u00d7 to ${size}`);
  return make('li', {}, scale === 1 ? 'kept pixel for pixel' : `reduced ${scale.toFixed(2)}\u00d7 to ${size}`);
}

/** @param {Source} source */
function sourceFacts(source) {
  const { width, height, format, mode, orientation, frames, frame } = source;
  const [left, top, right, bottom] = source.box.map((edge) => Math.round(edge ?? 0));
  const whole = left <= 0 && top <= 0 && right >= width && bottom >= height;
  const facts = [
    `${width} \u00d7 ${height} ${format}${mode === 'RGB' ? '' : `, ${mode}`}`,
    whole ? 'not cropped' : `cropped to ${right - left} \u00d7 ${bottom - top} at ${left}, ${top}`,
    ...(orientation === 1 ? [] : [`turned upright (EXIF orientation ${orientation})`]),
    ...(frames > 1 ? [frame === 0 ? `the first of ${frames} frames` : `frame ${frame + 1} of ${frames}`] : []),
    ...source.notes,
  ];
  const list = make(
    'ul',
    {},
    facts.map((fact) => make('li', {}, fact)),
    resized(source),
  );
  return make('div', { class: 'source' }, whole ? null : cropMap(source), list);
}

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
  const summary = make('summary', {}, `${many(picture.dropped.length, 'tag')} left out`);
  const details = make('details', { class: 'dropped' }, summary);
  details.addEventListener('toggle', () => details.append(...lists()), { once: true });
  return details;
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
  const mark = (/** @type {string} */ words) => make('span', { class: 'mark' }, words);
  return [
    make(
      'header',
      {},
      make('h2', { dir: 'auto' }, picture.name),
      picture.edited ? mark('text edited by hand') : null,
      picture.pixelsEdited ? mark('picture edited by hand') : null,
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
  const { caption, replaced, kept, dropped: out } = picture;
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
  ];
}

/** What the trainer reads in place of [filewords]. @param {Picture} picture */
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
    make('div', { class: 'look' }, thumbnail(picture), sourceFacts(picture.source)),
    make('div', { class: 'words' }, head(picture), words(picture), filewords(picture), dropped(picture)),
  );
}
