// SPDX-License-Identifier: MIT
// Types of engaged's widget.
export interface Engaged {
  /** Counts a view of the item, or of the page's own. */
  view(item?: string): void;
}
declare global {
  interface Window { engaged?: Engaged }
}
declare const engaged: Engaged;
export default engaged;
