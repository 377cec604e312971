// SPDX-License-Identifier: MIT
// Names of the points of a series, in the time zone of the service: hours are those of UTC, days those of the zone.
const DAY_MS = 86400000, HOUR_MS = 3600000;

const formatter = (zone, options) => {
  try { return new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone }); } catch (error) { return new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' }); }
};

const DAY = { weekday: 'short', day: 'numeric', month: 'short' };

// The day of an instant in a zone, as midnight of UTC.
const dayOf = (instant, zone) => {
  const parts = formatter(zone, { year: 'numeric', month: 'numeric', day: 'numeric' }).formatToParts(instant);
  const [year, month, day] = ['year', 'month', 'day'].map(type => Number(parts.find(part => part.type === type).value));
  return Date.UTC(year, month - 1, day);
};

// Of each point: when it begins as an id, and "Fri 27 Nov, 14:00" or "Fri 27 Nov".
export const pointNames = ({ step, from, time_zone: zone, views }) => {
  const hourly = step === 'hour', first = hourly ? Date.parse(from) : dayOf(new Date(from), zone);
  const names = hourly ? formatter(zone, { ...DAY, hour: '2-digit', minute: '2-digit' }) : formatter('UTC', DAY);
  return views.map((_, i) => first + i * (hourly ? HOUR_MS : DAY_MS)).map(at => ({ id: at, name: names.format(at) }));
};
