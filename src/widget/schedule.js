// SPDX-License-Identifier: MIT
// Part 5: the scheduler. It looks at all elements at once and asks for what they lack in as few calls as possible: one for
// the page with its boxes, one for the counters of other items, one for the visitor's own votes.

const shown = new Set(); // the elements that are connected
const KINDS = ['related', 'ranking', 'recommendation'];
const countersOf = ids => [...shown].filter(element => !element.key && ids.includes(element.id_));
const redraw = id => countersOf([id]).forEach(element => element.draw());

let due;
const run = () => { due = due || setTimeout(work); };

// At most 100 ids and 8,000 bytes a call; ids whose call was refused go by fewer (`most`), down to one.
const portions = ids => {
  const all = [[]];
  let size = 0;
  ids.forEach(id => {
    size += encodeURIComponent(id).length + 9;
    if (size > 8000 || all[0].length >= (state(id).most || 100)) {
      all.unshift([]);
      size = 0;
    }
    all[0].push(id);
  });
  return all.reverse();
};
const spell = (name, ids) => ids.map(id => '&' + name + '=' + encodeURIComponent(id)).join('');

// The ids that the page shows already, without those of the lists that are asked for.
const onPage = () => {
  const ids = new Set([current]);
  shown.forEach(list => { if (list.key && list.have === list.key()) list.entries.forEach(entry => ids.add(entry.item)); });
  return portions(ids)[0];
};

// What failed for now is no longer noted (in `mine` or `open`), so that it is asked for again. One bad id or name must
// not empty the others: what is refused together is asked for in parts. What is refused alone stays so until its attributes change.
const ask = async (ids, own, lists, job) => {
  const keys = lists.map(list => list.key()), elements = () => [...lists, ...countersOf(ids)];
  elements().forEach(element => { element.reason = ''; });
  try {
    await job(keys);
  } catch (fault) {
    let again = fault.status === 401; // the token is dropped by now
    if (!again && !isPassing(fault) && !/site/.test(fault.code) && ids.length + lists.length > 1) {
      again = true;
      ids.forEach(id => { state(id).most = ids.length / 2; });
      lists.forEach(list => { list.alone = list.key(); });
    }
    if (again || isPassing(fault)) {
      // By their names as they stand here: join.py shortens them.
      ids.forEach(id => { if (own) state(id).mine = ''; else state(id).open = ''; });
      lists.forEach(list => { list.asked = ''; });
    }
    if (again) return run();
    if (own) ids.forEach(id => { state(id).lost = true; });
    blame(fault, elements());
    elements().forEach(element => tell(element, 'error', { item: element.id_, error: fault }));
  }
};

// An item's counts of all visitors, as they were when they were asked for.
const take = (id, item) => {
  const its = state(id), reason = item.title ? '' : 'no card for this item: ' + id;
  its.all = item.votes;
  its.views = item.views; // with this reader's view or still without: never one too many
  if (reason && local) say(reason);
  countersOf([id]).forEach(element => {
    if (debug && reason) element.reason = reason; // a write that was refused meanwhile has its own
    element.draw();
  });
};

const askItems = ids => ask(ids, false, [], async () => {
  const answer = await call('GET', 'items?' + spell('id', ids).slice(1));
  ids.forEach((id, i) => take(id, answer.items[i]));
});

const askPage = (id, counters, lists) => ask(counters, false, Object.values(lists), async keys => {
  const page = await call('GET', path(id) + '/page?' + KINDS.map(kind => kind + '=' + (lists[kind]?.limit() || 0)).join('&')
    + (lists.ranking?.more() || '') + spell('exclude', onPage().filter(one => one !== id)));
  take(id, page.item);
  Object.values(lists).forEach((list, i) => list.take(keys[i], page[list.of()]));
});

// This visitor's own data: votes with the present counts, recommendations.
const askMine = (ids, list) => ask(ids, true, list ? [list] : [], async keys => {
  const token = personal() || undefined, turns = ids.map(id => state(id).turn);
  try {
    const me = await call('POST', 'me',
      { visitor: token, ids, recommendations: list?.limit(), exclude: list ? onPage() : [] });
    ids.forEach((id, i) => {
      const its = state(id);
      if (its.turn !== turns[i]) return; // a vote was answered meanwhile: that is newer
      its.votes = bare(me.counts)[id];
      its.vote = bare(me.votes)[id];
      redraw(id);
    });
    list?.take(keys[0], me.recommendation);
  } catch (fault) {
    if (fault.status === 401) drop(token);
    throw fault;
  }
});

// A second list of a kind, or of another item.
const askAlone = list => list.of() === 'recommendation' && personal() ? askMine([], list) : askPage(list.id_, [], { [list.of()]: list });

let last;
const work = async () => {
  due = 0;
  const id = document.readyState !== 'loading' && pageItem();
  if (!id) return; // readystatechange calls again
  const token = personal(), lists = {}, rest = [], open = new Set(), mine = new Set();
  shown.forEach(element => {
    const one = element.id_, its = state(one);
    if (element.key) {
      const key = element.key(), kind = element.of();
      if (key === element.have || key === element.asked) return;
      element.asked = key;
      if (one === id && !lists[kind] && element.alone !== key) lists[kind] = element;
      else rest.push(element);
    } else if (element.kind && token) {
      if (!its.mine) mine.add(one);
      its.mine = true;
    } else {
      if (!its.open) open.add(one);
      its.open = true;
    }
  });
  const own = token && lists.recommendation;
  if (own) delete lists.recommendation;
  const boxes = Object.keys(lists)[0];
  if (boxes) { // their call brings the page's own counters too
    open.delete(id);
    state(id).open = true;
  }
  if (open.size) portions(open).forEach(askItems);
  if (boxes) await askPage(id, [id], lists);
  if (mine.size || own) portions(mine).forEach((ids, i) => { last = askMine(ids, i ? undefined : own); });
  for (const list of rest) {
    await last;
    last = askAlone(list);
  }
};

// Moves all elements without an item of their own; answers about the page before find nobody any more. With the item that
// the page has already it draws all and asks for the counters anew: at the start, and from the back/forward cache.
const page = item => {
  const before = current, its = state((current = item && String(item)) || pageItem());
  novel = 0;
  items.forEach(one => { one.open = one.mine = ''; });
  if (current !== before) its.counting = its.by = 0;
  shown.forEach(element => element.draw());
  run();
  return viewPage();
};
