// SPDX-License-Identifier: MIT
// Part 3: the calls to the service. Bodies are text/plain, so that only a retraction needs a preflight.

const path = id => 'items/' + encodeURIComponent(id);

const call = async (method, target, body) => {
  const answer = await fetch(base + target, {
    method, body: body && JSON.stringify(body), keepalive: method === 'POST', credentials: 'omit',
    signal: AbortSignal.timeout?.(15000),
  });
  const value = await answer.json().catch(fault => {
    if (answer.ok) throw fault;
    return {};
  });
  const wait = 1000 * answer.headers.get('Retry-After');
  if (!answer.ok) throw Object.assign(new Error(value.code), value, { status: answer.status, wait });
  const token = answer.headers.get('Engaged-Visitor') || value.visitor;
  if (token && !waiting && !load('visitor')) {
    keep('visitor', token);
    novel = true;
  }
  return value;
};

const isPassing = ({ status }) => !status || status >= 500 || status === 429 || status === 408;

// ---- The visitor. The first view's answer has a token. A vote without a token asks for one first, so that the vote can be
// repeated safely.

let opening, asking;
const visitor = async () => {
  await opening;
  if (!load('visitor')) await (asking = asking || call('POST', 'visitors').finally(() => { asking = 0; }));
  return load('visitor');
};

// A write by this visitor. A token that is no longer valid is renewed once.
const write = async (method, target, body) => {
  for (let again = true; ; again = false) {
    const token = await visitor();
    try {
      return await call(method, target, { ...body, visitor: token });
    } catch (fault) {
      if (fault.status !== 401) throw fault;
      drop(token);
      if (!again) throw Object.assign(fault, { status: 503 });
    }
  }
};

// ---- Calls that failed for now are repeated: after a pause, when the browser is online, when the page is visible

let pause, troubled = -99999, timer, until;
const later = wait => {
  const now = performance.now(); // a reader may set the clock
  if (!timer) {
    pause = now - troubled > 90000 ? 1000 : Math.min(60000, pause * 2);
    until = now + pause * (1 + Math.random() / 4);
  }
  troubled = now;
  until = Math.max(until, now + (wait | 0)); // what does not fit into a browser's timer (24 days) is as good as nothing
  clearTimeout(timer);
  timer = setTimeout(wake, until - now);
};
const wake = () => {
  clearTimeout(timer);
  timer = 0;
  forget();
  Object.keys(pending()).forEach(send);
  items.forEach((its, id) => { if (its.unseen) view(id); });
  run();
};
