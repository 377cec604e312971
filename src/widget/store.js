// SPDX-License-Identifier: MIT
// Part 2: what the page's own storage keeps, and what is known of each item. countOf says which count is shown, also when
// the service is away.

let waiting = option('consent') === 'wait'; // until there is consent nothing is stored, and nobody has a token

// The last value of each name stays in memory: storage may be full, forbidden or cleared.
let memory = {}, unsaved = {};
const load = name => {
  try {
    const text = !waiting && !unsaved[name] && localStorage.getItem('engaged:' + base + name);
    if (text) return JSON.parse(text);
  } catch { /* memory has it */ }
  return memory[name];
};
const keep = (name, value) => {
  memory[name] = value;
  unsaved[name] = true;
  if (!waiting) try {
    localStorage.setItem('engaged:' + base + name, JSON.stringify(value));
    unsaved[name] = false;
  } catch { /* memory has it */ }
};
const bare = object => ({ __proto__: null, ...object }); // an item may be called "constructor"
const pending = () => bare(load('votes')); // id → kind or null: votes that are not answered yet

let novel = false; // the token came with this page: it has no votes but those of this page
const personal = () => !novel && !waiting && load('visitor');
const drop = token => { if (load('visitor') === token) keep('visitor', null); };

// ---- Items. `votes` and `vote` are the service's last word to this visitor, `turn` the number of its answers to
// votes; `all` and `views` are everybody's. `open` and `mine` are set while those are asked for, and when they are here.

const items = new Map();
const state = id => {
  if (!items.has(id)) items.set(id, { turn: 0 });
  return items.get(id);
};

// What the service has stored, or will have stored once the pending vote is sent.
const votedFor = id => {
  const waits = pending();
  return id in waits ? waits[id] : state(id).vote || null;
};
const countOf = (id, kind) => {
  const its = state(id), votes = its.votes || ((!personal() || its.lost) && its.all);
  return votes ? (votes[kind] || 0) - (its.vote === kind) + (votedFor(id) === kind) : NaN;
};

// ---- The page's item. While the head is still being read, its canonical link may be yet to come.

let current = option('item'), found;
const ready = new Promise(done => { found = done; });
const pageItem = () => {
  const link = document.querySelector('link[rel=canonical]');
  if (!current && (link || document.readyState !== 'loading')) current = link?.href || location.href.split(/[?#]/)[0];
  if (current) found(current);
  return current;
};
