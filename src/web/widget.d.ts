// SPDX-License-Identifier: MIT
// Types of engaged's widget: of the module /widget.mjs, of window.engaged, of the elements and their events.
export type Reason = 'ranked' | 'related' | 'popular_in_category' | 'popular' | 'pinned';
export interface Entry {
  rank: number; score: number; reason: Reason; item: string; title?: string; url?: string; image?: string;
  categories?: string[]; author?: string; published_at?: string; votes: Record<string, number>; views: number; visitors?: number;
}
export interface List {
  list: string; kind: 'related' | 'ranking' | 'recommendation'; name?: string; computed_at: string; items: Entry[];
}
export interface View { item?: string; counted: boolean; reason?: string }
export interface Trouble { item?: string; error: Error & { status?: number; code?: string; detail?: string } }
export interface Engaged {
  /** Counts a view of the item, or of the page's own, once while the page lives. */
  view(item?: string): Promise<View>;
  /** Gives this reader's vote, or takes it back when it is of that kind. */
  vote(item: string, kind?: string): Promise<void>;
  /** A single-page app shows another article: all elements without an item of their own move, and its view is counted. */
  page(item?: string): Promise<View> | false;
  /** The reader's consent: true begins, false forgets the token and what hangs on it. */
  consent(given: boolean): Promise<void> | void;
}
declare global {
  interface Window { engaged?: Engaged }
  interface DocumentEventMap {
    'engaged:vote': CustomEvent<{ item: string; vote: string | null; votes: Record<string, number> }>;
    'engaged:view': CustomEvent<View>;
    'engaged:error': CustomEvent<Trouble>;
    'engaged:list': CustomEvent<List>;
    'engaged:consent': CustomEvent<{ item: string }>;
  }
  interface HTMLElementTagNameMap {
    'engaged-vote': HTMLElement; 'engaged-views': HTMLElement; 'engaged-list': HTMLElement & { entries?: Entry[] };
  }
}
declare const engaged: Engaged;
export default engaged;
