# SPDX-License-Identifier: MIT
"""The states that the widget may meet, and what must be shown, spoken and sent in each. Whichever browser: it has `open`
and `run`."""
import itertools
import json
import time
import urllib.parse

from support.wait import wait_until

STATES = {
    "storage": ("fine", "full", "blocked", "cleared"),
    "token": ("none", "good", "refused"),
    "service": ("up", "away-at-load", "away-at-click", "slow-me", "slow-vote"),
    "script": ("head", "end", "async", "module"),
}
ALL = [dict(zip(STATES, values)) for values in itertools.product(*STATES.values())]
FORGED, LATE = "ev1." + "A" * 48, 1.5
VOTES = 3  # of other readers, before


def name_of(row):
    return "-".join(row.values()).replace("-at-", "-")


def all_pairs():
    """The fewest rows that a greedy choice finds with each pair of values of two states in at least one; always the same."""
    def pairs(row):
        return set(itertools.combinations(row.items(), 2))

    missing, chosen = set().union(*map(pairs, ALL)), []
    while missing:
        chosen.append(max(ALL, key=lambda row: len(pairs(row) & missing)))
        missing -= pairs(chosen[-1])
    return chosen


def item_of(row):
    return f"https://news.example/{name_of(row)}"


def load_items(service, rows):
    cards = [{"item": item_of(row), "title": name_of(row), "url": "/" + name_of(row)} for row in rows]
    votes = [{"type": "vote", "item": card["item"], "visitor": f"reader-{n}", "time": time.time() - 60}
             for card in cards for n in range(VOTES)]
    assert service.lines("/v1/matrix/items", cards).json["accepted"] == len(cards)
    assert service.lines("/v1/matrix/events?wait=true", votes).status == 200


STORAGE = {
    "fine": "",
    "cleared": "",
    "full": """for (let size = 1 << 20, n = 0; size >= 1; )
        try { localStorage.setItem('f' + n, 'x'.repeat(size)); n++; } catch (e) { size >>= 1; }""",
    "blocked": """Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });""",
}
# Each state that a reader can see, once, in order.
WATCH = """window.seen = [];
    addEventListener('DOMContentLoaded', () => setInterval(() => {
        const vote = document.querySelector('engaged-vote').shadowRoot, views = document.querySelector('engaged-views').shadowRoot;
        const button = vote && vote.querySelector('button'), said = vote && vote.querySelector('[role=status]');
        const now = JSON.stringify({ button: button ? button.textContent : '', said: said ? said.textContent : '',
            pressed: !!button && button.getAttribute('aria-pressed') === 'true',
            views: views ? [...views.childNodes].filter(n => n.localName !== 'small').map(n => n.textContent).join('') : '' });
        if (seen[seen.length - 1] !== now) seen.push(now);
    }, 15));"""
ROWS = """return [...document.querySelectorAll('engaged-list')].map(list =>
    [...(list.shadowRoot ? list.shadowRoot.querySelectorAll('li a') : [])].length)"""
CLICK = "document.querySelector('engaged-vote').shadowRoot.querySelector('button').click()"


