// SPDX-License-Identifier: MIT
// Part 1 of the widget: what the script's element or address says, what is said to the page and its developer.
// The parts: settings, store (what is known and kept), calls, writes (votes, views), schedule (what to ask for, and when),
// elements (what is drawn), start. join.py makes one function of them, in this order. `here` is the classic script's
// element; `address` is the module's. Nothing in the parts may ever throw into the page, set a cookie, or need more of
// a Content-Security-Policy than script-src and connect-src of the service.

if (typeof document === 'undefined') return; // a server that renders pages may import the module
if (window.engaged?.view) {
  console.warn('engaged: second script ignored');
  return window.engaged;
}

// A module, and a classic script with type=module, have no current script: their element is looked for. Other vendors'
// scripts may have such names too, so what the address says goes first.
const tag = here || address && [...document.scripts].find(one => one.src === address)
  || document.querySelector('script[src*="/widget."],script[data-site],[data-service]');
const source = address || tag?.src || '';
const query = new URLSearchParams(source.split('?')[1]);
const option = name => query.get(name) ?? tag?.dataset[name];

const site = option('site') || location.hostname, service = option('service');
let base;
try {
  base = new URL('v1/' + site + '/', service ? new URL(service.replace(/\/*$/, '/'), location) : source).href;
} catch {
  console.warn('engaged: which service? Set data-service');
  return;
}
const lang = document.documentElement.lang || undefined;

// ---- What is said. A reason stands in the element too where its developer looks: data-debug, localhost, file:

const debug = option('debug') != null;
const local = debug || /^file:|^https?:\/\/(localhost|127\.|\[::1)/.test(location);
const told = new Set();
const say = words => told.has(words) || (told.add(words), console.warn('engaged: ' + words));

const tell = (where, name, detail) => where.dispatchEvent(
  new CustomEvent('engaged:' + name, { bubbles: true, composed: true, cancelable: true, detail }));

const why = fault => {
  const { status, code, detail, title } = fault;
  return status ? status + ' ' + code + ': ' + (code === 'bad_origin' ? location.origin + ' is no origin of the site ' + site : detail || title)
    : 'no answer from ' + base + ': away, or not allowed by CORS or CSP (' + fault + ')';
};

// ---- Texts: an element's attribute, else data-texts, else these

const texts = {
  label: 'veryGood!', vote: '{label} ({n})', given: 'Your vote counts: {n}.', taken: 'Vote taken back: {n}.',
  kept: 'Kept, will be sent again.', refused: 'Your vote is not counted.', consent: 'Waits for your consent.',
  views: { one: '{n} view', other: '{n} views' }, votes: { one: '{n} vote', other: '{n} votes' },
};
try { Object.assign(texts, JSON.parse(option('texts') || '{}')); } catch (fault) { say('data-texts: ' + fault); }

// An unknown language is no reason to show nothing.
const spelled = (plain, job) => { try { return job(lang); } catch { return plain; } };

const fill = (text, n, label) => {
  const form = text?.other && (text[spelled('other', tongue => new Intl.PluralRules(tongue).select(n))] || text.other);
  return String(form || text).replace('{label}', () => label).replace('{n}', () => spelled(n, tongue => n.toLocaleString(tongue)));
};
