/** The filter: terms that a picture fits or not. */
'use strict';

/** @typedef {{not: boolean, field: string, value: string, whole: boolean}} Term */

/** @param {string} text @returns {Term[]} */
function parse(text) {
  const found = text.matchAll(/(-?)(?:(tag|dropped|caption|file|is):)?("(?:[^"\\]|\\.)*"?|\S+)/gisu);
  return Array.from(found, ([, minus, field = '', raw]) => {
    const whole = raw.startsWith('"');
    const value = (whole ? unquoted(raw) : raw).toLowerCase();
    return { not: minus === '-', field: field.toLowerCase(), value, whole };
  }).filter(({ field, value }) => value && (field || !/^-?(tag|dropped|caption|file|is):$/u.test(value)));
}

/** @type {Record<string, string>} a text field drops the ends of lines, so they are written as two characters */
const ESCAPED = { '\n': '\\n', '\r': '\\r', '"': '\\"', '\\': '\\\\' };

/** The inverse of `quoted`; the closing quote may still be missing. @param {string} text */
const unquoted = (text) =>
  text
    .slice(1)
    .replace(/((?:[^"\\]|\\.)*)"$/su, '$1')
    .replace(/\\(.)/gsu, (_, letter) => ({ n: '\n', r: '\r' })[/** @type {'n'|'r'} */ (letter)] ?? letter);

/** @param {string} text */
const quoted = (text) => `"${text.replace(/[\n\r"\\]/gu, (letter) => ESCAPED[letter])}"`;

/** The filter that finds one tag. @param {Tag} tag */
const filterFor = (tag) => `${tag.kept ? 'tag' : 'dropped'}:${quoted(tag.text)}`;

/** @param {Picture} picture */
const named = (picture) => [picture.name, ...picture.sources].join('\n').toLowerCase();

const haystacks = data.pictures.map((picture) =>
  [named(picture), picture.caption ?? '', picture.text ?? '', ...picture.kept.map(([tag]) => data.tags[tag].text)]
    .join('\n')
    .toLowerCase(),
);

/** @param {Term} term @returns {Set<number>} */
function tagsOf({ value, whole }) {
  const pattern = value
    .split(/\*+/u)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/gu, '\\$&'))
    .join('.*');
  const wildcard = new RegExp(`^${pattern}$`, 'su');
  const fits = (/** @type {string} */ text) => (whole ? text === value : wildcard.test(text));
  return new Set(data.tags.flatMap((tag, place) => (fits(tag.text.toLowerCase()) ? [place] : [])));
}

/** @param {Term} term @returns {(place: number) => boolean} */
function test(term) {
  const { field, value } = term;
  const of = (/** @type {number} */ place) => data.pictures[place];
  if (field === 'caption') return (place) => (of(place).caption ?? '').toLowerCase().includes(value);
  if (field === 'file') return (place) => named(of(place)).includes(value);
  if (field === 'is' && value === 'edited') return (place) => of(place).edited || of(place).pixelsEdited;
  if (field === 'is' && value === 'flawed') return (place) => of(place).flaws.length > 0;
  if (field === 'is') return (place) => value === 'enlarged' && (of(place).source.scale ?? 1) < 1;
  if (!field) return (place) => haystacks[place].includes(value);
  const wanted = tagsOf(term);
  return (place) => of(place)[field === 'tag' ? 'kept' : 'dropped'].some(([tag]) => wanted.has(tag));
}
