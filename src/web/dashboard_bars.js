// SPDX-License-Identifier: MIT
// Draws a series of the operators' page as bars: views above, votes below, each by its own scale, and a table of the same
// behind them. A model: { step, columns, hint, points: [{ id, name, views, votes, kinds }] }, oldest first; undefined: not known.
import { drawHint, drawTable, make, number, part, setAttribute, setText } from '/dashboard_draw.js';

const SVG = 'http://www.w3.org/2000/svg';
const STEP = 10, GAP = 2, HEIGHT = 100;
const ROWS = [{ id: 'views', bottom: 66, height: 62 }, { id: 'votes', bottom: 99, height: 26 }];

const draw = (parent, tag, attributes) => {
  const element = parent.appendChild(document.createElementNS(SVG, tag));
  Object.entries(attributes).forEach(one => element.setAttribute(...one));
  return element;
};

const legendEntry = (legend, { id }) => {
  const entry = make(legend, 'span', undefined, { class: id });
  make(entry, 'i', undefined, { 'aria-hidden': 'true' });
  make(entry, 'span', id + ' '); make(entry, 'b', '');
  make(entry, 'span', ', most '); make(entry, 'b', ''); make(entry, 'span', '');
};

const create = body => {
  const bars = part(body, 'div', 'bars', { role: 'img', 'aria-labelledby': 'title-' + body.panel, 'aria-describedby': 'legend-' + body.panel });
  const svg = draw(bars, 'svg', { preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  draw(svg, 'path', { class: 'unknown' });
  ROWS.forEach(row => { draw(svg, 'path', { class: 'base' }); draw(svg, 'path', { class: row.id }); });
  draw(svg, 'g', {});
  const axis = make(body, 'p', undefined, { class: 'axis' });
  make(axis, 'span', ''); make(axis, 'span', '');
  const legend = make(body, 'p', undefined, { class: 'legend', id: 'legend-' + body.panel });
  ROWS.forEach(row => legendEntry(legend, row));
  part(body, 'p', 'hint');
  const details = make(body, 'details', undefined, { class: 'table' }), summary = make(details, 'summary', 'As a table');
  make(summary, 'span', ': ', { class: 'hidden' });
  make(details, 'div').panel = body.panel;
  details.addEventListener('toggle', () => drawRows(body));
  return bars;
};

// A count that is not 0 is seen, however small.
const barsOf = (points, row, most) => points.map((point, i) => {
  const height = point[row.id] ? Math.max(1, row.height * point[row.id] / most) : 0;
  return height ? `M${i * STEP + GAP / 2} ${row.bottom}v${-height.toFixed(1)}h${STEP - GAP}V${row.bottom}z` : '';
}).join('');

// What a mouse that rests on a point is told; others have the table.
const drawHits = (group, points) => {
  while (group.childNodes.length > points.length) group.lastChild.remove();
  points.forEach((point, i) => {
    const hit = group.childNodes[i] || draw(group, 'rect', { x: i * STEP, y: 0, width: STEP, height: HEIGHT, class: 'hit' });
    setText(hit.firstChild || draw(hit, 'title', {}), `${point.name}: ${shown(point.views)} views, ${shown(point.votes)} votes`);
  });
};

const shown = count => count === undefined ? 'not known' : number(count);

const rowsOf = model => ({ columns: model.columns, hint: '',
  rows: model.points.map(({ id, name, views, kinds }) => ({ id, cells: [name, ...[views, ...kinds].map(shown)], quiet: ![views, ...kinds].some(Boolean) })).reverse() });

const drawRows = body => {
  const details = body.querySelector('details.table');
  if (details.open && body.bars) drawTable(details.lastChild, rowsOf(body.bars));
};

export const drawBars = (body, model) => {
  const bars = body.querySelector('.bars') || create(body), svg = bars.firstChild, [from, to] = body.querySelector('.axis').children;
  const { points } = model;
  body.bars = model;
  setAttribute(svg, 'viewBox', `0 0 ${Math.max(1, points.length) * STEP} ${HEIGHT}`);
  setAttribute(svg.querySelector('.unknown'), 'd', points.map((point, i) => point.views === undefined ? `M${i * STEP} 0h${STEP}v${HEIGHT}h${-STEP}z` : '').join(''));
  ROWS.forEach(row => {
    const counts = points.map(point => point[row.id] || 0), most = Math.max(0, ...counts), values = body.querySelectorAll(`.legend .${row.id} b`);
    setAttribute(svg.querySelector('.' + row.id), 'd', barsOf(points, row, most));
    setText(values[0], number(counts.reduce((sum, count) => sum + count, 0)));
    setText(values[1], number(most));
    setText(values[1].nextSibling, ` in ${model.step === 'hour' ? 'an hour' : 'a ' + model.step}`);
  });
  svg.querySelectorAll('.base').forEach((line, i) => setAttribute(line, 'd', `M0 ${ROWS[i].bottom}H${points.length * STEP}`));
  drawHits(svg.querySelector('g'), points);
  setText(from, points.length ? points[0].name : '');
  setText(to, points.length ? points[points.length - 1].name : '');
  setText(body.querySelector('details.table .hidden'), ': ' + document.getElementById('title-' + body.panel).textContent);
  drawHint(body, model.hint);
  drawRows(body);
};