def page(row, gate, token):
    source = {kind: f'<script src="{gate.origin}/widget.js" data-site="matrix"{kind}></script>' for kind in ("", " async")}
    module = f'<script type="module" src="{gate.origin}/widget.mjs" data-site="matrix"></script>'
    head = {"head": source[""], "async": source[" async"], "module": module, "end": ""}[row["script"]]
    key = f"engaged:{gate.origin}/v1/matrix/visitor"
    stored = f"localStorage.setItem({json.dumps(key)}, JSON.stringify({json.dumps(token)}));" if token else ""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name_of(row)}</title>
        <script>if (!sessionStorage.begun) {{ sessionStorage.begun = 1; {stored} }} {STORAGE[row["storage"]]} {WATCH}</script>
        {head}<link rel="canonical" href="{item_of(row)}"></head><body><h1>x</h1>
        <engaged-views></engaged-views> <engaged-vote></engaged-vote>
        <engaged-list of="related" limit="3"></engaged-list><engaged-list of="ranking" limit="3"></engaged-list>
        <engaged-list of="recommendation" limit="3"></engaged-list>{source[""] if row["script"] == "end" else ""}</body></html>"""


def stored_count(service, item):
    return service.get("/v1/matrix/me?id=" + urllib.parse.quote(item, safe="")).json["counts"][item]["up"]


def numbers(seen):
    return [int(state["button"].split("(")[1].split(")")[0]) for state in seen if "(" in state["button"]]


class Row:
    """One row of the matrix, from the first load to the counts at the end."""

    def __init__(self, row, service, gate, publisher, browser):
        self.row, self.service, self.gate, self.publisher, self.browser = row, service, gate, publisher, browser
        self.item = item_of(row)
        self.knows = row["token"] == "good" and row["storage"] != "blocked"  # a returning reader, with a vote
        self.late = row["service"] == "slow-me" and self.knows
        self.other_token = row["storage"] == "cleared"

    def seen(self):
        return [json.loads(text) for text in self.browser.run("return window.seen")]

    def last(self):
        return (self.seen() or [{"button": "", "said": "", "pressed": False, "views": ""}])[-1]

    def until(self, what, true):
        try:
            wait_until(true, 15, what)
        except AssertionError as fault:
            raise AssertionError(f"{fault}\nseen: {self.seen()}\nlists: {self.browser.run(ROWS)}\ncalls: {self.gate.calls}") from None

    def play(self):
        self.open()
        if self.row["service"] == "away-at-load":
            self.nothing_false()
        self.fills()
        self.click()
        self.settles()
        self.agrees()

    def open(self):
        token = {"none": None, "good": None, "refused": FORGED}[self.row["token"]]
        if self.row["token"] == "good":
            token = self.service.post("/v1/matrix/visitors").json["visitor"]
            path = "/v1/matrix/items/" + urllib.parse.quote(self.item, safe="") + "/votes"
            assert self.service.post(path, {"visitor": token, "kind": "up"}, Content_Type="application/json").status == 200
        self.before = stored_count(self.service, self.item)
        self.gate.reset()
        self.gate.away = self.row["service"] == "away-at-load"
        self.gate.delays = {"slow-me": [("/me", LATE)], "slow-vote": [("/votes", LATE)]}.get(self.row["service"], [])
        path = "/" + name_of(self.row)
        self.publisher.pages[path] = page(self.row, self.gate, token)
        self.browser.open(self.publisher.url(path, name_of(self.row)))

    def nothing_false(self):
        """While the service is away: no number, no word, no row; all comes back by itself."""
        self.until("a call that is not answered", lambda: [c for c in self.gate.calls if c.target.startswith("/items/")])
        self.until("the button", lambda: self.last()["button"])
        for state in self.seen():
            assert not any(c.isdigit() for c in state["button"] + state["views"]), state
            assert not state["said"], state
        self.gate.away = False

    def fills(self):
        self.until("the views", lambda: any(c.isdigit() for c in self.last()["views"]))
        if self.late:  # Recommendation comes with the own votes
            return self.until("the boxes", lambda: min(self.browser.run(ROWS)[:2]) == 3)
        self.until("the boxes", lambda: min(self.browser.run(ROWS)) == 3)
        self.until("the count", lambda: numbers([self.last()]) == [self.before])
        self.until("the own vote", lambda: self.last()["pressed"] == self.knows)

    def click(self):
        if self.other_token:
            self.browser.run("localStorage.clear()")
        self.gate.away = self.row["service"] == "away-at-click"
        self.browser.run(CLICK)
        if self.other_token:
            self.browser.run("localStorage.clear()")
        pressed = self.late or not self.knows  # a vote that is not known yet is given once more
        self.until("pressed at once", lambda: self.last()["pressed"] == pressed)
        if self.gate.away:
            self.until("the word that it is kept", lambda: self.last()["said"].startswith("Kept"))
            assert numbers([self.last()]) == [self.before + (1 if pressed else -1)]
            self.gate.away = False

    def accepted(self):
        return [call for call in self.gate.calls if call.target == f"/items/{self.item}/votes"
                and call.method in ("POST", "DELETE") and call.status == 200]

    def settles(self):
        self.until("the vote is sent", self.accepted)
        self.until("the view is sent", lambda: any(call.status == 202 for call in self.gate.of("POST", "/views")))
        word = "Your vote counts" if self.late or not self.knows else "Vote taken back"
        self.until("the word", lambda: self.last()["said"].startswith(word))
        if self.late:  # and nothing changes when the old answer comes
            self.until("the late answer", lambda: min(self.browser.run(ROWS)) == 3)
            time.sleep(0.1)

    def agrees(self):
        end, last, seen = stored_count(self.service, self.item), self.last(), self.seen()
        assert numbers([last]) == [end], (last, end, self.gate.calls)
        assert end - self.before in self.changes(), (end, self.before)
        assert last["pressed"] == (self.late or not self.knows)
        assert set(numbers(seen)) <= {self.before, self.before + 1, self.before - 1} - {0}, seen
        assert last["views"] in ("0 views", "1 view"), last  # this reader's is the only one; a body may be of before it
        self.spoken(end, seen)
        self.sent()

    def changes(self):
        if not self.knows:
            return {1}
        if self.late:
            return {0, 1} if self.other_token else {0}
        return {-1, 0} if self.other_token else {-1}  # under a new token nothing can be taken back

    def spoken(self, end, seen):
        said = [text for text, _ in itertools.groupby(state["said"] for state in seen) if text]
        word = "Your vote counts" if self.late or not self.knows else "Vote taken back"
        away = ["Kept, will be sent again."] if self.row["service"] == "away-at-click" else []
        assert said == [*away, f"{word}: {end}."], said

    def sent(self):
        """One vote, one view, of the right item and of nothing else."""
        posts = [call for call in self.gate.calls if call.method in ("POST", "DELETE") and call.status and call.status < 300]
        writes = [call for call in posts if call.target.startswith("/items/")]
        assert {call.target.rsplit("/", 1)[0] for call in writes} == {f"/items/{self.item}"}, writes
        assert len(self.accepted()) == 1, writes
        views = [call for call in writes if call.target.endswith("/views")]
        assert len(views) == 1 and views[0].json["counted"] is True, views
        renewed = self.row["token"] == "refused" and self.row["storage"] != "blocked"
        repeated = self.row["service"] == "away-at-load"  # a view may have counted unheard: its repeat needs a token
        fresh = [call for call in posts if call.target == "/visitors"]
        assert len(fresh) <= (1 if renewed or repeated else 0) + (1 if self.other_token else 0), fresh
