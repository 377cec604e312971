// SPDX-License-Identifier: MIT
// Draws the panels of the operators' page, and writes them as text. A panel that is drawn again is changed in place: an
// element stays while its id is listed, so focus, selection and scrolling survive. Data become text nodes only.
const NEW_TAB = 'opens in a new tab';

export const make = (parent, tag, text, attributes = {}) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  parent.appendChild(element);
  return element;
};

// ---- In place

// Changes only the part that differs, and inserts before it deletes, so that the ends of a selection do not move.
export const setText = (element, text) => {
  const node = element.firstChild || element.appendChild(document.createTextNode(''));
  const old = node.data, shorter = Math.min(old.length, text.length);
  if (old === text) return;
  let head = 0, tail = 0;
  while (head < shorter && old[head] === text[head]) head++;
  while (tail < shorter - head && old[old.length - 1 - tail] === text[text.length - 1 - tail]) tail++;
  const added = text.slice(head, text.length - tail);
  node.insertData(head, added);
  node.deleteData(head + added.length, old.length - tail - head);
};

export const setAttribute = (element, name, value) => {
  if (value === undefined || value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

const holdsFocus = element => element.contains(document.activeElement);

const holdsSelection = element => {
  const selection = getSelection();
  return selection.rangeCount > 0 && !selection.isCollapsed && selection.containsNode(element, true);
};

// Brings `elements` in this order without moving the one in use: the others go around it.
const arrange = (parent, elements) => {
  const used = elements.findIndex(holdsFocus), anchor = Math.max(0, used >= 0 ? used : elements.findIndex(holdsSelection));
  for (let i = anchor - 1; i >= 0; i--)
    if (elements[i].nextSibling !== elements[i + 1]) parent.insertBefore(elements[i], elements[i + 1]);
  for (let i = anchor + 1; i < elements.length; i++)
    if (elements[i].previousSibling !== elements[i - 1]) parent.insertBefore(elements[i], elements[i - 1].nextSibling);
};

// Makes the children of `parent` those of `list`, by their ids. A child that is no longer listed is removed; while it has
// the focus or a selection it stays as the last child, marked as gone.
export const keep = (parent, list, create, update) => {
  const before = parent.kept || new Map(), now = new Map();
  list.forEach(entry => {
    const element = before.get(entry.id) || create(parent, entry);
    element.classList.remove('gone');
    update(element, entry);
    now.set(entry.id, element);
  });
  before.forEach((element, id) => {
    if (now.has(id)) return;
    if (!holdsFocus(element) && !holdsSelection(element)) { element.remove(); return; }
    element.classList.add('gone');
    now.set(id, element);
  });
  parent.kept = now;
  arrange(parent, [...now.values()]);
};

// The one part of a panel's body with this tag and class; made the first time.
export const part = (body, tag, name, attributes) =>
  body.querySelector(`:scope > ${tag}.${name}`) || make(body, tag, undefined, { class: name, ...attributes });

export const drawHint = (body, text) => {
  const hint = part(body, 'p', 'hint');
  setText(hint, text);
  hint.hidden = !text;
};

// ---- Numbers and times

export const number = n => n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 2 : n < 100 ? 1 : 0 });

export const bytes = n => n < 1048576 ? number(n / 1024) + ' KiB' : n < 1073741824 ? number(n / 1048576) + ' MiB' : number(n / 1073741824) + ' GiB';

export const seconds = n => n < 90 ? n.toFixed(1) + ' s' : n < 5400 ? number(Math.round(n / 60)) + ' min' : number(n / 3600) + ' h';

const dates = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
const distances = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const spans = [['day', 86400], ['hour', 3600], ['minute', 60]];

export const clock = at => new Date(at).toLocaleTimeString('en-GB');

// "27 Nov 2026, 14:05 (in 2 hours)"
export const moment = text => {
  if (!text) return '';
  const at = new Date(text), away = (at - Date.now()) / 1000;
  const [unit, length] = spans.find(([, one]) => Math.abs(away) >= one) || ['second', 1];
  return dates.format(at) + ' (' + distances.format(Math.round(away / length), unit) + ')';
};

// ---- Items of a list: { rows: [{ id, item, title, url, text, badge, actions: [{ name, says, run }] }], hint }

const createItem = (list, row) => {
  const element = make(list, 'li'), line = make(element, 'div', undefined, { class: 'line' });
  const title = make(line, row.url ? 'a' : 'span', undefined, { class: 'title', dir: 'auto' });
  if (row.url) Object.entries({ target: '_blank', rel: 'noopener noreferrer', title: NEW_TAB }).forEach(one => title.setAttribute(...one));
  row.actions.forEach(({ name, run }) => make(line, 'button', name, { class: 'small', type: 'button' }).addEventListener('click', event => run(event.target)));
  make(element, 'small', undefined, { class: 'meta' });
  make(element, 'small', undefined, { class: 'badge' });
  return element;
};

const updateItem = (element, row) => {
  const title = element.querySelector('.title'), badge = element.querySelector('.badge');
  setText(title, row.title);
  if (row.url) setAttribute(title, 'href', row.url);
  element.querySelectorAll('button').forEach((button, i) => setAttribute(button, 'aria-label', row.actions[i].says + row.title));
  setText(element.querySelector('.meta'), row.text);
  setText(badge, row.badge);
  badge.hidden = !row.badge;
};

export const drawItems = (body, model) => {
  keep(part(body, 'ol', 'items', { id: body.panel }), model.rows, createItem, updateItem);
  drawHint(body, model.hint);
};

