// SPDX-License-Identifier: MIT
// The operators' page. The key stays in this tab (sessionStorage) and goes out as a header only; data becomes text nodes
// only. Everything comes from /metrics and the contract's own calls, on this listener.
(() => {
  'use strict';
  const EVERY_MS = 2000, HISTORY = 60;
  const $ = id => document.getElementById(id);
  const history = []; // { at, views, votes }: counters
  let site = '', key = '', timer = 0;

  const make = (parent, tag, text, attributes) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    Object.entries(attributes || {}).forEach(([name, value]) => element.setAttribute(name, value));
    parent.appendChild(element);
    return element;
  };
  const say = text => { $('message').textContent = text || ''; };
  const number = n => n.toLocaleString('en');

  const call = async (method, path, body) => {
    const answer = await fetch('/v1/' + encodeURIComponent(site) + '/' + path, {
      method, headers: { Authorization: 'Bearer ' + key }, body: body && JSON.stringify(body), cache: 'no-store' });
    const text = await answer.text();
    const value = text ? JSON.parse(text) : {};
    if (!answer.ok) throw new Error(value.detail ? value.title + ': ' + value.detail : value.title || answer.status);
    return value;
  };

  // ---- Metrics: "name{labels} value" lines

  const readMetrics = async () => {
    const text = await (await fetch('/metrics', { cache: 'no-store' })).text();
    const values = {};
    text.split('\n').forEach(line => {
      const found = /^([^#]\S*) (\S+)$/.exec(line);
      if (found) values[found[1]] = Number(found[2]);
    });
    return values;
  };

  const rates = name => history.slice(1).map((now, i) =>
    Math.max(0, (now[name] - history[i][name]) / ((now.at - history[i].at) / 1000)));

  const drawPlot = metrics => {
    history.push({ at: Date.now(), views: metrics['engaged_views_total{result="counted"}'] || 0,
      votes: metrics['engaged_votes_total{result="changed"}'] || 0 });
    if (history.length > HISTORY) history.shift();
    const lines = { views: rates('views'), votes: rates('votes') };
    const most = Math.max(1, ...lines.views, ...lines.votes);
    Object.entries(lines).forEach(([name, line]) => {
      const from = HISTORY - 1 - line.length;
      $('line-' + name).setAttribute('points', line.map((rate, i) =>
        ((from + i) * 240 / (HISTORY - 2)).toFixed(1) + ',' + (58 - 56 * rate / most).toFixed(1)).join(' '));
      $('rate-' + name).textContent = line.length ? line[line.length - 1].toFixed(1) : '–';
    });
    $('rate-most').textContent = most.toFixed(1);
  };

  const rows = (id, list) => {
    $(id).textContent = '';
    list.forEach(([name, value]) => { make($(id), 'dt', name); make($(id), 'dd', value); });
  };

  const total = (metrics, name) => Object.entries(metrics)
    .filter(([full]) => full === name || full.startsWith(name + '{')).reduce((sum, [, value]) => sum + value, 0);
  const mebibytes = n => (n / 1048576).toFixed(1) + ' MiB';

  const drawDropped = metrics => {
    const list = [];
    Object.entries(metrics).forEach(([name, value]) => {
      const found = /^engaged_(views|votes|refused)_total\{\w+="(\w+)"\}$/.exec(name);
      if (found && !['counted', 'changed'].includes(found[2])) list.push([found[1] + ': ' + found[2].replace('_', '-'), number(value)]);
    });
    list.push(['unknown parameters', number(total(metrics, 'engaged_unknown_parameters_total'))],
      ['bad requests', number(total(metrics, 'engaged_http_bad_requests_total'))],
      ['connections refused', number(total(metrics, 'engaged_http_connections_refused_total'))],
      ['calls shed', number(total(metrics, 'engaged_redis_shed_total'))]);
    rows('dropped', list);
  };

  const drawHealth = metrics => rows('health', [
    ['lag of rankings', (metrics['engaged_projection_lag_seconds{projection="sums"}'] || 0).toFixed(1) + ' s'],
    ['lag of related', (metrics['engaged_projection_lag_seconds{projection="neighbours"}'] || 0).toFixed(1) + ' s'],
    ['Redis memory', mebibytes(total(metrics, 'engaged_redis_memory_bytes'))],
    ['bodies in memory', mebibytes(total(metrics, 'engaged_body_cache_bytes'))],
    ['processes ready', number(total(metrics, 'engaged_processes_ready'))],
    ['restarts', number(total(metrics, 'engaged_process_restarts_total'))],
    ['open connections', number(total(metrics, 'engaged_http_connections_open'))],
    ['Redis errors', number(total(metrics, 'engaged_redis_errors_total'))],
    ['corrections running', number(total(metrics, 'engaged_corrections_running'))]]);

  // ---- Lists and the editor's hand

  const drawItems = (id, entries) => {
    $(id).textContent = '';
    if (!entries.length) make($(id).appendChild(document.createElement('li')), 'small', 'nothing yet');
    entries.forEach(entry => {
      const row = make($(id), 'li');
      const button = make(row, 'button', 'Edit', { class: 'small', type: 'button', 'aria-label': 'Edit ' + entry.item });
      button.addEventListener('click', () => edit(entry.item));
      make(row, 'span', entry.title || entry.item);
      const votes = Object.entries(entry.votes).map(([kind, n]) => kind + ' ' + number(n)).join(', ');
      make(row, 'small', entry.reason + ' · score ' + entry.score.toPrecision(3) + ' · ' + votes + ' · ' + number(entry.views) + ' views');
    });
  };

  let marks = [];
  const what = mark => [mark.pin && 'slot ' + mark.pin, mark.boost && '× ' + mark.boost, mark.bury && 'buried', mark.block && 'blocked']
    .filter(Boolean).join(', ');

  const drawEditorial = list => {
    marks = list;
    $('editorial').textContent = '';
    list.forEach(mark => {
      const row = make($('editorial'), 'tr');
      make(row, 'td', mark.item); make(row, 'td', what(mark)); make(row, 'td', mark.block ? 'all' : mark.lists.join(', '));
      make(row, 'td', mark.until ? new Date(mark.until).toLocaleString() : ''); make(row, 'td', mark.note || '');
      const button = make(make(row, 'td'), 'button', 'Remove', { class: 'small', type: 'button', 'aria-label': 'Remove ' + mark.item });
      button.addEventListener('click', () => act('DELETE', mark.item));
    });
  };

  const edit = item => {
    const form = $('hand').elements, mark = marks.find(one => one.item === item) || {};
    $('hand').reset();
    form.article.value = item;
    form.pin.value = mark.pin || '';
    form.boost.value = mark.boost || '';
    form.bury.checked = !!mark.bury;
    form.block.checked = !!mark.block;
    form.note.value = mark.note || '';
    if (mark.lists) form.lists.forEach(box => { box.checked = mark.lists.includes(box.value); });
    if (mark.until) {
      const local = new Date(new Date(mark.until) - new Date().getTimezoneOffset() * 60000);
      form.until.value = local.toISOString().slice(0, 16);
    }
    form.pin.focus();
  };

  const act = async (method, item, body) => {
    try {
      await call(method, 'items/-/editorial?id=' + encodeURIComponent(item), body);
      say('');
      await refresh();
    } catch (error) { say(error.message); }
  };

  $('hand').addEventListener('submit', event => {
    event.preventDefault();
    const form = event.target.elements, body = { lists: [...form.lists].filter(box => box.checked).map(box => box.value) };
    if (form.pin.value) body.pin = Number(form.pin.value);
    if (form.boost.value) body.boost = Number(form.boost.value);
    if (form.bury.checked) body.bury = true;
    if (form.block.checked) body.block = true;
    if (form.until.value) body.until = new Date(form.until.value).toISOString();
    if (form.note.value) body.note = form.note.value;
    act('PUT', form.article.value, body);
  });

  // ---- Every two seconds

  const ranking = name => call('GET', 'rankings/' + name + '?limit=10').then(list => list.items, () => []);

  const refresh = async () => {
    const [editorial, metrics, hot, rising] =
      await Promise.all([call('GET', 'editorial'), readMetrics(), ranking('hot'), ranking('rising')]);
    drawPlot(metrics); drawDropped(metrics); drawHealth(metrics);
    drawItems('hot', hot); drawItems('rising', rising);
    drawEditorial(editorial.editorial);
  };

  const loop = async () => {
    clearTimeout(timer);
    try { await refresh(); say(''); } catch (error) { say('The service does not answer: ' + error.message); }
    timer = setTimeout(loop, EVERY_MS);
  };

  const remembered = () => { try { return JSON.parse(localStorage.getItem('engaged:sites')) || []; } catch (e) { return []; } };

  const enter = async () => {
    try {
      await call('GET', 'editorial'); // the key is good
    } catch (error) {
      sessionStorage.removeItem('engaged:key');
      $('main').hidden = true;
      clearTimeout(timer);
      say(error.message);
      return;
    }
    sessionStorage.setItem('engaged:key', key);
    localStorage.setItem('engaged:sites', JSON.stringify([site, ...remembered().filter(s => s !== site)].slice(0, 20)));
    showSites();
    $('main').hidden = false;
    loop();
  };

  const showSites = () => {
    $('sites').textContent = '';
    remembered().forEach(name => make($('sites'), 'option', undefined, { value: name }));
  };

  $('enter').addEventListener('submit', event => {
    event.preventDefault();
    site = $('site').value;
    key = $('key').value;
    enter();
  });

  showSites();
  $('site').value = remembered()[0] || 'sample';
  $('key').value = sessionStorage.getItem('engaged:key') || '';
  if ($('key').value) $('enter').requestSubmit();
})();
