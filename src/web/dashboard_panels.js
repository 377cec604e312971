// SPDX-License-Identifier: MIT
// The panels and the alarms of the operators' page, as tables: to add one, add a row. The service's metrics are those of
// all sites together.
import { bytes, chartText, drawChart, drawFacts, drawItems, drawTable, factsText, itemsText, moment, number, seconds, tableText } from '/dashboard_draw.js';
import { drawBars } from '/dashboard_bars.js';
import { pointNames } from '/dashboard_times.js';

export const WINDOW_MS = 120000;
const PROJECTOR_LATE_S = 10, MEMORY_FULL = 0.8;

// ---- Metrics: each answer, oldest first, of the last two minutes; { at, of: { 'name{labels}': value, 'name': their sum } }

export const parseMetrics = text => {
  const values = {};
  text.split('\n').map(line => /^(([^#\s{]+)\S*) (\S+)$/.exec(line)).filter(Boolean).forEach(([, name, family, value]) => {
    values[name] = Number(value);
    if (name !== family) values[family] = (values[family] || 0) + Number(value);
  });
  return values;
};

const last = history => history[history.length - 1].of;
const value = (history, name) => last(history)[name] || 0;
const since = (history, name) => Math.max(0, value(history, name) - (history[0].of[name] || 0));
const rate = (history, name) => {
  const span = (history[history.length - 1].at - history[0].at) / 1000;
  return span ? number(since(history, name) / span) + ' /s' : '–';
};

// ---- What the panels show. In: the answer of its call, and `page`: { history, marks, edit, remove }

const rates = (history, metric, now) => history.slice(1).map((entry, i) => ({ at: entry.at, x: 1 - (now - entry.at) / WINDOW_MS,
  y: Math.max(0, ((entry.of[metric] || 0) - (history[i].of[metric] || 0)) / ((entry.at - history[i].at) / 1000)) }));

const speed = (_, { history }) => {
  const now = history[history.length - 1].at;
  const lines = [['views', 'engaged_views_total{result="counted"}'], ['votes', 'engaged_votes_total{result="changed"}']]
    .map(([id, metric]) => ({ id, name: id, points: rates(history, metric, now) }));
  return { lines, from: '2 minutes ago', to: 'now', most: Math.max(1, ...lines.flatMap(line => line.points.map(point => point.y))) };
};

const isLink = url => /^https?:\/\//i.test(url || '');

const ranked = ({ items }, page) => ({ hint: items.length ? '' : 'Nothing yet.', rows: items.map(entry => ({
  id: (isLink(entry.url) ? 'link ' : 'text ') + entry.item, item: entry.item, title: entry.title || entry.item, url: isLink(entry.url) && entry.url,
  text: ['score ' + entry.score.toPrecision(3), ...Object.entries(entry.votes).map(([kind, n]) => kind + ' ' + number(n)), number(entry.views) + ' views'].join(' · '),
  badge: entry.reason === 'ranked' ? '' : entry.reason,
  actions: [{ name: 'Edit', says: 'Edit ', run: button => page.edit(entry.item, button) },
    { name: 'Chart', says: 'Chart of ', run: () => page.chart({ id: entry.item, title: entry.title || entry.item }) }] })) });

// The points of a series, oldest first, each with a name; `undefined` is a count that is not known.
const known = count => count === null ? undefined : count;
const together = counts => counts.includes(null) ? undefined : counts.reduce((sum, count) => sum + count, 0);

const bars = (answer, page) => {
  const names = pointNames(answer), kinds = Object.keys(answer.votes);
  const points = answer.views.map((views, i) => ({ ...names[i], views: known(views),
    votes: together(kinds.map(kind => answer.votes[kind][i])), kinds: kinds.map(kind => known(answer.votes[kind][i])) }));
  return { rows: [], title: answer.item && `${page.charted.title}, by ${answer.step}`, step: answer.step, points,
    columns: columns(answer.step === 'hour' ? 'Hour' : 'Day', '#Views', ...(kinds.length > 1 ? kinds.map(kind => '#Votes: ' + kind) : ['#Votes'])),
    hint: 'Times of ' + answer.time_zone + '.' + (points.some(point => point.views === undefined) ? ' Dotted: not known, from before counts by time began.' : '') };
};

const seriesOf = step => page => page.charted && `items/-/series?id=${encodeURIComponent(page.charted.id)}&step=${step}`;

export const markText = mark =>
  [mark.pin && 'slot ' + mark.pin, mark.boost && '× ' + mark.boost, mark.bury && 'buried', mark.block && 'blocked'].filter(Boolean).join(', ');

const columns = (...names) => names.map(name => ({ name: name.replace('#', ''), number: name.startsWith('#') }));

const marks = ({ editorial }, page) => ({ columns: columns('Item', 'What', 'Lists', 'Until', 'Note'), acts: true, hint: editorial.length ? '' : 'No rules are in force.',
  rows: editorial.map(mark => ({ id: mark.item, item: mark.item, actions: [{ name: 'Edit', run: button => page.edit(mark.item, button) }, { name: 'Remove', run: button => page.remove(mark.item, button) }],
    cells: [mark.item, markText(mark), mark.block ? 'all' : mark.lists.join(', '), moment(mark.until), mark.note || ''] })) });

const corrections = answer => ({ columns: columns('Asked for', 'What', 'State', '#Looked at', '#Votes taken back', 'Note'), hint: answer.corrections.length ? '' : 'None.',
  rows: answer.corrections.map(one => ({ id: one.correction,
    cells: [moment(one.requested_at), one.item || one.kind, one.state, number(one.scanned), number(one.retracted), one.note || ''] })) });

// The audit log, of one key if one is chosen. Both panels draw one answer.
export const AUDIT = 'audit?limit=100';
const isChosen = page => ({ key }) => !page.auditKey || key === page.auditKey;
const callText = call => call.replace('/v1/{site}/', '');
const statusText = ({ status, accepted }) => (status === null ? 'not known' : String(status)) + (accepted === undefined ? '' : `, ${number(accepted)} lines taken`);

export const keysOf = ({ entries, sums }) => [...new Set([...entries, ...sums].map(one => one.key))].sort();

const audit = ({ entries, next_before: more }, page) => {
  const rows = entries.filter(isChosen(page)).map(one => ({ id: one.id, cells: [moment(one.time), one.key, callText(one.call), one.item || '', statusText(one)] }));
  return { columns: columns('When', 'Key', 'Call', 'Item', 'Status'), rows, hint: more ? 'Of the newest 100 changes.' : rows.length ? '' : 'No changes yet.' };
};

const auditSums = ({ sums }, page) => {
  const rows = sums.filter(isChosen(page)).sort((a, b) => b.last_at.localeCompare(a.last_at)).map(one => ({ id: one.key + ' ' + one.call,
    cells: [one.key, callText(one.call), number(one.count), moment(one.first_at), moment(one.last_at)] }));
  return { columns: columns('Key', 'Call', '#Times', 'First', 'Last'), rows, hint: rows.length ? '' : 'None.' };
};

const REASONS = {
  'views repeat': 'Views: the same reader again', 'views bot': 'Views: crawlers and monitors', 'views prefetch': 'Views: fetched ahead',
  'views opt_out': 'Views: readers who opted out', 'views origin': 'Views: from a foreign page', 'views limit': 'Views: over a rate limit',
  'votes unchanged': 'Votes: was so already', 'votes bot': 'Votes: crawlers and monitors' };
const OTHERS = { engaged_unknown_parameters_total: 'Unknown parameters', engaged_http_bad_requests_total: 'Bad requests',
  engaged_http_connections_refused_total: 'Connections refused', engaged_redis_shed_total: 'Calls shed: queue to Redis full',
  engaged_log_lines_lost_total: 'Log lines lost' };

const reasonOf = name => {
  const found = /^engaged_(views|votes|refused)_total\{\w+="(\w+)"\}$/.exec(name);
  if (!found || ['counted', 'changed'].includes(found[2])) return OTHERS[name];
  return found[1] === 'refused' ? 'Refused: ' + found[2].replaceAll('_', ' ') : REASONS[found[1] + ' ' + found[2]] || `${found[1]}: ${found[2]}`;
};

const dropped = (_, { history }) => {
  const known = Object.keys(last(history)).filter(reasonOf), seen = known.filter(name => value(history, name));
  const unseen = known.filter(name => !value(history, name)).map(reasonOf);
  return { columns: columns('Why', '#Last 2 minutes', '#Since the start'), hint: unseen.length ? `Never so far: ${unseen.join('; ')}.` : '',
    rows: seen.map(name => ({ id: name, cells: [reasonOf(name), number(since(history, name)), number(value(history, name))], quiet: !since(history, name) })) };
};

const facts = list => (_, { history }) => ({ rows: list(name => value(history, name), name => since(history, name), name => rate(history, name)) });

const recent = n => n ? `${number(n)} in the last 2 minutes` : '';
const late = n => n > PROJECTOR_LATE_S ? 'late' : '';

const processes = facts((now, fresh, speedOf) => [
  ...[['workers', 'worker'], ['projectors', 'projector']].map(([name, role]) => [name, now(`engaged_processes_ready{role="${role}"}`)])
    .map(([name, n]) => ({ id: name + ' ready', value: number(n), warn: n ? '' : 'none' })),
  { id: 'restarts', value: number(now('engaged_process_restarts_total')), warn: recent(fresh('engaged_process_restarts_total')) },
  { id: 'open connections', value: number(now('engaged_http_connections_open')) },
  { id: 'requests', value: speedOf('engaged_http_requests_total') },
  { id: 'cut off by a time limit', value: number(now('engaged_http_timeouts_total')), warn: recent(fresh('engaged_http_timeouts_total')) }]);

const projection = facts((now, fresh, speedOf) => [
  ...[['rankings', 'sums'], ['related', 'neighbours']].map(([name, projection]) => [name, now(`engaged_projection_lag_seconds{projection="${projection}"}`)])
    .map(([name, lag]) => ({ id: 'lag of ' + name, value: seconds(lag), warn: late(lag) })),
  { id: 'events', value: speedOf('engaged_projected_events_total{projection="sums"}') },
  { id: 'projectors waiting', value: number(now('engaged_projectors_waiting')), warn: now('engaged_projectors_waiting') ? 'another service projects other rankings' : '' },
  { id: 'unusable entries and states', value: number(now('engaged_bad_log_entries_total') + now('engaged_bad_states_total')),
    warn: recent(fresh('engaged_bad_log_entries_total') + fresh('engaged_bad_states_total')) },
  { id: 'partitions behind', value: number(now('engaged_partitions_behind')), warn: now('engaged_partitions_behind') ? 'they do not answer' : '' },
  { id: 'gaps in logs', value: number(now('engaged_projection_gaps_total')), warn: recent(fresh('engaged_projection_gaps_total')) },
  { id: 'corrections running', value: number(now('engaged_corrections_running')) }]);

const memoryPart = now => now('engaged_redis_memory_limit_bytes') ? now('engaged_redis_memory_bytes') / now('engaged_redis_memory_limit_bytes') : undefined;

const redis = facts((now, fresh, speedOf) => [
  { id: 'links ready', value: number(now('engaged_redis_links_up')), warn: now('engaged_redis_links_up') ? '' : 'away' },
  { id: 'Redis memory', value: bytes(now('engaged_redis_memory_bytes')) +
    (now('engaged_redis_memory_limit_bytes') ? ' of ' + bytes(now('engaged_redis_memory_limit_bytes')) : ', no limit'),
    part: memoryPart(now), warn: memoryPart(now) >= MEMORY_FULL ? 'nearly full' : '' },
  { id: 'commands', value: speedOf('engaged_redis_calls_total') },
  ...[['errors', 'engaged_redis_errors_total'], ['too slow', 'engaged_redis_timeouts_total'], ['calls shed', 'engaged_redis_shed_total']]
    .map(([id, name]) => ({ id, value: number(now(name)), warn: recent(fresh(name)) })),
  { id: 'keys thrown away', value: number(now('engaged_redis_evicted_keys_total')), warn: recent(fresh('engaged_redis_evicted_keys_total')) },
  { id: 'connections made', value: number(now('engaged_redis_connects_total')) }]);

const reading = facts((now, fresh, speedOf) => [
  { id: 'bodies in memory', value: bytes(now('engaged_body_cache_bytes')) },
  { id: 'read from memory', value: speedOf('engaged_body_reads_total{from="memory"}') },
  { id: 'waited for a refresh', value: speedOf('engaged_body_reads_total{from="refresh"}') },
  { id: 'refreshes', value: speedOf('engaged_body_refreshes_total') },
  { id: 'short lists', value: number(now('engaged_short_lists_total')) },
  { id: 'sent', value: bytes(now('engaged_http_sent_bytes_total')) }]);

// ---- The panels: where, what is asked (a function: of the item that is charted, if one is) and how often (else every two
// seconds), what of it is shown, how, and the same as text (bars have a table)

export const METRICS = '/metrics', READY = '/readyz', EDITORIAL = 'editorial';

export const panels = [
  { id: 'rate', of: 'now', wide: true, name: 'Views and votes a second, all sites', ask: METRICS, data: speed, draw: drawChart, text: chartText },
  { id: 'hours', of: 'site', name: 'The site by hour', ask: 'series?step=hour', every: 10000, data: bars, draw: drawBars },
  { id: 'days', of: 'site', name: 'The site by day', ask: 'series?step=day', every: 10000, data: bars, draw: drawBars },
  { id: 'hot', of: 'site', name: 'Hot now', ask: 'rankings/hot?limit=10', data: ranked, draw: drawItems, text: itemsText },
  { id: 'rising', of: 'site', name: 'Rising now', ask: 'rankings/rising?limit=10', data: ranked, draw: drawItems, text: itemsText },
  { id: 'item-hours', of: 'site', name: 'One item by hour', ask: seriesOf('hour'), every: 10000, data: bars, draw: drawBars },
  { id: 'item-days', of: 'site', name: 'One item by day', ask: seriesOf('day'), every: 10000, data: bars, draw: drawBars },
  { id: 'editorial', of: 'site', wide: true, name: 'Editorial rules', ask: EDITORIAL, data: marks, draw: drawTable, text: tableText },
  { id: 'corrections', of: 'site', wide: true, name: 'Corrections and erasures', ask: 'corrections', every: 10000, data: corrections, draw: drawTable, text: tableText },
  { id: 'audit', of: 'site', wide: true, name: 'Who did what', ask: AUDIT, every: 10000, data: audit, draw: drawTable, text: tableText },
  { id: 'audit-sums', of: 'site', wide: true, name: 'Other calls by key', ask: AUDIT, every: 10000, data: auditSums, draw: drawTable, text: tableText },
  { id: 'processes', of: 'service', name: 'Processes', ask: METRICS, data: processes, draw: drawFacts, text: factsText },
  { id: 'redis', of: 'service', name: 'Redis', ask: METRICS, data: redis, draw: drawFacts, text: factsText },
  { id: 'projection', of: 'service', name: 'From votes to lists', ask: METRICS, data: projection, draw: drawFacts, text: factsText },
  { id: 'reading', of: 'service', name: 'Lists and counts read', ask: METRICS, data: reading, draw: drawFacts, text: factsText },
  { id: 'dropped', of: 'service', wide: true, name: 'Not counted, and why', ask: METRICS, data: dropped, draw: drawTable, text: tableText },
];

// ---- What is worth an alarm. The words hold no numbers: they are spoken when they change, and only then

const now = name => history => value(history, name);
export const alarms = [
  { says: 'Redis is away: writes are refused, lists stand still.', when: history => !now('engaged_redis_links_up')(history) },
  { says: 'Rankings or Related are late: votes and views wait to be projected.', when: history => ['sums', 'neighbours']
    .some(name => value(history, `engaged_projection_lag_seconds{projection="${name}"}`) > PROJECTOR_LATE_S) },
  { says: 'Redis is nearly full.', when: history => memoryPart(name => value(history, name)) >= MEMORY_FULL },
  { says: 'Calls are refused as the queue to Redis is full.', when: history => since(history, 'engaged_redis_shed_total') },
  { says: 'Fewer processes are ready than two minutes ago.', when: history => value(history, 'engaged_processes_ready') <
    Math.max(...history.map(entry => entry.of.engaged_processes_ready || 0)) },
  { says: 'A process has ended and was started again.', when: history => since(history, 'engaged_process_restarts_total') },
  { says: 'Another service projects other rankings on the same Redis; this one waits.', when: now('engaged_projectors_waiting') },
  { says: 'Redis throws keys away to make room: counts are lost.', when: history => since(history, 'engaged_redis_evicted_keys_total') },
  { says: 'A part of the data does not answer: it is not projected.', when: now('engaged_partitions_behind') },
  { says: 'Redis has lost data that was projected.', when: history => since(history, 'engaged_projection_gaps_total') },
  { says: 'Log entries or states cannot be read.', when: history =>
    since(history, 'engaged_bad_log_entries_total') + since(history, 'engaged_bad_states_total') },
];
