import * as fc from 'fast-check';

type Change =
  | { readonly kind: 'flip'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut' | 'repeat' | 'swap'; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array };

/** What inputs of one kind are made of. */
export interface Material {
  /** Whole, valid inputs. */
  readonly seeds: readonly (string | Uint8Array)[];
  /** What means something in them. */
  readonly tokens?: readonly string[];
}

const ALWAYS = [
  '\0',
  '\n',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  '__proto__',
  'constructor',
  '\u{1F4BE}',
  '../',
  '99999999999999999999',
];

/** Inputs that are nearly valid: seeds with some bytes changed, cut out, repeated, or with tokens put in between. */
export function mutated({ seeds, tokens = [] }: Material): fc.Arbitrary<Buffer> {
  const words = [...tokens, ...ALWAYS].map((token) => Buffer.from(token));
  const at = fc.nat({ max: 0xff_ff_ff });
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ kind: fc.constant('flip' as const), at, value: fc.nat({ max: 255 }) }),
    fc.record({ kind: fc.constantFrom('cut', 'repeat', 'swap'), at, length: fc.nat({ max: 600 }) }),
    fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.constantFrom(...words) }),
    fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.uint8Array({ maxLength: 12 }) }),
  );
  return fc
    .tuple(fc.constantFrom(...seeds.map((seed) => Buffer.from(seed))), fc.array(change, { maxLength: 8 }))
    .map(([seed, changes]) => changes.reduce(apply, seed));
}

function apply(bytes: Buffer, change: Change): Buffer {
  const at = bytes.length === 0 ? 0 : change.at % bytes.length;
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (change.kind) {
    case 'flip':
      return Buffer.concat([before, Buffer.of(change.value), after.subarray(1)]);
    case 'insert':
      return Buffer.concat([before, change.bytes, after]);
    case 'cut':
      return Buffer.concat([before, after.subarray(change.length)]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, change.length), after]);
    case 'swap':
      return Buffer.concat([after.subarray(0, change.length), before, after.subarray(change.length)]);
  }
}
