import type { DocumentKind, Reference } from '../core/reference.ts';
import type { TextSink } from './surface.ts';

/** Prints what one document names as one line of JSON, in ASCII where a terminal could be steered by it. */
export function showReferences(
  file: string,
  { kind, references }: { readonly kind: DocumentKind; readonly references: readonly Reference[] },
  stdout: TextSink,
): void {
  const line = JSON.stringify({ file, kind, references: references.map(toFields) });
  stdout.write(`${line.replaceAll(/[\u007f-\u009f\u2028\u2029]/g, escapeCharacter)}\n`);
}

/** The facts of a reference in a fixed order; `pool` and `protocol` only where they apply. */
function toFields(reference: Reference): object {
  const { kind, value, evidence } = reference;
  if (kind === 'volume') return { kind, value, pool: reference.pool, evidence };
  if (kind === 'network') return { kind, value, protocol: reference.protocol, evidence };
  return { kind, value, evidence };
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
