// SPDX-License-Identifier: MIT
// The operators' page: the key, the calls every two seconds, the messages, the form of editorial rules. The key stays in
// this tab (sessionStorage, else memory) and is sent as a header only. dashboard_panels.js says what the panels show.
import { clock, keep, make, setText } from '/dashboard_draw.js';
import { alarms, AUDIT, EDITORIAL, keysOf, markText, METRICS, panels, parseMetrics, READY, WINDOW_MS } from '/dashboard_panels.js';

const EVERY_MS = 2000, SLOW_MS = 700, SITES_KEPT = 20;
const $ = id => document.getElementById(id);
const hand = $('hand').elements;
let site = '', key = '';
let session = 0; // raised by each entry: answers of an older one are dropped
let timer = 0, pressed = false, waiting = null;

// ---- Messages: the result of the last action, shown until the next one

const say = text => {
  $('message').textContent = text;
  $('close').hidden = !text;
};

// ---- Calls, made by the worker

const path = '/dashboard_calls.js';
const address = self.trustedTypes ? trustedTypes.createPolicy('engaged-dashboard', { createScriptURL: () => path }).createScriptURL('') : path;
const worker = new Worker(address);
const asked = new Map();
let number = 0;

worker.onmessage = ({ data }) => {
  asked.get(data.id)(data);
  asked.delete(data.id);
};
worker.onerror = () => say('A part of this page is missing. Load it again.');

const parse = (path, text) => {
  if (path === METRICS) return parseMetrics(text);
  try { return JSON.parse(text); } catch (error) { return {}; }
};

// { ok, status, value, problem }: never fails
const call = (method, ask, body) => new Promise(resolve => {
  const own = ask.startsWith('/'), id = ++number;
  asked.set(id, ({ status, retryAfter, text }) => {
    const ok = status >= 200 && status < 300, value = parse(ok ? ask : '', text);
    const said = value.detail ? value.title + ': ' + value.detail : value.title || 'Status ' + status;
    const problem = status ? said + (retryAfter ? `. Again in ${retryAfter} s` : '') : 'The service does not answer';
    resolve({ ok, status, value, problem: ok ? '' : problem });
  });
  worker.postMessage({ id, method, path: own ? ask : '/v1/' + encodeURIComponent(site) + '/' + ask, key: own ? '' : key,
    body: body && JSON.stringify(body) });
});

// ---- Panels

let page; // what the panels of this session know: see begin()

const makePanel = panel => {
  const section = $('panel-' + panel.id) || make($('of-' + panel.of), 'section', undefined, { id: 'panel-' + panel.id, 'aria-labelledby': 'title-' + panel.id });
  section.classList.toggle('wide', !!panel.wide);
  $('of-' + panel.of).appendChild(section);
  if (!$('title-' + panel.id)) make(section, 'h3', panel.name, { id: 'title-' + panel.id });
  panel.section = section;
  panel.problem = make(section, 'p', '', { class: 'problem' });
  panel.body = section.querySelector('.body') || make(section, 'div', undefined, { class: 'body' });
  panel.body.panel = panel.id;
  if (!panel.text) return;
  const details = make(section, 'details'), summary = make(details, 'summary', 'As text');
  make(summary, 'span', ': ' + panel.name, { class: 'hidden' });
  panel.pre = make(details, 'pre', '');
  details.addEventListener('toggle', () => drawText(panel));
};

const drawText = panel => { if (panel.pre && panel.pre.parentNode.open) setText(panel.pre, panel.model ? panel.text(panel.model) : ''); };

// What a panel asks for now; nothing while it shows an item and none is chosen.
const askOf = panel => typeof panel.ask === 'function' ? panel.ask(page) : panel.ask;

const drawPanel = (panel, answer) => {
  setText(panel.problem, answer.ok ? '' : 'Not up to date. ' + answer.problem + '.');
  if (!answer.ok) return;
  panel.answer = answer;
  panel.model = panel.data(answer.value, page);
  if (panel.model.title) setText($('title-' + panel.id), panel.model.title);
  panel.draw(panel.body, panel.model);
  drawText(panel);
};

const clearPanel = panel => {
  panel.body.textContent = '';
  panel.section.hidden = !askOf(panel);
  panel.answer = panel.model = undefined;
  drawText(panel);
};

// ---- State: what is worth an alarm. Its words change seldom, as each change is spoken

const troubles = answers => {
  if (!answers.get(METRICS).ok) return [`The service has not answered since ${clock(page.heard || Date.now())}. What is shown is of then.`];
  const list = alarms.filter(alarm => alarm.when(page.history)).map(alarm => alarm.says), ready = answers.get(READY);
  return list.length || ready.ok ? list : ['Not ready. ' + ready.problem + '.'];
};

const drawState = answers => {
  const list = troubles(answers);
  $('state').classList.toggle('bad', list.length > 0);
  keep($('state'), (list.length ? list : ['All is well.']).map(id => ({ id })), (parent, { id }) => make(parent, 'p', id), () => {});
  if (answers.get(METRICS).ok) setText($('as-of'), 'As of ' + clock(page.heard));
};

