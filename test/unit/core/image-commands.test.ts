import { expect } from 'chai';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  commandWords,
  IMAGE_COMMANDS,
  type ImageCommand,
  type ImageFacts,
  type Permission,
  permissionFor,
  permissionIn,
} from '../../../src/core/image-commands.ts';
import { IMAGE_STATUSES, type ImageStatus, wayTo } from '../../../src/core/lifecycle.ts';

/** Rewritten with UPDATE_GOLDEN=1; read the difference as you would read code. */
const GOLDEN = fileURLToPath(new URL('../../../../testdata/lifecycle/commands.txt', import.meta.url));

const TRAITS = {
  'not offered': { isOffered: false },
  'not persistent': {},
  persistent: { isPersistent: true },
  'a snapshot': { isOffered: false, snapshotOf: 'golden' },
} as const satisfies Readonly<Record<string, Partial<ImageFacts>>>;

function facts(status: ImageStatus, more: Partial<ImageFacts> = {}): ImageFacts {
  return { status, isOffered: status === 'active', isPersistent: false, snapshotOf: undefined, ...more };
}

function answerOf(permission: Permission): string {
  if (permission.kind === 'allowed') return permission.to === undefined ? 'yes' : `yes, becomes ${permission.to}`;
  if (permission.kind === 'done') return `nothing to do: ${permission.why}`;
  const { why, nature } = permission;
  return `NO${nature === undefined ? '' : ` (${nature})`}: ${why}`;
}

function linesOf(command: ImageCommand): readonly (readonly [string, Permission])[] {
  const byStatus = IMAGE_STATUSES.map((status) => [status, permissionIn(command, status)] as const);
  const usual = answerOf(permissionIn(command, 'active'));
  const byTrait = Object.entries(TRAITS).flatMap(([trait, more]) => {
    const permission = permissionFor(command, facts('active', more));
    return answerOf(permission) === usual ? [] : [[`active, ${trait}`, permission] as const];
  });
  return [...byStatus, ...byTrait];
}

function textOf(command: ImageCommand): string {
  const lines = linesOf(command).map(([state, permission]) => `  ${state.padEnd(24)} ${answerOf(permission)}\n`);
  return `${command} ("cannot ${commandWords(command, 'X')}: …")\n${lines.join('')}`;
}

/** Each hint once, behind the reason that it is for. */
function hintsOf(commands: readonly ImageCommand[]): string {
  const hints = commands.flatMap((command) =>
    linesOf(command).flatMap(([, permission]) =>
      permission.kind === 'refused' ? [`  ${answerOf(permission)}\n    ${permission.hint}\n`] : [],
    ),
  );
  return `hints\n${[...new Set(hints)].toSorted().join('')}`;
}

describe('permissionIn', () => {
  it(`answers for each of ${IMAGE_COMMANDS.length} commands in ${IMAGE_STATUSES.length} statuses as the golden file says`, () => {
    const text = [...IMAGE_COMMANDS.map(textOf), hintsOf(IMAGE_COMMANDS)].join('\n');
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, text);
    expect(text).to.equal(readFileSync(GOLDEN, 'utf8'));
  });

  it('leads only to statuses that legal moves reach', () => {
    for (const command of IMAGE_COMMANDS) {
      for (const status of IMAGE_STATUSES) {
        const permission = permissionIn(command, status);
        if (permission.kind !== 'allowed' || permission.to === undefined) continue;
        expect(wayTo(status, permission.to), `${command} in ${status}`).to.have.length.greaterThan(0);
      }
    }
  });

  it('leaves no status but the last without a way out', () => {
    for (const status of IMAGE_STATUSES) {
      const ways = IMAGE_COMMANDS.filter((command) => {
        const permission = permissionIn(command, status);
        return permission.kind === 'allowed' && permission.to !== undefined;
      });
      const waits = permissionIn('delete', status).kind === 'done';
      expect(ways.length > 0 || waits || status === 'deleted', status).to.equal(true);
    }
  });
});

describe('permissionFor', () => {
  it('lets no trait allow what the status refuses', () => {
    for (const command of IMAGE_COMMANDS) {
      for (const status of IMAGE_STATUSES) {
        if (permissionIn(command, status).kind !== 'refused') continue;
        for (const more of Object.values(TRAITS))
          expect(permissionFor(command, facts(status, more)), `${command} in ${status}`).to.include({
            kind: 'refused',
          });
      }
    }
  });
});
