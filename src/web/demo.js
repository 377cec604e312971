// SPDX-License-Identifier: MIT
// Which article the demo page shows: ?item=. The widget goes by data-item, which is set before it runs.
(() => {
  'use strict';
  const item = new URLSearchParams(location.search).get('item') || 'harbour-bridge-reopens';

  const show = card => {
    document.title = (card.title || item) + ' – The Sample Courier';
    document.getElementById('title').textContent = card.title || item;
    document.getElementById('author').textContent = card.author || '';
    document.getElementById('category').textContent = (card.categories || ['articles'])[0];
    const published = document.getElementById('published');
    if (card.published_at) published.textContent = new Date(card.published_at).toLocaleDateString('en', { dateStyle: 'long' });
  };

  const load = () => fetch('/v1/sample/items/' + encodeURIComponent(item))
    .then(answer => answer.json()).then(show).catch(() => {});

  // The widget's script element stands behind this one: it is there before the widget runs, as that one is async.
  new MutationObserver((_, observer) => {
    const widget = document.getElementById('widget');
    if (!widget) return;
    widget.dataset.item = item;
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true });
  document.addEventListener('DOMContentLoaded', load);
})();
