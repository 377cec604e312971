// SPDX-License-Identifier: MIT
// Part 4: votes, views, consent.

// Says the result of the last click, once it is known.
const report = (id, news) => {
  const its = state(id);
  its.news = news;
  its.newsCount = countOf(id, its.by?.kind());
  redraw(id);
};

// Says why these elements are incomplete, and tries again if the fault may pass.
const blame = (fault, elements) => {
  say(why(fault));
  if (isPassing(fault)) later(fault.wait);
  elements.forEach(element => {
    element.reason = why(fault);
    element.draw();
  });
};

const trouble = (id, fault) => {
  blame(fault, countersOf([id]));
  tell(document, 'error', { item: id, error: fault });
};

const settle = (id, kind) => {
  const waits = pending();
  if (id in waits && waits[id] !== kind) return false; // clicked again meanwhile; another tab may have settled it
  delete waits[id];
  keep('votes', waits);
  return true;
};

const send = async id => {
  const its = state(id);
  if (its.sending || waiting) return;
  its.sending = true;
  let kind;
  try {
    for (let waits; id in (waits = pending());) {
      kind = waits[id];
      const { votes, vote } = await write(kind ? 'POST' : 'DELETE', path(id) + '/votes', kind ? { kind } : {});
      if (state(id) !== its) return; // all was forgotten meanwhile
      Object.assign(its, { votes, vote, mine: true, turn: its.turn + 1 });
      if (settle(id, kind)) {
        report(id, kind ? 'given' : 'taken');
        tell(document, 'vote', { item: id, vote, votes });
      }
    }
  } catch (fault) {
    if (state(id) !== its) return;
    if (!isPassing(fault)) settle(id, kind); // refused for good: back to what is true
    report(id, isPassing(fault) ? 'kept' : 'refused');
    trouble(id, fault);
  }
  its.sending = false;
};

const vote = (item, kind = 'up') => {
  const id = String(item), its = state(id);
  keep('votes', Object.assign(pending(), { [id]: votedFor(id) === kind ? null : kind }));
  report(id, waiting ? 'consent' : '');
  if (waiting) tell(its.by || document, 'consent', { item: id });
  return send(id);
};

// ---- Views: sent once the page is visible and may count

let begin, begun;
const hold = () => { begun = new Promise(done => { begin = done; }); };
hold();
const look = () => {
  if (document.hidden || document.prerendering) return;
  if (!waiting) begin();
  if (timer) wake();
};

const count = async (id, its) => {
  const target = path(id) + '/views';
  its.unseen = false;
  await begun;
  const { views } = its;
  try {
    const first = !load('visitor') && !opening && call('POST', target);
    if (first) opening = first.catch(() => {});
    const answer = await (first || write('POST', target));
    if (answer.counted && views >= 0) { // else the answer under way may have it already
      its.views++;
      redraw(id);
    }
    tell(document, 'view', answer);
    return answer;
  } catch (fault) {
    its.counting = 0;
    its.unseen = isPassing(fault);
    trouble(id, fault);
    return { counted: false };
  }
};
const view = async item => {
  const id = String(item || await ready), its = state(id);
  return its.counting = its.counting || count(id, its);
};
const viewPage = () => option('view') !== 'off' && view(current);

// ---- Consent: true begins; false forgets the token, and has the service erase this visitor's data

let forgotten;
const forget = async () => {
  try {
    if (forgotten) await call('DELETE', 'me', { visitor: forgotten });
    forgotten = 0;
  } catch (fault) { trouble(null, fault); }
};

const consent = yes => {
  const { votes } = memory, held = waiting;
  waiting = false;
  if (yes) {
    unsaved = {};
    keep('votes', { ...load('votes'), ...votes });
    look();
    viewPage();
    return wake();
  }
  forgotten = load('visitor') || forgotten;
  waiting = true;
  memory = {};
  try { ['visitor', 'votes'].forEach(name => localStorage.removeItem('engaged:' + base + name)); } catch { /* empty */ }
  if (!held) hold();
  novel = opening = 0;
  items.forEach((its, id) => items.set(id, { turn: 0, views: its.views, counting: held && its.counting }));
  shown.forEach(element => {
    element.have = element.asked = '';
    element.draw();
  });
  run();
  return forget();
};
