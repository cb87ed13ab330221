import { UsageError } from '../errors.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** A number of bytes for people, in powers of 1024 with at most one decimal: `586.2 MiB`. */
export function formatBytes(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 || value >= 100 || Number.isInteger(value) ? Math.round(value).toString() : value.toFixed(1);
  return `${text} ${UNITS[unit] ?? 'B'}`;
}

/**
 * A number of bytes from text such as `1073741824`, `500M` or `10GiB`. Units are powers of 1024, as `formatBytes` writes
 * them.
 *
 * @throws UsageError naming the option.
 */
export function parseBytes(text: string, option: string): bigint {
  const [, number, unit = ''] = /^(\d{1,15})(?:([KMGTP])(?:i?B)?|B)?$/i.exec(text) ?? [];
  if (number === undefined) {
    throw new UsageError(`'${text}' is not a size for ${option}`, {
      hint: 'write bytes, or a number with K, M, G or T, such as 500M or 10G',
    });
  }
  return BigInt(number) * 1024n ** BigInt(' KMGTP'.indexOf(unit.toUpperCase() || ' '));
}