// ---- Every two seconds

const due = all => {
  const now = Date.now(), asks = new Set([READY, METRICS]), wanted = panels.map(panel => [askOf(panel), panel.every]).filter(([ask]) => ask);
  wanted.forEach(([ask]) => { if (all || now >= (page.next.get(ask) || 0)) asks.add(ask); });
  wanted.forEach(([ask, every]) => { if (every && asks.has(ask)) page.next.set(ask, now + every - EVERY_MS / 2); });
  return [...asks];
};

const remember = answer => {
  if (!answer.ok) return;
  page.heard = Date.now();
  page.history = [...page.history, { at: page.heard, of: answer.value }].filter(entry => entry.at >= page.heard - WINDOW_MS);
};

// The keys of the audit log to choose from, the chosen one also when nothing of it is there any more.
const showKeys = keys => {
  const all = ['', ...new Set([...keys, ...(page.auditKey ? [page.auditKey] : [])])];
  keep($('audit-key'), all.map(id => ({ id })), (list, { id }) => make(list, 'option', id || 'All keys', { value: id }), () => {});
};

$('audit-key').addEventListener('change', () => {
  page.auditKey = $('audit-key').value;
  panels.filter(panel => panel.ask === AUDIT && panel.answer).forEach(panel => drawPanel(panel, panel.answer));
});

const draw = answers => {
  remember(answers.get(METRICS));
  panels.forEach(panel => { if (answers.has(askOf(panel))) drawPanel(panel, answers.get(askOf(panel))); });
  if (answers.get(EDITORIAL).ok) page.marks = answers.get(EDITORIAL).value.editorial;
  drawState(answers);
  if (answers.has(AUDIT) && answers.get(AUDIT).ok) showKeys(keysOf(answers.get(AUDIT).value));
  const items = new Map(panels.filter(panel => panel.of === 'site' && panel.model).flatMap(panel => panel.model.rows).filter(row => row.item).map(row => [row.item, row]));
  keep($('items'), [...items.keys()].map(id => ({ id })), (list, { id }) => make(list, 'option', undefined, { value: id, label: items.get(id).title || id }), () => {});
};

// Nothing is drawn while a mouse button or a finger is down: the last answers wait until it is up.
const drawWhenFree = answers => {
  if (pressed) waiting = answers; else draw(answers);
};

const refresh = async all => {
  const mine = session, asks = due(all);
  const answers = new Map((await Promise.all(asks.map(ask => call('GET', ask)))).map((answer, i) => [asks[i], answer]));
  if (mine !== session) return;
  if (refused(answers.get(EDITORIAL))) leave(answers.get(EDITORIAL)); else drawWhenFree(answers);
};

const loop = async () => {
  clearTimeout(timer);
  const mine = session;
  if (!document.hidden) await refresh();
  if (mine === session && page) timer = setTimeout(loop, EVERY_MS);
};

const release = () => {
  pressed = false;
  // After the click that this ends in.
  if (waiting) setTimeout(() => { const answers = waiting; waiting = null; if (answers && page) draw(answers); });
};

addEventListener('pointerdown', event => { pressed = event.button === 0; });
['pointerup', 'pointercancel', 'blur'].forEach(name => addEventListener(name, release));
addEventListener('pointermove', event => { if (pressed && !event.buttons) release(); });
document.addEventListener('visibilitychange', () => { if (page && !document.hidden) loop(); });

// ---- One item by time

const chart = async item => {
  page.charted = item;
  panels.filter(panel => typeof panel.ask === 'function').forEach(clearPanel);
  await refresh();
  if (page && page.charted === item) say(`Shown below: ${item.title}, by hour and by day.`);
};

// ---- Editorial rules

let opener = null; // the button that filled the form
const titleOf = item => (panels.flatMap(panel => panel.model && panel.of === 'site' ? panel.model.rows : []).find(row => row.item === item) || {}).title || item;

