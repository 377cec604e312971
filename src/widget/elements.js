// SPDX-License-Identifier: MIT
// Part 6: the three elements: vote button, view counter, list. They only draw what the store has.

// A list takes the room of `limit` rows before the answer and after, so that the page does not move.
const style = `:host{display:inline-block}:host(engaged-list){display:block;overflow-wrap:anywhere}
  button{font:inherit;color:var(--engaged-color,inherit);background:var(--engaged-background,transparent);
    border:1px solid var(--engaged-border,currentColor);border-radius:var(--engaged-radius,.4em);
    padding:.35em .8em;cursor:pointer}
  [aria-pressed=true]{background:var(--engaged-pressed-background,#0a6e4f);color:var(--engaged-pressed-color,#fff)}
  :focus-visible{outline:3px solid var(--engaged-focus,#2878dc);outline-offset:2px}
  h2{margin:0 0 .4em;font-size:1.25em;line-height:1.2}
  a{color:var(--engaged-link,inherit)}
  ol,p{margin:0;padding:0;min-height:calc(var(--n)*(var(--l)*1lh + .5em))}
  ol{padding-inline-start:1.4em}
  li{min-height:calc(var(--l)*1lh);padding:.25em 0}
  img{float:inline-start;width:calc(var(--l)*1.5lh);height:calc(var(--l)*1lh);object-fit:cover;margin-inline-end:.6em}
  [part=about]{display:flex;flex-wrap:wrap;gap:0 .7em;font-size:.85em}
  [role]{margin-inline-start:.6em}
  span:empty,.said{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
  small{display:block}
  @media(forced-colors:active){[aria-pressed=true]{forced-color-adjust:none;background:Highlight;color:HighlightText}}`;
let sheet;

const make = (parent, tag, part, text, attributes) => {
  const element = parent.appendChild(document.createElement(tag));
  Object.entries({ part, ...attributes }).forEach(([name, value]) => { if (value) element.setAttribute(name, value); });
  if (text) element.textContent = text;
  return element;
};

class Element extends HTMLElement {
  static get observedAttributes() {
    return ['item', 'kind', 'label', 'text', 'of', 'limit', 'name', 'category', 'heading', 'show', 'rel', 'text-empty'];
  }
  get id_() { return (this.get('item') || pageItem() || '').replace(/[\ud800-\udfff]/gu, '\ufffd'); }
  get(name) { return this.getAttribute(name); }
  text(name) { return this.get('engaged-' + name === this.localName ? 'text' : 'text-' + name) ?? texts[name]; }
  connectedCallback() {
    shown.add(this);
    this.update();
  }
  disconnectedCallback() { shown.delete(this); }
  attributeChangedCallback(name, old, now) { if (this.root && old !== now) this.update(); }
  update() {
    try {
      this.root = this.root || this.shadowRoot || this.attachShadow({ mode: 'open' });
      try { // a constructed sheet needs no style-src; an older browser shows the elements plain
        if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(style);
        this.root.adoptedStyleSheets = [sheet];
      } catch { /* plain */ }
      this.draw();
      run();
    } catch (fault) { tell(this, 'error', { error: fault }); }
  }
  explain() {
    this.because?.remove?.();
    this.because = local && this.reason && make(this.root, 'small', 'reason', 'engaged: ' + this.reason);
  }
}

class Vote extends Element {
  kind() { return this.get('kind') || 'up'; }
  draw() {
    if (!this.button) {
      this.button = make(this.root, 'button', 'button', '', { type: 'button' });
      this.said = make(this.root, 'span', 'status', '', { role: 'status' });
      this.button.onclick = () => {
        if (!this.id_) return;
        state(this.id_).by = this;
        vote(this.id_, this.kind());
      };
    }
    const id = this.id_, its = state(id), n = countOf(id, this.kind()), label = this.get('label') ?? texts.label;
    this.button.textContent = n >= 0 ? fill(this.text('vote'), n, label) : label;
    this.button.setAttribute('aria-pressed', votedFor(id) === this.kind());
    // Only what the reader did here is said; what is not so yet is seen too.
    const news = its.by === this && its.news;
    const words = news ? fill(this.text(news), its.newsCount, label) : '';
    if (this.said.textContent !== words) this.said.textContent = words; // the same text anew would be spoken anew
    this.said.className = /given|taken/.test(news) ? 'said' : '';
    this.explain();
  }
}

class Views extends Element {
  draw() {
    const n = state(this.id_).views;
    this.root.textContent = n >= 0 ? fill(this.text('views'), n) : '\u200b';
    this.explain();
  }
}

class List extends Element {
  of() { return KINDS.find(kind => kind === this.get('of')) || KINDS[0]; }
  limit() { return Math.min(100, Math.max(1, parseInt(this.get('limit')) || 10)); }
  more() { return ['name', 'category'].map(name => spell(name, this.get(name) ? [this.get(name)] : [])).join(''); }
  key() { return [this.of(), this.id_, this.limit(), this.more()].join('\n'); }
  take(key, list) {
    if (key !== this.key()) return; // the answer to an older question
    this.entries = list.items;
    this.have = key;
    this.plain = !tell(this, 'list', list);
    this.draw();
  }
  draw() {
    if (this.drawn !== this.id_) this.have = this.entries = ''; // another article
    this.drawn = this.id_;
    this.root.textContent = '';
    if (this.plain) return make(this.root, 'slot'); // the page draws the entries itself
    const { entries } = this, show = (this.get('show') || '').match(/\S+/g) || [];
    if (this.get('heading')) make(this.root, 'h2', 'heading', this.get('heading'));
    const box = !entries ? make(this.root, 'p', 'skeleton') : entries.length ? make(this.root, 'ol', 'list')
      : make(this.root, 'p', 'empty', this.text('empty'));
    box.style.setProperty('--n', this.limit());
    box.style.setProperty('--l', show[0] ? 3 : 2);
    if (entries) entries.forEach(entry => this.row(make(box, 'li', 'item ' + entry.reason, '', { 'data-reason': entry.reason }), entry, show));
    this.explain();
  }
  row(row, entry, show) {
    const safe = url => /^(https?:\/\/|\/(?![/\\]))/.test(url) && url, href = safe(entry.url), at = entry.published_at;
    if (show.includes('image') && safe(entry.image))
      make(row, 'img', 'image', '', { loading: 'lazy', width: 96, height: 64, src: entry.image }).alt = '';
    make(row, href ? 'a' : 'span', 'link', entry.title || entry.item, { dir: 'auto', href, rel: href && this.get('rel') });
    const about = {
      author: entry.author,
      date: at && spelled(at, tongue => new Date(at).toLocaleDateString(tongue, { dateStyle: 'medium' })),
      votes: fill(texts.votes, entry.votes[this.get('kind') || 'up'] || 0),
      views: fill(texts.views, entry.views),
    };
    if (show[0]) row = make(row, 'div', 'about');
    show.forEach(name => { if (about[name]) make(row, 'span', name, about[name], { dir: 'auto' }); });
  }
}
