// SPDX-License-Identifier: MIT
// engaged's widget as an ES module: import 'https://service.example/widget.mjs?site=S'. It brings the script that stands
// beside it, and gives what that defines.
const own = new URL(import.meta.url), script = document.createElement('script');
for (const name of ['site', 'item'])
  if (own.searchParams.has(name)) script.dataset[name] = own.searchParams.get(name);
script.src = new URL('widget.js', own);
const ready = new Promise((resolve, reject) => { script.onload = resolve; script.onerror = reject; });
document.head.append(script);
await ready;
export default window.engaged;