const localTime = text => {
  const at = new Date(text);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

const edit = (item, button) => {
  const mark = page.marks.find(one => one.item === item) || {};
  $('hand').reset();
  say('');
  opener = button;
  hand.article.value = item;
  setText($('hand-of'), 'Editing: ' + titleOf(item) + (markText(mark) ? ' (now ' + markText(mark) + ')' : ''));
  hand.pin.value = mark.pin || '';
  hand.boost.value = mark.boost || '';
  hand.bury.checked = !!mark.bury;
  hand.block.checked = !!mark.block;
  hand.note.value = mark.note || '';
  if (mark.lists) hand.lists.forEach(box => { box.checked = mark.lists.includes(box.value); });
  if (mark.until) hand.until.value = localTime(mark.until);
  hand.pin.focus();
};

const markOfForm = () => {
  const body = {}, lists = [...hand.lists].filter(box => box.checked).map(box => box.value);
  if (lists.length || !hand.block.checked) body.lists = lists; // a block holds everywhere
  if (hand.pin.value) body.pin = Number(hand.pin.value);
  if (hand.boost.value) body.boost = Number(hand.boost.value);
  if (hand.bury.checked) body.bury = true;
  if (hand.block.checked) body.block = true;
  if (hand.until.value) body.until = new Date(hand.until.value).toISOString();
  if (hand.note.value) body.note = hand.note.value;
  return body;
};

const act = async (method, item, said, body) => {
  const mine = session, slow = setTimeout(() => say('Under way…'), SLOW_MS);
  say('');
  const answer = await call(method, 'items/-/editorial?id=' + encodeURIComponent(item), body);
  clearTimeout(slow);
  if (mine !== session) return false;
  if (refused(answer)) leave(answer); else say(answer.ok ? said : answer.problem + '.');
  return answer.ok;
};

const set = async () => {
  const item = hand.article.value, body = markOfForm(), mine = session;
  if (!await act('PUT', item, `Set for ${titleOf(item)}: ${markText(body)}.`, body)) return;
  const card = await call('GET', 'items/-?id=' + encodeURIComponent(item));
  if (mine !== session) return;
  if (body.until && new Date(body.until) <= Date.now()) say('Taken, but its time is over already: nothing is in force.');
  else if (card.ok && !card.value.title) say($('message').textContent + ' No card is known for this item: is its id right?');
  await refresh(true);
};

const remove = async (item, button) => {
  const row = button.closest('tr'), next = row.nextElementSibling || row.previousElementSibling;
  if (!await act('DELETE', item, `Removed: ${item}.`)) return;
  if (row.contains(document.activeElement)) (next ? next.querySelector('button:last-child') : $('hand')).focus(); // the row goes
  await refresh(true);
};

$('hand').addEventListener('submit', event => {
  event.preventDefault();
  set();
});
$('hand').addEventListener('reset', () => { setText($('hand-of'), ''); });

// Escape closes what is open: a text, the form that an Edit has filled, the message.
const escape = event => {
  const details = document.activeElement.closest('details[open]');
  if (details) {
    details.open = false;
    details.firstChild.focus();
  } else if ($('hand').contains(document.activeElement) && hand.article.value) {
    $('hand').reset();
    if (opener && opener.isConnected) opener.focus();
  } else say('');
  event.preventDefault();
};
addEventListener('keydown', event => { if (event.key === 'Escape' && !event.defaultPrevented) escape(event); });
$('close').addEventListener('click', () => { say(''); $('main').hidden ? $('key').focus() : $('skip').focus(); });

// ---- The key

const attempt = (storage, act, otherwise) => { try { return act(self[storage]); } catch (error) { return otherwise; } };
const keptSites = () => attempt('localStorage', kept => JSON.parse(kept.getItem('engaged:sites')).filter(name => typeof name === 'string'), []);

const showSites = () => {
  keep($('sites'), keptSites().map(id => ({ id })), (list, { id }) => make(list, 'option', undefined, { value: id }), () => {});
};

const refused = ({ status, value }) => [401, 403, 429].includes(status) || value.code === 'unknown_site' || value.code === 'bad_site';

const show = shown => {
  $('main').hidden = $('skip').hidden = !shown;
  $('welcome').hidden = shown;
};

const stop = () => {
  session++;
  clearTimeout(timer);
  page = waiting = null;
};

const leave = answer => {
  stop();
  show(false);
  attempt('sessionStorage', kept => kept.removeItem('engaged:key'));
  say(answer.problem + '.');
  const field = /site/.test(answer.value.code) ? $('site') : $('key');
  field.setAttribute('aria-invalid', 'true');
  field.focus();
};

const begin = () => {
  page = { history: [], marks: [], next: new Map(), edit, remove, chart };
  panels.forEach(clearPanel);
  $('hand').reset();
  showKeys([]);
  $('audit-key').value = '';
  setText($('site-name'), site);
  attempt('sessionStorage', kept => kept.setItem('engaged:key', key));
  attempt('localStorage', kept => kept.setItem('engaged:sites', JSON.stringify([site, ...keptSites().filter(name => name !== site)].slice(0, SITES_KEPT))));
  showSites();
  show(true);
  loop();
};

// One call tests the key. A service that can't test it (Redis is away) still shows its state.
const enter = async () => {
  stop();
  say('');
  site = $('site').value;
  key = $('key').value.trim();
  ['site', 'key'].forEach(id => $(id).removeAttribute('aria-invalid'));
  if (!/^[\x20-\x7e]+$/.test(key)) { leave({ problem: 'No key looks like this one', value: {} }); return; }
  const mine = session, answer = await call('GET', EDITORIAL);
  if (mine !== session) return;
  if (refused(answer)) leave(answer);
  else if (!answer.status) { show(false); say(answer.problem + '.'); }
  else begin();
};

$('enter').addEventListener('submit', event => {
  event.preventDefault();
  enter();
});

panels.forEach(makePanel);
setText($('zone'), '(' + Intl.DateTimeFormat().resolvedOptions().timeZone + ')');
showSites();
$('site').value = keptSites()[0] || 'sample';
$('key').value = attempt('sessionStorage', kept => kept.getItem('engaged:key'), '') || '';
if ($('key').value) $('enter').requestSubmit(); else $('key').focus();
