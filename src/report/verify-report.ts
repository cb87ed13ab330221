import { identityText } from '../core/identity.ts';
import type { Identity } from '../core/identity.ts';
import type { Digest } from '../core/record.ts';
import type { ImageUser } from '../core/usage.ts';
import { IntegrityError } from '../errors.ts';
import type { Fields, Reporter } from './reporter.ts';

/** What came of verifying one image. */
export type VerifyOutcome = { readonly identity: Identity; readonly volumeName: string } & (
  | { readonly result: 'intact'; readonly digest: Digest }
  | { readonly result: 'changed'; readonly digest: Digest; readonly found: string }
  | { readonly result: 'skipped' | 'unverifiable'; readonly reason: string }
);

/** Says what came of it; what has changed is for `changedImage`. */
export function showVerified(outcome: VerifyOutcome, reporter: Reporter): void {
  const name = `image ${identityText(outcome.identity)}`;
  switch (outcome.result) {
    case 'intact':
      return reporter.event('info', `verified ${name}`, 'verified', fieldsOf(outcome));
    case 'skipped':
      return reporter.event('info', `skipped ${name}: ${outcome.reason}`, 'verified', fieldsOf(outcome));
    case 'unverifiable':
      return reporter.event('change', `cannot verify ${name}: ${outcome.reason}`, 'verified', fieldsOf(outcome));
    case 'changed':
  }
}

/** The facts of a changed image with everybody who stands on it, for JSON. */
export function showChanged(
  outcome: VerifyOutcome & { readonly result: 'changed' },
  users: readonly ImageUser[],
  reporter: Reporter,
): void {
  const text = changedText(outcome, users);
  reporter.data(text, 'verified', {
    ...fieldsOf(outcome),
    found: outcome.found,
    users: users.map(({ label }) => label),
  });
}

function changedText(
  { identity, digest, found }: VerifyOutcome & { readonly result: 'changed' },
  users: readonly ImageUser[],
): string {
  const lines = users.map(({ label }) => `\n  ${label} stands on it`);
  return [
    `image ${identityText(identity)} HAS CHANGED: its ${digest.algorithm} was ${digest.hex} and is ${found}`,
    ...(lines.length === 0 ? ['\n  nothing that was seen stands on it'] : lines),
  ].join('');
}

/** The failure of a run that found changed images. */
export function changedImages(count: number): IntegrityError {
  return new IntegrityError(`${count} image(s) are not what they were`, {
    hint: `'poolkeeper disable' keeps new domains off one; what stands on it has to be restored or made anew`,
  });
}

function fieldsOf(outcome: VerifyOutcome): Fields {
  const { identity, volumeName: volume, result } = outcome;
  const reason = 'reason' in outcome ? { reason: outcome.reason } : {};
  const digest = 'digest' in outcome ? { algorithm: outcome.digest.algorithm, expected: outcome.digest.hex } : {};
  return { ...identity, volume, result, ...reason, ...digest };
}
