import { UsageError } from '../errors.ts';

/** @throws UsageError naming the option, unless the value is a whole number within the bounds. */
export function assertWholeNumber(value: number, option: string, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`${option} must be a whole number from ${least} to ${most}`, {
    hint: `write it in digits, such as ${least}, or leave it out to have the default`,
  });
}
