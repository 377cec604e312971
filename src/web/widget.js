// SPDX-License-Identifier: MIT
// engaged's widget: <engaged-vote>, <engaged-views>, <engaged-list>, and one view of the page once it is visible.
// Nothing here may ever throw into the page, set a cookie, or need more of a Content-Security-Policy than script-src
// and connect-src of the service. Bodies go as text/plain, so that no call needs a preflight but a retraction.
(() => {
  'use strict';
  const script = document.currentScript;
  if (!script || window.engaged) return;
  const site = script.dataset.site || location.hostname;
  const base = script.src.replace(/\/widget\.js.*$/, '') + '/v1/' + site + '/';
  const lang = document.documentElement.lang || undefined;

  const pageItem = () => {
    const link = document.querySelector('link[rel=canonical]');
    return script.dataset.item || (link && link.href) || location.origin + location.pathname;
  };
  const path = item => 'items/' + encodeURIComponent(item) + '/';
  const tell = (where, name, detail) =>
    where.dispatchEvent(new CustomEvent('engaged:' + name, { bubbles: true, composed: true, detail }));
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const number = n => { try { return n.toLocaleString(lang); } catch (e) { return String(n); } };

  // ---- What is kept in the page's own storage (in memory where that is forbidden)

  const memory = {};
  const load = name => {
    try { return JSON.parse(localStorage.getItem('engaged:' + base + name)); } catch (e) { return memory[name]; }
  };
  const keep = (name, value) => {
    memory[name] = value;
    try { localStorage.setItem('engaged:' + base + name, JSON.stringify(value)); } catch (e) { /* memory has it */ }
  };

  // ---- Calls

  const call = async (method, target, body, headers) => {
    const options = { method, headers: headers || {}, keepalive: method === 'POST', credentials: 'omit' };
    if (body) options.body = JSON.stringify(body);
    const answer = await fetch(base + target, options);
    const text = await answer.text();
    let value = {};
    try { value = JSON.parse(text); } catch (e) { /* not ours */ }
    if (answer.ok) return value;
    throw Object.assign(new Error(value.code || 'status ' + answer.status),
      { status: answer.status, wait: 1000 * answer.headers.get('Retry-After') });
  };

  let asked = null;
  const visitor = () => {
    const token = load('visitor');
    if (token) return Promise.resolve(token);
    asked = asked || call('POST', 'visitors').then(answer => {
      keep('visitor', answer.visitor);
      return answer.visitor;
    }).finally(() => { asked = null; });
    return asked;
  };

  // A write by this visitor; a token that is not good any more is renewed once.
  const write = async (method, target, body) => {
    for (let again = true; ; again = false) {
      const token = await visitor();
      try {
        return await call(method, target, Object.assign({ visitor: token }, body));
      } catch (error) {
        if (error.status !== 401 || !again) throw error;
        keep('visitor', null);
      }
    }
  };

  // ---- Own votes and counts: one call for all elements that ask in the same moment

  const items = {}; // id → { votes, vote, said, watchers }
  const state = id => items[id] || (items[id] = { votes: {}, vote: null, watchers: new Set() });
  const show = id => state(id).watchers.forEach(element => element.show());
  let wanted = null;

  const ask = id => {
    if (!wanted) {
      wanted = new Set();
      Promise.resolve().then(async () => {
        const ids = [...wanted];
        wanted = null;
        for (let i = 0; i < ids.length; i += 100) await read(ids.slice(i, i + 100)).catch(() => {});
      });
    }
    wanted.add(id);
  };

  const read = async ids => {
    const token = load('visitor');
    const query = ids.map(id => 'id=' + encodeURIComponent(id)).join('&');
    const me = await call('GET', 'me?' + query, null, token ? { 'Engaged-Visitor': token } : {}).catch(error => {
      if (error.status === 401) keep('visitor', null);
      tell(document, 'error', { error });
      throw error;
    });
    const waiting = load('votes') || {};
    ids.forEach(id => {
      const of = state(id);
      of.votes = me.counts[id] || {};
      of.vote = me.votes[id] || null;
      if (id in waiting) move(of, waiting[id]);
      show(id);
    });
  };

  // ---- Votes: shown at once, kept until they are answered, sent again when they could not be

  const move = (of, kind) => {
    if (of.vote === kind) return;
    if (of.vote) of.votes[of.vote] = Math.max(0, (of.votes[of.vote] || 0) - 1);
    if (kind) of.votes[kind] = (of.votes[kind] || 0) + 1;
    of.vote = kind;
  };

  const sending = {};
  let pause = 0, timer = 0;

  const later = wait => {
    pause = Math.min(60000, Math.max(pause * 2, 1000));
    clearTimeout(timer);
    timer = setTimeout(sendAll, Math.max(wait || 0, pause));
  };

  const send = async id => {
    if (sending[id]) return;
    sending[id] = true;
    try {
      for (let waiting; id in (waiting = load('votes') || {});) {
        const kind = waiting[id];
        const answer = await write(kind ? 'POST' : 'DELETE', path(id) + 'votes', kind ? { kind } : {});
        waiting = load('votes') || {};
        if (waiting[id] !== kind) continue; // clicked again meanwhile
        delete waiting[id];
        keep('votes', waiting);
        pause = 0;
        Object.assign(state(id), { votes: answer.votes, vote: answer.vote, failed: false });
        show(id);
        tell(document, 'vote', { item: id, vote: answer.vote, votes: answer.votes });
      }
    } catch (error) {
      const of = state(id), waiting = load('votes') || {};
      of.failed = true;
      tell(document, 'error', { item: id, error });
      if (!error.status || error.status >= 500 || error.status === 429 || error.status === 408) later(error.wait);
      else { // refused for good: back to what is true
        delete waiting[id];
        keep('votes', waiting);
        ask(id);
      }
      show(id);
    }
    sending[id] = false;
  };

  const sendAll = () => Object.keys(load('votes') || {}).forEach(send);

  const vote = (id, kind) => {
    const of = state(id);
    const next = of.vote === kind ? null : kind;
    keep('votes', Object.assign(load('votes') || {}, { [id]: next }));
    move(of, next);
    of.failed = false;
    show(id);
    return send(id);
  };

  // ---- Views

  const visible = new Promise(done => {
    const look = () => {
      if (document.visibilityState === 'visible' && !document.prerendering) done();
    };
    look();
    document.addEventListener('visibilitychange', look);
    document.addEventListener('prerenderingchange', look);
  });

  const counted = {};
  const view = item => {
    const id = String(item || pageItem());
    counted[id] = counted[id] || visible.then(() => write('POST', path(id) + 'views')).then(answer => {
      tell(document, 'view', answer);
      return answer;
    }).catch(error => {
      delete counted[id];
      tell(document, 'error', { item: id, error });
      return { counted: false };
    });
    return counted[id];
  };

  // ---- Elements

  const style = `:host{display:inline-block}:host([of]){display:block}
    button{font:inherit;color:var(--engaged-color,inherit);background:var(--engaged-background,transparent);
      border:1px solid var(--engaged-border,currentColor);border-radius:var(--engaged-radius,.4em);
      padding:.35em .8em;cursor:pointer}
    button[aria-pressed=true]{background:var(--engaged-pressed-background,#0a6e4f);color:var(--engaged-pressed-color,#fff)}
    button:focus-visible{outline:3px solid var(--engaged-focus,#4c9ffe);outline-offset:2px}
    a{color:var(--engaged-link,inherit)}ol{margin:0;padding-left:1.4em}li{margin:.35em 0}
    [role=status]{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}`;
  let sheet = null;

  // A constructed sheet needs no style-src; an older browser shows the elements plain.
  const dress = root => {
    try {
      if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(style);
      root.adoptedStyleSheets = [sheet];
    } catch (e) { /* plain */ }
  };

  const make = (parent, tag, part, text) => {
    const element = document.createElement(tag);
    element.setAttribute('part', part);
    if (text !== undefined) element.textContent = text;
    return parent.appendChild(element);
  };

  class Element extends HTMLElement {
    static get observedAttributes() { return ['item', 'kind', 'label', 'text', 'of', 'limit', 'name', 'category', 'heading']; }
    connectedCallback() { this.begin(); }
    attributeChangedCallback() { if (this.root) this.begin(); }
    disconnectedCallback() { state(this.id_).watchers.delete(this); }
    text(name, preset) { return this.hasAttribute(name) ? this.getAttribute(name) : preset; }
    begin() {
      try {
        if (!this.root) {
          this.root = this.attachShadow({ mode: 'open' });
          dress(this.root);
        }
        if (this.id_) state(this.id_).watchers.delete(this);
        this.id_ = this.text('item') || pageItem();
        this.start();
      } catch (error) { tell(this, 'error', { error }); }
    }
  }

  class Vote extends Element {
    start() {
      if (!this.button) {
        this.button = make(this.root, 'button', 'button');
        this.button.type = 'button';
        this.said = make(this.root, 'span', 'status', '');
        this.said.setAttribute('role', 'status');
        this.button.addEventListener('click', () => {
          this.asked = true;
          vote(this.id_, this.text('kind', 'up'));
        });
      }
      state(this.id_).watchers.add(this);
      ask(this.id_);
      this.show();
    }
    show() {
      const of = state(this.id_), kind = this.text('kind', 'up'), label = this.text('label', 'veryGood!');
      const pressed = of.vote === kind;
      const values = { label, n: number(of.votes[kind] || 0) };
      this.button.textContent = fill(this.text('text', '{label} ({n})'), values);
      this.button.setAttribute('aria-pressed', pressed);
      if (!this.asked) return; // only what the reader did is said aloud
      this.said.textContent = of.failed ? this.text('text-kept', 'Kept, will be sent again.')
        : fill(pressed ? this.text('text-given', 'Your vote counts: {n}.') : this.text('text-taken', 'Vote taken back: {n}.'), values);
    }
  }

  class Views extends Element {
    async start() {
      const id = this.id_, own = id === pageItem() ? view(id) : null;
      try {
        const item = await call('GET', path(id).slice(0, -1));
        this.show(item.views);
        if (own && (await own).counted && id === this.id_) this.show(item.views + 1);
      } catch (error) { tell(this, 'error', { error }); }
    }
    show(n) {
      if (n !== undefined) this.root.textContent = fill(this.text('text', '{n} views'), { n: number(n) });
    }
  }

  class List extends Element {
    target() {
      const limit = 'limit=' + encodeURIComponent(this.text('limit', '10')), of = this.text('of', 'related');
      const category = this.hasAttribute('category') ? '&category=' + encodeURIComponent(this.text('category')) : '';
      if (of === 'ranking') return 'rankings/' + encodeURIComponent(this.text('name', 'hot')) + '?' + limit + category;
      if (of === 'recommendation') return 'me/recommendations?' + limit + '&exclude=' + encodeURIComponent(this.id_);
      return path(this.id_) + 'related?' + limit;
    }
    async start() {
      const own = this.text('of') === 'recommendation' && load('visitor');
      const target = this.target();
      try {
        const list = await call('GET', target, null, own ? { 'Engaged-Visitor': own } : {});
        if (target === this.target()) this.draw(list.items);
      } catch (error) { tell(this, 'error', { error }); }
    }
    draw(entries) {
      this.root.textContent = '';
      if (this.hasAttribute('heading')) make(this.root, 'h2', 'heading', this.text('heading'));
      if (!entries.length && this.hasAttribute('text-empty')) make(this.root, 'p', 'empty', this.text('text-empty'));
      const list = make(this.root, 'ol', 'list');
      entries.forEach(entry => {
        const row = make(list, 'li', 'item ' + entry.reason), title = entry.title || entry.item;
        if (/^(https?:\/\/|\/(?!\/))/.test(entry.url || '')) make(row, 'a', 'link', title).href = entry.url;
        else make(row, 'span', 'link', title);
      });
      tell(this, 'list', { items: entries });
    }
    show() {}
  }

  window.engaged = { view, vote };
  try {
    [['vote', Vote], ['views', Views], ['list', List]].forEach(([name, type]) =>
      customElements.define('engaged-' + name, type));
    addEventListener('online', sendAll);
    sendAll();
    if (script.dataset.view !== 'off') view();
  } catch (error) { tell(document, 'error', { error }); }
})();
