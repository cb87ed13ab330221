import { formatBytes } from '../core/byte-size.ts';
import { childrenOf, type Snapshot, treeOf } from '../core/snapshots.ts';
import { isoTime } from './iso-time.ts';
import type { Reporter } from './reporter.ts';
import { showTable } from './table.ts';

/** Shows the snapshots of an image as a tree. A star marks the one that the image stands on. */
export function showSnapshots(snapshots: readonly Snapshot[], reporter: Reporter): void {
  const nameOf = new Map(snapshots.map(({ volumeName, name }) => [volumeName, name]));
  showTable(
    {
      messageType: 'snapshot',
      columns: [
        { title: 'NAME', text: ({ snapshot, branch }) => `${branch}${snapshot.name}${snapshot.isCurrent ? ' *' : ''}` },
        { title: 'ID', text: ({ snapshot }) => snapshot.id },
        { title: 'CREATED', text: ({ snapshot }) => createdText(snapshot), isOptional: true },
        { title: 'SIZE', text: ({ snapshot }) => formatBytes(snapshot.sizeBytes), isRightAligned: true },
        { title: 'STATUS', text: ({ snapshot }) => snapshot.record.status, isOptional: true },
      ],
      rows: treeOf(snapshots),
      fields: ({ snapshot }) => ({
        name: snapshot.name,
        id: snapshot.id,
        volume: snapshot.volumeName,
        created_at: isoTime(snapshot.record.times.createdAt),
        size_bytes: snapshot.sizeBytes,
        status: snapshot.record.status,
        is_current: snapshot.isCurrent,
        parent: nameOf.get(snapshot.parent ?? '') ?? null,
        children: childrenOf(snapshot, snapshots).map(({ name }) => name),
      }),
    },
    reporter,
  );
}

function createdText({ record }: Snapshot): string {
  return isoTime(record.times.createdAt).replace('T', ' ').slice(0, 19);
}
