// SPDX-License-Identifier: MIT
// A worker that makes the calls of the operators' page. A browser would write each refused or failed call of the page
// itself into the console as an error; here it is an answer like others. Status 0: the service did not answer.
'use strict';
const WAIT_MS = 5000;

onmessage = async event => {
  const { id, method, path, key, body } = event.data;
  try {
    const answer = await fetch(path, {
      method, body, cache: 'no-store', credentials: 'omit', headers: key ? { Authorization: 'Bearer ' + key } : {},
      signal: AbortSignal.timeout(WAIT_MS) });
    postMessage({ id, status: answer.status, retryAfter: answer.headers.get('Retry-After'), text: await answer.text() });
  } catch (error) {
    postMessage({ id, status: 0, text: '' });
  }
};
