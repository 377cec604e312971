// SPDX-License-Identifier: MIT
// What the demo page shows: ?item= the article, page=text the boxes in the text, dark=1, dir=rtl, lang=de. The widget goes by
// the attributes of its element, which are set before it runs.
(() => {
  'use strict';
  const query = new URLSearchParams(location.search), root = document.documentElement;
  const item = query.get('item') || 'harbour-bridge-reopens', german = query.get('lang') === 'de';
  const inText = query.get('page') === 'text';
  const texts = {
    label: 'Sehr gut!', given: 'Ihre Stimme zählt: {n}.', taken: 'Stimme zurückgenommen: {n}.',
    kept: 'Gemerkt, wird noch gesendet.', refused: 'Ihre Stimme zählt nicht.', consent: 'Wartet auf Ihre Einwilligung.',
    views: { one: '{n} Aufruf', other: '{n} Aufrufe' }, votes: { one: '{n} Stimme', other: '{n} Stimmen' }, empty: 'Noch nichts.',
  };
  const headings = { related: 'Verwandt', ranking: 'Gefragt', recommendation: 'Für Sie' };

  if (german) root.lang = 'de';
  if (query.get('dir') === 'rtl') root.dir = 'rtl';
  if (query.has('dark')) root.dataset.theme = 'dark';
  if (inText) root.dataset.page = 'text';

  const show = card => {
    document.title = (card.title || item) + ' – The Sample Courier';
    document.getElementById('title').textContent = card.title || item;
    document.getElementById('author').textContent = card.author || '';
    document.getElementById('category').textContent = (card.categories || ['articles'])[0];
    const published = document.getElementById('published');
    if (card.published_at) published.textContent = new Date(card.published_at).toLocaleDateString(root.lang, { dateStyle: 'long' });
  };

  // Each link to a variant turns that one on or off, and keeps the others.
  const link = anchor => {
    const target = new URLSearchParams(query);
    for (const [name, value] of new URLSearchParams(anchor.getAttribute('href'))) {
      const on = target.has(name);
      anchor.toggleAttribute('aria-current', on);
      if (on) target.delete(name);
      else target.set(name, value);
    }
    anchor.href = '?' + target;
  };

  const load = () => {
    document.querySelectorAll('[data-variants] a').forEach(link);
    const paragraphs = document.querySelectorAll('article > p:not(.byline, .vote)');
    document.querySelectorAll('section').forEach((section, i) => {
      if (german) section.querySelector('h2').textContent = headings[section.querySelector('engaged-list').getAttribute('of')];
      if (inText) paragraphs[i].after(section);
    });
    fetch('/v1/sample/items/' + encodeURIComponent(item)).then(answer => answer.json()).then(show).catch(() => {});
  };

  // The widget's script element follows this one. It is there before the widget runs, as it is async.
  new MutationObserver((_, observer) => {
    const widget = document.getElementById('widget');
    if (!widget) return;
    widget.dataset.item = item;
    if (german) widget.dataset.texts = JSON.stringify(texts);
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true });
  document.addEventListener('DOMContentLoaded', load);
})();
