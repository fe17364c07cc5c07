/** What was chosen: pictures that show the same, and what was left out. */
'use strict';

/** Members of groups that are drawn before the rest is asked for. */
const MEMBERS = 120;
const BRING_BACK =
  'To have a picture that was left out, run `capprep select --include NAME`: it takes the place of the one that was ' +
  'kept. Include both to have both.';

/** @param {Member} member @param {string} reason why the best of the group is the best */
function memberFigure(member, reason) {
  const { name, relation, keeper, picture, left } = member;
  const item = left === null ? null : data.left[left];
  const shownAs = picture === null ? item : data.pictures[picture];
  const title = make('bdi', {}, name);
  const inside = make('span', { class: 'mark' }, 'in the set');
  const outside = make('span', { class: 'mark calm' }, 'left out');
  return make(
    'li',
    { class: keeper ? 'member best' : 'member' },
    preview(shownAs ?? { name, thumbnail: '', problem: 'its crop is not in the workspace' }, 144),
    make('p', { class: 'files' }, picture === null ? title : button({ class: 'link', 'data-picture': picture }, title)),
    make('p', { class: 'states' }, picture === null ? outside : inside, keeper ? make('strong', {}, 'the best') : null),
    make('p', { class: 'reason' }, keeper ? reason : relation),
    item && item.reason !== 'duplicate' ? make('p', { class: 'reason' }, item.message) : null,
  );
}

/** @param {Group} group @param {number} place */
function groupArticle({ members, reason }, place) {
  return make(
    'article',
    { class: 'group', id: `group-${place}`, tabindex: -1, 'aria-labelledby': `group-title-${place}` },
    make('h2', { id: `group-title-${place}` }, `${many(members.length, 'picture')} that show the same`),
    make(
      'ul',
      { class: 'members' },
      members.map((member) => memberFigure(member, reason)),
    ),
  );
}

/** @param {number} limit of members; the last group is drawn whole */
function drawGroups(limit) {
  let room = limit;
  const shownGroups = data.groups.filter(({ members }) => {
    const fits = room > 0;
    room -= members.length;
    return fits;
  });
  const rest = data.groups.length - shownGroups.length;
  const thinned = data.groups.some(({ members }) => members.some(({ left }) => left !== null));
  byId('duplicates').replaceChildren(
    ...(data.groups.length
      ? [
          ...(thinned ? [make('p', { class: 'explanation' }, withCode(BRING_BACK))] : []),
          ...shownGroups.map(groupArticle),
        ]
      : [make('p', { class: 'empty large' }, 'No two pictures show the same.')]),
    ...(rest
      ? [
          make(
            'p',
            { class: 'more' },
            button({ class: 'quiet', 'data-more': true }, `Show ${many(rest, 'more group')}`),
          ),
        ]
      : []),
  );
}

/** The place of the group that a picture of the set is in. @type {Map<Picture, number>} */
const groupOf = new Map();
for (const [place, { members }] of data.groups.entries()) {
  for (const { picture } of members) if (picture !== null) groupOf.set(data.pictures[picture], place);
}

/** @param {number} place shows a group and puts the focus on it */
function showGroup(place) {
  if (!document.getElementById(`group-${place}`)) drawGroups(Infinity);
  go('duplicates');
  byId(`group-${place}`).focus({ preventScroll: true });
  byId(`group-${place}`).scrollIntoView({ block: 'start' });
}

/** @param {LeftOut} item */
function leftOutItem(item) {
  const { name, sources, stage, reason, message, thumbnail: source, problem, undo } = item;
  const words = make(
    'div',
    {},
    make('p', { class: 'files' }, listed(sources.length ? sources : [name])),
    // only what failed is a warning
    make('p', {}, undo ? null : icon('warning'), message),
    make(
      'p',
      { class: 'reason' },
      ...['at ', make('code', {}, stage), ' because ', make('code', {}, reason)],
      ...(undo ? ['; to have it: ', make('code', { class: 'command' }, undo)] : []),
    ),
  );
  return make('li', {}, source || problem ? preview(item, 96) : make('span', {}), words);
}

/** @param {number} limit */
function drawLeftOut(limit) {
  const items = data.left.slice(0, limit).map(leftOutItem);
  const rest = data.left.length - items.length;
  // no column for previews where there are none
  const bare = !data.left.some(({ thumbnail: source, problem }) => source || problem);
  byId('left-out').replaceChildren(
    ...(data.left.length
      ? [
          make('p', { class: 'explanation' }, `Left out: ${data.leftCounts.join(', ')}.`),
          make('ul', { class: bare ? 'left bare' : 'left' }, items),
        ]
      : [make('p', { class: 'empty large' }, 'Nothing was left out.')]),
    ...(rest
      ? [make('p', { class: 'more' }, button({ class: 'quiet', 'data-more': true }, `Show ${many(rest, 'more file')}`))]
      : []),
  );
}

for (const [id, drawAll] of /** @type {[string, (limit: number) => void][]} */ ([
  ['duplicates', drawGroups],
  ['left-out', drawLeftOut],
])) {
  byId(id).addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const pressed = /** @type {HTMLElement} */ (event.target).closest('button');
    if (pressed && 'more' in pressed.dataset) drawAll(Infinity);
  });
}
