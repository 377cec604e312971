// SPDX-License-Identifier: MIT
// Part 7: the start. It gives the page window.engaged, defines the elements and listens to the page's events.

try {
  window.engaged = { view, vote, page, consent };
  ready.then(() => page(current)); // draws what is there already, and counts the view
  if (debug) ready.then(id => console.info('engaged:', { service: base, site, item: id, origin: location.origin }));
  Object.entries({ vote: Vote, views: Views, list: List }).forEach(([name, type]) => customElements.define('engaged-' + name, type));
  document.addEventListener('readystatechange', () => {
    pageItem();
    run();
  });
  ['visibilitychange', 'prerenderingchange'].forEach(name => document.addEventListener(name, look));
  addEventListener('online', wake);
  addEventListener('pageshow', event => event.persisted && page(current)); // from the back/forward cache
  look();
  pageItem();
  wake();
} catch (fault) { tell(document, 'error', { error: fault }); }
return window.engaged;
