/** Where a picture came from: the crop drawn on the source's shape, and everything that was measured. */
'use strict';

/** The longer side of the drawing, in em of the page. */
const DRAWING = 3.5;

/** What colourfulness is called from which number on: Hasler and S\u00fcsstrunk 2003. @type {[number, string][]} */
const COLOURFUL = [
  [109, 'extremely colourful'],
  [82, 'highly colourful'],
  [59, 'quite colourful'],
  [45, 'averagely colourful'],
  [33, 'moderately colourful'],
  [15, 'slightly colourful'],
  [0, 'hardly any colour'],
];

/** @param {{name: string, thumbnail: string, problem: string}} picture @param {number} side */
function preview({ name, thumbnail: source, problem }, side) {
  if (!source) return make('p', { class: 'thumbnail none' }, icon('warning'), `no preview: ${problem}`);
  const size = { width: side, height: side };
  return make('img', { class: 'thumbnail', src: source, alt: `Preview of ${name}`, ...size, decoding: 'async' });
}

/** @param {string} name @param {Record<string, string|number>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** @param {string} name @param {number} left @param {number} top @param {number} right @param {number} bottom */
const rectangle = (name, left, top, right, bottom) =>
  shape('rect', { class: name, x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) });

/** Numbers of the data, where what could not be written is 0. @param {(number|null)[]} edges */
const edgesOf = (edges) => edges.map((edge) => edge ?? 0);

/** The source's outline, its bars, and the box in it; of a padded picture the box is larger. @param {Source} source */
function cropMap({ width, height, box, trimmed }) {
  const [left, top, right, bottom] = edgesOf(box);
  const [barLeft, barTop, barRight, barBottom] = edgesOf(trimmed);
  const [x, y] = [Math.min(0, left), Math.min(0, top)];
  const [wide, high] = [Math.max(width, right) - x, Math.max(height, bottom) - y];
  const unit = DRAWING / Math.max(wide, high);
  const map = shape('svg', { class: 'crop-map', viewBox: `${x} ${y} ${wide} ${high}`, 'aria-hidden': 'true' });
  // even of a strip something is to be seen
  map.style.width = `${Math.max(0.4, wide * unit).toFixed(2)}rem`;
  map.style.height = `${Math.max(0.4, high * unit).toFixed(2)}rem`;
  map.append(rectangle('whole', 0, 0, width, height), rectangle('box', left, top, right, bottom));
  const bars = [
    [0, 0, barLeft, height],
    [0, 0, width, barTop],
    [width - barRight, 0, width, height],
    [0, height - barBottom, width, height],
  ];
  map.append(...bars.filter(([a, b, c, d]) => c > a && d > b).map(([a, b, c, d]) => rectangle('bar', a, b, c, d)));
  return map;
}

/** How a square was resized, in a word. @param {Source} source */
function resized({ scale }) {
  if (scale === null || scale <= 0) return null;
  if (scale < 1) return make('li', { class: 'enlarged' }, icon('warning'), `enlarged ${(1 / scale).toFixed(2)}\u00d7`);
  return make('li', {}, scale === 1 ? 'pixel for pixel' : `reduced ${scale.toFixed(2)}\u00d7`);
}

/** The same as a sentence. @param {Source} source */
function scaled({ scale, size }) {
  if (scale === null || scale <= 0) return null;
  const ratio = scale < 1 ? `enlarged ${(1 / scale).toFixed(2)}\u00d7` : `${scale.toFixed(2)} source pixels a pixel`;
  return `${ratio}, to ${size} \u00d7 ${size}`;
}

/** What stands under the preview. @param {Source} source */
function sourceFacts(source) {
  const { width, height, format, crop } = source;
  return make(
    'div',
    { class: 'source' },
    cropMap(source),
    make(
      'ul',
      {},
      make('li', {}, `${width} \u00d7 ${height} ${format}`),
      make('li', {}, `crop: ${crop}`),
      resized(source),
    ),
  );
}

/** @param {Source} source @returns {string} */
function boxed({ width, height, box }) {
  const [left, top, right, bottom] = edgesOf(box).map((edge) => Math.round(edge));
  if (left === 0 && top === 0 && right === width && bottom === height) return 'the whole picture';
  return `${right - left} \u00d7 ${bottom - top} at ${left}, ${top}`;
}

/** @param {Source} source @returns {string|null} */
function bars({ trimmed }) {
  const names = ['left', 'top', 'right', 'bottom'];
  const cut = edgesOf(trimmed).map((edge, side) => [Math.round(edge), names[side]]);
  const said = cut.filter(([edge]) => edge).map(([edge, side]) => `${edge} at the ${side}`);
  return said.length ? `pixels cut off: ${said.join(', ')}` : null;
}

/** @param {Source} source @returns {[string, string|null][]} */
function cropRows(source) {
  const { width, height, format, mode, orientation, frames, frame, crop, why, alpha, icc, notes } = source;
  const file = [
    `${width} \u00d7 ${height} ${format}, ${mode}`,
    ...(orientation === 1 ? [] : [`turned upright (EXIF orientation ${orientation})`]),
    ...(frames > 1 ? [frame === 0 ? `the first of ${frames} frames` : `frame ${frame + 1} of ${frames}`] : []),
  ];
  return [
    ['Source', file.join('; ')],
    ['Crop', why ? `${crop}: ${why}` : crop],
    ['Box', boxed(source)],
    ['Bars', bars(source)],
    ['Scale', scaled(source)],
    ['Transparency', alpha ? `${percent(alpha)} is background` : null],
    ['Colour profile', icc ? `${icc}, converted to sRGB` : null],
    ...notes.map((note) => /** @type {[string, string]} */ (['Note', note])),
  ];
}

/** @param {Picture} picture @returns {[string, string|null][]} */
function measureRows({ sharper, source: { measures: found } }) {
  if (!found) return [];
  const standing = sharper === null ? '' : `, sharper than ${Math.round(sharper)} % of this set`;
  const colour = COLOURFUL.find(([from]) => (found.colourfulness ?? 0) >= from);
  const margins = [
    ...(found.dark_border ? [`${percent(found.dark_border)} dark`] : []),
    ...(found.light_border ? [`${percent(found.light_border)} light`] : []),
  ];
  const range = `${fixed(found.shadows, 2)} to ${fixed(found.highlights, 2)}`;
  return [
    ['Sharpness', `${fixed(found.sharpness, 2)} of 1${standing}`],
    ['Brightness', `${fixed(found.brightness, 2)} of 1 on average, ${range}`],
    ['Contrast', `${fixed(found.contrast, 2)} of at most 0.5`],
    ['Information', `${fixed(found.information, 1)} of 8 bits a pixel`],
    ['JPEG blocks', `${fixed(found.blockiness, 2)} of 1`],
    ['Colourfulness', `${fixed(found.colourfulness, 0)}, ${colour ? colour[1] : ''}`],
    ['Margins', margins.length ? margins.join(', ') : 'none'],
  ];
}

/** Everything known of the square, in a fold that is filled when it is opened. @param {Picture} picture */
function squareFold(picture) {
  const rows = () =>
    [...cropRows(picture.source), ...measureRows(picture)]
      .filter(([, value]) => value !== null)
      .map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', { dir: 'auto' }, value)));
  return fold('square', 'Crop and measures', () => [make('dl', {}, rows())]);
}
