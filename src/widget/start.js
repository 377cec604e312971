// SPDX-License-Identifier: MIT
// Part 7: the start.

try {
  window.engaged = { view, vote, page, consent };
  if (debug) ready.then(id => console.info('engaged:', { service: base, site, item: id, origin: location.origin }));
  Object.entries({ vote: Vote, views: Views, list: List }).forEach(([name, type]) => customElements.define('engaged-' + name, type));
  document.addEventListener('readystatechange', () => {
    pageItem();
    shown.forEach(element => element.draw());
    run();
  });
  ['visibilitychange', 'prerenderingchange'].forEach(name => document.addEventListener(name, look));
  addEventListener('online', wake);
  look();
  pageItem();
  viewPage();
  wake();
} catch (fault) { tell(document, 'error', { error: fault }); }
return window.engaged;