export const itemsText = model =>
  model.rows.map((row, i) => `${i + 1}. ${row.title} [${row.item}] ${row.text}${row.badge ? ', ' + row.badge : ''}`).join('\n') || model.hint;

// ---- Facts: { rows: [{ id, value, part, warn }] }; `part` of 1 is a meter; `warn` says why it is worth a look

const createFact = (list, fact) => {
  const element = make(list, 'div');
  make(element, 'dt', fact.id);
  make(make(element, 'dd'), 'span');
  return element;
};

const updateFact = (element, fact) => {
  const value = element.querySelector('dd'), meter = value.querySelector('meter');
  setText(value.firstChild, fact.value + (fact.warn ? ' – ' + fact.warn : ''));
  element.classList.toggle('warn', !!fact.warn);
  if (fact.part === undefined) { if (meter) meter.remove(); return; }
  (meter || make(value, 'meter', undefined, { min: 0, max: 1, high: 0.8, optimum: 0, 'aria-label': fact.id })).value = fact.part;
};

export const drawFacts = (body, model) => keep(part(body, 'dl', 'facts', { id: body.panel }), model.rows, createFact, updateFact);

export const factsText = model => model.rows.map(fact => `${fact.id}: ${fact.value}${fact.warn ? ' – ' + fact.warn : ''}`).join('\n');

// ---- A table: { columns: [{ name, number }], rows: [{ id, cells, actions: [{ name, run }] }], hint }

const createRow = columns => (rows, row) => {
  const element = make(rows, 'tr');
  columns.forEach((column, i) => make(element, i ? 'td' : 'th',
    undefined, { 'data-label': column.name, class: column.number ? 'number' : 'text', dir: 'auto', ...(i ? {} : { scope: 'row' }) }));
  if (!row.actions) return element;
  const cell = make(element, 'td', undefined, { class: 'action' });
  row.actions.forEach(({ name, run }) =>
    make(cell, 'button', name, { class: 'small', type: 'button', 'aria-label': name + ' ' + row.id }).addEventListener('click', event => run(event.target)));
  return element;
};

const updateRow = (element, row) => {
  row.cells.forEach((cell, i) => {
    setText(element.cells[i], cell);
    element.cells[i].classList.toggle('empty', cell === '');
  });
  element.classList.toggle('zero', !!row.quiet);
};

export const drawTable = (body, model) => {
  const table = part(body, 'table', 'rows', { 'aria-labelledby': 'title-' + body.panel });
  if (!table.tHead) {
    const head = make(make(table, 'thead'), 'tr');
    model.columns.forEach(column => make(head, 'th', column.name, { scope: 'col', class: column.number ? 'number' : 'text' }));
    if (model.acts) make(head, 'td');
    make(table, 'tbody', undefined, { id: body.panel });
  }
  keep(table.tBodies[0], model.rows, createRow(model.columns), updateRow);
  table.hidden = !model.rows.length && !table.tBodies[0].children.length;
  drawHint(body, model.hint);
};

const inColumns = rows => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map(row => row[i].length)) + 2);
  return rows.map(row => row.map((cell, i) => cell.padEnd(widths[i])).join('').trimEnd()).join('\n');
};

export const tableText = model =>
  [model.rows.length ? inColumns([model.columns.map(column => column.name), ...model.rows.map(row => row.cells)]) : '', model.hint].filter(Boolean).join('\n');

// ---- A chart of lines: { from, to, most, lines: [{ id, name, points: [{ x, y, at }] }] }; x of 0 to 1, y in the unit of the text

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 240, HEIGHT = 60;
const latest = line => line.points.length ? line.points[line.points.length - 1].y : undefined;
const shown = y => y === undefined ? '–' : number(y);

const createPlot = (body, model) => {
  const plot = part(body, 'div', 'plot', { role: 'img', 'aria-labelledby': 'title-' + body.panel, 'aria-describedby': 'legend-' + body.panel });
  const svg = plot.appendChild(document.createElementNS(SVG, 'svg'));
  Object.entries({ viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }).forEach(one => svg.setAttribute(...one));
  model.lines.forEach(line => {
    const drawn = svg.appendChild(document.createElementNS(SVG, 'polyline'));
    drawn.setAttribute('class', line.id);
    drawn.id = 'line-' + line.id;
  });
  const axis = make(body, 'p', undefined, { class: 'axis' });
  make(axis, 'span', model.from); make(axis, 'span', model.to);
  const legend = make(body, 'p', undefined, { class: 'legend', id: 'legend-' + body.panel });
  [...model.lines, { id: 'most', name: 'most' }].forEach(line => {
    const entry = make(legend, 'span', undefined, { class: line.id });
    make(entry, 'i', undefined, { 'aria-hidden': 'true' });
    make(entry, 'span', line.name + ' '); make(entry, 'b', '–', { id: 'rate-' + line.id });
  });
  return plot;
};

export const drawChart = (body, model) => {
  const plot = body.querySelector('.plot') || createPlot(body, model);
  model.lines.forEach((line, i) => {
    const points = line.points.map(({ x, y }) => (x * WIDTH).toFixed(1) + ',' + (HEIGHT - 2 - (HEIGHT - 4) * y / (model.most || 1)).toFixed(1));
    plot.querySelectorAll('polyline')[i].setAttribute('points', points.join(' '));
    setText(body.querySelector(`.legend .${line.id} b`), shown(latest(line)));
  });
  setText(body.querySelector('.legend .most b'), shown(model.most));
};

export const chartText = model => inColumns([['time', ...model.lines.map(line => line.name)],
  ...model.lines[0].points.map((point, i) => [clock(point.at), ...model.lines.map(line => shown(line.points[i].y))])]);
