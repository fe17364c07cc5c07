/** Elements from data: names, captions and tags are other people's text, and enter the page only as text nodes and attributes. */
'use strict';

/** @typedef {'contradicted'|'unknown'|'supported'|'unscored'} Standing */
/** @typedef {{state: Standing, kind: string, reason: string, auc: number|null, p: number|null}} Verdict */
/** @typedef {{name: string, text: string, category: string, verdict: Verdict, kept: number, dropped: number,
 *   probability: number|null}} Tag */
/** @typedef {{width: number, height: number, format: string, mode: string, orientation: number, frames: number,
 *   frame: number, notes: string[], crop: string, why: string, box: (number|null)[], trimmed: (number|null)[],
 *   scale: number|null, size: number, alpha: number|null, icc: string,
 *   measures: Record<string, number|null>|null}} Source */
/** A mirrored copy's text is null where it is the picture's.
 * @typedef {{name: string, text: string|null, pixelsEdited: boolean, thumbnail: string, problem: string}} Mirror */
/** Entries of `kept` are [tag, probability], of `dropped` [tag, probability, reason]; tag and reason are places.
 * @typedef {{id: string, name: string, sources: string[], source: Source, thumbnail: string, problem: string,
 *   standing: Standing, caption: string|null, replaced: string|null, verdict: Verdict,
 *   kept: [number, number|null][],
 *   dropped: [number, number|null, number][], text: string|null, edited: boolean, pixelsEdited: boolean,
 *   worst: number, remarks: string[], flaws: string[], sharper: number|null, chosen: string, mirror: Mirror|null}} Picture */
/** @typedef {{name: string, sources: string[], stage: string, reason: string, message: string, thumbnail: string,
 *   problem: string, undo: string}} LeftOut */
/** Where a member is: its place among the pictures, or among what was left out.
 * @typedef {{name: string, relation: string, keeper: boolean, picture: number|null, left: number|null}} Member */
/** @typedef {{reason: string, members: Member[]}} Group */
/** @typedef {{title: string, made: string, when: string, notices: string[], facts: [string, string][],
 *   overview: string[], tallies: Record<'pictures'|'captions'|'tags', Record<Standing, number>>,
 *   pictures: Picture[], tags: Tag[], reasons: string[], left: LeftOut[], leftCounts: string[],
 *   groups: Group[], coverage: any}} Data */
/** @typedef {Node|string|null} Child */

/** @param {string} id @returns {any} the element of the shell with this id */
const byId = (id) => document.getElementById(id);

const data = /** @type {Data} */ (JSON.parse(byId('data').textContent));

/** @type {Record<Standing, string>} Worst first. */
const WORDS = {
  contradicted: 'contradicted',
  unknown: 'not enough evidence',
  supported: 'supported',
  unscored: 'not scored',
};
const STANDINGS = /** @type {Standing[]} */ (Object.keys(WORDS));

/** Control characters but tab and end of line, halves of surrogate pairs, marks of direction, what has no shape. */
const HIDDEN =
  /(?![\t\n])[\p{Cc}\p{Cs}\p{Bidi_Control}\u00ad\u200b\u2028\u2029\u2060-\u2064\ufeff\u{e0000}-\u{e007f}]/gu;

/**
 * Makes visible what a text hides, since the trainer reads it too: NUL as ␀, a byte of a file name that is not
 * UTF-8 as \xe9, everything else as ⟨U+202E⟩.
 * @param {string} text
 */
function shown(text) {
  return text.replace(HIDDEN, (hidden) => {
    const code = hidden.codePointAt(0) ?? 0;
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return '\u2421';
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, '0')}\u27e9`;
  });
}

/**
 * @param {string} name
 * @param {Record<string, string|number|boolean|null>} attributes null and false leave one out
 * @param {...(Child|Child[])} children
 * @returns {HTMLElement}
 */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? '' : shown(String(value)));
  }
  for (const child of children.flat()) {
    if (child !== null) element.append(typeof child === 'string' ? shown(child) : child);
  }
  return element;
}

/** @param {Record<string, string|number|boolean|null>} attributes @param {...(Child|Child[])} children */
const button = (attributes, ...children) => make('button', { type: 'button', ...attributes }, ...children);

/** @param {string} name */
function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  svg.setAttribute('class', `icon ${name}`);
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Our own words, with what stands in backticks as code. @param {string} text @returns {Child[]} */
const withCode = (text) => text.split('`').map((part, place) => (place % 2 ? make('code', {}, part) : part));

/** @param {number} count @param {string} thing */
const many = (count, thing) => `${count.toLocaleString('en')} ${thing}${count === 1 ? '' : 's'}`;

/** @param {number|null} value @param {number} digits */
const fixed = (value, digits) => (value === null ? '\u2013' : value.toFixed(digits));

/** @param {number|null} share */
const percent = (share) => (share === null ? '\u2013' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`);

/**
 * A part that is opened by hand and filled when it is, for there may be many.
 * @param {string} name its class
 * @param {string} title
 * @param {() => Child[]} content
 */
function fold(name, title, content) {
  const details = make('details', { class: name }, make('summary', {}, title));
  details.addEventListener('toggle', () => details.append(...content().map((child) => child ?? '')), { once: true });
  return details;
}

/** @param {Standing} state */
const badge = (state) => make('span', { class: `badge ${state}` }, icon(state), WORDS[state] ?? state);

/** @param {Verdict} verdict */
const judgement = (verdict) =>
  make(
    'p',
    { class: 'judgement' },
    badge(verdict.state),
    verdict.reason ? make('span', { class: 'reason' }, verdict.reason) : null,
  );
