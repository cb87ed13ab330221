const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAY = String.raw`(?:[a-z]+,?\s+)?(\d{1,2})\s+(${MONTHS.join('|')})[a-z]*\s+(\d{4})`;
const TIME = String.raw`([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60))?`;
const DATE = new RegExp(String.raw`^${DAY}\s+${TIME}\s*(.*)$`, 'i');
const OFFSET = /^([+-])(\d{2}):?(\d{2})/;

/**
 * Reads the date of an `updated` member, in milliseconds since the epoch; `undefined` when it is none. Never throws:
 * the member is informational and published feeds get it wrong, so the weekday is ignored and a zone that is no number
 * counts as UTC (RFC 2822, section 4.3).
 */
export function parseRfc2822Date(text: string): number | undefined {
  const match = DATE.exec(text.trim());
  if (match === null) return undefined;
  const [, day = '', month = '', year = '', hour = '', minute = '', second = '0', zone = ''] = match;
  const local = Date.UTC(+year, MONTHS.indexOf(month.toLowerCase()), +day, +hour, +minute, Math.min(+second, 59));
  // Date.UTC would turn 31 June into 1 July.
  return new Date(local).getUTCDate() === +day ? local - offsetMs(zone) : undefined;
}

function offsetMs(zone: string): number {
  const [, sign, hours = '', minutes = ''] = OFFSET.exec(zone) ?? [];
  if (sign === undefined) return 0;
  const ms = (+hours * 60 + +minutes) * 60_000;
  return sign === '-' ? -ms : ms;
}
