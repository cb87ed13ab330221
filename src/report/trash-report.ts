import { formatBytes } from '../core/byte-size.ts';
import { decodeVolumeName, identityText } from '../core/identity.ts';
import { entryFile, freedAt, trashBytes, type TrashEntry } from '../core/trash.ts';
import type { Edge } from '../core/use-graph.ts';
import type { PoolkeeperError } from '../errors.ts';
import { dateOf, isoTime } from './iso-time.ts';
import type { Fields, Reporter } from './reporter.ts';
import { type Column, showTable } from './table.ts';

/** What became of an entry that was to come back. */
interface Returned {
  readonly entry: TrashEntry;
  readonly result: 'restored' | 'occupied' | 'failed';
  readonly isOffered: boolean;
  readonly error?: PoolkeeperError;
  readonly need?: Edge;
}

/** What became of an entry that was to be unlinked. */
interface Unlinked {
  readonly entry: TrashEntry;
  readonly result: 'unlinked' | 'held' | 'named' | 'unseen' | 'failed';
  readonly error?: PoolkeeperError;
}

/** Why entries come back. */
export type ReturnCause = 'undo' | 'need' | 'recall' | 'interrupted';

/** Shows what lies in the trash, and when it is unlinked. */
export function showTrash(entries: readonly TrashEntry[], keepMs: number, reporter: Reporter): void {
  const columns: readonly Column<TrashEntry>[] = [
    { title: 'IMAGE', text: nameOf, shrinksTo: 16, keepsEnd: true },
    { title: 'SIZE', text: ({ sizeBytes }) => formatBytes(sizeBytes), isRightAligned: true },
    { title: 'DELETED', text: ({ trashedAt }) => isoTime(trashedAt) },
    { title: 'FREED', text: (entry) => isoTime(freedAt(entry, { keepMs })) },
    { title: 'RUN', text: ({ run }) => run },
    { title: 'FILE', text: entryFile, shrinksTo: 12, isOptional: true },
  ];
  const fields = (entry: TrashEntry): Fields => ({
    ...entryFields(entry),
    allocation_bytes: entry.sizeBytes,
    deleted_at: isoTime(entry.trashedAt),
    freed_at: isoTime(freedAt(entry, { keepMs })),
    run: entry.run,
    file: entryFile(entry),
  });
  showTable({ messageType: 'trash', columns, rows: entries, fields }, reporter);
}

/** Says how much the trash takes up, and when the last of it is freed. Nothing is said of an empty trash. */
export function showTrashTotals(entries: readonly TrashEntry[], keepMs: number, reporter: Reporter): void {
  const last = Math.max(...entries.map((entry) => freedAt(entry, { keepMs })));
  if (entries.length === 0) return;
  const bytes = trashBytes(entries);
  const text = `${entries.length} deleted volume(s) in the trash take up ${formatBytes(bytes)}, freed on ${dateOf(last)}`;
  reporter.data(text, 'trash_totals', { volumes: entries.length, allocation_bytes: bytes, freed_at: isoTime(last) });
}

/** Says what became of entries that were to come back from the trash. */
export function showReturned(outcomes: readonly Returned[], cause: ReturnCause, reporter: Reporter): void {
  for (const { entry, result, isOffered, error, need } of outcomes) {
    const fields = {
      ...entryFields(entry),
      result,
      cause,
      is_offered: isOffered,
      ...(need && { need: needFields(need) }),
    };
    if (result === 'failed') {
      if (error !== undefined) reporter.error(error);
    } else if (result === 'occupied') {
      reporter.warning(
        `${titleOf(entry)} stays in the trash: another file has its name '${entry.path}' by now`,
        `its content is in '${entryFile(entry)}'`,
      );
    } else {
      const why = need === undefined ? CAUSES[cause] : `, since ${need.document} names it`;
      const text = `took ${titleOf(entry)} out of the trash${why}${isOffered ? ', and offered it' : ''}`;
      reporter.event('change', text, 'trash_returned', fields);
    }
  }
}

const CAUSES: Readonly<Record<ReturnCause, string>> = {
  undo: '',
  need: ', since something needs it or what stands on it',
  recall: ' instead of fetching it again',
  interrupted: ': an earlier run was interrupted, and somebody has it open',
};

/** Shows what a run would take out of the trash, because something needs it again. */
export function showPlannedRescues(needs: ReadonlyMap<TrashEntry, Edge>, reporter: Reporter): void {
  for (const [entry, need] of needs) {
    const text = `would take ${titleOf(entry)} out of the trash, since ${need.document} names it`;
    reporter.event('change', text, 'trash_returned', {
      ...entryFields(entry),
      result: 'planned',
      cause: 'need',
      is_offered: false,
      need: needFields(need),
    });
  }
}

/** Says what of the trash was unlinked for good, and with `-v` what had to stay. */
export function showEmptied(outcomes: readonly Unlinked[], reporter: Reporter): void {
  for (const { entry, result, error } of outcomes) {
    const fields = { ...entryFields(entry), result, allocation_bytes: entry.sizeBytes };
    if (result === 'failed') {
      if (error !== undefined) reporter.error(error);
    } else if (result === 'unlinked') {
      const text = `emptied the trash of ${titleOf(entry)} (${formatBytes(entry.sizeBytes)} freed)`;
      reporter.event('change', text, 'trash_emptied', fields);
    } else {
      const why = WHY_STAYS[result];
      reporter.event('detail', `keep ${titleOf(entry)} in the trash: ${why}`, 'trash_emptied', fields);
    }
  }
}

const WHY_STAYS = {
  held: 'somebody has it open',
  named: 'something names it where it lies now',
  unseen: 'not everything could be seen',
} as const;

/** What the user calls an entry. */
function titleOf(entry: TrashEntry): string {
  const identity = decodeVolumeName(entry.volumeName);
  return identity === undefined
    ? `volume '${entry.volumeName}' of pool '${entry.pool}'`
    : `image ${identityText(identity)}`;
}

function nameOf({ volumeName }: TrashEntry): string {
  const identity = decodeVolumeName(volumeName);
  return identity === undefined ? volumeName : identityText(identity);
}

function entryFields({ id, pool, volumeName }: TrashEntry): Fields {
  return { id, pool, volume: volumeName };
}

function needFields({ document, reference }: Edge): Fields {
  return { document, evidence: reference.evidence, kind: reference.kind, value: reference.value };
}
